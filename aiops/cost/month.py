"""A month's cost: what is spent, what the whole will come to with an interval, and how a budget burns.

The forecast is that of `forecast.combination` on days; the interval is that of the *sum* still to come, split conformal over earlier days: what sums over
the same stretch missed there, and beyond the stretches that could be tried a growing multiple of it.
Neighbours: `allocation` brings the costs; `app.spending` reads the budgets.
"""

from __future__ import annotations

import calendar
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

import numpy as np

from aiops.domain.errors import CommandError
from aiops.domain.series import Floats
from aiops.forecast.combination import combine

DAY = 86400.0
WEEK = 7
LEAST = 4
"""Days of past below which there is no forecast, only the pace so far."""
ENOUGH = 4
"""Earlier days that a sum was tried at, at least."""
TRIED = 90
"""Earlier days that it is tried at, at most."""
GROWTH = 1.25
"""Power by which sums over more days than could be tried miss more: 1/2 for noise, 1 for a wrong level, 3/2 for what drifts."""


@dataclass(frozen=True, slots=True)
class Month:
    """A calendar month in UTC, Unix seconds."""

    name: str
    start: float
    end: float

    @property
    def days(self) -> int:
        """In it."""
        return round((self.end - self.start) / DAY)


def month_named(text: str) -> Month:
    """`2026-11`. Raises CommandError."""
    try:
        first = datetime.strptime(text, "%Y-%m").replace(tzinfo=UTC)
    except ValueError as error:
        raise CommandError(f"{text!r} is no month: write for example 2026-11") from error
    days = calendar.monthrange(first.year, first.month)[1]
    return Month(first.strftime("%Y-%m"), first.timestamp(), first.timestamp() + days * DAY)


def month_of(at: float) -> Month:
    """The month that a time lies in."""
    return month_named(datetime.fromtimestamp(at, UTC).strftime("%Y-%m"))


@dataclass(frozen=True, slots=True)
class Outlook:
    """A month's cost. `daily` is what each day cost so far (the last may be part of one); `cumulative` mean, low and high at the end of each step to come.

    `low` and `high` hold the month's total in 90 of 100 cases; None where there is too little past to say. `observed` is the share of the steps since its
    beginning that were seen; what lies between two that were seen is taken from them, what lies before the first is not in it.
    """

    month: Month
    now: float
    spent: float
    observed: float
    daily: Floats
    mean: float
    low: float | None
    high: float | None
    ahead: Floats
    mean_path: Floats
    low_path: Floats
    high_path: Floats


