"""One rule's bank: transitions, holds, missing data, bad samples, bounds, snapshots."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pytest

from aiops.detect.arrays import pack, unpack
from aiops.detect.bank import RuleBank
from aiops.detect.findings import Observed
from aiops.domain.rule import DetectorSpec, Direction, MetricKind, MissingData, PromQuery, Rule
from aiops.domain.series import SampleBatch, series_id
from aiops.domain.signal import Severity, SignalState

T0 = 1_700_000_000.0
A = {"workload": "a"}
B = {"workload": "b"}


def rule(**changes: Any) -> Rule:
    parameters = changes.pop("parameters", {"above": 10.0})
    base: dict[str, Any] = {
        "name": "too-much",
        "source": "prometheus",
        "query": PromQuery("x"),
        "every": 15.0,
        "detector": DetectorSpec("threshold", parameters),
        "severity": Severity.WARNING,
    }
    return Rule(**(base | changes))


def batch(at: float, samples: Sequence[tuple[Mapping[str, str], float]], *, times: Sequence[float] | None = None, partial: bool = False) -> SampleBatch:
    stamps = np.full(len(samples), at) if times is None else np.array(times, dtype=float)
    return SampleBatch("prometheus", "x", at, tuple(labels for labels, _ in samples), stamps, np.array([v for _, v in samples], dtype=float), partial=partial)


def run(bank: RuleBank, values: Sequence[float | None], *, start: int = 0) -> list[Observed]:
    """Polls of series A every 15 s; None is an absent series."""
    return [bank.observe(batch(T0 + 15 * (start + i), [] if v is None else [(A, v)])) for i, v in enumerate(values)]


def told(seen: Sequence[Observed]) -> list[tuple[int, str, str]]:
    return [(i, f.state.value, f.reason) for i, one in enumerate(seen) for f in one.findings]


def test_a_rule_without_hold_fires_at_the_first_sample_and_clears_at_the_first_good_one() -> None:
    seen = run(RuleBank(rule()), [1, 11, 12, 10, 3])
    assert told(seen) == [(1, "firing", "ThresholdCrossed"), (3, "cleared", "Recovered")]
    finding = seen[1].findings[0]
    assert finding.series == series_id(A)
    assert finding.severity is Severity.WARNING
    assert finding.at == T0 + 15
    assert (finding.evidence.value, finding.evidence.upper, finding.evidence.values) == (11.0, 10.0, (1.0, 11.0))
    assert finding.evidence.score == pytest.approx(1.1)


def test_hold_asks_for_an_unbroken_breach() -> None:
    bank = RuleBank(rule(hold=30.0))
    assert told(run(bank, [11, 11, 9, 11, 11, 11, 11])) == [(5, "firing", "ThresholdCrossed")]


def test_clear_hold_asks_for_an_unbroken_recovery() -> None:
    assert told(run(RuleBank(rule(clear_hold=30.0)), [11, 1, 1, 11, 1, 1, 1])) == [(0, "firing", "ThresholdCrossed"), (6, "cleared", "Recovered")]


def test_a_hold_is_not_assumed_over_a_time_nobody_saw() -> None:
    bank = RuleBank(rule(hold=30.0, stale_after=3600.0))
    assert told(run(bank, [11, None, None, None, None, None, 11])) == []
    assert told(run(bank, [11, 11], start=7)) == [(1, "firing", "ThresholdCrossed")]


def test_between_clear_and_threshold_an_alarm_stays() -> None:
    bank = RuleBank(rule(parameters={"above": 10.0, "clear": 8.0}))
    assert told(run(bank, [9, 11, 9, 9, 8, 9])) == [(1, "firing", "ThresholdCrossed"), (4, "cleared", "Recovered")]


def test_severity_rises_at_once_and_falls_slowly() -> None:
    seen = run(RuleBank(rule(parameters={"above": 10.0, "critical": 20.0})), [11, 25, 15, 25, 15, 15, 15, 15, 15, 15])
    assert told(seen) == [(0, "firing", "ThresholdCrossed"), (1, "firing", "SeverityRaised"), (8, "firing", "SeverityLowered")]
    assert [f.severity for one in seen for f in one.findings] == [Severity.WARNING, Severity.CRITICAL, Severity.WARNING]


def test_a_first_sample_beyond_critical_fires_as_critical() -> None:
    (seen,) = run(RuleBank(rule(parameters={"above": 10.0, "critical": 20.0})), [25])
    assert [f.severity for f in seen.findings] == [Severity.CRITICAL]


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), float("-inf")])
def test_what_is_not_finite_neither_fires_nor_clears(bad: float) -> None:
    assert told(run(RuleBank(rule()), [1, bad, bad])) == []
    seen = run(RuleBank(rule()), [11, bad, bad, 11])
    assert told(seen) == [(0, "firing", "ThresholdCrossed")]
    assert seen[1].states == {"warming": 0, "ready": 0, "blind": 1, "shed": 0}


def test_a_claim_that_cannot_be_seen_lapses_and_does_not_recover() -> None:
    seen = run(RuleBank(rule(stale_after=60.0)), [11, *[None] * 6])
    assert told(seen) == [(0, "firing", "ThresholdCrossed"), (5, "expired", "NoLongerSeen")]


def test_absence_counts_from_the_first_whole_answer_without_the_series() -> None:
    # The source was down for long: the first answer after it does not end what was never looked at.
    bank = RuleBank(rule(stale_after=60.0))
    bank.observe(batch(T0, [(A, 11)]))
    assert bank.observe(batch(T0 + 3600, [])).findings == ()
    assert [f.state for f in bank.observe(batch(T0 + 3660, [])).findings] == [SignalState.EXPIRED]


def test_absence_may_be_recovery() -> None:
    assert told(run(RuleBank(rule(missing_data=MissingData.CLEAR)), [11, None, 11])) == [
        (0, "firing", "ThresholdCrossed"),
        (1, "cleared", "AbsentIsRecovered"),
        (2, "firing", "ThresholdCrossed"),
    ]


def test_an_absent_count_is_zero() -> None:
    seen = run(RuleBank(rule(missing_data=MissingData.CLEAR, kind=MetricKind.COUNT)), [11, None])
    assert told(seen) == [(0, "firing", "ThresholdCrossed"), (1, "cleared", "Recovered")]
    assert seen[1].findings[0].evidence.values == (11.0, 0.0)


def test_absence_may_be_a_claim_of_its_own_and_ends_with_the_return() -> None:
    bank = RuleBank(rule(missing_data=MissingData.SIGNAL, hold=30.0, stale_after=60.0))
    seen = run(bank, [1, None, None, None, *[None] * 20, 1])
    # The claim outlasts staleAfter (absence is what it says); recovery shows at once, since clear_hold is zero.
    assert told(seen) == [(3, "firing", "SeriesAbsent"), (24, "cleared", "Recovered")]


def test_a_partial_answer_clears_nothing_and_says_nothing_about_the_absent() -> None:
    bank = RuleBank(rule(missing_data=MissingData.CLEAR))
    bank.observe(batch(T0, [(A, 11), (B, 11)]))
    half = bank.observe(batch(T0 + 15, [(A, 1)], partial=True))
    assert half.findings == ()
    assert half.states["blind"] == 0
    whole = bank.observe(batch(T0 + 30, [(A, 1)]))
    assert sorted((f.labels["workload"], f.reason) for f in whole.findings) == [("a", "Recovered"), ("b", "AbsentIsRecovered")]


def test_a_partial_answer_may_fire_what_is_too_much_and_not_what_is_too_little() -> None:
    high = RuleBank(rule()).observe(batch(T0, [(A, 11)], partial=True))
    low = RuleBank(rule(parameters={"below": 10.0})).observe(batch(T0, [(A, 1)], partial=True))
    assert (len(high.findings), len(low.findings)) == (1, 0)


def test_too_little_volume_is_not_judged() -> None:
    bank = RuleBank(rule(minimum_volume=100.0, volume_query="v"))
    key = series_id(A)
    assert bank.observe(batch(T0, [(A, 11)]), {key: 99.0}).findings == ()
    assert bank.observe(batch(T0 + 15, [(A, 11)])).findings == ()
    assert len(bank.observe(batch(T0 + 30, [(A, 11)]), {key: 100.0}).findings) == 1
    assert bank.observe(batch(T0 + 45, [(A, 1)]), {key: 1.0}).findings == ()


def learnt(kind: MetricKind, usual: float, volume: Mapping[str, float] | None = None) -> RuleBank:
    """A bank that saw one series at about `usual`, poll after poll."""
    bank = RuleBank(rule(detector=DetectorSpec("fleet"), kind=kind, **({"minimum_volume": 2.0, "volume_query": "v"} if volume else {})))
    for i, wobble in enumerate(np.random.default_rng(3).uniform(0.9, 1.1, 60)):
        assert bank.observe(batch(T0 + 15 * i, [(A, usual * wobble)]), volume).findings == ()
    return bank


def test_two_failures_of_three_requests_are_no_outage_and_twenty_of_thirty_are() -> None:
    key = series_id(A)
    few, many = learnt(MetricKind.RATIO, 0.2, {key: 1000.0}), learnt(MetricKind.RATIO, 0.2, {key: 1000.0})
    assert few.observe(batch(T0 + 900, [(A, 2 / 3)]), {key: 3.0}).findings == ()
    assert [f.reason for f in many.observe(batch(T0 + 900, [(A, 2 / 3)]), {key: 30.0}).findings] == ["UnlikeItself"]


def test_a_count_must_be_more_than_chance() -> None:
    assert learnt(MetricKind.COUNT, 4.0).observe(batch(T0 + 900, [(A, 9.0)])).findings == ()
    assert len(learnt(MetricKind.GAUGE, 4.0).observe(batch(T0 + 900, [(A, 9.0)])).findings) == 1
    assert len(learnt(MetricKind.COUNT, 4.0).observe(batch(T0 + 900, [(A, 14.0)])).findings) == 1


def test_the_dead_bands_and_the_direction_hold_for_what_is_learnt() -> None:
    for changes, found in (({}, 1), ({"direction": Direction.DOWN}, 0), ({"dead_band_absolute": 6.0}, 0), ({"dead_band_relative": 2.0}, 0)):
        bank = RuleBank(rule(detector=DetectorSpec("fleet"), **changes))
        for i, value in enumerate(np.random.default_rng(4).uniform(3.6, 4.4, 60).tolist()):
            bank.observe(batch(T0 + 15 * i, [(A, value)]))
        assert len(bank.observe(batch(T0 + 900, [(A, 9.0)])).findings) == found


def test_dead_bands_ask_for_both_sizes() -> None:
    bank = RuleBank(rule(dead_band_absolute=2.0, dead_band_relative=0.5))
    assert told(run(bank, [12, 14, 15.5])) == [(2, "firing", "ThresholdCrossed")]


def test_repeated_late_and_future_samples_are_dropped_and_counted() -> None:
    bank = RuleBank(rule())
    bank.observe(batch(T0, [(A, 1)]))
    assert bank.observe(batch(T0 + 15, [(A, 11)], times=[T0])).dropped == {"RepeatedSample": 1}
    assert bank.observe(batch(T0 + 15, [(A, 11)], times=[T0 - 5])).dropped == {"LateSample": 1}
    assert bank.observe(batch(T0 + 15, [(A, 11)], times=[T0 + 1000])).dropped == {"UnusableTime": 1}
    assert bank.observe(batch(T0 + 15, [(A, 11)], times=[float("nan")])).dropped == {"UnusableTime": 1}
    assert bank.firing() == ()


def test_a_clock_that_was_set_back_for_good_is_believed_after_a_while() -> None:
    bank = RuleBank(rule(stale_after=60.0))
    bank.observe(batch(T0, [(A, 1)]))
    back = [bank.observe(batch(T0 - 3600 + 15 * i, [(A, 11)])) for i in range(8)]
    assert [len(one.findings) for one in back] == [0, 0, 0, 0, 1, 0, 0, 0]


def test_the_same_series_twice_in_a_batch_counts_once() -> None:
    seen = RuleBank(rule()).observe(batch(T0, [(A, 1), (dict(A), 11), (B, 11)]))
    assert seen.dropped == {"DuplicateSeries": 1}
    assert [f.labels for f in seen.findings] == [B]


def test_the_number_of_series_is_bounded_and_the_gone_make_room() -> None:
    bank = RuleBank(rule(), max_series=2)
    assert bank.observe(batch(T0, [({"pod": str(i)}, 1.0) for i in range(5)])).dropped == {"SeriesLimit": 3}
    bank.observe(batch(T0 + 15, [({"pod": "0"}, 1.0)]))
    seen = bank.observe(batch(T0 + 30, [({"pod": "0"}, 1.0), ({"pod": "new"}, 11.0)]))
    assert seen.dropped == {}
    assert [f.labels for f in seen.findings] == [{"pod": "new"}]


def test_a_series_that_fires_is_not_pushed_out() -> None:
    bank = RuleBank(rule(), max_series=1)
    bank.observe(batch(T0, [(A, 11)]))
    bank.observe(batch(T0 + 15, []))
    assert bank.observe(batch(T0 + 30, [(B, 11)])).dropped == {"SeriesLimit": 1}
    assert [f.labels for f in bank.firing()] == [A]


def test_a_vanished_series_is_forgotten_and_its_row_starts_fresh() -> None:
    bank = RuleBank(rule(hold=30.0), ttl=60.0)
    bank.observe(batch(T0, [(A, 11)]))
    for i in range(1, 7):
        bank.observe(batch(T0 + 15 * i, []))
    assert len(bank) == 0
    assert bank.observe(batch(T0 + 120, [(B, 11)])).findings == ()


def test_a_counter_is_judged_by_its_increase_and_may_reset() -> None:
    bank = RuleBank(rule(kind=MetricKind.COUNTER, parameters={"above": 1.0}))
    # 15 a poll is 1/s; the reset to 3 is an increase of 3, not a fall.
    seen = run(bank, [1000, 1015, 1030, 3, 18, 48, float("nan"), 78])
    assert told(seen) == [(5, "firing", "ThresholdCrossed"), (7, "cleared", "Recovered")]
    assert seen[0].states["blind"] == 1


def test_firing_lists_what_fires_with_fresh_evidence() -> None:
    bank = RuleBank(rule())
    run(bank, [11, 12, 13])
    (now,) = bank.firing()
    assert (now.state, now.reason, now.evidence.value, now.at) == (SignalState.FIRING, "ThresholdCrossed", 13.0, T0 + 30)


def test_evidence_keeps_the_last_sixty_samples_oldest_first() -> None:
    bank = RuleBank(rule())
    run(bank, [*range(-70, 0), 11])
    (now,) = bank.firing()
    assert now.evidence.values == (*[float(v) for v in range(-59, 0)], 11.0)
    assert list(now.evidence.times) == sorted(now.evidence.times)


def test_a_restart_neither_forgets_nor_repeats() -> None:
    old = RuleBank(rule(hold=30.0))
    run(old, [11, 11, 11, 11])
    new = RuleBank(rule(hold=30.0))
    new.restore(old.snapshot())
    assert [f.series for f in new.firing()] == [series_id(A)]
    assert new.snapshot() == old.snapshot()
    assert told(run(new, [11, 1], start=4)) == [(1, "cleared", "Recovered")]


def test_a_snapshot_of_another_rule_or_a_damaged_one_is_refused() -> None:
    bank = RuleBank(rule())
    run(bank, [11])
    data = bank.snapshot()
    with pytest.raises(ValueError, match="not of rule too-much"):
        RuleBank(rule(parameters={"above": 11.0})).restore(data)
    for damaged in (b"", b"garbage", data[: len(data) // 2], data[:-100]):
        with pytest.raises(ValueError, match="cannot be read"):
            RuleBank(rule()).restore(damaged)


def test_a_snapshot_that_fits_by_half_changes_nothing() -> None:
    seasonal = DetectorSpec("seasonalZ", {"season": 0.0, "minimum_samples": 2, "window": 5})
    bank = RuleBank(rule(detector=seasonal))
    run(bank, [1, 1, 1, 50])
    arrays, header = unpack(bank.snapshot())
    other = RuleBank(rule(detector=seasonal))
    run(other, [2, 2, 2])
    before = other.snapshot()
    for missing in ("recent.times", "alarms.level", "detector", "state.value"):
        with pytest.raises(ValueError, match=r".+"):
            other.restore(pack({k: v for k, v in arrays.items() if k != missing}, header))
    with pytest.raises(ValueError, match="damaged"):
        other.restore(pack(arrays, {"key": header["key"]}))
    assert other.snapshot() == before


def test_interned_and_fresh_label_objects_are_the_same_series() -> None:
    bank = RuleBank(rule())
    for i in range(3):
        bank.observe(batch(T0 + 15 * i, [(A if i % 2 else dict(A), 1.0)]))
    assert len(bank) == 1


def test_hostile_labels_are_only_data() -> None:
    labels = {"pod": "\ud800\x00'\"\\{}\n" * 100, "": ""}
    bank = RuleBank(rule())
    bank.observe(batch(T0, [(labels, 11)]))
    again = RuleBank(rule())
    again.restore(bank.snapshot())
    assert [f.labels for f in again.firing()] == [labels]


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({}, "needs above or below"),
        ({"above": 1.0, "clear": 2.0}, "good side"),
        ({"below": 1.0, "critical": 2.0}, "beyond"),
        ({"over": 1.0}, "unexpected keyword"),
    ],
)
def test_levels_that_contradict_each_other_are_refused(parameters: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        RuleBank(rule(parameters=parameters))


def test_an_unknown_detector_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match="no detector 'oracle'; allowed: "):
        RuleBank(rule(detector=DetectorSpec("oracle")))


def test_a_slow_source_does_not_keep_a_hold_from_passing() -> None:
    # Polls are meant each 15 s and succeed each 100 s: the first long interval is a gap, the second is the rhythm.
    bank = RuleBank(rule(hold=30.0))
    fired = [len(bank.observe(batch(T0 + 100 * i, [(A, 11)])).findings) for i in range(4)]
    assert fired == [0, 0, 1, 0]


def test_what_reached_nobody_is_told_again_as_it_stands_then() -> None:
    bank = RuleBank(rule())
    (lost,) = run(bank, [11])[0].findings
    bank.not_taken([lost])
    again = run(bank, [12], start=1)[0].findings
    assert [(f.state, f.reason, f.evidence.value) for f in again] == [(SignalState.FIRING, "ThresholdCrossed", 12.0)]
    assert run(bank, [12], start=2)[0].findings == ()


def test_what_ended_before_it_could_be_told_is_told_as_ended() -> None:
    bank = RuleBank(rule())
    bank.not_taken(run(bank, [11])[0].findings)
    assert [(f.state, f.reason) for f in run(bank, [1], start=1)[0].findings] == [(SignalState.CLEARED, "Recovered")]
    bank.not_taken(run(bank, [11, 1], start=2)[1].findings)
    assert [(f.state, f.reason) for f in run(bank, [1], start=4)[0].findings] == [(SignalState.CLEARED, "Recovered")]


def test_a_lost_expiry_is_told_though_its_series_is_gone() -> None:
    bank = RuleBank(rule(stale_after=30.0), ttl=30.0)
    seen = run(bank, [11, None, None, None])
    bank.not_taken(seen[3].findings)
    assert [(f.state, f.reason) for f in run(bank, [None], start=4)[0].findings] == [(SignalState.EXPIRED, "NoLongerSeen")]
