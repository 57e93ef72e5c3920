"""`adwin` and `pageHinkley`: the changes that river's find, on the same streams; what outliers, directions and holds do."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from river import drift

from aiops.detect.bank import RuleBank
from aiops.detect.change import Change, adwin, page_hinkley
from aiops.domain.rule import DetectorSpec, Direction, PromQuery, Rule
from aiops.domain.series import SampleBatch
from aiops.domain.signal import Severity, SignalState

T0, EVERY = 1_700_000_000.0, 15.0


def streams(length: int = 1500) -> np.ndarray:
    """(18, length): calm, with steps, of zeros and ones, autocorrelated."""
    made = []
    for seed in range(18):
        rng = np.random.default_rng(seed)
        values = rng.normal(0.0, 1.0, length)
        if seed % 3 == 1:
            values[length // 3 :] += rng.uniform(0.3, 2.0)
            values[2 * length // 3 :] -= rng.uniform(0.3, 2.0)
        if seed % 3 == 2:
            values = (rng.random(length) < np.where(np.arange(length) < length // 2, 0.2, 0.5)).astype(float)
        if seed % 5 == 4:
            for i in range(1, length):
                values[i] = 0.9 * values[i - 1] + 0.4 * values[i]
        made.append(values)
    return np.array(made)


def found(detector: Change, values: np.ndarray) -> list[list[int]]:
    """Sample numbers at which a change is found, of each line. With a hold shorter than a poll each claim lasts for one."""
    hits: list[list[int]] = [[] for _ in values]
    rows = np.arange(len(values))
    for i in range(values.shape[1]):
        scores = detector.score_and_learn(rows, np.full(len(rows), T0 + EVERY * i), values[:, i])
        for row in np.flatnonzero(scores.breach):
            hits[row].append(i)
    return hits


def of_river(make: Callable[[], Any], values: np.ndarray) -> list[list[int]]:
    hits = []
    for line in values:
        detector = make()
        seen: list[int] = []
        for i, value in enumerate(line.tolist()):
            detector.update(value)
            if detector.drift_detected:
                seen.append(i)
        hits.append(seen)
    return hits


@pytest.mark.parametrize(("delta", "clock"), [(0.002, 32), (0.05, 8)])
def test_adwin_finds_what_rivers_finds(delta: float, clock: int) -> None:
    values = streams()
    ours = found(adwin(delta=delta, clock=clock, unit=1.0, hold=1.0), values)
    assert ours == of_river(lambda: drift.ADWIN(delta=delta, clock=clock), values)
    assert sum(map(len, ours)) > 20


@pytest.mark.parametrize(("direction", "mode"), [(Direction.BOTH, "both"), (Direction.UP, "up"), (Direction.DOWN, "down")])
def test_page_hinkley_finds_what_rivers_finds(direction: Direction, mode: str) -> None:
    values = streams()
    ours = found(page_hinkley(unit=1.0, hold=1.0, direction=direction), values)
    assert ours == of_river(lambda: drift.PageHinkley(mode=mode), values)
    assert sum(map(len, ours)) > 5


@pytest.mark.parametrize("make", [adwin, page_hinkley])
def test_the_unit_does_not_matter_where_it_is_learned(make: Callable[..., Change]) -> None:
    values = streams()[:3]
    assert found(make(), values) == found(make(), values * 1024.0) != [[], [], []]


@pytest.mark.parametrize("make", [adwin, lambda: page_hinkley(threshold=100.0)])
def test_one_wild_outlier_is_no_change_and_blinds_nobody(make: Callable[..., Change]) -> None:
    values = np.random.default_rng(1).normal(50.0, 1.0, (1, 900))
    values[0, 300] = 1e300
    values[0, 600:] += 3.0
    hits = found(make(), values)[0]
    assert 600 <= hits[0] < 680


@pytest.mark.parametrize(("direction", "begins"), [(Direction.BOTH, 300), (Direction.UP, 600), (Direction.DOWN, 300)])
@pytest.mark.parametrize("make", [adwin, page_hinkley])
def test_only_a_change_of_the_direction_that_counts_is_claimed(make: Callable[..., Change], direction: Direction, begins: int) -> None:
    values = np.random.default_rng(2).normal(50.0, 1.0, (1, 800))
    values[0, 300:600] -= 4.0
    hits = found(make(direction=direction), values)[0]
    assert begins <= hits[0] < begins + 80


@pytest.mark.parametrize("kind", ["adwin", "pageHinkley"])
def test_a_change_is_told_once_and_then_the_new_is_usual(kind: str) -> None:
    bank = RuleBank(Rule("r", "s", PromQuery("q"), EVERY, DetectorSpec(kind, {"hold": 600.0}), Severity.WARNING, hold=30.0, clear_hold=60.0))
    told = []
    for i, value in enumerate(np.random.default_rng(3).normal(np.where(np.arange(900) < 400, 20.0, 26.0), 1.0)):
        at = T0 + EVERY * i
        told += [(f.state, f.reason, i) for f in bank.observe(SampleBatch("s", "q", at, ({"workload": "w"},), np.array([at]), np.array([value]))).findings]
    assert [(state, reason) for state, reason, _ in told] == [(SignalState.FIRING, "MeanChanged"), (SignalState.CLEARED, "RegimeChanged")]
    assert told[1][2] - told[0][2] <= 600.0 / EVERY + 6


def test_a_window_that_became_too_long_begins_anew() -> None:
    detector = adwin(unit=1.0, clock=1 << 30)
    detector.score_and_learn(np.arange(1), np.array([T0]), np.array([0.0]))
    detector._state["held"][0, :] = 5
    for i in range(3):
        detector.score_and_learn(np.arange(1), np.array([T0 + i]), np.array([1.0]))
    assert detector._state["count"][0] <= 3


@pytest.mark.parametrize(("make", "bytes_each"), [(adwin, 1000), (page_hinkley, 110)])
def test_memory_is_bounded(make: Callable[..., Change], bytes_each: int) -> None:
    assert make().bytes_each < bytes_each


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: adwin(delta=1.0), "delta"),
        (lambda: adwin(unit=0.0), "unit"),
        (lambda: page_hinkley(threshold=0.0), "threshold"),
        (lambda: page_hinkley(hold=0.0), "hold"),
    ],
)
def test_what_cannot_be_is_named(make: Callable[[], Change], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        make()
