"""How far a runbook may go by itself: what its file allows, and of that what it has earned. Pure.

The ladder is observe → suggest → approve → auto. Its own error budget takes a rung away at once; a rung up is only ever suggested, and a person
accepts it. Neighbours: `pipeline.autonomy` keeps levels in the store and tells; `pipeline.decide` plans with the effective mode.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from aiops.domain.execution import Execution, ExecutionState, Review, ReviewVerdict
from aiops.domain.outcome import Judgement, Outcome
from aiops.domain.runbook import Mode
from aiops.remediate.escalation import failure

LADDER = (Mode.OBSERVE, Mode.SUGGEST, Mode.APPROVE, Mode.AUTO)
RANK: Mapping[Mode, int] = {mode: rank for rank, mode in enumerate(LADDER)}
FLOOR = Mode.SUGGEST
"""Demotion ends here: a plan that is only shown can do no harm, and shows whether it would be right again."""
WRONG_WEIGHT = 2
"""What harmed, was marked wrong or was taken back by a person spends so much of the budget; what merely did not help spends 1."""


@dataclass(frozen=True, slots=True)
class AutonomyPolicy:
    """`start`: the level of a runbook that has none stored. `successes`: verified ones in a row of budget that suggest auto; `reviews`: marks `right`
    that suggest approve. `budget`: share of runs that may be bad, but never fewer than `failures` count. `window` in seconds.
    """

    start: Mode = Mode.AUTO
    successes: int = 5
    reviews: int = 5
    budget: float = 0.2
    failures: int = 3
    window: float = 30 * 86400.0


@dataclass(frozen=True, slots=True)
class Level:
    """What was earned, since when (Unix seconds), by whom and why. `suggested`: the rung up that people were told of."""

    mode: Mode
    at: float = 0.0
    by: str = ""
    reason: str = ""
    suggested: str = ""


@dataclass(frozen=True, slots=True)
class Record:
    """What a runbook did since its level began, within the window: real runs, how many helped, were merely no use, were wrong; marks of rehearsals."""

    runs: int = 0
    helped: int = 0
    failed: int = 0
    wrong: int = 0
    right_marks: int = 0
    wrong_marks: int = 0

    @property
    def spent(self) -> int:
        """Of the error budget."""
        return self.failed + WRONG_WEIGHT * (self.wrong + self.wrong_marks)


@dataclass(frozen=True, slots=True)
class Judged:
    """`level` after looking: the same, or a rung lower. `suggests`: the rung up that a person may accept, or None; `missing` says what it still needs."""

    level: Level
    suggests: Mode | None = None
    missing: str = ""


def effective(file: Mode, level: Mode) -> Mode:
    """The lower of what the file allows and what was earned."""
    return min(file, level, key=lambda mode: RANK[mode])


def budget(record: Record, policy: AutonomyPolicy) -> float:
    """How much may be spent."""
    return max(float(policy.failures), policy.budget * (record.runs + record.wrong_marks))


def judged(level: Level, file: Mode, record: Record, policy: AutonomyPolicy, now: float) -> Judged:
    """What the record makes of a level. One rung down when the budget is spent, counted anew from then; a rung up is suggested, never taken."""
    present = effective(file, level.mode)
    if record.spent >= budget(record, policy) and RANK[present] > RANK[FLOOR]:
        lower = LADDER[RANK[present] - 1]
        words = (
            f"{record.failed} failed or inconclusive, {record.wrong} harmed or taken back by a person, {record.wrong_marks} marked wrong "
            f"of {record.runs} runs since then: the error budget of {budget(record, policy):g} is spent"
        )
        return Judged(Level(lower, now, "aiops", words))
    if RANK[present] >= RANK[file]:
        return Judged(level, None, "it goes as far as its file allows")
    higher = LADDER[RANK[present] + 1]
    missing = _missing(present, record, policy)
    return Judged(level, None if missing else higher, missing)


def _missing(present: Mode, record: Record, policy: AutonomyPolicy) -> str:
    """What the next rung still needs, or empty."""
    if record.wrong or record.wrong_marks:
        return "nothing wrong in the window"
    if present is Mode.AUTO:
        return "there is no higher rung"
    if present is Mode.OBSERVE:
        return "a person: while it only observes there is nothing to judge it by"
    if present is Mode.SUGGEST:
        left = policy.reviews - record.right_marks
        return f"{left} more plans marked right" if left > 0 else ""
    left = policy.successes - record.helped
    if left > 0:
        return f"{left} more verified successes"
    return "fewer failures" if policy.budget * record.runs < record.failed else ""


def promoted(level: Level, file: Mode, by: str, now: float, reason: str = "") -> Level | None:
    """One rung up by a person; None if the file allows no more."""
    present = effective(file, level.mode)
    if RANK[present] >= RANK[file]:
        return None
    return Level(LADDER[RANK[present] + 1], now, by, reason or "promoted by a person")


def demoted(level: Level, file: Mode, by: str, now: float, reason: str = "") -> Level | None:
    """One rung down by a person; None from the lowest."""
    present = effective(file, level.mode)
    return Level(LADDER[RANK[present] - 1], now, by, reason or "demoted by a person") if RANK[present] > 0 else None


def record_of(executions: Iterable[Execution], reviews: Iterable[Review], reverted: Collection[str], since: float) -> Record:
    """Count one runbook's runs that ended after `since`. `reverted`: ids of runs that a person put back on the cluster.

    A real run is counted once, as the worst of what is known of it. What was skipped, and what found the level healed by itself, says nothing.
    """
    marks = {r.execution: r.verdict for r in reviews if r.at >= since}
    counts = dict.fromkeys(("runs", "helped", "failed", "wrong", "right_marks", "wrong_marks"), 0)
    for run in executions:
        mark = marks.get(run.id)
        if run.simulated:
            counts["right_marks"] += mark is ReviewVerdict.RIGHT
            counts["wrong_marks"] += mark is ReviewVerdict.WRONG
        elif (run.updated_at >= since or mark is not None) and counts_as_run(run):
            counts["runs"] += 1
            if mark is ReviewVerdict.WRONG or was_wrong(run, reverted):
                counts["wrong"] += 1
            elif failure(run):
                counts["failed"] += 1
            elif helped(run):
                counts["helped"] += 1
    return Record(**counts)


def counts_as_run(run: Execution) -> bool:
    """It was carried out, or tried to be."""
    return not run.simulated and run.state is ExecutionState.DONE and run.result is not None and run.result.outcome is not Outcome.SKIPPED


def helped(run: Execution) -> bool:
    """It was verified."""
    return run.verification is not None and run.verification.judgement is Judgement.HELPED and run.result is not None and run.result.outcome is Outcome.SUCCEEDED


def was_wrong(run: Execution, reverted: Collection[str]) -> bool:
    """It harmed, or a person took it back."""
    harmed = run.verification is not None and run.verification.judgement is Judgement.HARMED
    return harmed or run.id in reverted or (run.result is not None and run.result.reason == "UndoAsked")
