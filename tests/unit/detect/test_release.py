"""A series since a release against itself before: what is blamed on it, and what is not."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from scipy.stats import mannwhitneyu

from aiops.detect.contract import Scores, Window
from aiops.detect.release import ReleaseComparison, by_chance
from aiops.domain.rule import Direction

T0, EVERY = 1_700_006_400.0, 10.0
ROW = np.array([0])
RELEASE = Window(T0 + 1800.0, T0 + 1860.0)


def run(
    level: Callable[[float], float], *, noise: float = 1.0, seed: int = 1, until: float = 3600.0, window: Window | None = RELEASE,
    slow: float = 0.0, detector: ReleaseComparison | None = None,
) -> dict[float, Scores]:  # fmt: skip
    """Scores by seconds since T0. `level` by the same; `slow`: AR(1) coefficient of the noise. The release is told of once it has begun."""
    made, rng, wander, found = detector or ReleaseComparison(), np.random.default_rng(seed), 0.0, {}
    for step in range(round(until / EVERY)):
        at = step * EVERY
        wander = slow * wander + math.sqrt(1.0 - slow * slow) * rng.normal()
        if window is not None and T0 + at >= window.began:
            rolling = T0 + at < window.ended
            made.released({0: Window(window.began, math.nan if rolling else window.ended)})
        found[at] = made.score_and_learn(ROW, np.array([T0 + at]), np.array([level(at) + noise * wander]))
    return found


def breaches(found: dict[float, Scores]) -> list[float]:
    return [at for at, scores in found.items() if scores.breach[0]]


def step_up(at: float) -> float:
    return 100.0 if at < 1800.0 else 120.0


def test_a_step_with_the_release_is_blamed_on_it_once_grace_and_a_stretch_have_passed() -> None:
    found = run(step_up)
    first = breaches(found)[0]
    assert 1860.0 + 60.0 < first <= 1860.0 + 60.0 + 60.0
    assert found[first].expected[0] == pytest.approx(100.0, abs=1.0)


def test_trouble_that_began_before_the_release_is_not_blamed_on_it() -> None:
    assert breaches(run(lambda at: 100.0 if at < 900.0 else 120.0)) == []


@pytest.mark.parametrize("slow", [0.0, 0.9, 0.98])
def test_a_release_that_is_well_is_blamed_for_nothing(slow: float) -> None:
    # Two dozen releases of a noisy series, autocorrelated too: its own stretches say how much it wanders.
    blamed = sum(bool(breaches(run(lambda _: 100.0, seed=seed, slow=slow, noise=5.0, until=2800.0))) for seed in range(24))
    assert blamed == 0


def test_without_a_release_nothing_is_claimed_and_all_is_usual() -> None:
    found = run(lambda at: 100.0 + at / 10.0, window=None)
    assert [scores.ready[0] for scores in found.values()] == [False] * 11 + [True] * 349
    assert all(scores.recovered[0] and scores.score[0] == 0.0 for scores in found.values() if scores.ready[0])


def test_while_it_is_rolled_out_nothing_is_said() -> None:
    found = run(step_up)
    assert not any(scores.ready[0] for at, scores in found.items() if 1800.0 <= at < 1920.0)


def test_bursts_that_end_by_themselves_are_not_blamed_on_it() -> None:
    # Two thirds of each minute, as a rate over half a minute shows what lasts ten seconds.
    assert breaches(run(lambda at: 150.0 if at > 1830.0 and at % 60.0 < 40.0 else 100.0)) == []


def test_a_claim_ends_when_it_is_gone_back_from() -> None:
    detector = ReleaseComparison()
    found = run(step_up, detector=detector, until=2400.0)
    assert breaches(found)
    detector.released({0: Window(T0 + 2400.0, T0 + 2410.0)})
    rng = np.random.default_rng(2)
    later = [detector.score_and_learn(ROW, np.array([T0 + at]), np.array([100.0 + rng.normal()])) for at in np.arange(2400.0, 3000.0, EVERY)]
    assert not any(scores.breach[0] for scores in later)
    assert later[-1].recovered[0]


def test_a_claim_that_outlasts_its_time_ends_as_a_change_of_regime() -> None:
    found = run(step_up, until=3600.0)
    changed = [at for at, scores in found.items() if scores.changed is not None and scores.changed[0]]
    assert changed == [1860.0 + 900.0 + EVERY]
    assert max(breaches(found)) <= 1860.0 + 900.0


def test_less_is_no_trouble_unless_asked() -> None:
    def down(at: float) -> float:
        return 100.0 if at < 1800.0 else 80.0

    assert breaches(run(down)) == []
    assert breaches(run(down, detector=ReleaseComparison(direction=Direction.DOWN)))
    assert breaches(run(down, detector=ReleaseComparison(direction=Direction.BOTH)))


def test_with_too_little_before_it_nothing_is_said() -> None:
    early = Window(T0 + 100.0, T0 + 110.0)
    found = run(lambda at: 100.0 if at < 100.0 else 120.0, window=early, until=900.0)
    assert not any(scores.ready[0] for at, scores in found.items() if at > 100.0)


def test_what_the_time_of_day_brings_is_not_blamed() -> None:
    # A steep hour that comes every day; the release falls into its middle.
    def daily(at: float) -> float:
        return 100.0 + 60.0 * max(0.0, min(1.0, (at % 86400.0 - 36000.0) / 7200.0))

    began = T0 + 3 * 86400.0 + 39600.0

    def blamed(days: int) -> bool:
        detector, rng = ReleaseComparison(), np.random.default_rng(3)
        hit = False
        for at in np.arange(T0 + (3 - days) * 86400.0 if days else began - 1200.0, began + 600.0, EVERY):
            if at >= began:
                detector.released({0: Window(began, began + 30.0)})
            scores = detector.score_and_learn(ROW, np.array([at]), np.array([daily(at - T0) + rng.normal()]))
            hit |= bool(scores.breach[0])
        return hit

    assert not blamed(days=3)


def test_ranks_agree_with_scipy() -> None:
    rng = np.random.default_rng(4)
    for _ in range(20):
        first, second = rng.integers(0, 9, 40).astype(float), rng.integers(1, 9, 9).astype(float)
        assert by_chance(first, second) == pytest.approx(mannwhitneyu(first, second, method="asymptotic").pvalue)
    assert by_chance(np.ones(20), np.ones(6)) == 1.0
