"""Guards against doing too much too often: token buckets for target, runbook and cluster, and the loop on one target by one action.

All are worked out from the stored runs, so a restart gives nobody new tokens. Neighbours: `bucket` has the arithmetic, `history` the hourly limits.
"""

from __future__ import annotations

from collections.abc import Callable

from aiops.domain.execution import Execution
from aiops.remediate.bucket import Bucket
from aiops.remediate.guards.contract import Answer, GuardInput, GuardLimits, allow, recent, refuse
from aiops.remediate.guards.traits import acts, related, traits


def target_rate(given: GuardInput, limits: GuardLimits) -> Answer:
    """Runs on any of the plan's targets."""
    return _asked(given, limits.target_bucket, lambda run: related(run.plan, given.plan), "these targets")


def runbook_rate(given: GuardInput, limits: GuardLimits) -> Answer:
    """Runs of this runbook."""
    return _asked(given, limits.runbook_bucket, lambda run: run.plan.runbook == given.plan.runbook, f"runbook {given.plan.runbook}")


def cluster_rate(given: GuardInput, limits: GuardLimits) -> Answer:
    """Runs on the clusters that the plan works on."""
    contexts = {target.context for target in given.plan.targets}
    return _asked(given, limits.cluster_bucket, lambda run: any(t.context in contexts for t in run.plan.targets), "the cluster")


def _asked(given: GuardInput, bucket: Bucket, counts: Callable[[Execution], bool], whose: str) -> Answer:
    if not acts(given.plan):
        return allow("nothing but telling")
    spent = [run.created_at for run in recent(given, bucket.window) if acts(run.plan) and counts(run)]
    if bucket.tokens(spent, given.now) >= 1.0:
        return allow()
    left = bucket.wait(spent, given.now)
    return refuse("RateLimited", f"{len(spent)} runs on {whose} within {bucket.window:.0f} s; the next may begin in {left:.0f} s")


def loop(given: GuardInput, limits: GuardLimits) -> Answer:
    """One action on one target more often than allowed within the window, whatever incident or runbook asked: it does not cure, or causes what it is to cure."""
    mine = {(given.plan.target_of(s), s.action) for s in given.plan.steps if traits(s.action).acts}
    if not mine:
        return allow("nothing but telling")
    runs = [run for run in recent(given, limits.loop_window) if run.created_at > given.now - limits.loop_window]
    for target, action in sorted(mine, key=str):
        count = sum(_did(run, target, action) for run in runs)
        if count >= limits.loop_limit:
            return refuse("Loop", f"{action} was done to {target} in {count} runs within {limits.loop_window:.0f} s, at most {limits.loop_limit} are allowed")
    return allow()


def _did(run: Execution, target: object, action: str) -> bool:
    """Whether the run tried this: a step that was never begun does not count, unless the run is still to come to it."""
    begun = {step.name for step in run.steps if step.attempt or step.effect or step.result is None}
    return any(s.action == action and s.name in begun and run.plan.target_of(s) == target for s in run.plan.steps)
