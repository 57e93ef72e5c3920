"""Why a sample is called unlike its series: each view, expected against seen, in the evidence of the claim."""

from __future__ import annotations

import numpy as np
import pytest

from aiops.detect.bank import RuleBank
from aiops.detect.findings import Finding
from aiops.detect.views import forest_line, plain_lines
from aiops.domain.rule import DetectorSpec, Direction, PromQuery, Rule
from aiops.domain.series import SampleBatch
from aiops.domain.signal import Severity, SignalState

T0 = 1_767_225_600.0


def told(detector: str, values: list[float]) -> list[Finding]:
    rule = Rule("r", "s", PromQuery("q"), 60.0, DetectorSpec(detector), Severity.WARNING, direction=Direction.BOTH)
    bank, found = RuleBank(rule), list[Finding]()
    for step, value in enumerate(values):
        at = T0 + 60.0 * step
        found += bank.observe(SampleBatch("s", "q", at, [{"n": "1"}], np.array([at]), np.array([value]))).findings
    return found


def usual(count: int) -> list[float]:
    return [40.0 + float(noise) for noise in np.random.default_rng(1).standard_normal(count)]


def test_fleet_says_what_each_view_expected_and_saw() -> None:
    (fired,) = [f for f in told("fleet", [*usual(200), 60.0]) if f.state is SignalState.FIRING]
    departure, step, outside = fired.evidence.lines
    assert departure.startswith("departure: +")
    assert departure.endswith("seen 60)")
    assert step.startswith("step: +")
    assert outside.startswith("range: outside of all seen so far (3")


def test_focus_says_what_its_forest_finds_alone() -> None:
    (fired,) = [f for f in told("focus", [*usual(300), 60.0]) if f.state is SignalState.FIRING]
    assert len(fired.evidence.lines) == 4
    forest = fired.evidence.lines[-1]
    assert forest.startswith("forest: ")
    assert sorted(part.split(" ")[0] for part in forest.removeprefix("forest: ").split(", ")) == ["departure", "mean", "size", "step"]


@pytest.mark.parametrize("detector", ["fleet", "focus"])
def test_what_is_over_is_not_explained(detector: str) -> None:
    over = [f for f in told(detector, [*usual(200), *[60.0] * 3, *usual(20)]) if f.state is not SignalState.FIRING]
    assert over
    assert [f.evidence.lines for f in over] == [()] * len(over)


def test_numbers_that_say_nothing_are_not_printed() -> None:
    assert plain_lines(5.0, 1.0, 0.0, float("nan"), 1.0, 0.0, 9.0) == ("departure: +4, more than a thousand deviations from what this hour is usually (1; seen 5)",)
    assert forest_line(("a", "b"), np.zeros(2)) == ()
    assert forest_line(("a", "b"), np.array([1.0, 3.0])) == ("forest: b 75%, a 25%",)
