"""What can be seen of a source, and the claims about it."""

from __future__ import annotations

from aiops.correlate.sight import DARK, PARTIAL, SKEW, STALE, Seen, SightPolicy, SightState, SourceSight, answered, failed, tick
from aiops.domain.signal import SignalKind, SignalState
from tests.unit.correlate.signals import T0

POLICY = SightPolicy(dark_failures=3, dark_after=60.0, stale_after=120.0, partial_answers=2, skew=30.0)


def new() -> SourceSight:
    return answered(SourceSight("prometheus", T0), T0, POLICY).sight


def told(seen: Seen) -> list[tuple[str, str]]:
    return [(s.rule, s.state.value) for s in seen.signals]


def test_a_source_is_unknown_until_it_answers() -> None:
    sight = SourceSight("prometheus", T0)
    assert (sight.state, sight.usable) == (SightState.UNKNOWN, False)
    assert new().usable


def test_failures_in_a_row_make_it_dark_and_one_answer_ends_it() -> None:
    one = failed(new(), "Timeout", "10 s", T0 + 5, POLICY)
    assert (told(one), one.sight.state, one.sight.usable) == ([], SightState.FAILING, False)
    two = failed(one.sight, "Timeout", "10 s", T0 + 10, POLICY)
    three = failed(two.sight, "Refused", "no", T0 + 15, POLICY)
    assert (told(three), three.sight.state) == ([(DARK, "firing")], SightState.DARK)
    (signal,) = three.signals
    assert signal.kind is SignalKind.SIGHT
    assert signal.labels == {"source": "prometheus", "symptom": "dark"}
    assert "3 failures in a row (Refused), last answer 15 s ago" in signal.summary
    assert told(failed(three.sight, "Refused", "no", T0 + 20, POLICY)) == []
    back = answered(three.sight, T0 + 25, POLICY)
    assert (told(back), back.sight.state) == ([(DARK, "cleared")], SightState.OK)


def test_an_answer_between_failures_starts_the_count_anew() -> None:
    sight = failed(failed(new(), "Timeout", "", T0 + 1, POLICY).sight, "Timeout", "", T0 + 2, POLICY).sight
    sight = answered(sight, T0 + 3, POLICY).sight
    assert failed(sight, "Timeout", "", T0 + 4, POLICY).sight.state is SightState.FAILING


def test_a_source_that_nobody_asks_goes_dark_too() -> None:
    assert told(tick(new(), T0 + 59, POLICY)) == []
    assert told(tick(new(), T0 + 60, POLICY)) == [(DARK, "firing")]


def test_what_is_learnt_late_of_an_answer_does_not_make_the_claim_about_it_old() -> None:
    dark = tick(new(), T0 + 60, POLICY)
    still = answered(dark.sight, T0 + 100, POLICY, heard=T0 + 30)
    assert (told(still), still.sight.state, still.sight.answered_at) == ([], SightState.DARK, T0 + 30)
    (over,) = answered(still.sight, T0 + 101, POLICY, heard=T0 + 95).signals
    assert (over.state, over.at) == (SignalState.CLEARED, T0 + 101)


def test_a_source_that_never_answered_goes_dark() -> None:
    (signal,) = tick(SourceSight("logs", T0), T0 + 60, POLICY).signals
    assert "last answer never" in signal.summary


def test_old_samples_make_it_stale() -> None:
    seen = answered(new(), T0 + 200, POLICY, newest=T0 + 80)
    assert (told(seen), seen.sight.state) == ([(STALE, "firing")], SightState.STALE)
    assert told(answered(seen.sight, T0 + 210, POLICY, newest=T0 + 209)) == [(STALE, "cleared")]


def test_half_answers_in_a_row_make_it_partial() -> None:
    one = answered(new(), T0 + 5, POLICY, partial=True)
    assert told(one) == []
    two = answered(one.sight, T0 + 10, POLICY, partial=True)
    assert (told(two), two.sight.usable) == ([(PARTIAL, "firing")], False)
    assert told(answered(two.sight, T0 + 15, POLICY)) == [(PARTIAL, "cleared")]


def test_a_clock_that_differs_is_told_either_way() -> None:
    for skew in (31.0, -31.0):
        seen = answered(new(), T0 + 5, POLICY, skew=skew)
        assert told(seen) == [(SKEW, "firing")]
        assert seen.signals[0].evidence.value == skew
        assert told(answered(seen.sight, T0 + 10, POLICY, skew=1.0)) == [(SKEW, "cleared")]
    assert told(answered(new(), T0 + 5, POLICY, skew=30.0)) == []


def test_while_dark_nothing_else_is_called_over() -> None:
    sight = answered(new(), T0 + 5, POLICY, skew=40.0).sight
    sight = answered(answered(sight, T0 + 10, POLICY, partial=True).sight, T0 + 15, POLICY, partial=True).sight
    for i in range(3):
        seen = failed(sight, "Timeout", "", T0 + 20 + i, POLICY)
        sight = seen.sight
    assert told(seen) == [(DARK, "firing")]
    back = answered(sight, T0 + 30, POLICY, skew=0.0)
    assert sorted(told(back)) == [(SKEW, "cleared"), (DARK, "cleared"), (PARTIAL, "cleared")]


def test_the_same_claim_has_the_same_key_when_it_begins_and_ends() -> None:
    begun = tick(new(), T0 + 60, POLICY)
    over = answered(begun.sight, T0 + 70, POLICY)
    assert begun.signals[0].key == over.signals[0].key
    assert over.signals[0].state is SignalState.CLEARED
    assert begun.signals[0].id != over.signals[0].id


def test_hostile_error_texts_are_flattened_and_cut() -> None:
    sight = new()
    for i in range(3):
        seen = failed(sight, "ServerError", "\x1b[31m\n" * 10_000, T0 + i, POLICY)
        sight = seen.sight
    (line,) = seen.signals[0].evidence.lines
    assert len(line) <= 500
    assert line.isprintable()
