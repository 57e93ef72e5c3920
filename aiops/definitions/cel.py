"""CEL expressions, parsed and type-checked when a file is loaded, cheap to evaluate afterwards.

The language is the Common Expression Language (cel-spec; the expression language of Kubernetes) in Google's C++ implementation. Variables are
qualified names (`target.replicas`), so that a misspelt one fails at load; facts come as one flat map keyed by them.
Neighbours: `schema_*` compile through it while reading, plans carry the text and are compiled again by `execution`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Any

from aiops.domain.errors import ExpressionError, trimmed
from aiops.domain.templated import indexed_expression

MAX_LENGTH = 4096

MATCH: Mapping[str, str] = {
    "incident.severity": "string",
    "incident.labels": "map(string,string)",
    "incident.rules": "list(string)",
    "incident.symptoms": "list(string)",
    "incident.ageSeconds": "double",
    "incident.openSeconds": "double",
    "incident.signals": "int",
    "incident.tried": "list(string)",
    "incident.summaries": "list(string)",
    "incident.forecast": "bool",
    "target.kind": "string",
    "target.namespace": "string",
    "target.name": "string",
    "target.labels": "map(string,string)",
    "target.replicas": "int",
    "target.readyReplicas": "int",
    "target.availableReplicas": "int",
    "target.revision": "int",
    "target.previousRevision": "int",
    "target.revisionAgeSeconds": "double",
    "target.rolling": "bool",
    "target.settledSeconds": "double",
    "target.ownedBy": "string",
    "target.crashes": "list(string)",
    "target.crashCauses": "list(string)",
    "target.configChanges": "list(string)",
    "target.probeChanged": "bool",
    "target.exists": "bool",
    "cluster.unreadyNodes": "int",
}
"""What a runbook's `match` may speak of."""

STEP: Mapping[str, str] = {**MATCH, "steps": "map(string,dyn)", "parameters": "map(string,dyn)", "item": "dyn"}
"""What a step's `when` and `forEach` may speak of; the outputs of other steps, the runbook's parameters, the item that the step is done for."""

VOCABULARIES: Mapping[str, Mapping[str, str]] = {
    "match": MATCH,
    "step": STEP,
    "list": STEP,
    "verify": {"value": "double", "baseline": "double", "count": "int"},
    "object": {"object": "dyn", "now": "double"},
}
"""Names and types by vocabulary. All yield bool, save `list`, and `object`, which yields a number (a bool counts as 1 or 0)."""

_WHERE = re.compile(r"\bERROR: <input>:(\d+):(\d+): (.*)$", re.MULTILINE)
_UNKNOWN = re.compile(r"undeclared reference to '([^']+)'")


@dataclass(frozen=True, slots=True)
class CelExpression:
    """A compiled expression; equal texts of one vocabulary are equal."""

    text: str
    vocabulary: str
    _eval: Callable[..., Any]

    def evaluate(self, facts: Mapping[str, Any]) -> Any:
        """A bool, a float for `object`, a list for `list`. Raises ExpressionError if a name or key is missing, a type is wrong, or the result is of another type."""
        try:
            result = self._eval(data={name: _shallow(value) for name, value in facts.items()})
            kind, value = result.type().name(), result.plain_value()
            if kind == "ERROR" and "Non-CEL value type" in str(value):
                # Whole objects are plain JSON nearly always; copying them each time would cost more than the evaluation.
                result = self._eval(data={name: _deep(value) for name, value in facts.items()})
                kind, value = result.type().name(), result.plain_value()
        except (RuntimeError, TypeError, ValueError, OverflowError) as error:  # the binding's own ways to refuse a Python value
            raise ExpressionError(trimmed(f"{self.text}: {error}")) from error
        if kind == "ERROR":
            raise ExpressionError(trimmed(f"{self.text}: {value}"))
        if self.vocabulary == "object" and kind in ("INT", "UINT", "DOUBLE", "BOOL"):
            return float(value)
        if self.vocabulary == "list" and kind.partition("<")[0].upper() == "LIST":
            return list(value)
        if self.vocabulary not in ("object", "list") and kind == "BOOL":
            return bool(value)
        raise ExpressionError(trimmed(f"{self.text}: gives {kind.lower()}, not {_wanted(self.vocabulary)}"))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, CelExpression) and (other.text, other.vocabulary) == (self.text, self.vocabulary)

    def __hash__(self) -> int:
        return hash((self.text, self.vocabulary))


