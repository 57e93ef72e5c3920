"""The samples of many series as one flat pair of arrays, and where each step's window lies in them.

Neighbours: `store` holds the samples, `evaluator` asks for windows, `range_functions` and `rates` compute on them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from aiops.adapters.memory_prometheus.store import ABSENT_BITS, STALE_BITS, Block, Series
from aiops.adapters.memory_prometheus.vectors import Bools, Floats, Ints, LabelDict, Vector

_BLOCK_CELLS = 2_000_000


@dataclass(frozen=True, slots=True)
class Samples:
    """n series laid end to end: series i is `starts[i]..starts[i + 1]` of `times` (ms, rising within a series) and `values`."""

    labels: list[LabelDict]
    times: Ints
    values: Floats
    starts: Ints


@dataclass(frozen=True, slots=True)
class Windows:
    """For each series and step the samples `low..high` (shape (n, T), indices into the flat arrays) with `from <= time <= to`.

    `ends[j]` is the right edge in ms, `ends[j] - range` the left one; both are inclusive, as in Prometheus before 3.0.
    """

    samples: Samples
    low: Ints
    high: Ints
    ends: Ints
    range: int

    @property
    def counts(self) -> Ints:
        """Number of samples in each window."""
        return self.high - self.low

    @property
    def any(self) -> Bools:
        """Where a window holds at least one sample."""
        return self.high > self.low


def gather(series: Sequence[Series], oldest: int, newest: int) -> Samples:
    """The samples with `oldest <= time <= newest`, stale markers included."""
    labels = [each.labels for each in series]
    shared = _shared_block(series)
    if shared is not None:
        return _gather_block(labels, shared, [each.segments[0][1] for each in series], oldest, newest)
    spans: dict[Block, tuple[int, int]] = {}
    times: list[Ints] = []
    values: list[Floats] = []
    starts = np.zeros(len(series) + 1, dtype=np.int64)
    for row, each in enumerate(series):
        pieces = _pieces(each, oldest, newest, spans)
        times.extend(piece[0] for piece in pieces)
        values.extend(piece[1] for piece in pieces)
        starts[row + 1] = starts[row] + sum(len(piece[0]) for piece in pieces)
    flat_times = np.concatenate(times) if times else np.empty(0, dtype=np.int64)
    flat_values = np.concatenate(values) if values else np.empty(0)
    return _without_absent(Samples(labels, flat_times, flat_values, starts), ABSENT_BITS)


def _shared_block(series: Sequence[Series]) -> Block | None:
    """The block that holds all of them, if there is one and they are nowhere else."""
    if not series or not series[0].segments:
        return None
    block = series[0].segments[0][0]
    return block if all(len(each.segments) == 1 and each.segments[0][0] is block for each in series) else None


def _gather_block(labels: list[LabelDict], block: Block, columns: list[int], oldest: int, newest: int) -> Samples:
    low, high = _span(block, oldest, newest)
    times, count = block.times[low:high], len(columns)
    table = block.values[low:high].T[columns]
    starts = np.arange(count + 1, dtype=np.int64) * (high - low)
    return _without_absent(Samples(labels, np.tile(times, count), table.reshape(-1), starts), ABSENT_BITS)


def _span(block: Block, oldest: int, newest: int) -> tuple[int, int]:
    times = block.times[block.first : block.end]
    low, high = int(times.searchsorted(oldest)), int(times.searchsorted(newest, side="right"))
    return block.first + low, block.first + max(high, low)


def _pieces(series: Series, oldest: int, newest: int, spans: dict[Block, tuple[int, int]]) -> list[tuple[Ints, Floats]]:
    pieces = []
    for block, column in series.segments:
        span = spans.get(block)
        if span is None:
            span = spans[block] = _span(block, oldest, newest)
        if span[1] > span[0]:
            pieces.append((block.times[span[0] : span[1]], block.values[span[0] : span[1], column]))
    if len(pieces) > 1 and any(before[0][-1] >= after[0][0] for before, after in pairwise(pieces)):
        # Written by two handles in turn: sort, and of two samples at one time the later handle's counts.
        times, values = np.concatenate([p[0] for p in pieces]), np.concatenate([p[1] for p in pieces])
        order = np.argsort(times, kind="stable")
        times, values = times[order], values[order]
        last = np.append(np.diff(times) > 0, True)
        return [(times[last], values[last])]
    return pieces


def _without_absent(samples: Samples, bits: int) -> Samples:
    """Less the values with this bit pattern."""
    found = samples.values.view(np.uint64) == np.uint64(bits)
    if not found.any():
        return samples
    before = np.concatenate([[0], np.cumsum(found)])
    keep = ~found
    return Samples(samples.labels, samples.times[keep], samples.values[keep], samples.starts - before[samples.starts])


def without_stale(samples: Samples) -> Samples:
    """Less the stale markers: range functions never see them."""
    return _without_absent(samples, STALE_BITS)


def _edges(samples: Samples, times: Ints, side: str) -> Ints:
    """For each series and each of `times`, the flat index where it would be inserted; shape (n, T)."""
    count = len(samples.starts) - 1
    edges = np.empty((count, len(times)), dtype=np.int64)
    if not count:
        return edges
    length = int(samples.starts[1])
    first = samples.times[:length]
    one_axis = count > 1 and bool((np.diff(samples.starts) == length).all()) and bool((samples.times.reshape(count, length) == first).all())
    if one_axis or count == 1:
        within = first.searchsorted(times, side=side)  # type: ignore[call-overload]
        return np.asarray(samples.starts[:-1, None] + within[None, :], dtype=np.int64)
    starts = samples.starts.tolist()
    for row in range(count):
        edges[row] = samples.times[starts[row] : starts[row + 1]].searchsorted(times, side=side)  # type: ignore[call-overload]
    edges += samples.starts[:-1, None]
    return edges


def windows(samples: Samples, ends: Ints, range_ms: int) -> Windows:
    """Windows of `range_ms` that end at each of `ends` (ms)."""
    return Windows(samples, _edges(samples, ends - range_ms, "left"), _edges(samples, ends, "right"), ends, range_ms)


def latest(samples: Samples, at: Ints, lookback: int) -> tuple[Vector, Ints]:
    """The newest sample of each series at each of `at` (ms), not older than `lookback` ms and not a stale marker; and those samples' times."""
    newest = _edges(samples, at, "right") - 1
    present = newest >= samples.starts[:-1, None]
    if not len(samples.times):
        shape = newest.shape
        return Vector(samples.labels, np.zeros(shape), np.zeros(shape, dtype=np.bool_)), np.zeros(shape, dtype=np.int64)
    index = np.maximum(newest, 0)
    times, values = samples.times[index], samples.values[index]
    present &= times >= at[None, :] - lookback
    present &= values.view(np.uint64) != np.uint64(STALE_BITS)
    return Vector(samples.labels, values, present), times


def from_vector(vector: Vector, times: Ints) -> Samples:
    """The present values of a vector as samples at `times` (ms): what a subquery hands to a range function."""
    counts = vector.present.sum(axis=1)
    starts = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    grid = np.broadcast_to(times, vector.present.shape)
    return Samples(vector.labels, grid[vector.present], vector.values[vector.present], starts)


def blocks_of_steps(found: Windows) -> list[slice]:
    """Slices of steps for functions that lay out each window: bounds the memory for long queries over many series."""
    series, steps = found.low.shape
    per_step = max(1, series * int(found.counts.max(initial=1)))
    size = max(1, _BLOCK_CELLS // per_step)
    return [slice(start, min(start + size, steps)) for start in range(0, steps, size)]
