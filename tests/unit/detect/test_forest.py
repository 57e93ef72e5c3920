"""The isolation forest on residuals."""

from __future__ import annotations

import numpy as np
import pytest

from aiops.detect.contract import Scores
from aiops.detect.isolation_forest import POOL, ResidualForest
from aiops.domain.rule import Direction

SERIES = 10


def trained(**changes: object) -> ResidualForest:
    detector = ResidualForest(trees=50, window=40, **changes)  # type: ignore[arg-type]
    for i, line in enumerate(np.random.default_rng(1).normal(50.0, 2.0, (80, SERIES))):
        detector.score_and_learn(np.arange(SERIES), np.full(SERIES, 15.0 * i), line)
    return detector


def look(detector: ResidualForest, values: list[float]) -> Scores:
    rows = np.arange(len(values), dtype=np.int64)
    return detector.score_and_learn(rows, np.full(len(rows), 1e5), np.array(values), learn=False)


def test_how_far_outside_a_value_lies_is_seen() -> None:
    score = look(trained(), [50.0, 60.0, 70.0, 100.0]).score
    assert list(score) == sorted(score)
    assert score[0] < 0.6
    assert score[3] > 1.5


def test_only_the_side_that_counts_counts() -> None:
    assert list(look(trained(direction=Direction.UP), [90.0, 10.0]).breach) == [True, False]
    assert list(look(trained(direction=Direction.DOWN), [90.0, 10.0]).breach) == [False, True]


def test_series_of_any_level_share_the_forest() -> None:
    detector, levels = ResidualForest(trees=50, window=40), 10.0 ** np.arange(-3, 7)
    for i, line in enumerate(np.random.default_rng(1).normal(1.0, 0.04, (80, SERIES)) * levels):
        detector.score_and_learn(np.arange(SERIES), np.full(SERIES, 15.0 * i), line)
    assert not look(detector, list(levels)).breach.any()
    assert look(detector, list(levels * 2.0)).breach.all()


def test_what_it_learns_from_is_bounded() -> None:
    detector = ResidualForest(trees=2, window=20)
    wide = np.arange(3000, dtype=np.int64)
    for i in range(15):
        detector.score_and_learn(wide, np.full(3000, 15.0 * i), np.random.default_rng(i).normal(size=3000))
    assert len(detector._pool) == POOL


@pytest.mark.parametrize("parameters", [{"trees": 0}, {"window": 5}, {"score": 0.5}, {"score": 1.0}])
def test_parameters_that_mean_nothing_are_refused(parameters: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="isolationForest"):
        ResidualForest(**parameters)  # type: ignore[arg-type]
