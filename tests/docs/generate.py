"""The parts of docs/ that are made from the code: `python -m tests.docs.generate` writes them, `test_generated` holds them equal.

A page is either generated whole (`PAGES`) or has sections between `<!-- generated: NAME -->` and `<!-- end -->` (`SECTIONS`).
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Any, get_args, get_origin

import typer.main
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from aiops.adapters.kubernetes import DEFAULT_KINDS
from aiops.adapters.telemetry import COUNTERS, GAUGES, HISTOGRAMS
from aiops.app.schemas import schema_of
from aiops.cli.main import app
from aiops.definitions import filters
from aiops.definitions.arguments import wanted
from aiops.definitions.cel import VOCABULARIES
from aiops.definitions.schema_detectors import DetectorModel
from aiops.definitions.schema_export import text_of
from aiops.detect.known import Known
from aiops.detect.registry import BUILDERS, build_detector
from aiops.domain.duration import format_duration
from aiops.domain.rule import DetectorSpec, PromQuery, Rule
from aiops.domain.signal import Severity
from aiops.execution.actions.registry import SPECS
from aiops.remediate.guardrails import FIXED, GUARDS
from aiops.settings import Settings
from tests.docs.meanings import GUARD_MEANINGS, MEANINGS

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
EMPTY = {"": "empty", "()": "none", "{}": "none"}


def cell(text: object) -> str:
    """One cell of a table."""
    return " ".join(str(text).replace("|", "\\|").split())


def table(head: tuple[str, ...], rows: Sequence[tuple[object, ...]]) -> str:
    """A table in Markdown."""
    lines = [f"| {' | '.join(head)} |", f"|{' --- |' * len(head)}"]
    return "\n".join(lines + [f"| {' | '.join(cell(value) for value in row)} |" for row in rows]) + "\n"


# --- commands


def commands() -> str:
    """docs/commands.md: every command with its arguments and options, as `--help` has them."""
    root: Any = typer.main.get_command(app)
    parts = [
        "# Commands\n",
        "<!-- made by `python -m tests.docs.generate` from the program itself -->\n",
        f"{root.help}\n",
        f"{root.epilog}\n",
        "`--config` stands for the environment variable `AIOPS_CONFIG` too. `--output json` gives one JSON document on standard output.\n",
    ]
    for path, command in walk(root, ("aiops",)):
        parts.append(one_command(path, command))
    return "\n".join(parts)


def walk(command: Any, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Every command that does something, with the words that call it."""
    children = getattr(command, "commands", None)
    if children is None:
        yield path, command
        return
    for name, child in children.items():
        yield from walk(child, (*path, name))


def one_command(path: tuple[str, ...], command: Any) -> str:
    """One section."""
    shown = [p for p in command.params if p.name != "help"]
    arguments = [p for p in shown if p.param_type_name == "argument"]
    options = [p for p in shown if p.param_type_name == "option"]
    words = [(p.name.upper() if p.required else f"[{p.name.upper()}]") + ("..." if p.nargs == -1 else "") for p in arguments]
    usage = " ".join((*path, *words, *(["[options]"] if options else [])))
    text = f"## {' '.join(path)}\n\n{' '.join((command.help or '').split())}\n\n    {usage}\n\n"
    rows = [(f"`{p.name.upper()}`", _values(p), "", p.help or "") for p in arguments]
    rows += [(f"`{'`, `'.join(p.opts)}`", _values(p), _default(p), p.help or "") for p in options]
    return text + (table(("argument or option", "takes", "default", ""), rows) if rows else "")


def _values(parameter: Any) -> str:
    kind = parameter.type_descriptor.annotation
    kind = (get_args(kind) or (kind,))[0]
    if kind is bool:
        return "nothing"
    if isinstance(kind, type) and issubclass(kind, StrEnum):
        return " or ".join(member.value for member in kind)
    low, high = parameter.min, parameter.max
    bounds = f", {low:g} to {high:g}" if low is not None and high is not None else f", at least {low:g}" if low is not None else ""
    return {float: "number", int: "whole number", Path: "path", str: "text"}[kind] + bounds


