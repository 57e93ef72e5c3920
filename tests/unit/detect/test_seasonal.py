"""Seasonal z: seasons, steps, floors, sides."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from aiops.detect.contract import Scores
from aiops.detect.seasonal import SeasonalZ
from aiops.domain.rule import Direction, MetricKind

DAY, HOUR = 86400.0, 3600.0
ROW = np.array([0], dtype=np.int64)


def feed(detector: SeasonalZ, values: np.ndarray, *, every: float = 60.0, start: float = 0.0) -> list[Scores]:
    return [detector.score_and_learn(ROW, np.array([start + every * i]), np.array([v])) for i, v in enumerate(values)]


def breaches(seen: list[Scores]) -> np.ndarray:
    return np.array([bool(s.breach[0]) for s in seen])


def daily(days: float, every: float, seed: int = 2) -> np.ndarray:
    """A quiet night and a busy day, with a step of factor 10 at 8 and at 18 o'clock."""
    times = np.arange(0.0, days * DAY, every)
    hour = times % DAY / HOUR
    level = np.where((hour >= 8) & (hour < 18), 1000.0, 100.0)
    return np.asarray(level * np.random.default_rng(seed).normal(1.0, 0.03, len(times)))


def test_a_step_that_comes_every_day_is_known_from_the_third_day_on() -> None:
    values = daily(4, 120.0)
    wrong = breaches(feed(SeasonalZ(), values, every=120.0))
    perday = int(DAY / 120)
    assert wrong[:perday].any()
    assert not wrong[2 * perday :].any()


def test_without_a_season_the_same_step_alarms_every_day() -> None:
    values = daily(4, 120.0)
    wrong = breaches(feed(SeasonalZ(season=0.0), values, every=120.0))
    assert wrong[3 * int(DAY / 120) :].any()


def test_a_day_value_at_night_is_found_though_the_day_has_many_of_them() -> None:
    values = daily(4, 120.0)
    at = 3 * int(DAY / 120) + 60  # 02:00 of the fourth day
    values[at] = 1000.0
    wrong = breaches(feed(SeasonalZ(), values, every=120.0))
    assert wrong[at]
    assert wrong[at - 30 : at + 30].sum() == 1


def test_a_fault_stays_one_while_it_lasts_and_is_a_new_regime_at_last() -> None:
    calm = np.random.default_rng(4).normal(10.0, 0.2, 100)
    fault = np.random.default_rng(5).normal(30.0, 0.2, 400)
    wrong = breaches(feed(SeasonalZ(season=0.0, window=60), np.concatenate([calm, fault]), every=15.0))[100:]
    assert wrong[:240].all()
    assert not wrong[300:].any()


@pytest.mark.parametrize(("direction", "expected"), [(Direction.UP, [True, False]), (Direction.DOWN, [False, True]), (Direction.BOTH, [True, True])])
def test_only_the_side_that_counts_counts(direction: Direction, expected: list[bool]) -> None:
    calm = np.random.default_rng(4).normal(100.0, 1.0, 60)
    for value, wrong in zip((150.0, 50.0), expected, strict=True):
        seen = feed(SeasonalZ(season=0.0, direction=direction), np.append(calm, value))
        assert bool(seen[-1].breach[0]) is wrong
    assert np.isnan(seen[-1].lower[0]) == (direction is Direction.UP)
    assert np.isnan(seen[-1].upper[0]) == (direction is Direction.DOWN)


def test_limits_are_where_the_score_is_one() -> None:
    calm = np.random.default_rng(4).normal(100.0, 1.0, 60)
    detector = SeasonalZ(season=0.0)
    feed(detector, calm)
    one = detector.score_and_learn(ROW, np.array([1e4]), np.array([100.0]), learn=False)
    at_limit = detector.score_and_learn(ROW, np.array([1e4]), one.upper, learn=False)
    assert at_limit.score[0] == pytest.approx(1.0)
    assert not at_limit.breach[0] or at_limit.score[0] > 1.0


def test_the_floor_keeps_a_constant_series_from_alarming_at_a_hairs_breadth() -> None:
    def last(value: float) -> bool:
        return bool(feed(SeasonalZ(season=0.0, scale_floor=0.05), np.append(np.full(60, 100.0), value))[-1].breach[0])

    assert not last(129.0)
    assert last(131.0)


def test_small_counts_are_judged_as_counts() -> None:
    def last(value: float, kind: MetricKind) -> bool:
        return bool(feed(SeasonalZ(season=0.0, kind=kind), np.append(np.full(60, 4.0), value))[-1].breach[0])

    assert last(10.0, MetricKind.GAUGE)
    assert not last(10.0, MetricKind.COUNT)
    assert last(17.0, MetricKind.COUNT)


def test_a_ratio_that_is_always_zero_does_not_alarm_at_a_thousandth() -> None:
    def last(value: float, kind: MetricKind) -> bool:
        return bool(feed(SeasonalZ(season=0.0, kind=kind), np.append(np.zeros(60), value))[-1].breach[0])

    assert last(0.001, MetricKind.GAUGE)
    assert not last(0.001, MetricKind.RATIO)
    assert last(0.07, MetricKind.RATIO)


def test_it_says_nothing_before_it_has_seen_enough() -> None:
    seen = feed(SeasonalZ(season=0.0, minimum_samples=30), np.append(np.full(29, 1.0), [1e6, 1e6]))
    assert [bool(s.ready[0]) for s in seen[-2:]] == [False, True]


@pytest.mark.parametrize(
    "parameters",
    [{"z": 0.0}, {"scale_floor": -1.0}, {"minimum_samples": 61}, {"minimum_samples": 1}, {"bucket": 1e6}, {"bucket": 1.0}],
)
def test_parameters_that_contradict_each_other_are_refused(parameters: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="seasonalZ"):
        SeasonalZ(**parameters)
