"""Back-off: grows, is bounded, is spread."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiops.domain.runbook import Retry
from aiops.remediate.backoff import wait

RETRY = Retry(limit=5, initial=5.0, factor=2.0, maximum=60.0)


def test_doubles_up_to_the_maximum() -> None:
    assert [wait(RETRY, n) for n in range(1, 7)] == [5.0, 10.0, 20.0, 40.0, 60.0, 60.0]
    assert wait(RETRY, 10_000) == 60.0
    assert wait(Retry(initial=0.0, factor=1e9), 1000) == 0.0


@given(st.integers(1, 5000), st.floats(0, 1))
def test_jitter_takes_at_most_half(failures: int, jitter: float) -> None:
    full = wait(RETRY, failures)
    assert full / 2 <= wait(RETRY, failures, jitter) <= full


@pytest.mark.parametrize(("failures", "jitter"), [(0, 0.5), (-1, 0.5), (1, -0.1), (1, 1.1), (1, float("nan"))])
def test_bad_input(failures: int, jitter: float) -> None:
    with pytest.raises(ValueError, match=r"failures|jitter"):
        wait(RETRY, failures, jitter)