def _default(parameter: Any) -> str:
    value = parameter.default
    if value is None or value == "" or value is False or parameter.required:
        return ""
    if isinstance(value, Path):
        value = value.relative_to(ROOT) if value.is_relative_to(ROOT) else value
    return f"{value:g}" if isinstance(value, float) else str(value)


# --- settings


def settings() -> str:
    """Every key of the settings, with its default."""
    rows = [(f"`{key}`", _type(field), _shown(field), MEANINGS[key]) for key, field in keys(Settings)]
    return table(("key", "takes", "default", "meaning"), rows)


def keys(model: type[BaseModel], prefix: str = "") -> Iterator[tuple[str, FieldInfo]]:
    """(dotted key as in YAML, field), nested models opened; `sources.NAME.url` for maps, `clusters[].name` for lists."""
    for field in model.model_fields.values():
        name = f"{prefix}{field.alias}"
        inner, mark = _inner(field.annotation)
        if inner is None:
            yield name, field
        else:
            yield from keys(inner, f"{name}{mark}.")


def _inner(annotation: Any) -> tuple[type[BaseModel] | None, str]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation, ""
    mark = {dict: ".NAME", tuple: "[]"}.get(get_origin(annotation), "")
    for argument in get_args(annotation):
        if isinstance(argument, type) and issubclass(argument, BaseModel):
            return argument, mark
    return None, ""


def _is_duration(field: FieldInfo) -> bool:
    return any(getattr(m, "func", None) is not None and m.func.__name__ == "_duration" for m in field.metadata)


def _type(field: FieldInfo) -> str:
    if _is_duration(field):
        return "duration"
    annotation = field.annotation
    choices = [str(getattr(c, "value", c)) for a in (annotation, *get_args(annotation)) for c in (get_args(a) if str(get_origin(a)) == "typing.Literal" else ())]
    many = "list of " if get_origin(annotation) is tuple else ""
    if choices:
        return many + " or ".join(choices)
    if get_origin(annotation) is dict:
        return "map of guard to off, shadow or enforce" if "GuardMode" in str(annotation) else "map of text"
    low = next((getattr(m, "ge", None) for m in field.metadata if getattr(m, "ge", None) is not None), None)
    high = next((getattr(m, "le", None) for m in field.metadata if getattr(m, "le", None) is not None), None)
    bounds = f", {low} to {high}" if high is not None else f", at least {low}" if low is not None else ""
    base = annotation if not many else get_args(annotation)[0]
    names: dict[Any, str] = {str: "text", int: "whole number", float: "number", bool: "true or false", int | str: "whole number or share such as `25%`"}
    return many + names[base] + bounds


def _shown(field: FieldInfo) -> str:
    if field.is_required():
        return "must be given"
    value = field.get_default(call_default_factory=True)
    if _is_duration(field):
        return f"`{format_duration(value)}`"
    if isinstance(value, tuple):
        return ", ".join(f"`{v}`" for v in value) or "none"
    if isinstance(value, dict):
        return "none"
    if isinstance(value, bool):
        return str(value).lower()
    return f"`{value}`" if value != "" else "empty"


# --- rules and runbooks


def detectors() -> str:
    """Parameters of each detector."""
    union = get_args(get_args(DetectorModel)[0])
    parts = []
    for model in union:
        fields = {f.alias: f for f in model.model_fields.values()}
        name = get_args(fields["type"].annotation)[0]
        schema = schema_of("rules")["$defs"][model.__name__]["properties"]
        rows = [
            (f"`{alias}`", _json_type(schema[alias]), _detector_default(field), (field.description or DETECTOR_MEANINGS.get(f"{name}.{alias}", "")))
            for alias, field in fields.items()
            if alias != "type"
        ]
        parts.append(f"### {name}\n\n{' '.join((model.__doc__ or '').split())}\n\n{table(('parameter', 'takes', 'default', 'meaning'), rows)}")
    return "\n".join(parts)


