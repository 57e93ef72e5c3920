"""Which bounds of an autoscaler hold a count."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiops.remediate.autoscaling import Bounds, Stuck, bounds_of, moved


def scaler(low: int | None, high: int) -> dict[str, Any]:
    return {"spec": {"maxReplicas": high} | ({} if low is None else {"minReplicas": low})}


@pytest.mark.parametrize(
    ("low", "high", "present", "count", "lift", "expected"),
    [
        (2, 9, 4, 6, False, (6, 9)),
        (None, 9, 4, 6, False, (6, 9)),
        (2, 5, 4, 6, False, (5, 5)),
        (2, 5, 4, 6, True, (6, 6)),
        (2, 5, 5, 6, False, "AtMaximum"),
        (2, 5, 5, 6, True, (6, 6)),
        (6, 9, 4, 6, False, "AlreadyThere"),
        (6, 9, 6, 4, False, (4, 9)),
        (2, 9, 6, 4, False, "AutoscalerDecides"),
        (3, 9, 3, 0, False, (1, 9)),
        (1, 9, 3, 0, False, "AutoscalerDecides"),
    ],
)
def test_bounds(low, high, present, count, lift, expected):
    found = moved(scaler(low, high), present, count, {"liftMaximum": lift})
    assert (found.reason if isinstance(found, Stuck) else (found.minimum, found.maximum)) == expected


@given(st.integers(1, 50), st.integers(1, 50), st.integers(0, 60), st.integers(0, 60), st.booleans())
def test_a_rise_never_lowers_a_bound_a_fall_never_raises_one_and_nobodys_maximum_is_lowered(low, high, present, count, lift):
    given_bounds = scaler(min(low, high), max(low, high))
    before = bounds_of(given_bounds)
    found = moved(given_bounds, present, count, {"liftMaximum": lift})
    if isinstance(found, Stuck):
        return
    assert isinstance(found, Bounds)
    assert 1 <= found.minimum <= found.maximum
    assert found.maximum >= before[1]
    assert lift or found.maximum == before[1]
    assert (found.minimum > before[0]) == found.rise
    assert found.rise == (count > present)
