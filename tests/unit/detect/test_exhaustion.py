"""The detector of capacity rules: probability, gate, hysteresis."""

from __future__ import annotations

import math

import numpy as np
import pytest

from aiops.detect.exhaustion import Exhaustion
from aiops.domain.rule import EXHAUSTION_LABEL
from aiops.domain.series import SampleBatch, series_id

DISK = {"node": "n1"}


def answer(probability: float, use: float = 0.8, **more: float) -> SampleBatch:
    said = {"lead 2d": probability, "use": use, "within 7d": 1.0, "p10": 90_000.0, "p50": 190_000.0, "p90": math.inf, "model trend": 1.0, **more}
    labels = tuple({**DISK, EXHAUSTION_LABEL: name} for name in said)
    return SampleBatch("prometheus", "used >= size", 1000.0, labels, np.full(len(said), 1000.0), np.array(list(said.values())))


@pytest.mark.parametrize(
    ("probability", "use", "breach", "critical", "recovered"),
    [
        (0.3, 0.8, True, False, False),
        (0.6, 0.8, True, True, False),
        (0.08, 0.8, False, False, False),  # between: it stays as it is
        (0.04, 0.8, False, False, True),
        (0.9, 0.4, False, False, True),  # below the gate
        (1.0, 1.0, False, False, True),  # met: no forecast any more
    ],
)
def test_levels(probability: float, use: float, *, breach: bool, critical: bool, recovered: bool) -> None:
    found = Exhaustion(gate=0.5).assess(answer(probability, use))
    assert found.labels == [DISK]
    assert found.values.tolist() == [probability]
    scores = found.scores
    assert (bool(scores.breach[0]), bool(scores.critical[0]), bool(scores.recovered[0])) == (breach, critical, recovered)
    assert (scores.score[0] > 1.0) == breach


@pytest.mark.parametrize(
    ("probability", "use", "breach", "recovered"),
    [(0.01, 0.2, True, False), (0.08, 0.2, False, False), (0.2, 0.2, False, True), (0.0, 0.6, False, True)],  # the last: the present does not confirm it
)
def test_the_opposite_needs_both_forecast_and_present(probability: float, use: float, *, breach: bool, recovered: bool) -> None:
    one = Exhaustion(probability=0.05, gate=0.4, stays=True)
    scores = one.assess(answer(probability, use)).scores
    assert (bool(scores.breach[0]), bool(scores.recovered[0]), bool(scores.critical[0]), one.reason) == (breach, recovered, False, "StaysFree")
    assert (scores.score[0] > 1.0) == breach


def test_words_say_when_how_likely_how_full_and_by_what() -> None:
    one = Exhaustion()
    one.assess(answer(0.3))
    lines = one.lines(series_id(DISK))
    assert lines == ("the limit is met after P10 1d1h, P50 2d5h, P90 later than the horizon", "30% within 2d, 100% within 7d; 80% of the limit is used", "model trend")
    other = Exhaustion()
    other.restore(one.snapshot())
    assert other.lines(series_id(DISK)) == lines
    other.forget([series_id(DISK)])
    assert other.lines(series_id(DISK)) == ()


def test_half_an_answer_says_nothing() -> None:
    found = Exhaustion().assess(answer(0.9), learn=False)
    assert not found.scores.ready.any()


def test_without_a_use_nothing_is_said() -> None:
    assert not Exhaustion().assess(answer(0.9, math.nan)).scores.ready.any()


def test_what_cannot_be_is_refused() -> None:
    with pytest.raises(ValueError, match="probability"):
        Exhaustion(probability=0.6, critical=0.5)
