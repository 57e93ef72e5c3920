"""What templates may do to values: a short table of pure functions, each bounded in what it gives back.

Neighbours: `templates` is the only user. `escape_label_value` is the one place where text enters PromQL.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from jinja2 import Undefined

from aiops.domain.duration import format_duration
from aiops.domain.errors import ExpressionError

# As Go's regexp.QuoteMeta: the characters that mean something in RE2, which is what PromQL's =~ speaks.
_META = str.maketrans({c: "\\" + c for c in r"\.+*?()|[]{}^$"})
_LABEL = str.maketrans({"\\": r"\\", '"': r"\"", "\n": r"\n", "\r": r"\r", "\t": r"\t", "\0": r"\x00"})


def escape_label_value(value: Any) -> str:
    """The text as it must stand between double quotes in PromQL, so that the matcher's value is exactly it. Raises ExpressionError on what no label can hold."""
    text = shown(value)
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise ExpressionError("a value holds half a surrogate pair: no label can") from error
    return text.translate(_LABEL)


def shown(value: Any) -> str:
    """A value as text: no `None`, no Python notation for what is a list or map, whole numbers without `.0`."""
    if isinstance(value, Undefined):
        return str(value)  # raises: undefined names are errors
    if isinstance(value, str):
        return str(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        return _number(value, 6)
    raise ExpressionError(f"{type(value).__name__} is no text or number: use a field of it, or | join")


def _number(value: float, digits: int) -> str:
    return str(int(value)) if math.isfinite(value) and value == int(value) and abs(value) < 1e15 else f"{value:.{digits}g}"


def _finite(value: Any, word: Callable[[float], str]) -> str:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return "unknown" if value is None else shown(value)
    return word(float(value)) if math.isfinite(value) else "unknown"


def number(value: Any, digits: int = 3) -> str:
    """0.123456 → 0.123; what is not known → unknown."""
    return _finite(value, lambda v: _number(v, max(1, min(int(digits), 15))))


def percent(value: Any) -> str:
    """0.1234 → 12.3 %."""
    return _finite(value, lambda v: f"{_number(v * 100, 3)} %")


def duration(value: Any) -> str:
    """Seconds as 1.23s, 2m30s; below ten seconds to the millisecond."""
    return _finite(value, lambda v: format_duration(v if abs(v) < 10 else round(v)))


def size(value: Any) -> str:
    """Bytes as 1.5 GiB."""

    def word(v: float) -> str:
        for unit in ("B", "KiB", "MiB", "GiB", "TiB"):
            if abs(v) < 1024 or unit == "TiB":
                return f"{_number(v, 3)} {unit}"
            v /= 1024
        return ""

    return _finite(value, word)


def regex(value: Any) -> str:
    """The text as a pattern that matches only itself, for `=~`."""
    return shown(value).translate(_META)


def join(value: Any, separator: str = ", ") -> str:
    """A list of texts or numbers in one line."""
    if not isinstance(value, (list, tuple)):
        raise ExpressionError("join takes a list")
    return separator.join(shown(item) for item in value)


FILTERS: Mapping[str, Callable[..., Any]] = {
    "lower": lambda value: shown(value).lower(),
    "upper": lambda value: shown(value).upper(),
    "trim": lambda value: shown(value).strip(),
    "truncate": lambda value, length=80: shown(value)[: max(0, min(int(length), 1000))],
    "join": join,
    "length": len,
    "number": number,
    "percent": percent,
    "duration": duration,
    "bytes": size,
    "regex": regex,
}
