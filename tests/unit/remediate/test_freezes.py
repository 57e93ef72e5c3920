"""Change freezes: recurrences in local time across both changes of the clock, fixed ones, whom they cover, and words for what is wrong."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aiops.domain.target import TargetRef
from aiops.remediate.freezes import Freeze, FreezeError, make
from aiops.remediate.guards.contract import GuardLimits
from aiops.remediate.recurrence import Recurrence
from tests.unit.remediate.shop import Case, Shop, make_plan, workload


def at(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


def windows(rule: str, day: str, *, zone: str = "UTC", hours: float = 1.0, start: str = "") -> list[str]:
    """Begin and end in UTC of what touches the day."""
    frozen = make("f", rule=rule, duration=hours * 3600, zone=zone, start=start)
    assert frozen.recurrence is not None
    found = frozen.recurrence.windows(at(f"{day}T12:00+00:00"))
    return ["/".join(datetime.fromtimestamp(t, UTC).strftime("%dT%H:%M") for t in w) for w in found]


@pytest.mark.parametrize(
    ("day", "window"),
    [
        ("2026-03-28", "28T01:30/28T02:30"),  # winter: an hour ahead of UTC
        ("2026-03-29", "29T01:30/29T02:30"),  # 02:30 does not exist: taken at the offset before the leap, 03:30 in summer time
        ("2026-03-30", "30T00:30/30T01:30"),  # summer: two hours ahead
        ("2026-10-24", "24T00:30/24T01:30"),
        ("2026-10-25", "25T00:30/25T01:30"),  # 02:30 comes twice: the first one
        ("2026-10-26", "26T01:30/26T02:30"),
    ],
)
def test_local_time_is_kept_across_both_changes_of_the_clock(day: str, window: str) -> None:
    assert windows("FREQ=DAILY;BYHOUR=2;BYMINUTE=30", day, zone="Europe/Berlin") == [window]


def test_a_duration_is_exact_where_the_clock_changes_within_it() -> None:
    # Friday 16:00 to 64 hours later: Monday 08:00, and an hour earlier or later by the wall clock if it changed in between.
    rule = "FREQ=WEEKLY;BYDAY=FR;BYHOUR=16"
    assert windows(rule, "2026-11-01", zone="America/New_York", hours=64) == ["30T20:00/02T12:00"]
    assert windows(rule, "2026-11-08", zone="America/New_York", hours=64) == ["06T21:00/09T13:00"]
    assert windows(rule, "2026-03-08", zone="America/New_York", hours=64) == ["06T21:00/09T13:00"]


@pytest.mark.parametrize(
    ("rule", "start", "day", "found"),
    [
        ("FREQ=MONTHLY;BYDAY=-1FR", "", "2026-11-27", ["27T00:00/27T01:00"]),
        ("FREQ=MONTHLY;BYDAY=-1FR", "", "2026-11-20", []),
        ("FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=29", "", "2028-02-29", ["29T00:00/29T01:00"]),
        ("FREQ=WEEKLY;INTERVAL=2;BYDAY=MO", "2026-11-16T00:00", "2026-11-30", ["30T00:00/30T01:00"]),
        ("FREQ=WEEKLY;INTERVAL=2;BYDAY=MO", "2026-11-16T00:00", "2026-11-23", []),
        ("FREQ=DAILY;COUNT=2", "2026-11-16T08:00", "2026-11-17", ["17T08:00/17T09:00"]),
        ("FREQ=DAILY;COUNT=2", "2026-11-16T08:00", "2026-11-18", []),
        ("FREQ=DAILY;BYDAY=SA,SU;BYHOUR=0", "", "2026-11-28", ["28T00:00/28T01:00"]),
        ("FREQ=DAILY;BYDAY=SA,SU;BYHOUR=0", "", "2026-11-27", []),
        ("FREQ=DAILY;BYMONTHDAY=-1;BYHOUR=6", "", "2026-11-30", ["30T06:00/30T07:00"]),
        ("FREQ=DAILY;BYHOUR=6;UNTIL=20261130", "", "2026-11-30", ["30T06:00/30T07:00"]),
        ("FREQ=DAILY;BYHOUR=6;UNTIL=20261130T055959Z", "", "2026-11-30", []),
        ("RRULE:FREQ=HOURLY;BYHOUR=6,7;BYMINUTE=15", "1980-01-01T00:00", "2026-11-30", ["30T06:15/30T07:15", "30T07:15/30T08:15"]),
        ("FREQ=DAILY", "2030-01-01T00:00", "2026-11-30", []),
    ],
)
def test_recurrences(rule: str, start: str, day: str, found: list[str]) -> None:
    assert windows(rule, day, start=start) == found


@settings(max_examples=100, deadline=None)
@given(
    st.sampled_from(["FREQ=DAILY;BYHOUR=2;BYMINUTE=30", "FREQ=WEEKLY;BYDAY=SU;BYHOUR=1,2,3", "FREQ=HOURLY;INTERVAL=5", "FREQ=DAILY;INTERVAL=3;BYHOUR=23"]),
    st.sampled_from(["UTC", "Europe/Berlin", "America/New_York", "Pacific/Kiritimati", "Australia/Lord_Howe"]),
    st.integers(0, 400 * 24 * 4), st.integers(1, 40),
)
def test_a_start_of_long_ago_changes_nothing_but_the_cost(rule: str, zone: str, quarter: int, hours: int) -> None:
    near = datetime(2026, 1, 5)  # noqa: DTZ001
    # 30030 days, a multiple of the weeks, three days and five hours that the rules step by.
    far = near.fromordinal(near.toordinal() - 30030)
    now = at("2026-01-20T00:00+00:00") + quarter * 900
    one, other = (Recurrence(rule, hours * 3600.0, zone, start) for start in (near, far))
    assert one.windows(now) == other.windows(now)
    inside = any(begin <= now < end for begin, end in one.windows(now))
    assert (one.until(now) is not None) is inside


@pytest.mark.parametrize(
    ("given_texts", "key", "words"),
    [
        ({"rule": "FREQ=SECONDLY", "duration": 60}, "rrule", "HOURLY"),
        ({"rule": "every friday", "duration": 60}, "rrule", "RFC 5545"),
        ({"rule": "FREQ=DAILY;BYHOUR=25", "duration": 60}, "rrule", "hour"),
        ({"rule": "FREQ=DAILY;BYDAY=1MO", "duration": 60}, "rrule", "BYDAY"),
        ({"rule": "FREQ=DAILY;BYMONTH=13", "duration": 60}, "rrule", "BYMONTH must be from 1 to 12"),
        ({"rule": "FREQ=MONTHLY;BYDAY=9MO", "duration": 60}, "rrule", "no such day"),
        ({"rule": "FREQ=DAILY;BYMONTH=2;BYMONTHDAY=30", "duration": 60}, "rrule", "no time at all"),
        ({"rule": "FREQ=DAILY;UNTIL=tomorrow", "duration": 60}, "rrule", "no date"),
        ({"rule": "FREQ=DAILY;COUNT=3;UNTIL=20270101", "duration": 60}, "rrule", "exclude"),
        ({"rule": "FREQ=DAILY;COUNT=0", "duration": 60}, "rrule", "COUNT must be"),
        ({"rule": "FREQ=DAILY;INTERVAL=x", "duration": 60}, "rrule", "INTERVAL"),
        ({"rule": "FREQ=DAILY;BYYEARDAY=3", "duration": 60}, "rrule", "does not go with"),
        ({"rule": "FREQ=DAILY;COUNT=3", "duration": 60}, "start", "must be given"),
        ({"rule": "FREQ=WEEKLY", "duration": 60}, "start", "must be given"),
        ({"rule": "FREQ=DAILY", "duration": 60, "start": "2026-01-01T00:00Z"}, "start", "offset"),
        ({"rule": "FREQ=DAILY", "duration": 60, "start": "soon"}, "start", "no time"),
        ({"rule": "FREQ=DAILY"}, "duration", "must be given"),
        ({"rule": "FREQ=DAILY", "duration": 32 * 86400}, "duration", "31d"),
        ({"rule": "FREQ=DAILY", "duration": 60, "zone": "Europe/Nowhere"}, "timezone", "IANA"),
        ({"rule": "FREQ=DAILY", "duration": 60, "zone": "../../etc/passwd"}, "timezone", "IANA"),
        ({"rule": "FREQ=DAILY", "duration": 60, "begins": "2026-01-01"}, "rrule", "go together"),
        ({"duration": 60}, "duration", "not given"),
        ({}, "from", "must be given"),
        ({"begins": "2026-01-01"}, "until", "must be given"),
        ({"begins": "2026-01-02", "ends": "2026-01-01"}, "until", "not after"),
        ({"begins": "yesterday", "ends": "2026-01-01"}, "from", "no time"),
    ],
)
def test_what_is_wrong_is_said_with_its_key(given_texts: dict[str, Any], key: str, words: str) -> None:
    with pytest.raises(FreezeError) as caught:
        make("f", **given_texts)
    assert (caught.value.key, words in str(caught.value)) == (key, True), str(caught.value)


# --- the guard


@pytest.fixture(scope="module")
def shop() -> Shop:
    return Shop(workload())


def judged(shop: Shop, *freezes: Freeze, plan: Any = None) -> str | None:
    return Case(shop, plan or make_plan(), limits=GuardLimits(freezes=freezes)).refused().get("freeze")


def now_frozen(shop: Shop, **scope: Any) -> Freeze:
    return Freeze("black-friday", begins=shop.now - 1, ends=shop.now + 60, **scope)


def test_a_freeze_covers_by_namespace_and_label_and_lets_named_runbooks_go_on(shop: Shop) -> None:
    assert judged(shop, now_frozen(shop)) == "Frozen"
    assert judged(shop, now_frozen(shop, namespaces=("sh*",))) == "Frozen"
    assert judged(shop, now_frozen(shop, namespaces=("bank",))) is None
    assert judged(shop, now_frozen(shop, labels={"tier": "web"})) == "Frozen"
    assert judged(shop, now_frozen(shop, labels={"tier": "data"})) is None
    assert judged(shop, now_frozen(shop, allow=("scale-*",))) is None
    assert judged(shop, now_frozen(shop, allow=("restart-*",))) == "Frozen"
    assert judged(shop, now_frozen(shop), plan=make_plan("notify", {"message": "look"}, verify=False)) is None


def test_a_freeze_ends_at_its_end_and_the_refusal_says_when(shop: Shop) -> None:
    over = Freeze("over", begins=shop.now - 9, ends=shop.now)
    ahead = Freeze("ahead", begins=shop.now + 1, ends=shop.now + 9)
    assert judged(shop, over, ahead) is None
    assert judged(shop, Freeze("begins", begins=shop.now, ends=shop.now + 9)) == "Frozen"
    verdict = Case(shop, limits=GuardLimits(freezes=(now_frozen(shop),))).verdicts()["freeze"]
    assert "freeze black-friday covers shop/deployment/checkout until 2027-01-15" in verdict.detail


def test_what_is_not_known_of_a_target_counts_as_covered(shop: Shop) -> None:
    gone = make_plan(target=TargetRef("Deployment", "shop", "cart"))
    assert judged(shop, now_frozen(shop, labels={"tier": "data"}), plan=gone) == "Frozen"
    node = make_plan("something-new", target=TargetRef("Node", "", "node-0"))
    assert judged(shop, now_frozen(shop, namespaces=("shop",)), plan=node) == "Frozen"
    assert judged(shop, now_frozen(shop, namespaces=("bank",)), plan=node) is None
    case = Case(shop, node, limits=GuardLimits(freezes=(now_frozen(shop, namespaces=("bank",)),)))
    assert case.refused(pictures={})["freeze"] == "GuardUnavailable"