def compile_expression(text: str, vocabulary: str) -> CelExpression:
    """Parse and type-check. Raises ValueError with place (`line:column`), cause, and what is allowed; KeyError never: vocabularies are ours."""
    if vocabulary not in VOCABULARIES:
        raise ValueError(f"no vocabulary {vocabulary!r}; there are {', '.join(VOCABULARIES)}")
    if len(text) > MAX_LENGTH:
        raise ValueError(f"the expression has {len(text)} characters; at most {MAX_LENGTH} are allowed")
    if not text.strip():
        raise ValueError("the expression is empty")
    return _compiled(text, vocabulary)


@lru_cache(maxsize=1024)
def _compiled(text: str, vocabulary: str) -> CelExpression:
    try:
        compiled = _environment(vocabulary).compile(indexed_expression(text))
    except (RuntimeError, ValueError, TypeError) as error:
        raise ValueError(_explained(str(error), vocabulary)) from error
    kind = compiled.return_type().name()
    # What comes out of an open map (an object, a step's output) is only known when it is there: then the result's own type is checked.
    open_map = vocabulary in ("step", "list", "object") and kind == "DYN"
    if not open_map and kind.partition("<")[0].upper() not in {"object": ("INT", "UINT", "DOUBLE", "BOOL"), "list": ("LIST",)}.get(vocabulary, ("BOOL",)):
        raise ValueError(f"1:1: the expression gives {kind.lower()}; it must give {_wanted(vocabulary)}")
    return CelExpression(text, vocabulary, compiled.eval)


@cache
def _environment(vocabulary: str) -> Any:
    from cel_expr_python import cel  # deferred: a C++ library with protobuf, of no use to commands that load no definitions

    config = cel.NewEnvConfigFromYaml("extensions:\n- name: optional\n- name: strings\n")
    types = {
        "string": cel.Type.STRING,
        "int": cel.Type.INT,
        "double": cel.Type.DOUBLE,
        "bool": cel.Type.BOOL,
        "dyn": cel.Type.DYN,
        "list(string)": cel.Type.List(cel.Type.STRING),
        "map(string,string)": cel.Type.Map(cel.Type.STRING, cel.Type.STRING),
        "map(string,dyn)": cel.Type.Map(cel.Type.STRING, cel.Type.DYN),
    }
    return cel.NewEnv(config=config, variables={name: types[kind] for name, kind in VOCABULARIES[vocabulary].items()})


def _explained(message: str, vocabulary: str) -> str:
    """The first cause as `line:column: words`, with the names or the notation that would have been right."""
    found = _WHERE.search(message)
    if found is None:
        return trimmed(message)
    line, column, cause = found.groups()
    words = cause.removesuffix(" [INVALID_ARGUMENT]").replace(" (in container '')", "")
    text = f"{line}:{column}: {words}"
    if _UNKNOWN.search(cause):
        text += f"; allowed: {', '.join(VOCABULARIES[vocabulary])}"
    elif "no matching overload" in cause and "double" in cause and "int" in cause:
        text += "; a double is compared with a double: write 30.0, not 30"
    return trimmed(text, 900)


def _wanted(vocabulary: str) -> str:
    return {"object": "a number or bool", "list": "a list"}.get(vocabulary, "bool")


def _shallow(value: Any) -> Any:
    kind = type(value)
    if kind in (str, int, float, bool, dict, list):
        return value
    return _deep(value)


def _deep(value: Any) -> Any:
    """The binding takes lists and dicts only: other sequences and mappings of ours are copied, an enum's member becomes its text."""
    if isinstance(value, Mapping):
        return {key: _deep(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_deep(item) for item in value]
    return str(value) if isinstance(value, str) else value
