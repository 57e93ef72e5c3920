"""What every detector of whole answers keeps, whatever its algorithm."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np
import pytest

from aiops.detect.burn_rate import BurnRate
from aiops.detect.drift import Drift
from aiops.detect.exhaustion import Exhaustion
from aiops.detect.groups import Assessed, GroupDetector
from aiops.detect.log_templates import LogTemplates
from aiops.domain.rule import EXHAUSTION_LABEL, BurnAlert
from aiops.domain.series import SampleBatch, series_id
from tests.unit.detect.groups import EVERY, T0, answer, gauges, histogram

Made = tuple[GroupDetector, list[SampleBatch]]
POLLS, FAULT = 240, 60


def drift_of_values() -> Made:
    values = np.random.default_rng(3).normal(100.0, 5.0, (POLLS, 5))
    values[-FAULT:] += 20.0
    return Drift(over=["pod"], reference=1800.0, window=450.0), gauges(values)


def drift_of_histogram() -> Made:
    rows = np.random.default_rng(3).multinomial(100, [0.5, 0.3, 0.2], POLLS)
    rows[-FAULT:] = rows[-FAULT:, ::-1]
    made = histogram(np.cumsum(np.cumsum(rows, axis=0), axis=1), ("1", "2", "+Inf"))
    return Drift(of="histogram", reference=1800.0, window=450.0, counter=True, reference_mode="pinned"), made


def drift_of_buckets() -> Made:
    rows = np.random.default_rng(4).multinomial(100, [0.5, 0.3, 0.2], POLLS)
    rows[-FAULT:] = rows[-FAULT:, ::-1]
    made = [answer(T0 + EVERY * i, [({"workload": "w", "took": k}, float(v)) for k, v in zip(("0", "50", "100"), line, strict=True)]) for i, line in enumerate(rows)]
    return Drift(of="buckets", over=["took"], reference=1800.0, window=450.0), made


def burn_rate() -> Made:
    alerts = (BurnAlert(3600.0, 300.0, 14.4, critical=True),)
    made = []
    for i in range(POLLS):
        bad = max(i - (POLLS - FAULT), 0) * 20.0
        events = {"bad 1h": bad, "total 1h": 3000.0, "bad 5m": min(bad, 250.0), "total 5m": 250.0, "covered 1h": 12.0, "bad 30d": bad, "total 30d": 1e6}
        made.append(answer(T0 + EVERY * i, [({"workload": "w", "aiops_events": k}, v) for k, v in events.items()]))
    return BurnRate(target=0.99, alerts=alerts), made


def exhaustion() -> Made:
    made = []
    for i in range(POLLS):
        said = {"lead 2d": 0.7 if i >= POLLS - FAULT else 0.02, "within 7d": 0.9, "use": 0.8, "p10": 9e4, "p50": 2e5, "p90": 3e5}
        made.append(answer(T0 + EVERY * i, [({"node": "n", EXHAUSTION_LABEL: k}, v) for k, v in said.items()]))
    return Exhaustion(), made


def log_templates() -> Made:
    made = []
    for i in range(POLLS):
        texts = [f"user {j} logged in" for j in range(5)] + (["disk is full"] * 40 if i >= POLLS - FAULT + 5 else [])
        made.append(answer(T0 + EVERY * i, [({"aiops_line": text, "app": "a"}, 1.0) for text in texts]))
    return LogTemplates(), made


MAKERS: dict[str, Callable[[], Made]] = {"exhaustion": exhaustion, "log-templates": log_templates, "burn-rate": burn_rate, "drift-values": drift_of_values, "drift-histogram": drift_of_histogram, "drift-buckets": drift_of_buckets}
FIELDS = ("score", "expected", "lower", "upper", "ready", "breach", "critical", "recovered")


@pytest.fixture(params=list(MAKERS))
def make(request: pytest.FixtureRequest) -> Callable[[], Made]:
    return MAKERS[request.param]


def same(a: Assessed, b: Assessed) -> None:
    assert list(a.labels) == list(b.labels)
    np.testing.assert_array_equal(a.values, b.values)
    for name in FIELDS:
        np.testing.assert_array_equal(getattr(a.scores, name), getattr(b.scores, name), err_msg=name)


def with_values(batch: SampleBatch, values: np.ndarray) -> SampleBatch:
    return dataclasses.replace(batch, values=values)


def test_it_finds_the_fault_and_nothing_before_it(make: Callable[[], Made]) -> None:
    detector, batches = make()
    seen = []
    for batch in batches:
        seen.append(found := detector.assess(batch))
        if found.scores.breach.any():
            assert detector.lines(series_id(found.labels[int(np.argmax(found.scores.breach))]))
    assert any(one.scores.breach.any() for one in seen[-FAULT:])
    assert not any(one.scores.breach.any() for one in seen[:-FAULT])
    for one in seen:
        scores = one.scores
        assert np.isfinite(scores.score[scores.ready]).all()
        assert np.isnan(scores.score[~scores.ready]).all()
        assert not (scores.breach & ~scores.ready).any()
        assert (scores.score[scores.breach] >= 1.0).all()
        assert (scores.score[scores.ready & ~scores.breach] <= 1.0).all()
        assert not (scores.critical & ~scores.breach).any()
        assert not (scores.recovered & scores.breach).any()


def test_nothing_depends_on_what_comes_later(make: Callable[[], Made]) -> None:
    (first, batches), (second, _) = make(), make()
    plain = [first.assess(b) for b in batches]
    altered = [second.assess(b if i < 200 else with_values(b, b.values * 3.0 + 7.0)) for i, b in enumerate(batches)]
    for a, b in zip(plain[:200], altered[:200], strict=True):
        same(a, b)


def test_the_order_within_an_answer_does_not_matter(make: Callable[[], Made]) -> None:
    (first, batches), (second, _) = make(), make()
    for batch in batches:
        order = np.random.default_rng(int(batch.at)).permutation(len(batch))
        turned = dataclasses.replace(batch, labels=tuple(batch.labels[i] for i in order), values=batch.values[order], times=batch.times[order])
        same(first.assess(batch), second.assess(turned))


def test_it_goes_on_exactly_where_a_snapshot_was_taken(make: Callable[[], Made]) -> None:
    detector, batches = make()
    for batch in batches[:150]:
        detector.assess(batch)
    other, _ = make()
    other.restore(detector.snapshot())
    assert other.snapshot() == detector.snapshot()
    for batch in batches[150:]:
        same(detector.assess(batch), other.assess(batch))
    assert other.snapshot() == detector.snapshot()


def test_a_damaged_snapshot_is_refused_and_the_state_is_as_before(make: Callable[[], Made]) -> None:
    detector, batches = make()
    for batch in batches[:100]:
        detector.assess(batch)
    before = detector.snapshot()
    for damaged in (b"garbage", before[: len(before) // 2], b"PK\x03\x04" + b"\x00" * 100):
        with pytest.raises(ValueError, match=r".+"):
            detector.restore(damaged)
    assert detector.snapshot() == before


def test_an_answer_that_is_known_to_be_incomplete_teaches_nothing(make: Callable[[], Made]) -> None:
    detector, batches = make()
    for batch in batches[:100]:
        detector.assess(batch)
    before = detector.snapshot()
    detector.assess(batches[100], learn=False)
    assert detector.snapshot() == before


def test_answers_that_repeat_or_come_late_teach_nothing(make: Callable[[], Made]) -> None:
    (first, batches), (second, _) = make(), make()
    for i, batch in enumerate(batches):
        same(first.assess(batch), second.assess(batch))
        second.assess(batch)
        if i:
            second.assess(batches[i - 1])
    for batch in (dataclasses.replace(b, at=b.at + EVERY * POLLS) for b in batches[:5]):
        same(first.assess(batch), second.assess(batch))


def test_a_clock_that_jumps_back_for_good_is_followed(make: Callable[[], Made]) -> None:
    detector, batches = make()
    for batch in batches[:150]:
        detector.assess(batch)
    back = [dataclasses.replace(b, at=b.at - 86400.0) for b in batches]
    seen = [detector.assess(b) for b in back]
    assert all(np.isfinite(one.scores.score[one.scores.ready]).all() for one in seen)
    assert detector.assess(dataclasses.replace(batches[0], at=T0 - 86400.0 + POLLS * EVERY)).labels


@pytest.mark.parametrize("odd", [float("nan"), float("inf"), float("-inf"), 1e300, -1e300, 5e-324])
def test_absurd_numbers_and_holes_break_nothing(make: Callable[[], Made], odd: float) -> None:
    detector, batches = make()
    for i, batch in enumerate(batches):
        values = batch.values.copy()
        values[0] = odd if i % 7 == 3 else values[0]
        found = detector.assess(with_values(batch, np.full(len(batch), odd) if i % 50 == 49 else values))
        assert np.isfinite(found.scores.score[found.scores.ready]).all()


def test_constants_are_quiet(make: Callable[[], Made]) -> None:
    detector, batches = make()
    for level in (0.0, 7.0):
        for batch in batches[: POLLS - FAULT]:
            moved = dataclasses.replace(batch, at=batch.at + level * 1e6, values=np.full(len(batch), level))
            found = detector.assess(moved)
            assert not found.scores.breach.any()


def test_an_empty_answer_is_no_error_and_what_is_forgotten_starts_fresh(make: Callable[[], Made]) -> None:
    detector, batches = make()
    for batch in batches[:100]:
        detector.assess(batch)
    known = {series_id(labels) for b in batches[:100] for labels in detector.assess(b, learn=False).labels}
    empty = dataclasses.replace(batches[0], at=T0 + 1e5, labels=(), times=np.empty(0), values=np.empty(0))
    assert len(detector.assess(empty).labels) == 0
    detector.forget(sorted(known))
    later = [dataclasses.replace(b, at=b.at + 2e5) for b in batches[:3]]
    assert isinstance(detector, BurnRate | Exhaustion | LogTemplates) or not any(detector.assess(b).scores.ready.any() for b in later)
