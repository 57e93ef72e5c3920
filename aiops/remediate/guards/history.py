"""Guards about what was done before: one at a time, cooldown, tries for an incident, rate, circuit breaker. Limits live in the store, not in memory."""

from __future__ import annotations

from collections.abc import Sequence

from aiops.domain.execution import Execution, ExecutionState
from aiops.domain.outcome import Outcome
from aiops.remediate.backoff import grown
from aiops.remediate.guards.contract import HOUR, Answer, GuardInput, GuardLimits, allow, counted, recent, refuse
from aiops.remediate.guards.traits import BLIND, acts, related

_FAILURES = (Outcome.FAILED, Outcome.ERROR, Outcome.INCONCLUSIVE)


def one_at_a_time(given: GuardInput, limits: GuardLimits) -> Answer:  # noqa: ARG001 (a guard's signature)
    """One run for each target at a time, from the asking for approval to the end of verification; before an effect, none that has begun."""
    for run in counted(given, given.active, "active executions"):
        if given.again and not _begun(run):
            continue  # which of two that were planned goes first is the engine's matter: it holds the targets
        if run.state is not ExecutionState.DONE and related(run.plan, given.plan):
            return refuse("TargetBusy", f"execution {run.id} ({run.plan.runbook}) is {run.state.value}")
    return allow()


def cooldown(given: GuardInput, limits: GuardLimits) -> Answer:
    """A pause after any acting run on the target (who was only told of something changed nothing, so no cure waits for it), and a longer one for the same runbook, doubled with each failure in a row.

    An inconclusive run backs off like a failed one, or a fix that cannot be measured would be tried for ever. A run that lost sight before
    it did anything has nothing to wait for: after it there is the pause of the target alone.
    """
    longest = max(limits.target_cooldown, given.plan.cooldown, limits.cooldown_maximum)
    runs = [e for e in recent(given, longest) if related(e.plan, given.plan)]
    for run in runs:
        if run.plan.runbook != given.plan.runbook and not acts(run.plan):
            continue
        same = run.plan.runbook == given.plan.runbook and not _unbegun(run)
        base = max(limits.target_cooldown, given.plan.cooldown) if same else limits.target_cooldown
        needed = base
        if same:
            failures = _failures(sorted((e for e in runs if e.plan.runbook == run.plan.runbook), key=_ended))
            needed = max(base, min(grown(base, 2.0, max(0, failures - 1)), limits.cooldown_maximum))
        left = needed - (given.now - run.updated_at)
        if left > 0:
            whose = "this runbook" if same else f"runbook {run.plan.runbook}"
            return refuse("Cooldown", f"{whose} ran {given.now - run.updated_at:.0f} s ago ({run.id}); {left:.0f} s are left of {needed:.0f} s")
    return allow()


def attempts(given: GuardInput, limits: GuardLimits) -> Answer:
    """How often an incident may be worked on, in all and by this runbook. A run that found nothing to do, or lost sight before it did, was no attempt."""
    runs = [
        e
        for e in counted(given, given.of_incident, "the incident's executions")
        if e.plan.incident == given.incident.id and not (e.result is not None and e.result.outcome is Outcome.SKIPPED) and not _unbegun(e)
    ]
    if acts(given.plan):
        acting = sum(acts(e.plan) for e in runs)
        if acting >= limits.maximum_per_incident:
            return refuse("TooManyAttempts", f"{acting} runs for this incident, at most {limits.maximum_per_incident} are allowed")
    most = given.guards.maximum_per_incident
    mine = sum(e.plan.runbook == given.plan.runbook for e in runs)
    if most is not None and mine >= most:
        return refuse("TooManyAttempts", f"this runbook ran {mine} times for this incident, at most {most} are allowed")
    return allow()


def rate(given: GuardInput, limits: GuardLimits) -> Answer:
    """Acting runs begun within the last hour on the whole cluster, and by this runbook."""
    runs = [e for e in recent(given, HOUR) if e.created_at > given.now - HOUR]
    if acts(given.plan):
        acting = sum(acts(e.plan) and e.plan.target.context == given.plan.target.context for e in runs)
        if acting >= limits.maximum_per_hour:
            return refuse("TooManyAnHour", f"{acting} runs on the cluster within an hour, at most {limits.maximum_per_hour} are allowed")
    most = given.guards.maximum_per_hour
    mine = sum(e.plan.runbook == given.plan.runbook for e in runs)
    if most is not None and mine >= most:
        return refuse("TooManyAnHour", f"this runbook ran {mine} times within an hour, at most {most} are allowed")
    return allow()


def breaker(given: GuardInput, limits: GuardLimits) -> Answer:
    """After so many failures in a row of this runbook on this target, nothing for a time: what does not help is not repeated."""
    runs = [e for e in recent(given, limits.breaker_window) if (e.plan.runbook, e.plan.target) == (given.plan.runbook, given.plan.target)]
    finished = sorted((e for e in runs if e.state is ExecutionState.DONE), key=_ended)
    failures = _failures(finished)
    if failures >= limits.breaker_failures:
        left = limits.breaker_open - (given.now - finished[-1].updated_at)
        if left > 0:
            return refuse("CircuitOpen", f"{failures} failures in a row on this target; closed again in {left:.0f} s")
    return allow()


def _begun(run: Execution) -> bool:
    return any(step.attempt or step.effect for step in run.steps)


def _ended(run: Execution) -> tuple[float, str]:
    return run.updated_at, run.id


def _unbegun(run: Execution) -> bool:
    """It ended because nothing could be measured, before anything was intended."""
    blind = run.state is ExecutionState.DONE and run.result is not None and run.result.reason in BLIND
    return blind and not any(step.attempt for step in run.steps)


def _failures(oldest_first: Sequence[Execution]) -> int:
    """Failures in a row up to the newest; what was skipped, simulated or never begun neither counts nor breaks the row."""
    count = 0
    for run in reversed(oldest_first):
        outcome = run.result.outcome if run.result is not None else None
        if outcome in _FAILURES and not _unbegun(run):
            count += 1
        elif outcome is Outcome.SUCCEEDED:
            break
    return count
