"""A rate of false alarms becomes a level by the series' own past, whatever its distribution."""

from __future__ import annotations

import numpy as np
import pytest

from aiops.detect.calibration import EARLIEST, FLOOR, Calibration

EVERY, PERIOD, T0 = 60.0, 60.0 * 150, 1_700_000_000.0
SERIES = 150


def crossed(laws: np.ndarray, calibration: Calibration, start: int = 0) -> tuple[np.ndarray, list[int]]:
    """Departures above the level, a series; `laws`: (polls, series) scores. And how many series had a level, by poll."""
    rows = np.arange(laws.shape[1])
    calibration.cover(rows)
    high, count, known = np.zeros(len(rows), dtype=bool), np.zeros(len(rows)), []
    quiet = np.full(len(rows), 99)
    for i, line in enumerate(laws):
        level = calibration.levels(rows)
        above = line > level
        # One departure: above, until it was below for five samples.
        count += above & ~high
        quiet = np.where(above, 0, quiet + 1)
        high = quiet < 5
        known.append(int(np.isfinite(level).sum()))
        calibration.learn(rows, np.full(len(rows), T0 + EVERY * (start + i)), line, np.zeros(len(rows), dtype=bool))
    return count, known


def scores(kind: str, polls: int) -> np.ndarray:
    rng = np.random.default_rng(7)
    e = rng.normal(size=(polls, SERIES))
    if kind == "correlated":
        for i in range(1, polls):
            e[i] = 0.8 * e[i - 1] + 0.6 * e[i]
    return {"heavy": np.abs(rng.standard_t(3, size=(polls, SERIES))), "bounded": rng.uniform(0.0, 9.0, (polls, SERIES))}.get(kind, np.abs(e))


@pytest.mark.parametrize("kind", ["plain", "correlated", "heavy", "bounded"])
def test_the_realised_rate_is_about_the_rate_asked_for(kind: str) -> None:
    count, _ = crossed(scores(kind, 900), Calibration(PERIOD, pooled=False))
    assert 0.5 < count.mean() / 6.0 < 1.6


def test_there_is_no_level_before_enough_was_seen_and_a_rule_of_many_series_is_ready_sooner() -> None:
    laws = scores("plain", 130)
    _, alone = crossed(laws, Calibration(PERIOD, pooled=False))
    _, together = crossed(laws, Calibration(PERIOD))
    assert max(alone[: int(PERIOD * EARLIEST / EVERY)]) == 0
    assert alone[-1] > 0
    assert together[-1] == SERIES
    assert next(i for i, n in enumerate(together) if n == SERIES) < 60
    _, few = crossed(laws[:, :4], Calibration(PERIOD * 10))
    assert few[-1] == 0


def test_a_new_series_leans_on_the_others() -> None:
    calibration = Calibration(PERIOD)
    crossed(scores("plain", 200), calibration)
    young = np.array([SERIES])
    calibration.cover(young)
    for i in range(120):
        calibration.learn(young, np.array([T0 + EVERY * i]), np.array([float(i % 2)]), np.zeros(1, dtype=bool))
        if np.isfinite(calibration.levels(young)[0]):
            break
    assert 15 < i < 120
    assert 2.0 < calibration.levels(young)[0] < 5.0


def test_a_series_that_is_broken_for_ever_does_not_make_the_level_of_all() -> None:
    laws, calibrations = scores("plain", 130)[:, :20], (Calibration(PERIOD), Calibration(PERIOD))
    broken = laws.copy()
    broken[:, :3] = 1e6 * (1.0 + broken[:, :3])
    for one, some in zip(calibrations, (laws, broken), strict=True):
        crossed(some, one)
    sound = np.arange(3, 20)
    assert np.median(calibrations[1].levels(sound) / calibrations[0].levels(sound)) < 1.8


def test_a_lasting_alarm_is_one_peak_and_no_peak_counts_for_more_than_twice_the_level() -> None:
    calibration, rows = Calibration(PERIOD, pooled=False), np.arange(SERIES)
    laws = scores("plain", 450)
    crossed(laws, calibration)
    before = calibration.levels(rows)
    high = np.full((60, SERIES), 100.0)
    for i, line in enumerate(high):
        calibration.learn(rows, np.full(SERIES, T0 + EVERY * (450 + i)), line, np.full(SERIES, i > 0))
    crossed(laws[:20], calibration, start=510)
    assert (calibration.levels(rows) <= 2.0 * before.max()).all()
    assert np.median(calibration.levels(rows) / before) < 1.4


def test_a_still_series_has_the_least_level() -> None:
    calibration = Calibration(PERIOD, pooled=False)
    crossed(np.zeros((200, 2)), calibration)
    assert calibration.levels(np.arange(2)).tolist() == [FLOOR, FLOOR]


def test_a_snapshot_of_another_make_is_refused() -> None:
    calibration = Calibration(PERIOD)
    crossed(scores("plain", 30), calibration)
    used = calibration.used()
    for broken in ({k: v for k, v in used.items() if k != "pool"}, used | {"watched": np.zeros(3, dtype=np.int64)}, used | {"tops": np.zeros((2, 2))}):
        with pytest.raises(ValueError, match="snapshot"):
            Calibration(PERIOD).replace(broken)
