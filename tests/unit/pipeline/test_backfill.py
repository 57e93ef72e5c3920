"""A new rule learns from its source's past before it says anything."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from aiops.domain.errors import SourceError, SourceRejectedError, SourceThrottledError, SourceUnavailableError
from aiops.domain.series import RangeBatch, SeriesRange
from aiops.pipeline.backfill import LONGEST_WAIT, TRIES, steps
from tests.scenarios.stage import RULES, RUNBOOK, START, Stage

WATCHING = RUNBOOK.replace("mode: auto", "mode: observe")
FLEET = RULES.replace("{type: threshold, above: 80}", "{type: fleet}").replace("for: 5s\n", "backfill: 30m\n", 1)
PAST = np.arange(START - 7300.0, START, 5.0)


def stage(folder: Path, rules: str = FLEET) -> Stage:
    made = Stage(folder, rules=rules, runbooks=(WATCHING,))
    rng = np.random.default_rng(1)
    for workload in made.load:
        labels = {"__name__": "load", "namespace": "shop", "workload": workload}
        made.samples.append_many(labels, PAST, 40.0 + rng.normal(size=len(PAST)))
    return made


def said(one: Stage) -> list[str]:
    return [d.reason for d in one.store.decisions(limit=1000) if d.subject == "busy"]


def test_a_new_rule_judges_its_first_samples_by_the_past(tmp_path: Path) -> None:
    one = stage(tmp_path).run(10)
    assert [d.detail for d in one.store.decisions(limit=1000) if d.reason == "Backfilled"] == ["30m in steps of 5s"]
    assert len(one.core.flow.parts.observer._banks["busy"]) == 2
    one.load["checkout"] = 95.0
    one.run(10)
    assert "UnlikeItself" in said(one)


def test_without_it_the_rule_is_warming(tmp_path: Path) -> None:
    one = stage(tmp_path, FLEET.replace("backfill: 30m", "backfill: 0s")).run(10)
    one.load["checkout"] = 95.0
    one.run(10)
    assert not {"UnlikeItself", "Backfilled"} & set(said(one))


def test_what_was_snapshot_is_not_learnt_twice_and_half_of_the_past_is_no_snapshot(tmp_path: Path) -> None:
    one = stage(tmp_path)
    observer = one.core.flow.parts.observer
    observer.learning(one.core.flow._rules["busy"], under_way=True)
    one.core.flow.parts.observer.save()
    one.restart().run(10)
    assert said(one).count("Backfilled") == 1
    one.core.flow.parts.observer.save()
    one.restart().run(10)
    assert said(one).count("Backfilled") == 1


def test_a_source_without_a_past_is_given_up_and_the_rule_learns_from_then_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one = stage(tmp_path)

    def refused(*_: object) -> RangeBatch:
        raise SourceUnavailableError("prometheus", "Timeout", "too much asked")

    monkeypatch.setattr(one.metrics, "range", refused)
    one.run(LONGEST_WAIT * TRIES)
    assert (said(one).count("BackfillFailed"), said(one).count("Backfilled")) == (1, 0)
    assert len(one.core.flow.parts.observer._banks["busy"]) == 2


class Asked:
    """The stage's source, which answers its n-th range query with the n-th of `faults`, if there is one; what was asked is kept."""

    def __init__(self, one: Stage, *faults: SourceError | None) -> None:
        self.one, self.faults, self.real = one, list(faults), one.metrics.range
        self.ranges: list[tuple[float, float, bool]] = []

    def __call__(self, query: str, start: float, end: float, step: float) -> RangeBatch:
        fault = self.faults.pop(0) if self.faults else None
        self.ranges.append((start, end, fault is None))
        if fault is not None:
            raise fault
        return self.real(query, start, end, step)

    def taught(self) -> list[tuple[float, float]]:
        return [(start, end) for start, end, answered in self.ranges if answered]


LONG = FLEET.replace("backfill: 30m", "backfill: 2h")


@pytest.mark.parametrize(
    ("fault", "waits", "points"),
    [
        (SourceThrottledError("prometheus", "slow down", 30.0), 30.0, 500),
        (SourceThrottledError("prometheus", "slow down"), 5.0, 500),
        (SourceUnavailableError("prometheus", "Timeout", "took too long"), 5.0, 250),
        (SourceRejectedError("prometheus", "BadQuery", "query processing would load too many samples"), 5.0, 250),
    ],
)
def test_after_a_fault_in_the_middle_it_goes_on_where_it_was_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: SourceError, waits: float, points: int
) -> None:
    one = stage(tmp_path, LONG)
    asked = Asked(one, None, fault, fault)
    monkeypatch.setattr(one.metrics, "range", asked)
    one.run(4.0)
    assert len(asked.ranges) == 2
    assert next(d.detail for d in one.store.decisions(limit=1000) if d.reason == "Backfilling").endswith(str(fault))
    # Nothing is asked before its time, and nothing is said of the series meanwhile.
    one.load["checkout"] = 95.0
    one.run(waits - 5.0)
    assert len(asked.ranges) == 2
    one.load["checkout"] = 40.0
    one.run(300.0)
    assert said(one).count("Backfilled") == 1
    assert "UnlikeItself" not in said(one)
    pieces = asked.taught()
    assert [b[0] - a[1] for a, b in pairwise(pieces)] == [5.0] * (len(pieces) - 1)  # no gap, and nothing twice
    assert abs(pieces[0][0] - (START - 7200.0)) < 20.0
    assert abs(pieces[-1][1] - START) < 20.0
    assert asked.ranges[2][1] - asked.ranges[2][0] == 5.0 * (points - 1)


def test_a_question_that_is_refused_however_short_it_is_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one = stage(tmp_path, LONG)
    asked = Asked(one, *[SourceRejectedError("prometheus", "BadQuery", "no")] * 100)
    monkeypatch.setattr(one.metrics, "range", asked)
    one.run(600.0)
    assert (said(one).count("BackfillFailed"), len(asked.ranges)) == (1, 6)
    assert len(one.core.flow.parts.observer._banks["busy"]) == 2


def test_ranges_become_the_answers_that_instant_queries_would_have_given() -> None:
    def rows(name: str, *series: tuple[str, list[float], list[float]]) -> RangeBatch:
        return RangeBatch("s", name, 0.0, 30.0, 10.0, tuple(SeriesRange({"pod": p}, np.array(t), np.array(v)) for p, t, v in series))

    found = list(steps(rows("q", ("a", [0.0, 10.0, 30.0], [1.0, 2.0, 3.0]), ("b", [10.0], [9.0])), rows("v", ("a", [10.0], [50.0]))))
    assert [(b.at, [one["pod"] for one in b.labels], b.values.tolist(), len(e) if e is not None else None) for b, e in found] == [
        (0.0, ["a"], [1.0], 0),
        (10.0, ["a", "b"], [2.0, 9.0], 1),
        (30.0, ["a"], [3.0], 0),
    ]
    assert list(steps(rows("q"))) == []
    assert [e for _, e in steps(rows("q", ("a", [0.0], [1.0])))] == [None]
