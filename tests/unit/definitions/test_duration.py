"""Durations, in and out."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiops.domain.duration import format_duration, parse_duration


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("30s", 30.0), ("5m", 300.0), ("1h30m", 5400.0), ("500ms", 0.5), ("1m500ms", 60.5), ("7d", 604800.0), ("1w1d", 691200.0), ("0", 0.0), ("0s", 0.0), ("1.5s", 1.5)],
)
def test_what_people_write(text: str, seconds: float) -> None:
    assert parse_duration(text) == pytest.approx(seconds)


@pytest.mark.parametrize("text", ["", "5", "s", "-5s", "5 m", "1m1h", "1s1s", "5x", "5M", "1e3s", "99999d", "٣s", "5s\n", "nan", "inf"])
def test_what_is_none(text: str) -> None:
    with pytest.raises(ValueError, match="is no duration"):
        parse_duration(text)


@given(st.integers(0, 366 * 86_400_000))
def test_round_trip(milliseconds: int) -> None:
    assert round(parse_duration(format_duration(milliseconds / 1000)) * 1000) == milliseconds


def test_signs() -> None:
    assert format_duration(-90) == "-1m30s"
    assert format_duration(0.0001) == "0s"
