"""Recurring windows of time: an RFC 5545 RRULE in local time, a duration, a time zone. Pure; `python-dateutil` expands the rule.

Starts are wall-clock times of the zone, durations are exact, as RFC 5545 (3.3.10, 3.8.2.5) has them. A start that the clock leaps over in
spring is taken at the offset before the leap, one that comes twice in autumn is the first (RFC 5545, 3.3.5): a window is rather too early than missing.
Neighbours: `freezes` asks; the settings' texts are checked by making one.
"""

from __future__ import annotations

import calendar
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any

from dateutil.rrule import rrulestr

from aiops.domain.timezone import zone_of

DAY = 86400.0
LONGEST = 31 * DAY
_MOST = 1000
_ANCHOR = datetime(2000, 1, 1)  # noqa: DTZ001 (wall-clock time of whatever zone)
# Wall clocks of the world differ from UTC by at most 14 h, and leap by at most a day.
_MARGIN = timedelta(hours=26)
_STEPS = {"HOURLY": timedelta(hours=1), "DAILY": timedelta(days=1), "WEEKLY": timedelta(weeks=1)}
_FREQUENCIES = (*_STEPS, "MONTHLY", "YEARLY")
_PARTS = frozenset({
    "FREQ", "INTERVAL", "COUNT", "UNTIL", "BYMONTH", "BYMONTHDAY", "BYYEARDAY", "BYWEEKNO", "BYDAY", "BYHOUR", "BYMINUTE", "BYSECOND", "BYSETPOS",
    "WKST", "BYEASTER",
})  # fmt: skip
# What a rule leaves open is taken from its start: without these parts it does not say when, and needs one.
_SAYS_WHEN = {
    "WEEKLY": {"BYDAY"}, "MONTHLY": {"BYDAY", "BYMONTHDAY"}, "YEARLY": {"BYMONTH", "BYMONTHDAY", "BYDAY", "BYYEARDAY", "BYWEEKNO", "BYEASTER"},
}  # fmt: skip
_UNTIL = re.compile(r"\d{8}(T\d{6}Z?)?")
_DAYS = ("MO", "TU", "WE", "TH", "FR", "SA", "SU")
_BOUNDS = {"BYMONTH": (1, 12), "BYMONTHDAY": (1, 31), "INTERVAL": (1, _MOST), "COUNT": (1, _MOST)}
# RFC 5545, the table of 3.3.10: parts that go with some frequencies only.
_ONLY = {"BYYEARDAY": {"YEARLY"}, "BYWEEKNO": {"YEARLY"}, "BYEASTER": {"YEARLY"}, "BYSETPOS": {"WEEKLY", "MONTHLY", "YEARLY"}}


