"""What an alarm looked like, and what is like it: pure, from evidence alone."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from aiops.detect.likeness import outgrown, pattern_of, unlike
from aiops.domain.feedback import Feedback, Pattern
from aiops.domain.signal import Evidence, Severity

AT = 1_700_000_000.0
CALM = [10.0, 10.1, 9.9, 10.0, 10.1, 9.9]


def seen(values: list[float | None], expected: float | None = 10.0, score: float = 2.0) -> Evidence:
    times = tuple(AT + 60.0 * (i - len(values) + 1) for i in range(len(values)))
    return Evidence(times=times, values=tuple(values), value=values[-1] if values else None, expected=expected, score=score)


def word(pattern: Pattern, *, since: float | None = None, around: float | None = None) -> Feedback:
    return Feedback("fb-1", "r", "s", {}, "", "inc-1", pattern, "ann", AT, AT + 1e6, since=since, around=around)


SPIKE = pattern_of(seen([*CALM, 20.0]), "Unlike", Severity.WARNING, later=[Evidence(times=(AT, AT + 60.0), values=(20.0, 25.0), value=10.0)], at=AT, lasted=300.0)


def test_what_it_looked_like() -> None:
    assert (SPIKE.direction, SPIKE.departure, SPIKE.sudden, SPIKE.lasted) == ("up", 10.0, True, 300.0)
    ramp = pattern_of(seen([*CALM, 8.0, 7.0, 6.0, 5.0, 4.0, 3.0, 2.0, 1.0, 0.0]), "Unlike", Severity.WARNING)
    assert (ramp.direction, ramp.departure, ramp.peak, ramp.sudden) == ("down", 10.0, 10.0, False)


def test_the_peak_is_of_what_came_after_it_began() -> None:
    later = Evidence(times=(AT - 60.0, AT, AT + 60.0), values=(99.0, 20.0, 31.0), value=10.0)
    assert pattern_of(seen([*CALM, 20.0]), "Unlike", Severity.WARNING, later=[later], at=AT).peak == 21.0


@pytest.mark.parametrize("evidence", [Evidence(), Evidence(value=3.0), seen([None, None])])
def test_where_there_is_no_number_there_is_no_side(evidence: Evidence) -> None:
    assert pattern_of(evidence, "Unlike", Severity.WARNING) == Pattern("Unlike", Severity.WARNING)


@pytest.mark.parametrize(
    ("values", "changes", "why"),
    [
        ([*CALM, 20.0], {}, ""),
        ([*CALM, 16.0], {}, ""),
        ([*CALM, 29.0], {}, ""),
        ([*CALM, 0.0], {}, "down, not up"),
        ([*CALM, 14.0], {}, "4 from what is expected, not 10"),
        ([*CALM, 31.0], {}, "21 from what is expected, not 10"),
        ([*CALM, 11.0, 13.0, 14.0, 15.0, 16.0, 17.0, 18.0, 19.0, 20.0], {}, "gradual, not sudden"),
        ([*CALM, 20.0], {"reason": "SeriesAbsent"}, "SeriesAbsent, not Unlike"),
        ([*CALM, 20.0], {"severity": Severity.CRITICAL}, "critical, not warning"),
        ([*CALM, 20.0], {"severity": Severity.INFO}, ""),
        ([20.0, 20.0, 20.0], {}, ""),
    ],
)
def test_what_is_alike(values: list[float | None], changes: dict[str, Any], why: str) -> None:
    given: dict[str, Any] = {"reason": "Unlike", "severity": Severity.WARNING, **changes}
    assert unlike(word(SPIKE), seen(values), given["reason"], given["severity"], AT) == why


@pytest.mark.parametrize(("hours", "alike"), [(0.0, True), (0.9, True), (-0.9, True), (24.0, True), (47.5, True), (1.1, False), (12.0, False), (-1.1, False)])
def test_the_time_of_day_counts_where_it_was_asked_for(hours: float, alike: bool) -> None:
    around = word(SPIKE, around=AT % 86400.0)
    assert (unlike(around, seen([*CALM, 20.0]), "Unlike", Severity.WARNING, AT + hours * 3600.0) == "") is alike
    assert unlike(word(SPIKE), seen([*CALM, 20.0]), "Unlike", Severity.WARNING, AT + hours * 3600.0) == ""


@pytest.mark.parametrize(
    ("value", "score", "severity", "after", "why"),
    [
        (20.0, 2.0, Severity.WARNING, 60.0, ""),
        (39.0, 2.0, Severity.WARNING, 60.0, ""),
        (41.0, 2.0, Severity.WARNING, 60.0, "31 from what is expected, not 15"),
        (0.0, 2.0, Severity.WARNING, 60.0, "down, not up"),
        (9.0, 0.1, Severity.WARNING, 60.0, ""),
        (20.0, 2.0, Severity.CRITICAL, 60.0, "critical, not warning"),
        (20.0, 2.0, Severity.WARNING, 890.0, ""),
        (20.0, 2.0, Severity.WARNING, 910.0, "lasts 910 s, not 300 s"),
    ],
)
def test_how_long_it_stays_alike(value: float, score: float, severity: Severity, after: float, why: str) -> None:
    assert outgrown(word(SPIKE, since=AT), seen([*CALM, value], score=score), severity, AT + after, 60.0) == why


def test_of_one_that_was_not_over_no_length_is_known() -> None:
    endless = word(replace(SPIKE, lasted=None), since=AT)
    assert outgrown(endless, seen([*CALM, 20.0]), Severity.WARNING, AT + 1e5, 60.0) == ""
