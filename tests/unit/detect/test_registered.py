"""Every detector that rules can name, through its bank: whatever a source does, the story is sane, the score means what it says, memory is stated and bounded.

A detector that is registered joins by itself. Neighbours: `test_detector_contract` and `test_group_contract` ask the algorithms themselves.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest

from aiops.detect.bank import RuleBank
from aiops.detect.contract import Compares, Window
from aiops.detect.findings import Finding
from aiops.detect.registry import BUILDERS, GROUP_BUILDERS, build_detector, build_group
from aiops.domain.rule import EXHAUSTION_LABEL, OBJECTIVE_LABEL, BurnAlert, DetectorSpec, LogQuery, MetricKind, PromQuery, Rule
from aiops.domain.series import Labels, SampleBatch
from aiops.domain.signal import Severity, SignalState
from tests.unit.detect import test_detector_contract, test_group_contract

T0, EVERY, POLLS, FAULT = 1_700_000_000.0, 15.0, 160, 40
PARAMETERS: dict[str, dict[str, Any]] = {
    "threshold": {"above": 130.0, "critical": 150.0},
    "logErrorRate": {"ratio": 2.0},
    "isolationForest": {"trees": 10, "window": 32},
    "drift": {"over": ["pod"], "reference": 900.0, "window": 300.0},
    "release": {"before": 100 * EVERY, "after": 5 * EVERY, "grace": 0.0, "until": 400 * EVERY, "resolution": EVERY},
    "burnRate": {"target": 0.99, "alerts": (BurnAlert(3600.0, 300.0, 14.4),)},
}
"""Of those that need some, or that would be slow at their defaults."""
PLAIN, ALL = sorted(BUILDERS), sorted([*BUILDERS, *GROUP_BUILDERS])


def rule(name: str, **changes: Any) -> Rule:
    query: Any = LogQuery("logs", 60.0, lines=1000) if name == "logTemplates" else PromQuery("q")
    return Rule(name, "s", query, EVERY, DetectorSpec(name, PARAMETERS.get(name, {})), Severity.WARNING, stale_after=120.0, **changes)


def knowing(detector: Any) -> Any:
    """Where it compares releases: all series had one when the fault begins."""
    if isinstance(detector, Compares):
        at = T0 + EVERY * (POLLS - FAULT)
        detector.released({row: Window(at, at) for row in range(8)})
    return detector


def values(seed: int = 1, level: float = 100.0) -> np.ndarray:
    """(POLLS, 8) around 100; a fault in all of them at the end, in the first one much greater."""
    made = np.random.default_rng(seed).normal(level, 3.0, (POLLS, 8))
    made[-FAULT:, 0] += 300.0
    made[-FAULT:, 1:] += 20.0
    return made


def labels_of(name: str) -> tuple[Labels, ...]:
    if name == "burnRate":
        kinds = ("bad 1h", "total 1h", "bad 5m", "total 5m", "covered 1h", "bad 30d", "total 30d", "more")
        return tuple({"workload": "w", OBJECTIVE_LABEL: kind} for kind in kinds)
    if name == "exhaustion":
        return tuple({"node": "n", EXHAUSTION_LABEL: kind} for kind in ("lead 2d", "within 7d", "use", "p10", "p50", "p90", "model trend", "more"))
    if name == "logTemplates":
        return tuple({"aiops_line": f"user {i} logged in"} for i in range(8))
    return tuple({"workload": "w", "pod": f"p{i}"} for i in range(8))


def answer(name: str, poll: float, line: Sequence[float] | np.ndarray, **changes: Any) -> SampleBatch:
    at = T0 + EVERY * poll
    return SampleBatch("s", "q", at, labels_of(name)[: len(line)], np.full(len(line), at), np.array(line, dtype=float), **changes)


def story(bank: RuleBank, batches: Sequence[SampleBatch]) -> list[tuple[Finding, ...]]:
    """Findings by answer; that each begins before it ends is asserted on the way."""
    told, firing = [], set[str]()
    for batch in batches:
        found = bank.observe(batch).findings
        for one in found:
            if one.state is SignalState.FIRING:
                assert (one.series in firing) is one.reason.startswith("Severity")
                firing.add(one.series)
            else:
                firing.remove(one.series)
            score = one.evidence.score
            assert score is None or (math.isfinite(score) and score >= 0.0)
        told.append(found)
    return told


def essence(told: Sequence[Sequence[Finding]]) -> list[list[tuple[Any, ...]]]:
    return [sorted(((f.series, f.state.value, f.reason, f.at, f.evidence) for f in found), key=repr) for found in told]


def test_none_is_left_out_of_the_contracts() -> None:
    """Those suites have a fault made for each algorithm; what is registered and not there is a mistake."""
    tried = {type(make()) for make in test_detector_contract.MAKERS.values()} | {type(make()[0]) for make in test_group_contract.MAKERS.values()}
    registered = {name: build_detector(rule(name)) for name in PLAIN} | {name: build_group(rule(name)) for name in GROUP_BUILDERS}
    assert [name for name, one in registered.items() if type(one) not in tried] == []


@pytest.mark.parametrize("name", PLAIN)
def test_memory_of_a_series_is_stated_and_holds(name: str) -> None:
    detector = build_detector(rule(name))
    before = detector.bytes_each
    rows = np.arange(64)
    for i in range(40):
        detector.score_and_learn(rows, np.full(64, T0 + EVERY * i), np.full(64, 100.0) + rows)
    assert before == detector.bytes_each
    # A file has a header for each column besides, and of isolationForest the common pool.
    assert len(detector.snapshot()) <= 64 * before + 20_000 + (200_000 if name == "isolationForest" else 0)


@pytest.mark.parametrize("name", PLAIN)
def test_above_one_is_wrong_and_one_or_less_is_not(name: str) -> None:
    detector = knowing(build_detector(rule(name)))
    rows = np.arange(8)
    wrong = 0
    for i, line in enumerate(values()):
        scores = detector.score_and_learn(rows, np.full(8, T0 + EVERY * i), line)
        wrong += int(scores.breach.sum())
        assert (scores.score[scores.breach] >= 1.0).all()
        assert (scores.score[scores.ready & ~scores.breach] <= 1.0).all()
    assert wrong > 0


@pytest.mark.parametrize("name", ALL)
def test_late_and_repeated_samples_change_nothing(name: str) -> None:
    plain = [answer(name, i, line) for i, line in enumerate(values())]
    disturbed = []
    for i, batch in enumerate(plain):
        disturbed.append(batch)
        if i % 5 == 3:
            disturbed += [batch, plain[i - 1]]
            if name in BUILDERS:  # the others judge whole answers, by the time asked for
                disturbed.append(dataclasses.replace(batch, times=batch.times - 3 * EVERY, values=batch.values * 9.0))
    bank, other = RuleBank(rule(name)), RuleBank(rule(name))
    expected = [f for f in essence(story(bank, plain)) if f]
    assert [f for f in essence(story(other, disturbed)) if f] == expected


@pytest.mark.parametrize("name", PLAIN)
def test_a_counter_that_begins_anew_is_no_departure(name: str) -> None:
    made = np.full((POLLS, 8), 30.0) + np.random.default_rng(2).normal(0.0, 1.0, (POLLS, 8))
    rising = np.cumsum(made, axis=0)
    reset = rising.copy()
    for at in (70, 100, 130):
        # What was counted since the reset is what rose since then.
        reset[at:] -= reset[at - 1]
    counting = rule(name, kind=MetricKind.COUNTER)
    if name == "threshold":
        counting = dataclasses.replace(counting, detector=DetectorSpec(name, {"above": 10.0}))
    expected, found = (story(RuleBank(counting), [answer(name, i, line) for i, line in enumerate(lines)]) for lines in (rising, reset))
    assert [[(f.series, f.state, f.reason) for f in told] for told in found] == [[(f.series, f.state, f.reason) for f in told] for told in expected]
    assert sum(map(len, found)) <= 2  # one that begins and ends, in 1,280 samples of noise


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("odd", [1e300, -1e300, 5e-324, math.nan, math.inf, -math.inf])
def test_absurd_numbers_end_and_what_comes_after_is_judged(name: str, odd: float) -> None:
    made = values()
    made[60:64] = odd
    made[80:84, 2] = odd
    bank = RuleBank(rule(name))
    knowing(bank._known.detector)
    told = story(bank, [answer(name, i, line) for i, line in enumerate(made)])
    if name not in GROUP_BUILDERS:
        assert bank.observe(answer(name, POLLS, made[-1])).states["blind"] == 0
        assert any(f.state is SignalState.FIRING for found in told[-FAULT:] for f in found) or bank.firing()


@pytest.mark.parametrize("name", ALL)
def test_a_clock_that_jumps_back_for_good_is_followed_and_exactly_so_after_a_restart(name: str) -> None:
    made = values()
    before = [answer(name, i, line) for i, line in enumerate(made[:80])]
    after = [answer(name, i - 4000, line) for i, line in enumerate(made)]
    bank, again = RuleBank(rule(name)), RuleBank(rule(name))
    story(bank, before)
    again.restore(bank.snapshot())
    for batch in after:
        first, second = bank.observe(batch), again.observe(batch)
        assert (first.states, first.dropped) == (second.states, second.dropped)
        assert essence([first.findings]) == essence([second.findings])
    assert bank.snapshot() == again.snapshot()
    assert bank.observe(answer(name, POLLS - 4000, made[-1])).scored > 0


QUIET: dict[str, Callable[[int], float]] = {"constant": lambda _: 100.0, "zero": lambda _: 0.0, "with holes": lambda i: math.nan if i % 7 == 3 else 100.0}


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("kind", sorted(QUIET))
def test_nothing_is_said_of_what_never_changes(name: str, kind: str) -> None:
    told = story(RuleBank(rule(name)), [answer(name, i, [QUIET[kind](i)] * 8) for i in range(POLLS)])
    if name == "burnRate" and kind != "zero":
        assert any(told)  # as many bad events as there are in all is no quiet
        return
    assert not any(told)
