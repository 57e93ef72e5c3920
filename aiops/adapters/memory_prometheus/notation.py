"""promtool's short notation for series: `0+10x100 _ stale 1x5 -2-3x4`, used by `aiops test` to fill a store.

Values stand with spaces between them: a number; `_` for no sample; `stale` for the stale marker; `axn` for a and n repetitions;
`a+bxn` and `a-bxn` for a and n steps of b; `_xn` for n times no sample. (prometheus.io, "Unit testing for rules", series notation.)
Neighbours: `store` takes the samples.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import numpy as np

from aiops.adapters.memory_prometheus.matchers import NAME, Op
from aiops.adapters.memory_prometheus.store import STALE, MemorySeriesStore
from aiops.adapters.memory_prometheus.syntax import Moment, Selector, parsed
from aiops.adapters.memory_prometheus.vectors import LabelDict, QueryError

MAX_SAMPLES = 1_000_000
ALLOWED = "a number, `_`, `stale`, `1x5` (repeat), `0+10x100` or `-2-3x4` (steps), `_x3` (gaps)"

_NUMBER = r"[+-]?(?:0[xX][0-9a-fA-F]+|(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?|[iI][nN][fF]|[nN][aA][nN])"
_VALUE = re.compile(rf"(?P<first>{_NUMBER})(?:(?P<step>[+-](?:{_NUMBER.removeprefix('[+-]?')}))?x(?P<times>\d+))?", re.ASCII)
_GAP = re.compile(r"_(?:x(?P<times>\d+))?", re.ASCII)


class NotationError(ValueError):
    """A text that is not in the notation; `position` is the first wrong character, counted from 1."""

    def __init__(self, position: int, message: str) -> None:
        self.position = position
        super().__init__(f"character {position}: {message}")


def values(text: str) -> list[float | None]:
    """The values in order, None for no sample, `STALE` for the marker. NotationError names the position and what is allowed."""
    found: list[float | None] = []
    for token in re.finditer(r"\S+", text):
        room = MAX_SAMPLES - len(found)
        found.extend(_expanded(token.group(), token.start() + 1, room))
    return found


def _expanded(token: str, position: int, room: int) -> Iterator[float | None]:
    if token == "stale":  # noqa: S105 (a word of the notation, no password)
        return iter([STALE])
    gap = _GAP.fullmatch(token)
    if gap:
        return iter([None] * _count(gap.group("times"), position, room, 0))
    value = _VALUE.fullmatch(token)
    if value is None:
        wrong = position + _good_prefix(token)
        raise NotationError(wrong, f"{_shortened(token)!r} is no value; allowed are {ALLOWED}")
    first, step = _number(value.group("first")), _number(value.group("step") or "0")
    count = _count(value.group("times"), position, room, 1)
    return _stepped(first, step if value.group("step") else None, count)


def _stepped(first: float, step: float | None, count: int) -> Iterator[float]:
    # Added up one by one, as promtool does, so that the same text gives the same digits.
    for _ in range(count):
        yield first
        if step is not None:
            first += step


def _count(times: str | None, position: int, room: int, extra: int) -> int:
    count = 1 if times is None else int(times[:12]) + extra
    if count > room:
        raise NotationError(position, f"more than {MAX_SAMPLES} samples; fewer repetitions are needed")
    return count


def _good_prefix(token: str) -> int:
    """How many leading characters could begin a value: the error points behind them."""
    for pattern in (_VALUE, _GAP, re.compile("stale")):
        found = pattern.match(token)
        if found:
            return found.end()
    return 0


def _shortened(token: str) -> str:
    return token if len(token) <= 40 else token[:40] + "…"


def _number(text: str) -> float:
    sign = -1.0 if text.startswith("-") else 1.0
    bare = text.lstrip("+-")
    return sign * (float(int(bare, 16)) if bare.lower().startswith("0x") else float(bare))


def series(text: str) -> LabelDict:
    """The labels (metric name under `__name__`) of `name{label="value", …}`. NotationError for anything else."""
    try:
        node = parsed(text)
    except QueryError as error:
        raise NotationError(1, f'{_shortened(text)!r} is no series such as name{{label="value"}}: {error}') from error
    if not isinstance(node, Selector) or node.moment != Moment() or any(m.op is not Op.EQUAL for m in node.matchers):
        raise NotationError(1, f'{_shortened(text)!r} is no series; allowed is name{{label="value"}} with `=` only')
    labels = {matcher.name: matcher.value for matcher in node.matchers}
    if len(labels) != len(node.matchers):
        raise NotationError(1, f"{_shortened(text)!r} names a label twice")
    if NAME not in labels:
        raise NotationError(1, f"{_shortened(text)!r} has no metric name")
    return labels


def fill(store: MemorySeriesStore, name: str, notation: str, *, start: float, interval: float) -> None:
    """Put a series into the store: its first value at `start` (Unix seconds), the next each `interval` seconds. NotationError."""
    labels, found = series(name), values(notation)
    kept = [(i, value) for i, value in enumerate(found) if value is not None]
    store.append_many(labels, start + interval * np.array([i for i, _ in kept], dtype=np.float64), np.array([v for _, v in kept]))
