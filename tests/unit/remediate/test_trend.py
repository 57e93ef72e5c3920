"""The line before acting: a clear direction is found through noise and outliers, and none is made up where there is none."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiops.remediate.trend import LEAST_POINTS, REACH, theil_sen, trend

TIMES = [1000.0 + 10 * n for n in range(40)]


def line(slope: float, *, level: float = 10.0, noise: float = 0.0, n: int = 40) -> list[float | None]:
    rng = random.Random(7)
    return [level + slope * 10 * k + rng.uniform(-noise, noise) for k in range(n)]


@pytest.mark.parametrize("slope", [-0.02, 0.02])
@pytest.mark.parametrize("worst", ["max", "min"])
def test_a_slope_is_found_through_noise_and_outliers(slope: float, worst: str) -> None:
    levels = line(slope, noise=0.3)
    levels[-7], levels[-12] = None, float("nan")
    levels[-10] = levels[-10] * 1.3 if levels[-10] is not None else None
    found = trend(TIMES, levels, worst)
    # An outlier may be the extreme itself: then the line begins after it.
    assert found is not None
    assert found.slope == pytest.approx(slope, rel=0.35)
    assert found.expected(TIMES[-1]) == pytest.approx(10 + slope * 390, abs=1.0)


def test_only_the_time_since_the_turn_counts() -> None:
    up, down = line(0.05, n=20), [10 + 0.05 * 200 - 0.1 * 10 * k for k in range(20)]
    found = trend(TIMES, [*up, *down], "max")
    assert found is not None
    assert found.slope == pytest.approx(-0.1)
    # Good for a long time, bad for a moment: that is no recovery.
    assert trend(TIMES, [*[1.0] * 35, *[9.0] * 5], "max") is None


def test_noise_around_a_level_has_no_direction() -> None:
    wrong = sum(trend(TIMES, [random.Random(seed * 41 + k).gauss(5, 1) for k in range(40)]) is not None for seed in range(300))
    assert wrong <= 15, wrong


def test_too_few_points_say_nothing() -> None:
    assert trend(TIMES[:6], [6.0, 5, 4, 3, 2, 1]) is None
    assert trend([], []) is None
    assert trend(TIMES, [None] * 40) is None
    assert theil_sen([(1.0, 1.0)]) is None
    assert theil_sen([(1.0, float(k)) for k in range(9)]) is None


def test_a_line_is_not_drawn_further_than_it_was_seen() -> None:
    found = trend(TIMES[:10], line(-0.1, n=10))
    assert found is not None
    seen = TIMES[9] - TIMES[1]
    assert found.until == TIMES[9] + REACH * seen
    assert found.expected(found.until + 1e6) == found.expected(found.until)


@given(st.lists(st.floats(-1e6, 1e6), min_size=LEAST_POINTS, max_size=40), st.sampled_from(["max", "min"]), st.floats(-1e3, 1e3))
def test_shifting_all_levels_shifts_the_line(levels: list[float], worst: str, by: float) -> None:
    """And whatever comes in, nothing is raised."""
    times = TIMES[: len(levels)]
    before, after = trend(times, levels, worst), trend(times, [round(v, 3) + by for v in levels], worst)
    if before is not None and after is not None and all(round(v, 3) == v for v in levels):
        assert after.expected(times[-1]) == pytest.approx(before.expected(times[-1]) + by, abs=1e-3)


@given(st.lists(st.floats(0, 100), min_size=10, max_size=40))
def test_high_is_bad_and_low_is_bad_are_mirror_images(levels: list[float]) -> None:
    times = TIMES[: len(levels)]
    one, other = trend(times, levels, "max"), trend(times, [-v for v in levels], "min")
    assert (one is None) == (other is None)
    if one is not None and other is not None:
        assert other.slope == pytest.approx(-one.slope)