DETECTOR_MEANINGS = {
    "seasonalZ.season": "after so long the pattern repeats",
    "seasonalZ.bucket": "the season is cut into pieces of this length, each with a median of its own",
    "logErrorRate.minimumCount": "fewer records than this are no burst",
    "logErrorRate.ratio": "times what is usual for the series",
    "isolationForest.trees": "trees in the forest",
    "adwin.hold": "so long a change is claimed; let `for` be shorter",
    "pageHinkley.hold": "as for `adwin`",
    "logTemplates.minimumCount": "fewer lines of a template than this are no burst",
    "logTemplates.ratio": "times what is usual for the template",
    "logTemplates.newFor": "so long a template counts as never seen before",
    "logTemplates.warmUp": "so long at the beginning all are new, and none is told",
    "burnRate.period": "the time that the budget is for",
    "burnRate.minimumEvents": "fewer events than this in a long window and it does not count",
    "burnRate.coverage": "share of a long window's twelve pieces that must have had events, for it to count",
    "drift.referenceMode": "the time just before the window; the first full stretch; or that, begun anew when the model was trained",
    "drift.reference": "how long a time is compared with",
    "drift.window": "how long a recent time is compared; at least 50 rows must fall into it",
    "drift.bins": "pieces that values are counted in, at quantiles of the reference",
    "drift.psiWarning": "population stability index from which on the signal is a warning",
    "drift.psiCritical": "from here on it is critical",
    "drift.klWarning": "Kullback-Leibler divergence, in nats; the same",
    "drift.klCritical": "the same",
}


def sizes() -> str:
    """Bytes of one series under each detector that keeps state by row, at its defaults."""
    rows: list[tuple[object, ...]] = []
    for name in BUILDERS:
        for parameters, words in ((NEEDED.get(name, {}), ""), *(((RATED, " with `falseAlarms`"),) if name in ("fleet", "focus", "peers") else ())):
            rule = Rule(name, "", PromQuery(""), 60.0, DetectorSpec(name, parameters), Severity.WARNING)
            rows.append((f"`{name}`{words}", build_detector(rule).bytes_each, Known(rule).bytes_each))
    return table(("detector", "bytes of what it learns", "bytes in all, names apart"), rows)


NEEDED: Mapping[str, Mapping[str, Any]] = {"threshold": {"above": 1.0}}
RATED = {"false_alarms": 7 * 86400.0}


def _json_type(schema: Mapping[str, Any]) -> str:
    options = [o for o in schema.get("anyOf", [schema]) if o.get("type") != "null"]
    first = options[0]
    if "pattern" in first:
        return "rate, as `1/week`" if "/(" in first["pattern"] else "duration" if "ms|s|m|h" in first["pattern"] else "text"
    if first["type"] == "array":
        return "list"
    if "enum" in schema:
        return " or ".join(schema["enum"])
    low, high = first.get("minimum", first.get("exclusiveMinimum")), first.get("maximum", first.get("exclusiveMaximum"))
    above = "more than" if "exclusiveMinimum" in first else "at least"
    under = "less than" if "exclusiveMaximum" in first else "at most"
    # Bounds that only keep numbers finite are left out.
    words = [f"{above} {low:g}"] if low is not None and abs(low) < 1e300 else []
    words += [f"{under} {high:g}"] if high is not None and abs(high) < 1e300 else []
    return ", ".join([{"integer": "whole number", "array": "list"}.get(first["type"], first["type"]), *words])


def _detector_default(field: FieldInfo) -> str:
    if field.is_required():
        return "must be given"
    if field.default is None or field.default_factory is not None:
        return ""
    lasts = isinstance(field.default, float)
    return f"`{format_duration(field.default)}`" if lasts and any(getattr(m, "func", None) is not None for m in field.metadata) else f"`{field.default}`"


def actions() -> str:
    """Every action: what it does, how its effect is made once, its rights, its arguments."""
    parts = []
    for spec in SPECS.values():
        rights = sorted({f"`{'/'.join(filter(None, (p.group, p.resource)))}` {v}" for p in spec.permissions for v in p.verbs}) or ["none on the cluster"]
        rows = [(spec.effect.value, ", ".join(spec.target_kinds) or "any", "yes" if spec.undoable else "no", ", ".join(rights))]
        part = f"### {spec.name}\n\n{spec.doc}\n\n{table(('effect class', 'kinds of target', 'can be undone', 'rights'), rows)}"
        arguments = [
            (f"`{name}`", wanted(p), "must be given" if p.required else "" if p.default is None else f"`{p.default}`", p.doc)
            for name, p in spec.parameters.items()
        ]
        parts.append(part + ("\n" + table(("argument", "takes", "default", "meaning"), arguments) if arguments else ""))
    return "\n".join(parts)


