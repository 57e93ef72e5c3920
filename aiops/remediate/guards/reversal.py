"""A person's reversal stops the automation there: whoever put back what we had set knows something that we do not.

Replica count (or the bounds of the autoscaler that owns it) and cordon: it is not what our last run left, and another field manager owns it. Template: it is again the one that our last rollback
replaced; a new release is no reversal. Neighbours: managedFields by `ownership.holds`; `execution` keeps pre-state and what was left.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from aiops.domain.execution import Execution, StepRun, StepState
from aiops.domain.outcome import Outcome
from aiops.domain.target import JsonObject, TargetRef
from aiops.remediate.autoscaling import bounds_of
from aiops.remediate.guards.contract import Answer, GuardInput, GuardLimits, allow, recent, refuse
from aiops.remediate.guards.traits import REPLICAS, TEMPLATE, UNSCHEDULABLE, acted_on, traits, writes
from aiops.remediate.objects import meta, seconds, wanted_replicas
from aiops.remediate.ownership import OURS, holds

_WATCHED = frozenset({REPLICAS, TEMPLATE, UNSCHEDULABLE})
"""Fields that a person may put back; each is a key of `pre_state` and `leaves` too."""


@dataclass(frozen=True, slots=True)
class _Bounds:
    """Of an autoscaler, moved in place of the count."""

    autoscaler: str
    minimum: int
    maximum: int


@dataclass(frozen=True, slots=True)
class _Written:
    """The last effect of ours on a field: what it replaced and what it left."""

    run: str
    before: Any
    after: Any


def reversal(given: GuardInput, limits: GuardLimits) -> Answer:
    """For the fields of each target that the plan would write."""
    watched = [(t, writes(given.plan, t) & _WATCHED) for t in acted_on(given.plan)]
    if not any(fields for _, fields in watched):
        return allow()
    runs = sorted(recent(given, limits.reversal_hold), key=lambda e: (e.updated_at, e.id), reverse=True)
    for target, fields in watched:
        obj = given.present(target) if fields else {}
        mine = [e for e in runs if target in e.plan.targets and not e.simulated]
        for field in sorted(fields):
            written = _last(mine, field, target)
            if written is not None and isinstance(written.after, _Bounds):
                answer = _judge_bounds(written, written.after, given.objects_of(target).autoscalers, given, limits)
            else:
                answer = None if written is None else _judge(field, written, obj, given, limits)
            if answer is not None:
                return answer
    return allow()


def _judge_bounds(written: _Written, left: _Bounds, autoscalers: Sequence[JsonObject], given: GuardInput, limits: GuardLimits) -> Answer | None:
    """Where the count was moved by an autoscaler's bounds, those are what a person puts back."""
    found = next((a for a in autoscalers if meta(a).get("name") == left.autoscaler), None)
    if found is None or bounds_of(found) == (left.minimum, left.maximum):
        return None
    low, high = bounds_of(found)
    words = f"{written.run} left the autoscaler {left.autoscaler} at {left.minimum} to {left.maximum}, now it is at {low} to {high}"
    moved = {"minReplicas": low != left.minimum, "maxReplicas": high != left.maximum}
    return _by_whom(found, tuple(member for member, differs in moved.items() if differs), words, given, limits)


def _judge(field: str, written: _Written, target: JsonObject, given: GuardInput, limits: GuardLimits) -> Answer | None:
    if field == TEMPLATE:
        present: Any = template_digest((target.get("spec") or {}).get("template") or {})
        if present == written.after or present != written.before:
            return None
        words = f"the template that {written.run} replaced is back"
    elif field == UNSCHEDULABLE:
        present = bool((target.get("spec") or {}).get("unschedulable"))
        if written.after is None or present == bool(written.after):
            return None
        words = f"{written.run} {'cordoned' if written.after else 'uncordoned'} it, now it is {'cordoned' if present else 'open'}"
    else:
        present = wanted_replicas(target)
        if written.after is None or present == written.after:
            return None
        words = f"{written.run} left {written.after} replicas, now there are {present}"
    return _by_whom(target, (field,), words, given, limits)


def _by_whom(obj: JsonObject, members: tuple[str, ...], words: str, given: GuardInput, limits: GuardLimits) -> Answer | None:
    """A refusal, unless only we wrote these members of `spec` since, or another did long ago."""
    entries = [e for e in meta(obj).get("managedFields") or () if any(holds(e, ("spec", m)) for m in members)]
    others = [e for e in entries if e.get("manager") not in OURS]
    if entries and not others:
        return None  # only we wrote it since; that run is not in the history any more
    at = max((t for t in (seconds(e.get("time")) for e in others) if t is not None), default=None)
    if at is not None and given.now - at > limits.reversal_hold:
        return None
    by = ", ".join(sorted({str(e.get("manager")) for e in others})) or "somebody"
    return refuse("ReversedByPerson", f"{words}; written by {by}")


def _last(newest_first: list[Execution], field: str, target: TargetRef) -> _Written | None:
    for run in newest_first:
        for step in reversed(run.steps):
            planned = next((p for p in run.plan.steps if p.name == step.name), None)
            if planned is None or field not in traits(planned.action).writes or run.plan.target_of(planned) != target or not _happened(step):
                continue
            before, after = _value(step.pre_state, field), _value(step.leaves, field)
            # An undo that found nothing to do wrote nothing: somebody had put it back before us.
            ours = step.undo is None or step.undo.outcome is not Outcome.SKIPPED
            if step.state is StepState.UNDONE and ours:
                before, after = after, before
            return _Written(run.id, before, after)
    return None


def _happened(step: StepRun) -> bool:
    return step.effect or step.state in (StepState.STARTED, StepState.UNDONE)


def _value(state: Mapping[str, Any], field: str) -> Any:
    if field == REPLICAS and state.get("autoscaler"):
        return _Bounds(str(state["autoscaler"]), int(state["minReplicas"]), int(state["maxReplicas"]))
    return state.get(field)


def template_digest(template: JsonObject) -> str:
    """As `execution.actions.rollout.template_digest` writes it into the pre-state; a test holds the two equal."""
    metadata = {k: v for k, v in (template.get("metadata") or {}).items() if k != "creationTimestamp"}
    text = json.dumps({**template, "metadata": metadata}, sort_keys=True, separators=(",", ":"))
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()
