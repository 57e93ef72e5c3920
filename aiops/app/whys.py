"""What `aiops why` answers: the record of a target sorted by what it means, and what is missing for anything to be done. Reads only.

Neighbours: `app.desk` reads the record, `cli.ask` prints.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from aiops.definitions.loader import Definitions
from aiops.domain.decision import Decision, Stage
from aiops.domain.rule import ObjectQuery, Rule
from aiops.domain.runbook import Runbook
from aiops.domain.target import TargetRef
from aiops.execution.actions.registry import SPECS

WORKLOADS = ("Deployment", "StatefulSet", "DaemonSet", "ReplicaSet", "Job", "CronJob")
"""What a rule reaches whose target climbs from a pod to its owner."""
UNFIT = frozenset({"NoMatch", "NoRunbook", "NoTarget", "NoCluster", "PlanFailed", "ExpressionError", "SubmitFailed", "NoRun"})
"""Reasons that say that no runbook fits, or that its plan could not be made; other drops of a decision hold a fitting one back."""


@dataclass(frozen=True, slots=True)
class Why:
    """Decisions newest first: `claims` about the target, runbooks that `matched` and were planned, what was `suppressed` (silenced, explained, held back),
    `refused` by a guard, what did not fit (`unfit`), what was `done`; and in words what is `missing`.
    """

    claims: tuple[Decision, ...] = ()
    matched: tuple[Decision, ...] = ()
    suppressed: tuple[Decision, ...] = ()
    refused: tuple[Decision, ...] = ()
    unfit: tuple[Decision, ...] = ()
    done: tuple[Decision, ...] = ()
    missing: tuple[str, ...] = ()


def sort_of(decision: Decision) -> str:
    """The field of `Why` that a decision belongs to."""
    if decision.stage in (Stage.ACT, Stage.VERIFY, Stage.ANNOUNCE):
        return "done"
    if decision.stage is not Stage.DECIDE:
        return "claims" if decision.passed else "suppressed"
    if decision.passed:
        return "matched"
    if "/" in decision.subject:
        return "refused"
    return "unfit" if decision.reason in UNFIT else "suppressed"


def explained(target: TargetRef, decisions: Sequence[Decision], definitions: Definitions, *, clusters: bool, paused: str) -> Why:
    """Sorted, with what is missing. `clusters`: the settings name any; `paused`: who paused acting, or empty."""
    sorted_ = {name: tuple(d for d in decisions if sort_of(d) == name) for name in ("claims", "matched", "suppressed", "refused", "unfit", "done")}
    missing = tuple(_missing(target, bool(sorted_["claims"]), bool(sorted_["matched"]), definitions, clusters=clusters, paused=paused))
    return Why(missing=missing, **sorted_)


def _missing(target: TargetRef, claimed: bool, matched: bool, definitions: Definitions, *, clusters: bool, paused: str) -> Iterator[str]:  # noqa: FBT001
    if not clusters:
        yield "a cluster: the settings name none, so no object is seen"
    if paused:
        yield f"leave to act: {paused}"
    covering = [r.name for r in definitions.rules if _covers(r, target)]
    if not covering:
        yield f"a rule: none of {len(definitions.rules)} makes claims about a {target.kind}"
    elif not claimed:
        names = ", ".join(covering[:8]) + (f" and {len(covering) - 8} more" if len(covering) > 8 else "")
        yield f"a claim: {len(covering)} rules may make one about a {target.kind}, and none did: {names}"
    able = [r.name for r in definitions.runbooks if _takes(r, target)]
    if not able:
        yield f"a runbook: none of {len(definitions.runbooks)} works on a {target.kind}"
    elif claimed and not matched:
        yield f"a runbook whose match holds: {', '.join(able[:8])} could work on a {target.kind}"
    for note in definitions.notes:
        yield f"a source: {note}"
    for problem in definitions.problems:
        yield f"a file without mistakes: {problem}"


def _covers(rule: Rule, target: TargetRef) -> bool:
    """A rule's target may be of this kind: said, by a template, or by climbing to the owner."""
    if rule.target is None:
        return isinstance(rule.query, ObjectQuery) and rule.query.kind == target.kind
    return rule.target.kind == target.kind or "{{" in rule.target.kind or (rule.target.owner and target.kind in WORKLOADS)


def _takes(runbook: Runbook, target: TargetRef) -> bool:
    """Every step on the incident's own target takes its kind."""
    for step in runbook.steps:
        kinds = SPECS[step.action].target_kinds if step.action in SPECS and step.target is None else ()
        if kinds and target.kind not in kinds:
            return False
    return True
