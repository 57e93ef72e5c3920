"""The isolation forest on residuals, and the flattened one that scores for it."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.ensemble import IsolationForest

from aiops.detect.contract import Scores
from aiops.detect.flat_forest import flattened, kept
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


@pytest.mark.parametrize(("samples", "features", "trees"), [(1000, 3, 100), (5, 1, 3), (2, 2, 2), (60, 7, 20)])
def test_the_flattened_forest_scores_as_the_fitted_one(samples: int, features: int, trees: int) -> None:
    rng = np.random.default_rng(3)
    known = rng.normal(size=(samples, features)).round(1)  # Many ties, and values that lie on a cut.
    fitted = IsolationForest(n_estimators=trees, random_state=1).fit(known)
    flat = flattened(fitted)
    trial = np.vstack([known, rng.normal(0.0, 5.0, (500, features)), np.full((1, features), 1e30), np.full((1, features), 5e-324), np.zeros((1, features))])
    np.testing.assert_allclose(flat.score_samples(trial), fitted.score_samples(trial), rtol=0.0, atol=1e-12)
    again = kept(flat.used(), features)
    np.testing.assert_array_equal(again.score_samples(trial), flat.score_samples(trial))


def test_values_on_the_very_edge_of_a_cut_pass_to_the_same_side() -> None:
    fitted = IsolationForest(n_estimators=10, random_state=1).fit(np.random.default_rng(1).normal(size=(200, 1)))
    cuts = np.concatenate([tree.tree_.threshold for tree in fitted.estimators_])
    near = np.concatenate([cuts, np.nextafter(cuts, np.inf), cuts.astype(np.float32), np.nextafter(cuts.astype(np.float32), np.float32(-9)).astype(float)])[:, None]
    np.testing.assert_allclose(flattened(fitted).score_samples(near), fitted.score_samples(near), rtol=0.0, atol=1e-12)


def test_a_forest_of_a_snapshot_that_does_not_fit_is_refused() -> None:
    good = flattened(IsolationForest(n_estimators=2, random_state=1).fit(np.random.default_rng(1).normal(size=(50, 3)))).used()
    for wrong in ({**good, "feature": good["feature"] + 2}, {**good, "value": good["value"][:, 1:]}, {**good, "usual": good["value"]}, {"value": good["value"]}):
        with pytest.raises(ValueError, match="snapshot"):
            kept(wrong, 2)


def test_a_forest_too_deep_to_be_laid_out_whole_is_refused() -> None:
    fitted = IsolationForest(n_estimators=1, max_samples=2**17, random_state=1).fit(np.random.default_rng(1).normal(size=(2**17, 1)))
    with pytest.raises(ValueError, match="depth 17"):
        flattened(fitted)
