"""The compiled loops of `fleet` and its vector form find and learn the same, to the bit."""

from __future__ import annotations

import numpy as np
import pytest

from aiops.detect.arrays import unpack
from aiops.detect.fleet import Fleet
from aiops.detect.rest import COMPILED_FROM, Rest
from aiops.domain.rule import Direction

T0 = 1_700_000_000.0
ROWS = np.arange(12, dtype=np.int64)


def stream(every: float, size: int = 700) -> tuple[np.ndarray, np.ndarray]:
    """Times (size,) with gaps, doubles and a jump back; values (size, 12) of many kinds."""
    rng = np.random.default_rng(int(every))
    gaps = np.full(size, every)
    gaps[100], gaps[200], gaps[300], gaps[400] = 0.0, -5.0 * every, 9000.0, 400_000.0
    values = rng.normal(100.0, 3.0, (size, len(ROWS)))
    values[:, 1] = 7.0
    values[:, 2] = 1e150 * rng.choice([-1.0, 1.0, 0.0], size)
    values[:, 3] = 5e-324
    values[:, 4] = rng.poisson(0.1, size)
    values[:, 5] *= 1.0 + np.sin(np.arange(size))
    values[500:, 6] += 500.0
    values[::7, 7] = np.nan
    values[:, 8] = 0.0
    values[650:, 8] = 1e300
    values[::2, 9] = np.inf
    values[:40, 10] = -3.0
    return T0 + np.cumsum(gaps), values


@pytest.mark.parametrize("direction", list(Direction))
@pytest.mark.parametrize("every", [15.0, 60.0, 300.0, 7000.0])
def test_both_forms_are_equal_to_the_bit(every: float, direction: Direction) -> None:
    plain, compiled = Fleet(direction=direction, compiled_from=10**9), Fleet(direction=direction, compiled_from=1)
    for at, line in zip(*stream(every), strict=True):
        a, b = (one.score_and_learn(ROWS, np.full(len(ROWS), at), line) for one in (plain, compiled))
        for name in ("score", "expected", "lower", "upper", "ready"):
            np.testing.assert_array_equal(getattr(a, name), getattr(b, name), err_msg=name)
    held, other = unpack(plain.snapshot())[0], unpack(compiled.snapshot())[0]
    assert set(held) == set(other)
    for name, column in held.items():
        np.testing.assert_array_equal(column, other[name], err_msg=name)


def test_a_large_batch_rests_as_a_small_one_does() -> None:
    large, small = Rest(), Rest()
    rows = np.arange(COMPILED_FROM, dtype=np.int64)
    scores = np.random.default_rng(2).gamma(1.0, 1.0, (450, COMPILED_FROM))
    scores[::9, ::5] = np.nan
    for line in scores:
        np.testing.assert_array_equal(large.rested(rows, line)[:50], small.rested(rows[:50], line[:50]))
