"""A step's own target, checked when the file is loaded: kinds that there are, names that can be, templates that can be rendered.

Neighbours: `compile_runbooks` calls it; `remediate.planner` renders the target and checks what came out.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any

from aiops.definitions.problems import suggestion
from aiops.definitions.schema_runbooks import TargetModel
from aiops.definitions.templates import check_template
from aiops.domain.runbook import ActionSpec, TargetSpec
from aiops.domain.target import KINDS, valid_name
from aiops.domain.templated import templated


def check_target(given: Any, action: ActionSpec | None, names: Collection[str]) -> Iterator[tuple[str, str]]:
    """(key, message) for what is wrong with the target of a step beyond the schema; `names`: what templates may speak of."""
    texts: Mapping[str, Any] = given if isinstance(given, dict) else {}
    for key in ("kind", "namespace", "name", "context"):
        text = texts.get(key)
        if not isinstance(text, str) or not text:
            continue
        if templated(text):
            try:
                check_template(text, names)
            except ValueError as error:
                yield key, str(error)
        elif key == "kind" and text not in KINDS:
            yield key, suggestion(f"no kind {text!r}", text, sorted(KINDS))
        elif key == "kind" and action is not None and action.target_kinds and text not in action.target_kinds:
            yield key, f"the action {action.name} takes {', '.join(action.target_kinds)}, not {text}"
        elif key in ("namespace", "name") and not valid_name(text):
            yield key, f"no object can have this name: {text[:80]!r}; allowed: lower-case letters, digits, - and ."
    kind = texts.get("kind")
    if isinstance(kind, str) and kind in KINDS and not KINDS[kind].namespaced and "namespace" in texts:
        yield "namespace", f"a {kind} stands in no namespace; leave it out"


def target_spec(model: TargetModel | None) -> TargetSpec | None:
    """The domain's."""
    if model is None:
        return None
    return TargetSpec(model.kind or "", model.namespace or "", model.name or "", model.context or "")
