"""Samples in memory: series in blocks that share a time axis, within a bound of retention.

What is scraped together is stored together: a `Block` holds n series as the columns of one table, so that appending a scrape and
reading a window of many series are one numpy operation each. Neighbours: `windows` reads, `source` and the simulation write.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from aiops.adapters.memory_prometheus.matchers import NAME, Matcher, Op
from aiops.adapters.memory_prometheus.vectors import Floats, Ints, LabelDict, LabelList

if TYPE_CHECKING:
    from aiops.adapters.memory_prometheus.windows import Samples

# Bit patterns of two NaNs: Prometheus' stale marker (model/value/value.go), and ours for "this series has no sample in this row".
STALE_BITS = 0x7FF0000000000002
ABSENT_BITS = 0x7FF00000A10B5EED
STALE = float(np.uint64(STALE_BITS).view(np.float64))
ABSENT = float(np.uint64(ABSENT_BITS).view(np.float64))
_FIRST_ROWS = 64
_MOST_LAYOUTS = 16
_MOST_KEPT = 256


def milliseconds(seconds: float) -> int:
    """Unix seconds to whole milliseconds, the resolution of Prometheus."""
    return round(seconds * 1000)


class Block:
    """A table of samples: rows `first..end` of `times` (ms, rising) and `values` (row, column) are in use."""

    __slots__ = ("columns", "end", "first", "newest", "times", "values")

    def __init__(self, columns: int, rows: int = _FIRST_ROWS) -> None:
        self.columns = columns
        self.times: Ints = np.empty(rows, dtype=np.int64)
        self.values: Floats = np.empty((rows, columns))
        self.first = self.end = 0
        # Of the last row, as a plain number: most blocks are too old for a query, and that must cost next to nothing to see.
        self.newest = -(1 << 62)

    def append(self, times: Ints, values: Floats) -> None:
        """Rows after the last one; ValueError if a time does not rise."""
        count = len(times)
        if count == 0:
            return
        if (self.end > self.first and times[0] <= self.times[self.end - 1]) or (np.diff(times) <= 0).any():
            raise ValueError("samples must come in rising order of time")
        if self.end + count > len(self.times):
            self._make_room(count)
        self.times[self.end : self.end + count] = times
        self.values[self.end : self.end + count] = values
        self.end += count
        self.newest = int(times[-1])

    def append_row(self, time: int, values: Floats) -> None:
        """One row after the last one: the hot path of a simulation."""
        end = self.end
        if end > self.first and time <= self.times[end - 1]:
            raise ValueError("samples must come in rising order of time")
        if end == len(self.times):
            self._make_room(1)
            end = self.end
        self.times[end] = time
        self.values[end] = values
        self.end = end + 1
        self.newest = time

    def insert(self, time: int, values: Floats) -> None:
        """One row among the others, at the cost of moving all later ones; ValueError if there is one of that time."""
        place = self.first + int(np.searchsorted(self.times[self.first : self.end], time))
        if place < self.end and self.times[place] == time:
            raise ValueError("there is a sample at that time")
        if self.end == len(self.times):
            before = self.first
            self._make_room(1)
            place -= before - self.first
        self.times[place + 1 : self.end + 1] = self.times[place : self.end].copy()
        self.values[place + 1 : self.end + 1] = self.values[place : self.end].copy()
        self.times[place], self.values[place] = time, values
        self.end += 1
        self.newest = max(self.newest, time)

    def drop_before(self, time: int) -> None:
        """Forget rows older than `time`."""
        self.first += int(np.searchsorted(self.times[self.first : self.end], time))

    def _make_room(self, count: int) -> None:
        used = self.end - self.first
        # Moving down is enough when at least half of the table is free; otherwise it doubles, so an append stays O(1) amortised.
        rows = len(self.times) if used + count <= len(self.times) // 2 else 2 * max(used + count, len(self.times) // 2)
        times, values = np.empty(rows, dtype=np.int64), np.empty((rows, self.columns))
        times[:used], values[:used] = self.times[self.first : self.end], self.values[self.first : self.end]
        self.times, self.values, self.first, self.end = times, values, 0, used


@dataclass(slots=True, eq=False)
class Series:
    """A label set (metric name under `__name__`) and where its samples are: (block, column), oldest first."""

    labels: LabelDict
    segments: list[tuple[Block, int]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Layout:
    """Where the samples of some series lie: `columns[i]` of `blocks[i]` one after the other, then put in `order`.

    `segments` are those of each series, oldest first. Where a series has more than one, `firsts` says which of all segments are its first, with
    their number at the end, and `followed` which block comes right after which within a series.
    """

    labels: LabelList
    segments: list[list[tuple[Block, int]]]
    blocks: tuple[Block, ...]
    columns: tuple[Ints, ...]
    order: Ints | None
    firsts: Ints | None = None
    followed: tuple[tuple[Block, Block], ...] = ()


class Selection(list[Series]):
    """Series that a selector asks for, with what is worked out from where they lie. Holds as long as no block comes or goes."""

    __slots__ = ("_layouts", "blocks")

    def __init__(self, series: Iterable[Series]) -> None:
        super().__init__(series)
        self._layouts: dict[tuple[bool, ...], Layout] = {}
        self.blocks: tuple[Block, ...] = tuple({block: None for each in self for block, _ in each.segments})

    def layout(self, live: tuple[bool, ...]) -> Layout:
        """Of the series that have samples in a live block, as flags over `blocks`."""
        found = self._layouts.get(live)
        if found is None:
            if len(self._layouts) >= _MOST_LAYOUTS:
                self._layouts.clear()
            found = self._layouts[live] = self._laid_out({block for block, is_live in zip(self.blocks, live, strict=True) if is_live})
        return found

    def _laid_out(self, blocks: set[Block]) -> Layout:
        found = [(each, [segment for segment in each.segments if segment[0] in blocks]) for each in self]
        labels = LabelList(each.labels for each, live in found if live)
        segments = [live for _, live in found if live]
        flat = [segment for live in segments for segment in live]
        places: dict[Block, list[int]] = {}
        for place, (block, _) in enumerate(flat):
            places.setdefault(block, []).append(place)
        columns = tuple(np.array([flat[place][1] for place in some], dtype=np.int64) for some in places.values())
        order = np.argsort(np.array([place for some in places.values() for place in some], dtype=np.int64), kind="stable")
        in_order = bool((order == np.arange(len(order))).all())
        firsts, followed = None, {}
        if len(flat) > len(segments):
            firsts = np.cumsum([0, *map(len, segments)])
            followed = {(before[0], after[0]): None for live in segments for before, after in pairwise(live)}
        return Layout(labels, segments, tuple(places), columns, None if in_order else order, firsts, tuple(followed))


@dataclass(slots=True, eq=False)
class Columns:
    """A set of series that are always written together; made by `MemorySeriesStore.columns`."""

    series: tuple[Series, ...]
    block: Block


@dataclass(frozen=True, slots=True)
class Kept:
    """What an expression gave on a grid of times, none of them later than what `revision` of the store watches. `expr` is held so that its id is its own."""

    expr: object
    grid: Ints
    revision: int
    samples: Samples


class MemorySeriesStore:
    """Series by labels, within `retention` seconds of the newest sample. Safe for several threads (`lock` is held while writing or reading)."""

    def __init__(self, *, retention: float = 24 * 3600.0) -> None:
        self.retention = milliseconds(retention)
        self.lock = threading.RLock()
        self.newest = -(1 << 62)
        self._by_identity: dict[frozenset[tuple[str, str]], Series] = {}
        self._by_name: dict[str, dict[frozenset[tuple[str, str]], Series]] = {}
        self._blocks: dict[Block, tuple[Series, ...]] = {}
        self._own: dict[Series, Columns] = {}
        self._scrapes: dict[str, tuple[Columns, Sequence[Mapping[str, str]]] | tuple[None, None]] = {}
        self._selections: dict[tuple[Matcher, ...], Selection] = {}
        self._next_sweep = self.newest
        # Values of the past that are asked for again and again, by the expression's id and the default step of subqueries.
        self.kept: dict[tuple[int, int], Kept] = {}
        self.revision = 0
        self._watched = self.newest

    def __len__(self) -> int:
        """Number of series."""
        return len(self._by_identity)

    def watch(self, until: int) -> int:
        """The revision, which rises from now on when a sample at or before `until` (ms) comes or goes."""
        self._watched = max(self._watched, until)
        return self.revision

    def keep(self, key: tuple[int, int], kept: Kept) -> None:
        """For as long as the revision is the same."""
        if len(self.kept) >= _MOST_KEPT:
            self.kept.clear()
        self.kept[key] = kept

    def append(self, labels: Mapping[str, str], t: float, v: float) -> None:
        """One sample at `t` (Unix seconds, ms resolution). ValueError if not newer than the series' last one."""
        with self.lock:
            self._append_row(self._own_columns(labels), milliseconds(t), np.array([v]))

    def append_many(self, labels: Mapping[str, str], times: Sequence[float] | Floats, values: Sequence[float] | Floats) -> None:
        """Many samples of one series: `times` (Unix seconds, rising) and `values` of one length."""
        at, column = _column(times, values)
        with self.lock:
            self._own_columns(labels).block.append(at, column[:, None])
            if len(at):
                self._wrote(int(at[0]), int(at[-1]))

    def load(self, series: Iterable[tuple[Mapping[str, str], Sequence[float] | Floats, Sequence[float] | Floats]]) -> None:
        """Many series at once, each (labels, times, values) as for `append_many`. Those that have the same times share a block, which reads quicker."""
        alike: dict[bytes, tuple[Ints, list[tuple[Mapping[str, str], Floats]]]] = {}
        for labels, times, values in series:
            at, column = _column(times, values)
            alike.setdefault(at.tobytes(), (at, []))[1].append((labels, column))
        with self.lock:
            for at, group in alike.values():
                if len(at):
                    self.columns([labels for labels, _ in group]).block.append(at, np.stack([column for _, column in group], axis=1))
                    self._wrote(int(at[0]), int(at[-1]))

    def columns(self, labels: Sequence[Mapping[str, str]]) -> Columns:
        """A handle for series that will be written together by `append_row`; ValueError if two label sets are the same."""
        with self.lock:
            series = tuple(self._series(each) for each in labels)
            if len(set(series)) != len(series):
                raise ValueError("two label sets of one handle are the same")
            return self._attach(series)

    def append_row(self, columns: Columns, t: float, values: Sequence[float] | Floats) -> None:
        """One sample for each series of the handle, all at `t`. ValueError if not newer than the last row."""
        with self.lock:
            self._append_row(columns, milliseconds(t), np.asarray(values, dtype=np.float64))

    def mark_stale(self, labels: Mapping[str, str], t: float) -> None:
        """The series ends at `t`, as when its target is gone; `t` may lie between samples of `append` and `append_many`. ValueError if at one."""
        with self.lock:
            self._own_columns(labels).block.insert(milliseconds(t), np.array([STALE]))
            self._wrote(milliseconds(t), milliseconds(t))

    def scrape(self, target: str, labels: Sequence[Mapping[str, str]], t: float, values: Sequence[float] | Floats) -> None:
        """What a scrape of `target` gave. Series that it gave last time and not now are marked stale, as Prometheus does.

        Handing in the very same tuple of labels each time is quick: nothing is looked up again.
        """
        with self.lock:
            before, known = self._scrapes.get(target, (None, None))
            if before is not None and known is labels and isinstance(labels, tuple):
                self._append_row(before, milliseconds(t), np.asarray(values, dtype=np.float64))
                return
            series = tuple(self._series(each) for each in labels)
            if before is None or before.series != series:
                if len(set(series)) != len(series):
                    raise ValueError("two label sets of one scrape are the same")
                if before is not None:
                    self._end(before, set(series), milliseconds(t))
                before = self._attach(series)
            self._scrapes[target] = (before, labels)
            self._append_row(before, milliseconds(t), np.asarray(values, dtype=np.float64))

    def _end(self, before: Columns, still: set[Series], time: int) -> None:
        """Mark those of `before` stale that are not there still; if all are gone, in their own block, so that they go on to lie in one."""
        gone = [each for each in before.series if each not in still]
        if len(gone) == len(before.series) and before.block in self._blocks:
            self._append_row(before, time, np.full(len(gone), STALE))
            return
        for each in gone:
            if each.segments:
                self._append_row(self._own_columns(each.labels), time, np.array([STALE]))

    def select(self, matchers: tuple[Matcher, ...]) -> Selection:
        """The series that fulfil all matchers, in order of their labels; remembered until a series or a block comes or goes. Raises PatternError."""
        found = self._selections.get(matchers)
        if found is None:
            name = next((m.value for m in matchers if m.name == NAME and m.op is Op.EQUAL), None)
            candidates = self._by_identity if name is None else self._by_name.get(name, {})
            rest = [m for m in matchers if not (m.name == NAME and m.op is Op.EQUAL and m.value == name)]
            found = Selection(series for series in candidates.values() if all(m.holds(series.labels) for m in rest))
            found.sort(key=lambda series: list(series.labels.items()))
            if len(self._selections) > 4096:
                self._selections.clear()
            self._selections[matchers] = found
        return found

    def _series(self, labels: Mapping[str, str]) -> Series:
        # An empty value is the same as no label.
        clean = {name: value for name, value in sorted(labels.items()) if value != ""}
        key = frozenset(clean.items())
        series = self._by_identity.get(key)
        if series is None:
            series = self._by_identity[key] = Series(clean)
            self._by_name.setdefault(clean.get(NAME, ""), {})[key] = series
            self._selections.clear()
        return series

    def _own_columns(self, labels: Mapping[str, str]) -> Columns:
        series = self._series(labels)
        own = self._own.get(series)
        if own is None or own.block not in self._blocks:
            own = self._own[series] = self._attach((series,))
        return own

    def _attach(self, series: tuple[Series, ...]) -> Columns:
        block = Block(len(series))
        self._blocks[block] = series
        self._selections.clear()
        for column, each in enumerate(series):
            each.segments.append((block, column))
        return Columns(series, block)

    def _append_row(self, columns: Columns, time: int, values: Floats) -> None:
        if values.shape != (columns.block.columns,):
            raise ValueError(f"{values.shape[0] if values.ndim else 1} values for {columns.block.columns} series")
        if columns.block not in self._blocks:
            # The whole block had aged out: the handle starts a new one.
            columns.series = tuple(self._series(each.labels) for each in columns.series)
            columns.block = self._attach(columns.series).block
        columns.block.append_row(time, values)
        self._wrote(time, time)

    def _wrote(self, first: int, last: int) -> None:
        if first <= self._watched:
            self.revision += 1
        self.newest = max(self.newest, last)
        if self.newest >= self._next_sweep:
            # Looking at every block costs; so up to a sixteenth more than the retention is kept.
            self._next_sweep = self.newest + max(1, self.retention // 16)
            self._sweep()

    def _sweep(self) -> None:
        """Forget what is older than the retention; series without samples go with it."""
        oldest = self.newest - self.retention
        self.revision += 1
        for block, series in list(self._blocks.items()):
            block.drop_before(oldest)
            if block.first < block.end:
                continue
            del self._blocks[block]
            self._selections.clear()
            for each in series:
                each.segments = [segment for segment in each.segments if segment[0] is not block]
                if not each.segments:
                    self._forget(each)

    def _forget(self, series: Series) -> None:
        key = frozenset(series.labels.items())
        self._by_identity.pop(key, None)
        self._by_name.get(series.labels.get(NAME, ""), {}).pop(key, None)
        self._own.pop(series, None)
        self._selections.clear()


def _column(times: Sequence[float] | Floats, values: Sequence[float] | Floats) -> tuple[Ints, Floats]:
    """Times in ms and values; ValueError if they are not of one length."""
    at = np.round(np.asarray(times, dtype=np.float64) * 1000).astype(np.int64)
    column = np.asarray(values, dtype=np.float64)
    if at.shape != column.shape or at.ndim != 1:
        raise ValueError(f"{at.shape} times for {column.shape} values, one time for each value is needed")
    return at, column
