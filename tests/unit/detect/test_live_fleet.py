"""Live series: one alarm an episode, a change that lasts is told once, and what a rule asks of false alarms it gets."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from aiops.detect.alarm import Alarms
from aiops.detect.bank import RuleBank
from aiops.detect.fleet import Fleet
from aiops.detect.live_fleet import LiveFleet
from aiops.domain.rule import DetectorSpec, Direction, MetricKind, PromQuery, Rule
from aiops.domain.series import SampleBatch
from aiops.domain.signal import Severity

EVERY, T0 = 120.0, 1_700_000_000.0
USUAL = 150


def history(values: np.ndarray, detector: LiveFleet) -> tuple[list[list[int]], list[list[int]]]:
    """When alarms began and when a change was confirmed, by series; `values`: (polls, series)."""
    rows, alarms = np.arange(values.shape[1]), Alarms(hold=0.0, clear_hold=0.0, every=EVERY)
    began: list[list[int]] = [[] for _ in rows]
    changed: list[list[int]] = [[] for _ in rows]
    for i, line in enumerate(values):
        times = np.full(len(rows), T0 + EVERY * i)
        scores = detector.score_and_learn(rows, times, line)
        on = np.flatnonzero(scores.ready)
        steps = alarms.step(rows[on], times[on], breach=scores.breach[on], critical=scores.critical[on], recovered=scores.recovered[on])
        for row in on[steps.fired].tolist():
            began[row].append(i)
        assert scores.changed is not None
        for row in np.flatnonzero(scores.changed).tolist():
            changed[row].append(i)
    assert not alarms.firing.any()
    return began, changed


def noise(polls: int, series: int, seed: int = 1) -> np.ndarray:
    return np.asarray(100.0 + np.random.default_rng(seed).normal(size=(polls, series)))


def test_a_step_is_told_once_and_so_is_the_way_back() -> None:
    values = noise(USUAL + 260, 4)
    values[USUAL : USUAL + 110] += [30.0, -30.0, 300.0, 0.0]
    began, changed = history(values, LiveFleet())
    for row in range(3):
        assert began[row][0] == USUAL
        # Two hours, then it is how things are; the way back is known at once.
        assert [USUAL + 60 <= changed[row][0] <= USUAL + 62, USUAL + 110 <= changed[row][1] <= USUAL + 125, len(changed[row])] == [True, True, 2]
        assert len(began[row]) == 2
    assert (began[3], changed[3]) == ([], [])


def test_after_a_step_a_fault_of_the_former_size_is_found_again() -> None:
    values = noise(USUAL + 260, 1)
    values[USUAL:] += 30.0
    values[USUAL + 200 : USUAL + 210] += 30.0
    began, changed = history(values, LiveFleet())
    assert [len(changed[0]), began[0]] == [1, [USUAL, USUAL + 200]]


def test_a_new_scale_is_told_once() -> None:
    values = noise(USUAL + 200, 2)
    values[USUAL:] = 100.0 + 6.0 * (values[USUAL:] - 100.0)
    began, changed = history(values, LiveFleet())
    assert [(len(b), len(c), USUAL <= b[0] < c[0]) for b, c in zip(began, changed, strict=True)] == [(1, 1, True), (1, 1, True)]


def test_a_fault_teaches_nothing_while_it_lasts_and_is_one_alarm() -> None:
    values = noise(USUAL + 100, 1)
    values[USUAL : USUAL + 40] += 15.0
    values[USUAL + 20] -= 15.0
    detector = LiveFleet()
    began, changed = history(values, detector)
    assert (began, changed) == ([[USUAL]], [[]])
    at = np.array([T0 + EVERY * len(values)])
    assert detector.score_and_learn(np.array([0]), at, np.array([100.0]), learn=False).expected[0] == pytest.approx(100.0, abs=1.0)


def test_without_a_rate_it_scores_as_recorded_series_are_scored() -> None:
    values, plain, live = noise(200, 3), Fleet(), LiveFleet()
    for i, line in enumerate(values):
        times = np.full(3, T0 + EVERY * i)
        a, b = plain.score_and_learn(np.arange(3), times, line), live.score_and_learn(np.arange(3), times, line)
        for name in ("score", "expected", "lower", "upper", "ready", "breach"):
            np.testing.assert_array_equal(getattr(a, name), getattr(b, name))


def test_a_rare_alarm_asks_for_more_than_a_frequent_one() -> None:
    values = noise(400, 30)
    counts = [sum(map(len, history(np.concatenate([values, np.full((40, 30), 100.0)]), LiveFleet(false_alarms=p, pooled=False))[0])) for p in (6000.0, 24_000.0)]
    assert counts[0] > 2 * counts[1] > 0


def test_bounds_fit_the_kind_and_the_direction() -> None:
    up, down = LiveFleet(direction=Direction.UP, kind=MetricKind.RATIO), LiveFleet(direction=Direction.DOWN, kind=MetricKind.COUNT)
    rows = np.array([0])
    for i, value in enumerate(np.random.default_rng(2).uniform(0.0, 1.0, 60).tolist()):
        high = up.score_and_learn(rows, np.array([T0 + EVERY * i]), np.array([value]))
        low = down.score_and_learn(rows, np.array([T0 + EVERY * i]), np.array([value]))
    assert (np.isnan(high.lower[0]), high.upper[0] <= 1.0) == (True, True)
    assert (low.lower[0], np.isnan(low.upper[0])) == (0.0, True)


def test_a_rule_tells_the_change_as_the_end_of_its_alarm() -> None:
    bank = RuleBank(Rule("r", "s", PromQuery("q"), EVERY, DetectorSpec("fleet"), Severity.WARNING))
    values = noise(USUAL + 90, 1)[:, 0]
    values[USUAL:] += 30.0
    told = []
    for i, value in enumerate(values.tolist()):
        at = T0 + EVERY * i
        seen = bank.observe(SampleBatch("s", "q", at, ({"workload": "a"},), np.array([at]), np.array([value])))
        told += [(f.state.value, f.reason) for f in seen.findings]
    assert told == [("firing", "UnlikeItself"), ("cleared", "RegimeChanged")]


def test_a_snapshot_of_another_rate_is_refused() -> None:
    week = LiveFleet(false_alarms=604_800.0)
    history(noise(20, 2), week)
    with pytest.raises(ValueError, match="another rate"):
        LiveFleet(false_alarms=86_400.0).restore(week.snapshot())


def test_a_snapshot_of_other_clocks_is_refused() -> None:
    here = LiveFleet(timezone="Europe/Berlin")
    history(noise(20, 2), here)
    with pytest.raises(ValueError, match="other clocks"):
        LiveFleet().restore(here.snapshot())
    LiveFleet(timezone="Europe/Berlin").restore(here.snapshot())


def test_load_that_follows_the_clocks_on_the_wall_is_usual_on_the_day_they_are_set() -> None:
    zone, series = ZoneInfo("Europe/Berlin"), np.arange(5)
    times = np.arange(datetime(2026, 10, 12, tzinfo=zone).timestamp(), datetime(2026, 10, 26, tzinfo=zone).timestamp(), 900.0)
    local = [datetime.fromtimestamp(t, zone) for t in times]
    # A shop that opens at eight sharp; the clocks are set on the 25th, a Sunday.
    open_, chance = np.array([8 <= t.hour < 20 for t in local]), np.random.default_rng(4)
    values = np.where(open_, 100.0, 20.0)[:, None] + chance.normal(0.0, 2.0, (len(times), len(series)))
    days = np.array([t.day for t in local])

    def worst(timezone: str) -> tuple[float, float]:
        """On the Sunday before, and on that day: the middle one of the series' greatest scores."""
        detector = LiveFleet(timezone=timezone)
        scores = np.array([detector.score_and_learn(series, np.full(len(series), t), v).score for t, v in zip(times, values, strict=True)])
        before, then = (float(np.median(scores[days == day].max(axis=0))) for day in (18, 25))
        return before, then

    _, utc = worst("UTC")
    before, wall = worst("Europe/Berlin")
    assert utc > 2.0 * wall
    assert wall < 1.2 * before < 1.0
