"""All guards, asked in order; every answer is kept, refused or not, enforced or not.

Neighbours: `guards` holds one subject a file; `pipeline.decide` calls `judge` and stores the verdicts with the plan.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace

from aiops.domain.errors import trimmed
from aiops.domain.outcome import GuardMode, Verdict
from aiops.remediate.guards import disruption, history, rates, reversal, sight, standing, windows, workload
from aiops.remediate.guards.bounds import bounded
from aiops.remediate.guards.contract import Answer, Guard, GuardInput, GuardLimits, UnknownFactError

GUARDS: Mapping[str, Guard] = {
    "paused": standing.paused,
    "silenced": standing.silenced,
    "freeze": windows.freeze,
    "storm": windows.storm,
    "protected-namespace": standing.protected_namespace,
    "opt-out": standing.opted,
    "target-present": standing.present,
    "cluster-view": sight.cluster_view,
    "loss-of-sight": sight.telemetry,
    "one-at-a-time": history.one_at_a_time,
    "cooldown": history.cooldown,
    "attempts": history.attempts,
    "rate": history.rate,
    "target-rate": rates.target_rate,
    "runbook-rate": rates.runbook_rate,
    "cluster-rate": rates.cluster_rate,
    "loop": rates.loop,
    "circuit-breaker": history.breaker,
    "rollout": workload.rollout,
    "replicas": workload.replicas,
    "blast-radius": workload.blast_radius,
    "namespace-share": disruption.namespace_share,
    "cluster-share": disruption.cluster_share,
    "disruption-budget": disruption.budget,
    "minimum-healthy": disruption.healthy,
    "ownership": workload.ownership,
    "reversal": reversal.reversal,
}
"""By the name under which a runbook or the settings give it a mode."""

FIXED = frozenset({"paused", "protected-namespace", "target-present", "one-at-a-time"})
"""Always enforced: no file may switch these off."""

AT_EFFECT = (
    "paused", "freeze", "protected-namespace", "opt-out", "target-present", "cluster-view", "loss-of-sight", "one-at-a-time", "disruption-budget",
)  # fmt: skip
"""Asked again just before each effect of a run: they are cheap, and what they look at may have changed since the plan was made."""

AT_LATE_COUNT = ("replicas", "blast-radius", "namespace-share", "cluster-share", "disruption-budget", "minimum-healthy", "ownership")
"""Asked, besides, when a step begins whose count was not known when the plan was made."""

UNAVAILABLE = "GuardUnavailable"


def judge(given: GuardInput, limits: GuardLimits, names: Collection[str] = GUARDS) -> tuple[Verdict, ...]:
    """One verdict for each guard of `names` that is not OFF, in the order of `GUARDS`. Never raises: a guard that cannot answer refuses."""
    given = replace(given, guards=bounded(given.guards, limits))
    return tuple(
        Verdict(name, mode, answer.allowed, answer.reason, trimmed(answer.detail))
        for name, guard in GUARDS.items()
        if name in names and (mode := mode_of(name, given, limits)) is not GuardMode.OFF
        for answer in (_ask(guard, given, limits),)
    )


def mode_of(name: str, given: GuardInput, limits: GuardLimits) -> GuardMode:
    """The runbook's mode for a guard (as `bounds` lets it), else the daemon's, else ENFORCE."""
    if name in FIXED:
        return GuardMode.ENFORCE
    return given.guards.modes.get(name, limits.modes.get(name, GuardMode.ENFORCE))


def refusals(verdicts: tuple[Verdict, ...]) -> tuple[Verdict, ...]:
    """Those that stop the plan; empty: it may go on."""
    return tuple(v for v in verdicts if v.refuses)


def _ask(guard: Guard, given: GuardInput, limits: GuardLimits) -> Answer:
    try:
        return guard(given, limits)
    except UnknownFactError as error:
        return Answer(False, UNAVAILABLE, str(error))
    except Exception as error:  # noqa: BLE001 (the one place where a fault of a guard is turned into a refusal; its cause is in the verdict)
        return Answer(False, UNAVAILABLE, f"{type(error).__name__}: {error}")