def vocabulary() -> str:
    """Names that CEL expressions may speak of."""
    places = {"match": "`match` of a runbook", "step": "`when` and `forEach` of a step", "verify": "`verify.passes`", "object": "`objects.value` of a rule"}
    rows = [
        (f"`{name}`", kind, ", ".join(words for place, words in places.items() if name in VOCABULARIES[place]))
        for name, kind in {n: k for v in VOCABULARIES.values() for n, k in v.items()}.items()
    ]
    return table(("name", "type", "where"), rows)


def template_filters() -> str:
    """Filters of templates."""
    return ", ".join(f"`{name}`" for name in (*filters.FILTERS, "default")) + "\n"


def watched() -> str:
    """Kinds that the daemon lists and watches."""
    return ", ".join(f"`{kind}`" for kind in DEFAULT_KINDS) + "\n"


def guards() -> str:
    """Every guard."""
    rows = [(f"`{name}`", GUARD_MEANINGS[name], "no" if name in FIXED else "yes") for name in GUARDS]
    return table(("guard", "refuses", "may be set to off or shadow"), rows)


# --- metrics


def metrics() -> str:
    """Every metric of ours, by its full name."""
    rows: list[tuple[object, ...]] = []
    for kind, suffix, declared in (("counter", "_total", COUNTERS), ("gauge", "", GAUGES), ("histogram", "_seconds", HISTOGRAMS)):
        rows += [(f"`aiops_{name}{suffix}`", kind, ", ".join(labels), words) for name, (words, labels) in declared.items()]
    return table(("metric", "type", "labels", "meaning"), rows)


# --- the demo


def demo() -> str:
    """What `aiops demo` prints, shortened: the first words of each stage, what hangs below them, and the last line."""
    environment = {**os.environ, "COLUMNS": "140", "AIOPS_LOG_LEVEL": "error"}
    command = [sys.executable, "-m", "aiops", "demo"]
    done = subprocess.run(command, check=True, cwd=ROOT, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    kept: list[str] = []
    seen: set[str] = set()
    following, steps = False, 0
    for line in done.stdout.splitlines():
        if found := _STEP.match(line):
            steps += 1
            # Of incidents the end is of interest too.
            following = found[1] not in seen or (found[1] == "incident" and " resolved: " in line)
            seen.add(found[1])
        elif not line.strip():
            following = False
        if following:
            kept.append(line.rstrip())
        elif kept and kept[-1] != "…" and steps and _STEP.match(line):
            kept.append("…")
    last = next(line for line in reversed(done.stdout.splitlines()) if "replayed" in line)
    return "```text\n" + "\n".join([*(kept if kept[-1] != "…" else kept[:-1]), "…", last]) + "\n```\n"


_STEP = re.compile(r"^\+ *[0-9.]+ s +([a-z]+) ")


# --- pages


PAGES: Mapping[str, Callable[[], str]] = {
    "commands.md": commands,
    "schema/config.json": lambda: text_of(schema_of("config")),
    "schema/ruleset.json": lambda: text_of(schema_of("rules")),
    "schema/runbook.json": lambda: text_of(schema_of("runbook")),
    "schema/test.json": lambda: text_of(schema_of("test")),
}
SECTIONS: Mapping[str, Callable[[], str]] = {
    "settings": settings, "detectors": detectors, "actions": actions, "vocabulary": vocabulary, "filters": template_filters,
    "guards": guards, "metrics": metrics, "watched": watched, "demo": demo, "sizes": sizes,
}  # fmt: skip
_SECTION = re.compile(r"(<!-- generated: ([a-z]+) -->\n)(.*?)(<!-- end -->)", re.DOTALL)


def filled(text: str) -> str:
    """A page with its generated sections as they must be. KeyError names a section that there is not."""
    return _SECTION.sub(lambda m: f"{m[1]}{SECTIONS[m[2]]()}{m[4]}", text)


def main() -> None:
    """Write everything."""
    for name, make in PAGES.items():
        (DOCS / name).write_text(make())
    for page in (ROOT / "README.md", *sorted(DOCS.glob("*.md"))):
        text = page.read_text()
        if filled(text) != text:
            page.write_text(filled(text))


if __name__ == "__main__":
    main()
