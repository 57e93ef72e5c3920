"""Sliding median and MAD against numpy, sample by sample."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aiops.detect.windows import MAD_TO_SIGMA, MEAN_TO_SIGMA, Windows

FLOATS = st.one_of(
    st.floats(-1e150, 1e150, allow_nan=False),
    st.sampled_from([0.0, -0.0, 1.0, 1.0, 2.0, 5e-324, -5e-324, 1e-300]),
)
KEPT_BY = (1, 10**9)
"""Compiled from one row on, and never."""


def check(held: list[float], median: float, sigma: float) -> None:
    values = np.array(held)
    middle = np.median(values)
    deviations = np.abs(values - middle)
    mad = np.median(deviations)
    assert median == middle
    np.testing.assert_allclose(sigma, mad * MAD_TO_SIGMA if mad > 0.0 else deviations.mean() * MEAN_TO_SIGMA, rtol=1e-12)


@settings(deadline=None)
@given(st.integers(1, 9), st.lists(FLOATS, min_size=1, max_size=40), st.sampled_from(KEPT_BY))
def test_it_is_exact_at_every_step(length: int, values: list[float], compiled_from: int) -> None:
    windows, row = Windows(length, compiled_from=compiled_from), np.array([1], dtype=np.int64)
    windows.cover(row)
    for i, value in enumerate(values):
        windows.push(row, np.array([value]))
        spread = windows.spread(row)
        held = values[max(0, i + 1 - length) : i + 1]
        assert spread.count[0] == len(held)
        check(held, spread.median[0], spread.sigma[0])


@pytest.mark.parametrize("compiled_from", [*KEPT_BY, 25])
def test_rows_and_slots_do_not_touch_each_other(compiled_from: int) -> None:
    generator = np.random.default_rng(3)
    windows, held = Windows(5, slots=3, compiled_from=compiled_from), {(r, s): [] for r in range(40) for s in range(3)}  # type: ignore[var-annotated]
    for _ in range(60):
        rows = generator.permutation(40)[: generator.integers(1, 30)].astype(np.int64)
        slots, drawn = generator.integers(0, 3, len(rows)), generator.normal(size=len(rows))
        windows.cover(rows)
        windows.push(rows, drawn, slots)
        for r, s, v in zip(rows.tolist(), slots.tolist(), drawn.tolist(), strict=True):
            held[r, s] = [*held[r, s], v][-5:]
    for (r, s), values in held.items():
        spread = windows.spread(np.array([r]), np.array([s]))
        if values:
            check(values, spread.median[0], spread.sigma[0])
        else:
            assert np.isnan(spread.median[0])


@pytest.mark.parametrize("compiled_from", KEPT_BY)
def test_the_median_of_two_huge_values_does_not_overflow(compiled_from: int) -> None:
    windows, row = Windows(2, compiled_from=compiled_from), np.array([0], dtype=np.int64)
    windows.cover(row)
    for value in (1.7e308, 1.7e308):
        windows.push(row, np.array([value]))
    assert windows.spread(row).median[0] == 1.7e308


@pytest.mark.parametrize("compiled_from", KEPT_BY)
def test_a_window_of_one_value_and_some_others_still_has_a_spread(compiled_from: int) -> None:
    windows, row = Windows(10, compiled_from=compiled_from), np.array([0], dtype=np.int64)
    windows.cover(row)
    for value in [0.0] * 8 + [10.0, 10.0]:
        windows.push(row, np.array([value]))
    assert windows.spread(row).sigma[0] == 2.0 * MEAN_TO_SIGMA


def test_many_rows_switch_to_compiled_loops_and_the_numbers_stay() -> None:
    rows, generator = np.arange(60, dtype=np.int64), np.random.default_rng(4)
    plain, switched = Windows(7), Windows(7, compiled_from=60)
    for step in range(30):
        some = rows if step >= 15 else rows[::2]
        values = generator.normal(size=len(some))
        for windows in (plain, switched):
            windows.cover(some)
            windows.push(some, values)
        a, b = plain.spread(some), switched.spread(some)
        np.testing.assert_array_equal(a.median, b.median)
        np.testing.assert_allclose(a.sigma, b.sigma, rtol=1e-12)
    for windows in (plain, switched):
        windows.forget(rows[:5])
        assert np.isnan(windows.spread(rows[:5]).median).all()
    for name, array in plain.used().items():
        np.testing.assert_array_equal(array, switched.used()[name])


def test_the_bank_does_not_load_heavy_packages_for_plain_rules() -> None:
    code = "import sys, aiops.detect.bank; print([m for m in ('numba', 'sklearn', 'scipy', 'river') if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.strip() == "[]"


def test_kernels_are_compiled_ahead_by_a_command() -> None:
    subprocess.run([sys.executable, "-W", "error", "-m", "aiops.detect.kernels"], check=True, capture_output=True)
