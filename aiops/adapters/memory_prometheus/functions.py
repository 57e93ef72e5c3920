"""Functions of one instant: arithmetic on each value, dates, and the labels that `absent` gives.

Neighbours: `evaluator` calls them, `label_functions` and `histogram` hold the rest.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from aiops.adapters.memory_prometheus.matchers import NAME, Op
from aiops.adapters.memory_prometheus.syntax import Node, RangeSelector, Selector
from aiops.adapters.memory_prometheus.vectors import Bools, Floats, Ints, LabelDict

_DAY = 86_400
# The calendar repeats after 400 years of 146,097 days (which are whole weeks too).
_CYCLE = 146_097 * _DAY
_FAR = 2**63


def _round(values: Floats, nearest: Floats) -> Floats:
    """To a multiple of `nearest`, halves up; by the inverse, as Prometheus does, since that rounds 0.1-like steps better."""
    inverse = 1.0 / nearest
    return np.asarray(np.floor(values * inverse + 0.5) / inverse)


def _clamp_max(values: Floats, high: Floats) -> Floats:
    # Go's Min: an infinity of the right sign wins even over NaN.
    return np.where(np.isneginf(values) | np.isneginf(high), -np.inf, np.minimum(values, high))


def _clamp_min(values: Floats, low: Floats) -> Floats:
    return np.where(np.isposinf(values) | np.isposinf(low), np.inf, np.maximum(values, low))


def _clamp(values: Floats, low: Floats, high: Floats) -> Floats:
    return _clamp_min(_clamp_max(values, high), low)


def whole_seconds(values: Floats) -> Ints:
    """Seconds since 1970 as integers. NaN and what is out of range become 2^63 as in Go, here less whole cycles of the calendar."""
    usable = _usable(values)
    return np.where(usable, np.where(usable, values, 0.0).astype(np.int64), _FAR % _CYCLE)


def _usable(values: Floats) -> Bools:
    return np.isfinite(values) & (np.abs(values) < 9.2e18)


def _year(values: Floats) -> Floats:
    return np.asarray(_civil(values)[0] + np.where(_usable(values), 0, _FAR // _CYCLE * 400), dtype=np.float64)


def _civil(values: Floats) -> tuple[Ints, Ints, Ints]:
    """Year, month and day in UTC of Unix seconds (days → civil date by the algorithm of Howard Hinnant, 2013)."""
    days = whole_seconds(values) // _DAY + 719_468
    era = days // 146_097
    of_era = days - era * 146_097
    year_of_era = (of_era - of_era // 1460 + of_era // 36_524 - of_era // 146_096) // 365
    day_of_year = of_era - (365 * year_of_era + year_of_era // 4 - year_of_era // 100)
    shifted = (5 * day_of_year + 2) // 153
    day = day_of_year - (153 * shifted + 2) // 5 + 1
    month = np.where(shifted < 10, shifted + 3, shifted - 9)
    year = year_of_era + era * 400 + (month <= 2)
    return year, month, day


def _leap(year: Ints) -> Bools:
    return np.asarray(((year % 4 == 0) & (year % 100 != 0)) | (year % 400 == 0), dtype=np.bool_)


def _days_in_month(values: Floats) -> Floats:
    year, month, _ = _civil(values)
    usual = np.array([31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31])[month - 1]
    return np.asarray(np.where((month == 2) & _leap(year), 29, usual), dtype=np.float64)


def _day_of_year(values: Floats) -> Floats:
    year, month, day = _civil(values)
    before = np.array([0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334])[month - 1]
    return np.asarray(before + day + ((month > 2) & _leap(year)), dtype=np.float64)


# Take a table of shape (n, T), and scalars of shape (T,), give a table.
ELEMENTWISE: dict[str, Callable[..., Floats]] = {
    "abs": np.abs,
    "acos": np.arccos,
    "acosh": np.arccosh,
    "asin": np.arcsin,
    "asinh": np.arcsinh,
    "atan": np.arctan,
    "atanh": np.arctanh,
    "ceil": np.ceil,
    "clamp": _clamp,
    "clamp_max": _clamp_max,
    "clamp_min": _clamp_min,
    "cos": np.cos,
    "cosh": np.cosh,
    "deg": np.degrees,
    "exp": np.exp,
    "floor": np.floor,
    "ln": np.log,
    "log10": np.log10,
    "log2": np.log2,
    "rad": np.radians,
    "round": _round,
    "sgn": np.sign,
    "sin": np.sin,
    "sinh": np.sinh,
    "sqrt": np.sqrt,
    "tan": np.tan,
    "tanh": np.tanh,
}

# The same; without an argument they read the evaluation time.
DATES: dict[str, Callable[[Floats], Floats]] = {
    "day_of_month": lambda values: _civil(values)[2].astype(np.float64),
    "day_of_week": lambda values: ((whole_seconds(values) // _DAY + 4) % 7).astype(np.float64),
    "day_of_year": _day_of_year,
    "days_in_month": _days_in_month,
    "hour": lambda values: (whole_seconds(values) // 3600 % 24).astype(np.float64),
    "minute": lambda values: (whole_seconds(values) // 60 % 60).astype(np.float64),
    "month": lambda values: _civil(values)[1].astype(np.float64),
    "year": _year,
}


def labels_of_absent(node: Node) -> LabelDict:
    """What `absent(selector)` is labelled with: the labels that the selector fixes by one `=` each."""
    match node:
        case Selector():
            matchers = node.matchers
        case RangeSelector():
            matchers = node.selector.matchers
        case _:
            return {}
    labels: LabelDict = {}
    seen: set[str] = set()
    for matcher in matchers:
        if matcher.name == NAME:
            continue
        if matcher.op is Op.EQUAL and matcher.name not in seen:
            seen.add(matcher.name)
            if matcher.value:
                labels[matcher.name] = matcher.value
        else:
            labels.pop(matcher.name, None)
    return labels