@dataclass(frozen=True, slots=True)
class Recurrence:
    """`rule` as text, `duration` in seconds, `zone` an IANA name, `start` the first occurrence in local time (None: as long ago as may be)."""

    rule: str
    duration: float
    zone: str = "UTC"
    start: datetime | None = None

    def windows(self, now: float) -> tuple[tuple[float, float], ...]:
        """All that touch the day (UTC) of `now`, as begin and end in Unix seconds, by begin. Raises ValueError if `problems` finds any."""
        return _windows(self, now // DAY)

    def until(self, now: float) -> float | None:
        """If a window is open now: when the last of those that are ends (Unix seconds; the end is outside)."""
        return max((end for begin, end in self.windows(now) if begin <= now < end), default=None)


def parts(rule: str) -> dict[str, str]:
    """The rule's parts by name. Raises ValueError saying what is allowed."""
    text = rule.strip().upper().removeprefix("RRULE:")
    found: dict[str, str] = {}
    for part in text.split(";"):
        name, equals, value = part.partition("=")
        if not equals or not value or name not in _PARTS or name in found:
            raise ValueError(f"{part[:40]!r} is no part of a recurrence (RFC 5545), for example FREQ=WEEKLY;BYDAY=FR;BYHOUR=16")
        found[name] = value
    _check(found)
    return found


def _check(found: Mapping[str, str]) -> None:
    frequency = found.get("FREQ", "")
    if frequency not in _FREQUENCIES:
        raise ValueError(f"FREQ must be one of {', '.join(_FREQUENCIES)}")
    if "COUNT" in found and "UNTIL" in found:
        raise ValueError("COUNT and UNTIL exclude each other")
    if not _UNTIL.fullmatch(found.get("UNTIL", "20000101")):
        raise ValueError(f"UNTIL={found['UNTIL'][:40]} is no date: write 20261231, 20261231T180000 or 20261231T180000Z")
    alien = [name for name, frequencies in _ONLY.items() if name in found and frequency not in frequencies]
    if alien:
        raise ValueError(f"{alien[0]} does not go with FREQ={frequency}")
    for name, (low, high) in _BOUNDS.items():
        if not all(low <= n <= high or (-high <= n <= -low and name == "BYMONTHDAY") for n in _numbers(found, name)):
            raise ValueError(f"{name} must be from {low} to {high}")
    if frequency in ("HOURLY", "DAILY") and not set(found.get("BYDAY", "MO").split(",")) <= set(_DAYS):
        raise ValueError(f"BYDAY={found['BYDAY'][:40]} must be of {', '.join(_DAYS)} with FREQ={frequency}")


def problem(recurrence: Recurrence) -> str:
    """What is wrong with the rule, or empty. Zone and duration are the caller's to check first."""
    try:
        found = parts(recurrence.rule)
        needs = found.keys() & {"COUNT"} or int(found.get("INTERVAL", "1")) > 1 or not (_SAYS_WHEN.get(found["FREQ"], found.keys()) & found.keys())
        if recurrence.start is None and needs:
            return "start must be given: INTERVAL, COUNT and what the rule leaves open are counted from it"
        first = recurrence.start or _ANCHOR
        if not _starts(recurrence, first, first + timedelta(days=3660)):
            return "the rule gives no time at all within ten years"
    except (ValueError, TypeError, OverflowError) as error:
        return str(error)
    except IndexError:  # what the expansion makes of the ninth Monday of a month
        return "there is no such day"
    return ""


@lru_cache(maxsize=1024)
def _windows(recurrence: Recurrence, day: float) -> tuple[tuple[float, float], ...]:
    zone, length = zone_of(recurrence.zone), timedelta(seconds=recurrence.duration)
    begin = datetime.fromtimestamp(day * DAY, UTC).replace(tzinfo=None)
    found = []
    for start in _starts(recurrence, begin - length - _MARGIN, begin + timedelta(days=1) + _MARGIN):
        at = start.replace(tzinfo=zone).timestamp()
        found.append((at, at + recurrence.duration))
    return tuple(sorted(w for w in found if w[1] > day * DAY and w[0] < (day + 1) * DAY))


def _starts(recurrence: Recurrence, low: datetime, high: datetime) -> list[datetime]:
    """Occurrences from `low` to `high` in wall-clock time, both inclusive."""
    found = parts(recurrence.rule)
    start, last = recurrence.start or _ANCHOR, _last(found.pop("UNTIL", ""), recurrence.zone)
    if last is not None:
        high = min(high, last)
    if low > high or start > high:
        return []
    step = _STEPS.get(found["FREQ"])
    if step is not None and "COUNT" not in found:
        # A start of long ago is brought near by whole intervals, so that it need not be counted from there each time.
        step *= int(found.get("INTERVAL", "1"))
        start += step * max(0, (low - start) // step - 1)
    if found["FREQ"] in ("HOURLY", "DAILY"):
        return _filtered(found, start, low, high)
    return list(_expanded(found, start).between(low, high, inc=True))


def _filtered(found: Mapping[str, str], start: datetime, low: datetime, high: datetime) -> list[datetime]:
    """Of a rule that steps by hours or days. What only limits it is asked here: a rule that gives nothing would be searched to the end of the calendar."""
    count = int(found.get("COUNT", "0"))
    months, days = set(_numbers(found, "BYMONTH")), set(_numbers(found, "BYMONTHDAY"))
    names = {_DAYS.index(day) for day in found["BYDAY"].split(",")} if "BYDAY" in found else set(range(7))
    kept = {name: value for name, value in found.items() if name not in ("BYMONTH", "BYMONTHDAY", "BYDAY", "COUNT")}
    rule, result, seen = _expanded(kept, start), list[datetime](), 0
    for moment in rule.xafter(start, inc=True):
        if moment > high or (count and seen >= count):
            break
        length = calendar.monthrange(moment.year, moment.month)[1]
        fits = not days or moment.day in days or moment.day - length - 1 in days
        if fits and (not months or moment.month in months) and moment.weekday() in names:
            seen += 1
            if moment >= low:
                result.append(moment)
    return result


def _expanded(found: Mapping[str, str], start: datetime) -> Any:
    return rrulestr(";".join(f"{name}={value}" for name, value in found.items()), dtstart=start)


def _numbers(found: Mapping[str, str], name: str) -> list[int]:
    try:
        return [int(n) for n in found[name].split(",")] if name in found else []
    except ValueError:
        raise ValueError(f"{name}={found[name][:40]} is no list of whole numbers") from None


def _last(until: str, zone: str) -> datetime | None:
    """The last moment in which an occurrence may begin, in wall-clock time."""
    if not until:
        return None
    if "T" not in until:
        return datetime.strptime(until, "%Y%m%d") + timedelta(days=1) - timedelta(seconds=1)  # noqa: DTZ007 (wall-clock time)
    moment = datetime.strptime(until.rstrip("Z"), "%Y%m%dT%H%M%S")  # noqa: DTZ007
    return moment.replace(tzinfo=UTC).astimezone(zone_of(zone)).replace(tzinfo=None) if until.endswith("Z") else moment
