"""The online random cut forest: its trees stay trees, its randomness is the seed's, and it sees how far outside a point lies."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import spearmanr
from sklearn.metrics import roc_auc_score

from aiops.detect.cut_forest import CutForest

ROWS = np.arange(3, dtype=np.int64)
SIZE = 16


def forest(*, seed: int = 1, size: int = SIZE, memory: int = 200) -> CutForest:
    return CutForest(2, trees=5, size=size, memory=memory, seed=seed)


def fed(values: np.ndarray, made: CutForest | None = None) -> CutForest:
    """Each of (samples, 2) told to three rows."""
    made = made or forest()
    for value in values:
        made.learn(ROWS, CutForest.points(np.tile(value, (len(ROWS), 1))))
    return made


def noise(size: int, seed: int = 2) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(size, 2))


def at(made: CutForest, *point: float) -> float:
    return float(made.score(ROWS[:1], CutForest.points(np.array([point])))[0])


def check(state: dict[str, np.ndarray], tree: int, node: int, parent: int) -> tuple[int, np.ndarray]:
    """Mass and box, (2, features), of a node of row 0, after what its children say."""
    if node < SIZE:
        leaf = state["leaf"][0, tree, node]
        assert leaf[2] == parent
        return 1, np.stack([leaf[:2], leaf[:2]])
    inner = state["inner"][0, tree, node - SIZE]
    box, (a, b, dimension, cut, mass, above) = np.stack([inner[:2], -inner[2:4]]), inner[4:]
    assert above == parent
    (left, first), (right, second) = check(state, tree, a, node), check(state, tree, b, node)
    np.testing.assert_array_equal(box, [np.minimum(first[0], second[0]), np.maximum(first[1], second[1])])
    assert mass == left + right
    assert first[1, dimension] <= cut
    assert second[0, dimension] > cut or (box[0] == box[1]).all()
    return left + right, box


@pytest.mark.parametrize(
    "values",
    [noise(400), np.zeros((400, 2)), np.round(noise(400)), np.vstack([np.zeros((50, 2)), noise(50), np.full((100, 2), 3.0)]), noise(5), noise(SIZE)],
    ids=["noise", "constant", "ties", "steps", "few", "full"],
)
def test_trees_stay_trees(values: np.ndarray) -> None:
    state = fed(values).used()
    held = min(len(values), SIZE)
    assert state["held"][0] == held
    for tree in range(5):
        assert check(state, tree, int(state["root"][0, tree]), -1)[0] == held


def test_the_farther_outside_the_greater_is_the_score_and_never_above_one() -> None:
    made = fed(noise(300))
    scores = [at(made, x, 0.0) for x in (0.0, 4.0, 8.0, 16.0, 31.0)]
    assert scores == sorted(scores)
    assert scores[0] < 0.15
    assert 0.6 < scores[-1] <= 1.0
    # Beyond the edge everything is the edge.
    assert at(made, 32.0, 0.0) == at(made, 1e300, 0.0) == at(made, np.inf, 0.0)
    assert at(made, np.nan, 0.0) == at(made, 0.0, 0.0) == at(made, 5e-324, -0.0)


def test_an_unknown_row_and_an_equal_point_are_not_unusual() -> None:
    assert at(forest(), 9.0, 9.0) == 0.0
    assert at(fed(np.full((50, 2), 3.0)), 3.0, 3.0) == 0.0
    assert at(fed(np.full((50, 2), 3.0)), 3.1, 3.0) == 1.0


def test_what_was_long_ago_is_forgotten() -> None:
    made = fed(noise(300))
    before = at(made, 20.0, 20.0)
    fed(20.0 + noise(2000, seed=3), made)
    assert at(made, 20.0, 20.0) < 0.2 < before
    assert at(made, 0.0, 0.0) > 0.5


def test_blame_names_the_feature_and_adds_up_to_the_score() -> None:
    made = fed(noise(300))
    points = CutForest.points(np.array([[0.0, 12.0], [9.0, 9.0]]))
    blame, scores = made.blame(ROWS[:2], points), made.score(ROWS[:2], points)
    np.testing.assert_allclose(blame.sum(axis=1), scores)
    assert blame[0, 1] > 10.0 * blame[0, 0]
    assert 0.3 < blame[1, 0] / scores[1] < 0.7


def test_rows_are_alike_and_neither_their_number_nor_their_company_matters() -> None:
    values = noise(300)
    together = fed(values)
    alone = forest()
    for value in values:
        alone.learn(np.array([40], dtype=np.int64), CutForest.points(value[None, :]))
    for name, column in together.used().items():
        np.testing.assert_array_equal(column[0], column[2], err_msg=name)
        np.testing.assert_array_equal(column[0], alone.used()[name][40], err_msg=name)
    other = fed(values, forest(seed=2)).used()
    assert not np.array_equal(other["inner"], together.used()["inner"])


def test_it_goes_on_exactly_where_it_stopped_and_starts_fresh_when_forgotten() -> None:
    whole = fed(noise(100))
    copy = forest()
    copy.replace(whole.used())
    for made in (whole, copy):
        fed(noise(100, seed=5), made)
    for name, column in whole.used().items():
        np.testing.assert_array_equal(column, copy.used()[name], err_msg=name)
    whole.forget(ROWS)
    assert at(whole, 9.0, 9.0) == 0.0
    with pytest.raises(ValueError, match="snapshot"):
        whole.replace(forest(size=32).used())


def test_memory_is_as_stated() -> None:
    assert CutForest(4, trees=10, size=16, memory=2000).bytes_each < 6_000


@pytest.mark.parametrize("wrong", [{"trees": 0, "size": 8, "memory": 9}, {"trees": 1, "size": 1, "memory": 9}, {"trees": 1, "size": 8, "memory": 7}])
def test_settings_that_cannot_be_are_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="forest"):
        CutForest(2, **wrong)


def trials(kind: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """What is usual, (500, 2) around 0, a trial of usual and odd points within ±0.5, and which of them are odd."""
    rng = np.random.default_rng(8)

    def usual(size: int) -> np.ndarray:
        noise = rng.normal(0.0, 0.05, (size, 2))
        if kind == "two clusters":
            noise += rng.choice([-0.2, 0.2], size)[:, None]
        if kind == "a line":
            noise[:, 1] = 0.9 * noise[:, 0] + 0.1 * noise[:, 1]
        return noise

    odd = rng.uniform(-0.5, 0.5, (150, 2))
    odd = odd[(np.abs(odd[:, 0] - odd[:, 1]) > 0.2) & (np.abs(odd).max(axis=1) > 0.25)][:60]
    return usual(500), np.vstack([usual(100), odd]), np.repeat([0, 1], [100, len(odd)])


@pytest.mark.parametrize("kind", ["one cluster", "two clusters", "a line"])
def test_it_is_at_least_as_good_as_half_space_trees_of_river_and_ranks_as_they_do(kind: str) -> None:
    """Tan, Ting, Liu, "Fast anomaly detection for streaming data", IJCAI 2011: another forest of the same kind, by other hands."""
    from river.anomaly import HalfSpaceTrees

    usual, trial, truth = trials(kind)
    ours, theirs = CutForest(2, trees=25, size=64, memory=500), HalfSpaceTrees(n_trees=25, height=6, window_size=100, seed=1)
    row = ROWS[:1]
    for a, b in usual:
        ours.learn(row, CutForest.points(20.0 * np.array([[a, b]])))
        theirs.learn_one({"a": a + 0.5, "b": b + 0.5})
    mine = np.array([float(ours.score(row, CutForest.points(20.0 * np.array([[a, b]])))[0]) for a, b in trial])
    peer = np.array([theirs.score_one({"a": a + 0.5, "b": b + 0.5}) for a, b in trial])
    assert roc_auc_score(truth, peer) > 0.8
    assert roc_auc_score(truth, mine) > max(0.95, roc_auc_score(truth, peer) - 0.01)
    assert spearmanr(mine, peer).statistic > 0.6
