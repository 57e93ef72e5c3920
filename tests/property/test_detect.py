"""Whatever a source answers, a bank's story is consistent: no recovery without an alarm, no dependence on order, nothing lost in a restart."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from aiops.correlate.incident_flow import FlowPolicy, absorb, tick
from aiops.detect.bank import RuleBank
from aiops.detect.findings import Finding
from aiops.domain.incident import Incident, IncidentState
from aiops.domain.rule import DetectorSpec, MetricKind, MissingData, PromQuery, Rule
from aiops.domain.series import SampleBatch
from aiops.domain.signal import Severity, SignalState
from tests.unit.correlate.signals import T0, signal

NAMES = ("a", "b", "c", "d")
VALUES = st.one_of(st.integers(0, 20).map(float), st.sampled_from([float("nan"), float("inf"), float("-inf"), 1e300, -1e300, 5e-324]))


@dataclass(frozen=True)
class Poll:
    step: float
    samples: tuple[tuple[str, float, float], ...]
    partial: bool


SAMPLE = st.tuples(st.sampled_from(NAMES), VALUES, st.sampled_from([0.0, 0.0, 0.0, -15.0, -1000.0, 1000.0]))
POLLS = st.lists(
    st.builds(
        Poll,
        step=st.sampled_from([15.0, 15.0, 15.0, 15.0, 0.0, 300.0, -600.0]),
        samples=st.lists(SAMPLE, max_size=5).map(tuple),
        partial=st.sampled_from([False, False, False, True]),
    ),
    max_size=40,
)
RULES = st.builds(
    lambda hold, clear_hold, kind, missing, detector: Rule(
        name="r",
        source="s",
        query=PromQuery("q"),
        every=15.0,
        detector=detector,
        severity=Severity.WARNING,
        hold=hold,
        clear_hold=clear_hold,
        kind=kind,
        missing_data=missing,
        stale_after=60.0,
    ),
    st.sampled_from([0.0, 30.0]),
    st.sampled_from([0.0, 30.0]),
    st.sampled_from(list(MetricKind)),
    st.sampled_from(list(MissingData)),
    st.sampled_from(
        [
            DetectorSpec("threshold", {"above": 10.0, "clear": 8.0, "critical": 15.0}),
            DetectorSpec("threshold", {"below": 3.0}),
            DetectorSpec("seasonalZ", {"minimum_samples": 3, "window": 5, "season": 600.0, "bucket": 60.0}),
            DetectorSpec("fleet"),
            DetectorSpec("focus", {"false_alarms": 300.0}),
            DetectorSpec("peers", {"by": ["workload"]}),
            DetectorSpec("fleet", {"false_alarms": 300.0}),
            DetectorSpec("logErrorRate", {"minimum_count": 5, "ratio": 2.0}),
            DetectorSpec("adwin", {"clock": 2, "unit": 1.0, "hold": 60.0}),
            DetectorSpec("pageHinkley", {"minimum_samples": 3, "threshold": 5.0, "unit": 1.0, "hold": 60.0}),
            DetectorSpec("drift", {"reference": 600.0, "window": 300.0}),
            DetectorSpec("drift", {"of": "categories", "over": ["workload"], "reference": 600.0, "window": 300.0, "reference_mode": "pinned"}),
        ]
    ),
)


def batches(polls: Sequence[Poll], *, turned: bool = False) -> list[SampleBatch]:
    at, made = T0, []
    for poll in polls:
        at += poll.step
        # One sample a series: which of two wins is the order's business.
        samples = list({name: (name, value, offset) for name, value, offset in poll.samples}.values())
        samples = samples[::-1] if turned else samples
        labels = tuple({"workload": name} for name, _, _ in samples)
        times, values = np.array([at + offset for _, _, offset in samples]), np.array([value for _, value, _ in samples])
        made.append(SampleBatch("s", "q", at, labels, times, values, partial=poll.partial))
    return made


def essence(finding: Finding) -> tuple[Any, ...]:
    return finding.series, finding.state, finding.severity, finding.at, finding.reason, finding.evidence


def tell(bank: RuleBank, made: Sequence[SampleBatch]) -> list[list[tuple[Any, ...]]]:
    return [sorted((essence(f) for f in bank.observe(batch).findings), key=repr) for batch in made]


@settings(deadline=None, max_examples=150)
@given(RULES, POLLS)
def test_the_story_of_each_series_is_consistent(rule: Rule, polls: list[Poll]) -> None:
    bank = RuleBank(rule)
    firing: dict[str, Severity] = {}
    for poll, batch in zip(polls, batches(polls), strict=True):
        for finding in bank.observe(batch).findings:
            if finding.state is SignalState.FIRING:
                severity_only = finding.reason.startswith("Severity")
                assert (finding.series in firing) is severity_only
                firing[finding.series] = finding.severity
            else:
                assert not poll.partial
                del firing[finding.series]
        assert {f.series: f.severity for f in bank.firing()} == firing


@settings(deadline=None, max_examples=100)
@given(RULES, POLLS)
def test_the_order_of_series_in_an_answer_does_not_matter(rule: Rule, polls: list[Poll]) -> None:
    assert tell(RuleBank(rule), batches(polls)) == tell(RuleBank(rule), batches(polls, turned=True))


@settings(deadline=None, max_examples=100)
@given(RULES, POLLS, st.integers(0, 40))
def test_a_restart_changes_nothing(rule: Rule, polls: list[Poll], cut: int) -> None:
    made = batches(polls)
    whole, first = RuleBank(rule), RuleBank(rule)
    expected = tell(whole, made)
    told = tell(first, made[:cut])
    second = RuleBank(rule)
    second.restore(first.snapshot())
    assert told + tell(second, made[cut:]) == expected
    assert second.snapshot() == whole.snapshot()


POLICY = FlowPolicy(resolve_after=60.0, flap_window=300.0, max_flaps=2, flap_hold=200.0, max_signals=4)
CLAIMS = st.lists(
    st.tuples(
        st.sampled_from([1.0, 10.0, 100.0]),
        st.sampled_from(["errors", "latency", "memory", "disk", "queue"]),
        st.sampled_from(list(SignalState)),
        st.sampled_from(list(Severity)),
    ),
    max_size=60,
)


@settings(deadline=None, max_examples=300)
@given(CLAIMS)
def test_an_incident_is_resolved_only_when_nothing_fired_for_long_enough(claims: list[tuple[float, str, SignalState, Severity]]) -> None:
    current: Incident | None = None
    at, quiet_since = 0.0, 0.0
    for step, rule, state, severity in claims:
        at += step
        if current is not None and current.active:
            before = current
            current = tick(current, T0 + at, POLICY).incident
            assert current is not None
            if not current.active:
                assert not before.firing
                assert at - quiet_since >= POLICY.quiet_needed(before)
        last = None if current is None or current.active else current
        flow = absorb(current if last is None else None, last, [signal(rule, at, state=state, severity=severity)], T0 + at, POLICY)
        assert len(flow.decisions) == 1
        was_firing = current is not None and current.active and bool(current.firing)
        current = flow.incident if flow.incident is not None else last
        if current is None:
            continue
        assert len(current.signals) <= POLICY.max_signals
        assert current.active or not current.firing
        if was_firing and not current.firing:
            quiet_since = at
        if current.firing:
            assert current.state is not IncidentState.RESOLVED
            assert current.severity in {s.severity for s in current.firing}
