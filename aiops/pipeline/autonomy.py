"""Levels of autonomy in the store: looked up for each plan, lowered when a budget is spent, raised when a person accepts a suggestion.

Neighbours: `remediate.autonomy` judges purely; `decide` asks for the effective mode; `flow` looks after each run and now and then, and tells people.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from aiops.domain.command import Command, CommandKind
from aiops.domain.decision import Decision, Stage
from aiops.domain.execution import Execution, Review
from aiops.domain.runbook import Mode, Runbook
from aiops.ports.clock import Clock
from aiops.ports.storage import Changes, Reading, Store
from aiops.ports.telemetry import Telemetry
from aiops.remediate.autonomy import RANK, AutonomyPolicy, Judged, Level, Record, demoted, effective, judged, promoted, record_of
from aiops.remediate.escalation import acts
from aiops.remediate.outcomes import ALL, Outcomes, outcomes

MOST_RUNS = 2000
"""Runs of one runbook that are looked at: the newest within the window."""
_RUN = re.compile(r"\brun-[0-9a-f]{6,}\b")


@dataclass(frozen=True, slots=True)
class Standing:
    """One runbook's place on the ladder now."""

    runbook: str
    file: Mode
    level: Level
    record: Record
    suggests: Mode | None
    missing: str

    @property
    def mode(self) -> Mode:
        """The effective one."""
        return effective(self.file, self.level.mode)


@dataclass(frozen=True, slots=True)
class Notice:
    """What people are to be told, in the thread of the incident that gave rise to it."""

    incident: str
    key: str
    text: str


def value_name(runbook: str) -> str:
    """Under which the store keeps a runbook's level."""
    return f"autonomy/{runbook}"


def stored_level(store: Reading, runbook: str, policy: AutonomyPolicy) -> Level:
    """The level as it is kept, or the one to start with. A document that cannot be read counts as the lowest that plans. Raises StoreError."""
    found: Any = store.value(value_name(runbook))
    if found is None:
        return Level(policy.start)
    try:
        return Level(Mode(found["mode"]), float(found["at"]), str(found["by"]), str(found["reason"]), str(found.get("suggested", "")))
    except (KeyError, TypeError, ValueError):
        return Level(Mode.SUGGEST, reason="the stored level cannot be read")


def reverted_runs(store: Reading, since: float) -> frozenset[str]:
    """Ids of runs whose effect a person put back on the cluster, as the guard `reversal` found."""
    return frozenset(run for d in store.decisions(since=since, limit=5000) if d.reason == "ReversedByPerson" for run in _RUN.findall(d.detail))


@dataclass(frozen=True, slots=True)
class Said:
    """What people say of runs: their marks, and what they put back."""

    reviews: Sequence[Review]
    reverted: frozenset[str]


def said_of(store: Reading, since: float) -> Said:
    """Read once for a look at many runbooks."""
    return Said(store.reviews(), reverted_runs(store, since))


def look(
    store: Reading, runbook: Runbook, policy: AutonomyPolicy, now: float, said: Said | None = None,
) -> tuple[Standing, Judged, Sequence[Execution]]:
    """One runbook's standing by what is stored, what follows from it, and its runs, newest first. Raises StoreError."""
    said = said or said_of(store, now - policy.window)
    level = stored_level(store, runbook.name, policy)
    since = max(level.at, now - policy.window)
    runs = [e for e in store.executions(runbook=runbook.name, since=now - policy.window, limit=MOST_RUNS) if e.plan.runbook_hash == runbook.hash]
    record = record_of(runs, said.reviews, said.reverted, since)
    found = judged(level, runbook.mode, record, policy, now) if acts(runbook) else Judged(level, None, "it only tells")
    return Standing(runbook.name, runbook.mode, found.level, record, found.suggests, found.missing), found, runs


