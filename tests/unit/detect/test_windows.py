"""Sliding median and MAD against numpy, sample by sample."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from aiops.detect.windows import MAD_TO_SIGMA, MEAN_TO_SIGMA, Windows

FLOATS = st.one_of(
    st.floats(-1e150, 1e150, allow_nan=False),
    st.sampled_from([0.0, -0.0, 1.0, 1.0, 2.0, 5e-324, -5e-324, 1e-300]),
)


def check(held: list[float], median: float, sigma: float) -> None:
    values = np.array(held)
    middle = np.median(values)
    deviations = np.abs(values - middle)
    mad = np.median(deviations)
    assert median == middle
    np.testing.assert_allclose(sigma, mad * MAD_TO_SIGMA if mad > 0.0 else deviations.mean() * MEAN_TO_SIGMA, rtol=1e-12)


@settings(deadline=None)
@given(st.integers(1, 9), st.lists(FLOATS, min_size=1, max_size=40))
def test_it_is_exact_at_every_step(length: int, values: list[float]) -> None:
    windows, row = Windows(length), np.array([1], dtype=np.int64)
    windows.cover(row)
    for i, value in enumerate(values):
        windows.push(row, np.array([value]))
        spread = windows.spread(row)
        held = values[max(0, i + 1 - length) : i + 1]
        assert spread.count[0] == len(held)
        check(held, spread.median[0], spread.sigma[0])


def test_rows_and_slots_do_not_touch_each_other() -> None:
    generator = np.random.default_rng(3)
    windows, held = Windows(5, slots=3), {(r, s): [] for r in range(40) for s in range(3)}  # type: ignore[var-annotated]
    for _ in range(60):
        rows = generator.permutation(40)[:25].astype(np.int64)
        slots, drawn = generator.integers(0, 3, 25), generator.normal(size=25)
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


def test_the_median_of_two_huge_values_does_not_overflow() -> None:
    windows, row = Windows(2), np.array([0], dtype=np.int64)
    windows.cover(row)
    for value in (1.7e308, 1.7e308):
        windows.push(row, np.array([value]))
    assert windows.spread(row).median[0] == 1.7e308


def test_a_window_of_one_value_and_some_others_still_has_a_spread() -> None:
    windows, row = Windows(10), np.array([0], dtype=np.int64)
    windows.cover(row)
    for value in [0.0] * 8 + [10.0, 10.0]:
        windows.push(row, np.array([value]))
    assert windows.spread(row).sigma[0] == 2.0 * MEAN_TO_SIGMA


def test_the_bank_does_not_load_heavy_packages_for_plain_rules() -> None:
    code = "import sys, aiops.detect.bank; print([m for m in ('numba', 'sklearn', 'scipy', 'river') if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.strip() == "[]"


def test_kernels_are_compiled_ahead_by_a_command() -> None:
    subprocess.run([sys.executable, "-W", "error", "-m", "aiops.detect.kernels"], check=True, capture_output=True)
