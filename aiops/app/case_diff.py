"""What a test of `aiops test` expected and what there is: the difference, as a diff of YAML that a person can read.

Neighbours: `app.cases` runs tests, `definitions.schema_cases` is the format of expectations.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import yaml

from aiops.definitions.schema_cases import ExpectModel
from aiops.domain.execution import EntryKind, Execution, ExecutionState, StepState
from aiops.domain.incident import Incident
from aiops.domain.runbook import Mode
from aiops.domain.target import JsonObject, TargetRef
from aiops.execution.approval import SUSPEND, waiting_steps
from aiops.ports.storage import Reading

Row = dict[str, Any]
_SETS = ("symptoms", "rules")
"""Lists of which the expected ones must be among those seen."""
_PARTS = ("arguments", "fields")
"""Maps of which only what is named is compared, however deep."""


def compare(expect: ExpectModel, store: Reading, find: Callable[[TargetRef], JsonObject | None], texts: Sequence[str]) -> Iterator[str]:
    """Each list that differs, with a diff: `-` was expected, `+` was seen."""
    runs = list(reversed(store.executions(limit=100_000)))
    seen: Mapping[str, Callable[[], list[Row]]] = {
        "incidents": lambda: [_incident(i) for i in reversed(store.incidents(limit=100_000)) if i.active or _wants_resolved(expect)],
        "actions": lambda: [row for run in runs for row in _actions(run, store)],
        "refusals": lambda: _refusals(store, runs),
        "approvals": lambda: [_approval(run) for run in runs if run.plan.mode is Mode.APPROVE and not run.simulated],
        "answers": lambda: [row for run in runs for row in _answers(run)],
        "verification": lambda: [_verification(run) for run in runs if run.verification is not None and run.verification.judgement is not None],
        "undone": lambda: [row for run in runs for row in _undone(run)],
        "runs": lambda: [_run(run) for run in runs],
    }
    for name, look in seen.items():
        models = getattr(expect, name)
        if models is not None:
            wanted = [{k: v for k, v in m.model_dump(exclude_none=True).items() if v != ""} for m in models]
            yield from difference(name, wanted, look())
    for place in expect.objects or ():
        wanted_object = {"target": str(place.target), **({"absent": True} if place.absent else {}), **({"fields": place.fields} if place.fields else {})}
        obj = find(place.target)
        there: list[Row] = [{"target": str(place.target), "absent": obj is None, "fields": obj or {}}]
        yield from difference("objects", [wanted_object if place.absent else {**wanted_object, "absent": False}], there)
    for text in expect.told or ():
        if not any(text in one for one in texts):
            yield from difference("told", [{"text": text}], [{"text": one} for one in texts])


def difference(what: str, wanted: list[Row], there: list[Row]) -> Iterator[str]:
    """Nothing if each that is wanted has one of its own that fits it (and none is there if none is wanted); else one text with the diff."""
    pairs, left = _paired(wanted, there)
    if all(found is not None and _fits(one, found) for one, found in pairs) and not (not wanted and there):
        return
    lines = [f"{what}: - expected, + seen"]
    for one, found in pairs:
        if found is None or not _fits(one, found):
            lines += _diff(one, found)
    # What else is there often says at once what went wrong.
    lines += [f"+ {line}" for row in left for line in _yaml(row)]
    if not there:
        lines.append("+ nothing")
    yield "\n      ".join(lines)


def _paired(wanted: list[Row], there: list[Row]) -> tuple[list[tuple[Row, Row | None]], list[Row]]:
    """Whatever fits is paired first; what is left is paired with what is most like it. Returns pairs in the order of `wanted`, and what nobody took."""
    left, found = list(there), dict[int, Row]()
    # Whoever says most chooses first, so that a vague one does not take what only a precise one needs.
    for index, one in sorted(enumerate(wanted), key=lambda pair: -len(pair[1])):
        match = next((row for row in left if _fits(one, row)), None)
        if match is not None:
            found[index] = match
            left.remove(match)
    for index, one in enumerate(wanted):
        likely = max(left, key=lambda row: _likeness(one, row), default=None)
        if index not in found and likely is not None and _likeness(one, likely) > 0:
            found[index] = likely
            left.remove(likely)
    return [(one, found.get(index)) for index, one in enumerate(wanted)], left


def _likeness(wanted: Row, there: Row) -> int:
    return sum(_same(key, value, there.get(key)) for key, value in wanted.items())


def _diff(wanted: Row, found: Row | None) -> list[str]:
    if found is None:
        return [f"- {line}" for line in _yaml(wanted)]
    expected, shown = _yaml(wanted), _yaml({key: _part(value, found.get(key)) if key in _PARTS else found.get(key) for key, value in wanted.items()})
    return [line.rstrip() for line in difflib.ndiff(expected, shown) if not line.startswith("?")]


def _part(wanted: Any, there: Any) -> Any:
    """Of what is there only what is compared."""
    if isinstance(wanted, Mapping) and isinstance(there, Mapping):
        return {key: _part(value, there.get(key)) for key, value in wanted.items()}
    return there


def _fits(wanted: Row, there: Row) -> bool:
    return all(_same(key, value, there.get(key)) for key, value in wanted.items())


def _same(key: str, wanted: Any, there: Any) -> bool:
    if key in _SETS:
        return set(wanted) <= set(there or ())
    return bool(_part(wanted, there) == wanted if key in _PARTS else wanted == there)


def _yaml(value: Row) -> list[str]:
    text = yaml.safe_dump([_plain(value)], default_flow_style=False, width=10_000, sort_keys=False, allow_unicode=True)
    return str(text).rstrip().splitlines()


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(v) for v in value]
    return value if isinstance(value, str | int | float | bool) or value is None else str(value)


def _wants_resolved(expect: ExpectModel) -> bool:
    return any(m.state == "resolved" for m in expect.incidents or ())


def _incident(incident: Incident) -> Row:
    return {
        "target": str(incident.target or ""), "symptoms": list(incident.symptoms), "rules": sorted({s.rule for s in incident.firing}),
        "severity": incident.severity.value, "state": incident.state.value,
    }


def _actions(run: Execution, store: Reading) -> Iterator[Row]:
    """As planned; what was known only when a step began, as it was then."""
    late = any(step.late for step in run.plan.steps)
    known = {e.step: e.data["arguments"] for e in store.journal(run.id) if e.kind is EntryKind.INTENT and "arguments" in e.data} if late else {}
    for step in run.plan.steps:
        arguments = dict(known.get(step.name, step.arguments))
        yield {"runbook": run.plan.runbook, "step": step.name, "action": step.action, "target": str(run.plan.target_of(step)), "arguments": arguments}


def _refusals(store: Reading, runs: Sequence[Execution]) -> list[Row]:
    """Of the plan, and of what was known only when a step began."""
    late = {(run.plan.runbook, str(e.data["guard"]), str(e.data["reason"])) for run in runs for e in store.journal(run.id) if "guard" in e.data}
    said = late | {
        (*d.subject.split("/", 1), d.reason)
        for d in store.decisions(limit=100_000) if d.stage.value == "decide" and "/" in d.subject and not d.passed
    }
    return [{"runbook": runbook, "guard": guard, "reason": reason} for runbook, guard, reason in sorted(said)]


def _approval(run: Execution) -> Row:
    reason = run.result.reason if run.result else ""
    waits = "waiting" if run.state is ExecutionState.AWAITING_APPROVAL else ""
    state = waits or {"Rejected": "rejected", "ApprovalExpired": "expired"}.get(reason, "approved")
    return {"runbook": run.plan.runbook, "target": run.target, "state": state, "by": run.approved_by}


def _answers(run: Execution) -> Iterator[Row]:
    """Each question that was asked for real."""
    for step in run.plan.steps:
        asked = next((s for s in run.steps if s.name == step.name and s.effect and step.action == SUSPEND), None)
        if asked is not None:
            given = "answer" in asked.output
            state = ("answered" if asked.output.get("by") else "defaulted") if given else "waiting" if asked.name in waiting_steps(run) else "unanswered"
            yield {"runbook": run.plan.runbook, "step": step.name, "state": state, "value": asked.output.get("answer"), "by": asked.output.get("by", "")}


def _verification(run: Execution) -> Row:
    judgement = run.verification.judgement if run.verification else None
    return {"runbook": run.plan.runbook, "judgement": judgement.value if judgement else "", "reason": run.result.reason if run.result else ""}


def _undone(run: Execution) -> Iterator[Row]:
    for step, planned in ((run.step(p.name), p) for p in run.plan.steps if any(s.name == p.name for s in run.steps)):
        if step.state is StepState.UNDONE:
            yield {"runbook": run.plan.runbook, "step": step.name, "action": planned.action}


def _run(run: Execution) -> Row:
    outcome, reason = (run.result.outcome.value, run.result.reason) if run.result else ("", "")
    return {"runbook": run.plan.runbook, "target": run.target, "state": run.state.value, "outcome": outcome, "reason": reason}