class Autonomy:
    """Used under the flow's lock. What only tells people is as its file says."""

    def __init__(self, store: Store, clock: Clock, telemetry: Telemetry, policy: AutonomyPolicy, *, manual: float, report_window: float) -> None:
        self._store, self._clock, self._telemetry, self._policy = store, clock, telemetry, policy
        self._manual, self._report_window = manual, report_window
        self._levels: dict[str, Level] = {}
        self._runbooks: dict[str, Runbook] = {}

    def set_runbooks(self, runbooks: Sequence[Runbook]) -> None:
        """Those in force."""
        self._runbooks = {r.name: r for r in runbooks}
        self._levels.clear()

    def bound(self, runbook: Runbook) -> tuple[Runbook, str]:
        """The runbook in its effective mode, and why that is lower than its file's (empty if it is not). Raises StoreError."""
        if not acts(runbook):
            return runbook, ""
        level = self._levels.get(runbook.name)
        if level is None:
            level = self._levels[runbook.name] = stored_level(self._store, runbook.name, self._policy)
        mode = effective(runbook.mode, level.mode)
        if mode is runbook.mode:
            return runbook, ""
        return replace(runbook, mode=mode), f"{mode.value} instead of {runbook.mode.value}: {level.reason or 'not earned yet'}"

    def ran(self, execution: Execution) -> tuple[Notice, ...]:
        """After a run ended: what follows for its runbook is stored; returned is what people are to be told."""
        runbook = self._runbooks.get(execution.plan.runbook)
        return () if execution.simulated or runbook is None else self._look(runbook)

    def look(self) -> tuple[Notice, ...]:
        """Now and then over all: marks are set by people, whenever they like."""
        said = said_of(self._store, self._clock.now() - self._policy.window)
        return tuple(notice for runbook in self._runbooks.values() for notice in self._look(runbook, said))

    def _look(self, runbook: Runbook, said: Said | None = None) -> tuple[Notice, ...]:
        now = self._clock.now()
        if not acts(runbook):
            return ()
        standing, found, runs = look(self._store, runbook, self._policy, now, said)
        before = stored_level(self._store, runbook.name, self._policy)
        self._telemetry.gauge("autonomy_level", RANK[standing.mode], runbook=runbook.name)
        incident = runs[0].plan.incident if runs else ""
        if found.level != before:
            text = f"{runbook.name} goes down to {found.level.mode.value}: {found.level.reason}; up again with: aiops autonomy promote {runbook.name}"
            self._keep(runbook, found.level, incident, "Demoted", text)
            return (Notice(incident, f"autonomy/{runbook.name}/{found.level.mode.value}/{now:.0f}", text),)
        if found.suggests is not None and before.suggested != found.suggests.value:
            r = standing.record
            text = (
                f"{runbook.name} has earned {found.suggests.value}: {r.helped} verified successes, {r.right_marks} marked right, nothing wrong; "
                f"accept with: aiops autonomy promote {runbook.name}"
            )
            self._keep(runbook, replace(before, suggested=found.suggests.value), incident, "PromotionSuggested", text)
            return (Notice(incident, f"autonomy/{runbook.name}/suggest-{found.suggests.value}/{now:.0f}", text),)
        return ()

    def command(self, command: Command) -> tuple[bool, str]:
        """A person's promotion or demotion: (accepted, words)."""
        runbook = self._runbooks.get(command.subject)
        if runbook is None:
            return False, f"no runbook {command.subject!r} is in force"
        now = self._clock.now()
        standing, _, _ = look(self._store, runbook, self._policy, now)
        reason = str(command.arguments.get("reason", ""))
        if command.kind is CommandKind.DEMOTE:
            level = demoted(standing.level, runbook.mode, command.by, now, reason)
            if level is None:
                return False, f"{runbook.name} is at {standing.mode.value} already"
        else:
            level = promoted(standing.level, runbook.mode, command.by, now, reason)
            if level is None:
                return False, f"{runbook.name} is at {standing.mode.value}, and its file allows no more"
            if standing.suggests is None and not command.arguments.get("anyway"):
                return False, f"{runbook.name} has not earned {level.mode.value} yet: {standing.missing}; --anyway does it all the same"
        word = "Promoted" if command.kind is CommandKind.PROMOTE else "DemotedByPerson"
        self._keep(runbook, level, "", word, f"by {command.by}: {level.reason}")
        return True, f"{runbook.name} is at {level.mode.value} now"

    def _keep(self, runbook: Runbook, level: Level, incident: str, reason: str, detail: str) -> None:
        decision = Decision(self._clock.now(), Stage.DECIDE, runbook.name, reason != "Demoted", reason, detail[:500], "", incident)
        self._store.write(Changes(values={value_name(runbook.name): asdict(level)}, decisions=(decision,)))
        self._levels.pop(runbook.name, None)
        self._telemetry.count("autonomy_changes", runbook=runbook.name, change=reason)

    def report(self) -> None:
        """The gauges of what `aiops report` prints."""
        since = self._clock.now() - self._report_window
        for row in report_rows(self._store, since, self._manual):
            if row.runbook in self._runbooks or row.runbook == ALL:
                _gauges(self._telemetry, row)


def report_rows(store: Reading, since: float, manual: float) -> tuple[Outcomes, ...]:
    """What all came to since then. Raises StoreError."""
    runs = store.executions(since=since, limit=100_000)
    return outcomes(store.incidents(since=since, limit=100_000), runs, store.reviews(), reverted_runs(store, since), manual)


def _gauges(telemetry: Telemetry, row: Outcomes) -> None:
    """What is not known has no sample: a ratio of nothing is not 0."""
    if row.automated_rate is not None:
        telemetry.gauge("automated_resolution_ratio", row.automated_rate, runbook=row.runbook)
    if row.wrong_rate is not None:
        telemetry.gauge("wrong_action_ratio", row.wrong_rate, runbook=row.runbook)
    if row.detect.mean is not None:
        telemetry.gauge("mttd_seconds", row.detect.mean, runbook=row.runbook)
    if row.saved is not None:
        telemetry.gauge("time_saved_seconds", row.saved, runbook=row.runbook)
    for statistic, value in (("mean", row.resolve.mean), ("p50", row.resolve.p50), ("p95", row.resolve.p95)):
        if value is not None:
            telemetry.gauge("mttr_seconds", value, runbook=row.runbook, statistic=statistic)