def outlook(start: float, step: float, totals: Floats, seen: np.ndarray, month: Month, *, coverage: float = 0.9) -> Outlook:
    """From the cost of each step (those before the month are past to learn from) to the month's end. Raises CommandError if nothing of the month is known."""
    times = start + step * np.arange(len(totals))
    keep = times + step <= month.end + 1e-6
    times, totals, seen = times[keep], totals[keep], seen[keep]
    inside = times >= month.start - 1e-6
    if not seen[inside].any():
        raise CommandError(f"nothing is known of the cost of {month.name}")
    first, last = int(np.flatnonzero(seen)[0]), int(np.flatnonzero(seen)[-1])
    # What lies between steps that were seen was spent too; what lies outside of them is not known.
    filled = np.interp(np.arange(first, last + 1), np.flatnonzero(seen), totals[seen])
    times, inside, seen = times[first : last + 1], inside[first : last + 1], seen[first : last + 1]
    now = float(times[-1] + step)
    spent = float(filled[inside].sum())
    day = ((times[inside] - month.start) // DAY).astype(np.int64)
    daily = np.asarray(np.bincount(day, filled[inside], minlength=int(day[-1]) + 1), dtype=np.float64)
    remaining = round((month.end - now) / step)
    ahead, width = _ahead(filled, max(remaining, 0), round(DAY / step), coverage)
    path = spent + ahead
    low_path, high_path = np.maximum(spent, path - width), path + width
    known = bool(np.isfinite(width).all())
    return Outlook(
        month, now, spent, float(seen[inside].sum() / max(1, round((now - month.start) / step))), daily, float(path[-1]) if len(path) else spent,
        (float(low_path[-1]) if len(path) else spent) if known else None, (float(high_path[-1]) if len(path) else spent) if known else None,
        np.asarray(now + step * (1.0 + np.arange(len(path))), dtype=np.float64), path, low_path, high_path,
    )  # fmt: skip


def _ahead(values: Floats, steps: int, day: int, coverage: float) -> tuple[Floats, Floats]:
    """The sum up to the end of each of `steps` steps to come, and how far it may miss (NaN: not known). `day`: steps in one.

    Whole days back from now are forecast with a week as their season, since that is what bills follow; a day's cost falls evenly on its steps.
    """
    if not steps:
        return np.empty(0), np.empty(0)
    days = values[len(values) % day :].reshape(-1, day).sum(axis=1) if len(values) >= day else np.empty(0)
    at = np.arange(1, steps + 1) / day
    if len(days) < LEAST:
        return at * day * float(values.mean()), np.full(steps, np.nan)
    count = -(-steps // day)
    path = np.concatenate([[0.0], _path(days, count)])
    width = np.concatenate([[0.0], _missed(days, count, coverage)])
    grid = np.arange(count + 1)
    return np.interp(at, grid, path), np.interp(at, grid, width)


def _path(days: Floats, count: int) -> Floats:
    """Running sums of the next days."""
    return np.cumsum(np.maximum(combine(days, count, (WEEK,)).mean, 0.0))


def _missed(days: Floats, count: int, coverage: float) -> Floats:
    """How far a sum over 1, 2, … `count` days may miss: the quantile of what it missed at every earlier day. NaN if there was none to try it at."""
    origins = range(max(LEAST, len(days) // 3, len(days) - TRIED), len(days))  # what was missed with a third of the past says little of now
    missed: list[list[float]] = [[] for _ in range(count)]
    for origin in origins:
        reach = min(count, len(days) - origin)
        for n, error in enumerate(np.abs(_path(days[:origin], reach) - np.cumsum(days[origin : origin + reach]))):
            missed[n].append(float(error))
    width = np.full(count, np.nan)
    for n, errors in enumerate(missed):
        if len(errors) < ENOUGH:
            break
        apart = max(1.0, len(errors) / (n + 1))  # sums over the same days are one observation
        width[n] = np.quantile(errors, min(1.0, coverage * (apart + 1) / apart)) * np.sqrt(1.0 + 1.0 / apart)
    known = np.flatnonzero(np.isfinite(width))
    if not len(known):
        return width
    last = int(known[-1])
    # A sum does not miss less at its end than on its way there.
    width[: last + 1] = np.maximum.accumulate(width[: last + 1])
    width[last:] = width[last] * (np.arange(last, count) + 1.0) ** GROWTH / (last + 1.0) ** GROWTH
    return width


class Burn(StrEnum):
    """How a budget stands, the worst that holds."""

    FINE = "fine"
    POSSIBLE = "possible"
    FAST = "fast"
    LIKELY = "likely"
    CERTAIN = "certain"
    OVER = "over"


FAST_DAY, FAST_WEEK = 2.0, 1.2
"""Times the even pace over the last day and the last week, both, that count as fast: a short window to notice, a long one so that one odd day is no alarm."""


@dataclass(frozen=True, slots=True)
class BudgetState:
    """`burn_day` and `burn_week`: spending speed over the last day and week against the pace that uses the budget up evenly. `used_up`: when the forecast crosses it."""

    name: str
    monthly: float
    spent: float
    share: float
    burn: Burn
    burn_day: float
    burn_week: float
    used_up: float | None
    reason: str


def budget_state(name: str, monthly: float, seen: Outlook) -> BudgetState:
    """Judge one budget of `monthly` (above 0) by an outlook."""
    pace = monthly / seen.month.days
    elapsed = (seen.now - seen.month.start) / DAY
    day, week = (_pace(seen.daily, elapsed, days) / pace for days in (1, 7))
    crossed = np.flatnonzero(seen.mean_path >= monthly)
    used_up = seen.now if seen.spent >= monthly else float(seen.ahead[crossed[0]]) if len(crossed) else None
    burn, reason = Burn.FINE, f"the forecast {seen.mean:,.0f} is within {monthly:,.0f}"
    if seen.spent >= monthly:
        burn, reason = Burn.OVER, f"{seen.spent:,.0f} of {monthly:,.0f} are spent"
    elif seen.low is not None and seen.low > monthly:
        burn, reason = Burn.CERTAIN, f"even the low end of the forecast, {seen.low:,.0f}, is above {monthly:,.0f}"
    elif seen.mean > monthly:
        burn, reason = Burn.LIKELY, f"the forecast {seen.mean:,.0f} is above {monthly:,.0f}"
    elif day >= FAST_DAY and week >= FAST_WEEK:
        burn, reason = Burn.FAST, f"the last day burned {day:.1f} times the even pace, the last week {week:.1f} times"
    elif seen.high is not None and seen.high > monthly:
        burn, reason = Burn.POSSIBLE, f"the high end of the forecast, {seen.high:,.0f}, is above {monthly:,.0f}"
    return BudgetState(name, monthly, seen.spent, seen.spent / monthly, burn, day, week, used_up, reason)


def _pace(daily: Floats, elapsed: float, days: int) -> float:
    """Money a day over the last `days`, from what each day of the month cost so far; the last entry is what has passed of its day."""
    part = elapsed - (len(daily) - 1)
    span = min(elapsed, days)
    if span <= 0.0:
        return 0.0
    whole = np.concatenate([[0.0], np.cumsum(daily)])
    at = np.concatenate([np.arange(len(daily), dtype=np.float64), [len(daily) - 1 + max(part, 1e-9)]])
    return float((whole[-1] - np.interp(elapsed - span, at, whole)) / span)
