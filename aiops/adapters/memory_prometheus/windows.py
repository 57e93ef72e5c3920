"""The samples of many series as one flat pair of arrays, and where each step's window lies in them.

Neighbours: `store` holds the samples, `evaluator` asks for windows, `range_functions` and `rates` compute on them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from aiops.adapters.memory_prometheus.store import ABSENT_BITS, STALE_BITS, Block, Layout, Selection
from aiops.adapters.memory_prometheus.vectors import Bools, Floats, Ints, LabelDict, Vector

_BLOCK_CELLS = 2_000_000


@dataclass(frozen=True, slots=True)
class Samples:
    """n series laid end to end: series i is `starts[i]..starts[i + 1]` of `times` (ms, rising within a series) and `values`.

    `axis`: the times of each series, where they are known to be the same for all. `nans`: whether a value may be NaN.
    """

    labels: list[LabelDict]
    times: Ints
    values: Floats
    starts: Ints
    axis: Ints | None = None
    nans: bool = False


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


def gather(selection: Selection, oldest: int, newest: int) -> Samples:
    """The samples with `oldest <= time <= newest`, stale markers included; series without any are left out.

    Where all series have the same times, as after scrapes of one pace, they make one table.
    """
    edges = np.array([oldest, max(oldest, newest + 1)])
    spans = {block: _span(block, edges) if block.newest >= oldest else (0, 0) for block in selection.blocks}
    layout = selection.layout(tuple(high > low for low, high in spans.values()))
    if not layout.labels:
        return Samples(layout.labels, np.empty(0, dtype=np.int64), np.empty(0), np.zeros(1, dtype=np.int64))
    if layout.firsts is None:
        samples = _table(layout, spans)
    elif all(before.times[spans[before][1] - 1] < after.times[spans[after][0]] for before, after in layout.followed):
        samples = _ragged(layout, spans)
    else:
        samples = _joined(layout, spans)
    # Both patterns are NaNs, and the least of values is NaN if one is.
    if not np.isnan(samples.values.min()):
        return samples
    return replace(_without(samples, ABSENT_BITS), nans=True)


def _span(block: Block, edges: Ints) -> tuple[int, int]:
    low, high = block.times[block.first : block.end].searchsorted(edges).tolist()
    return block.first + low, block.first + high


def _table(layout: Layout, spans: dict[Block, tuple[int, int]]) -> Samples:
    """From one block for each series; where the blocks share their times, all is one table."""
    low, high = spans[layout.blocks[0]]
    axis = layout.blocks[0].times[low:high].copy()  # a later insertion moves the rows
    for block in layout.blocks[1:]:
        low, high = spans[block]
        if high - low != len(axis) or not (block.times[low:high] == axis).all():
            return _ragged(layout, spans)
    parts = [block.values[slice(*spans[block])].T[columns] for block, columns in zip(layout.blocks, layout.columns, strict=True)]
    table = parts[0] if len(parts) == 1 else np.concatenate(parts)
    if layout.order is not None:
        table = table[layout.order]
    count = len(layout.labels)
    return Samples(layout.labels, np.concatenate([axis] * count), table.reshape(-1), np.arange(count + 1, dtype=np.int64) * len(axis), axis)


def _ragged(layout: Layout, spans: dict[Block, tuple[int, int]]) -> Samples:
    """From blocks of different times, in which each series' times rise: block by block, then put in the order of the segments."""
    axes: list[Ints] = []
    parts: list[Floats] = []
    for block, columns in zip(layout.blocks, layout.columns, strict=True):
        rows = slice(*spans[block])
        # Not np.tile, which takes several times as long on small arrays.
        axes += [block.times[rows]] * len(columns)
        parts.append(block.values[rows].T[columns].reshape(-1))
    times, values = np.concatenate(axes), np.concatenate(parts)
    lengths = np.array([len(axis) for axis in axes], dtype=np.int64)
    starts = np.concatenate([[0], np.cumsum(lengths)])
    if layout.order is not None:
        lengths, sources = lengths[layout.order], starts[:-1][layout.order]
        starts = np.concatenate([[0], np.cumsum(lengths)])
        index = np.arange(len(times)) + np.repeat(sources - starts[:-1], lengths)
        times, values = times[index], values[index]
    return Samples(layout.labels, times, values, starts if layout.firsts is None else starts[layout.firsts])


def _joined(layout: Layout, spans: dict[Block, tuple[int, int]]) -> Samples:
    """From blocks of any times, series by series: two handles wrote the same series in turn."""
    times: list[Ints] = []
    values: list[Floats] = []
    starts = [0]
    for live in layout.segments:
        before = len(times)
        for block, column in live:
            low, high = spans[block]
            times.append(block.times[low:high])
            values.append(block.values[low:high, column])
        if len(live) > 1:
            times[before:], values[before:] = _in_order(times[before:], values[before:])
        starts.append(starts[-1] + sum(map(len, times[before:])))
    return Samples(layout.labels, np.concatenate(times), np.concatenate(values), np.array(starts))


def _in_order(times: list[Ints], values: list[Floats]) -> tuple[list[Ints], list[Floats]]:
    """Pieces of one series, by time; where two handles wrote in turn, the later handle's sample counts at equal times."""
    if all(before[-1] < after[0] for before, after in pairwise(times)):
        return times, values
    all_times, all_values = np.concatenate(times), np.concatenate(values)
    order = np.argsort(all_times, kind="stable")
    all_times, all_values = all_times[order], all_values[order]
    last = np.append(np.diff(all_times) > 0, True)
    return [all_times[last]], [all_values[last]]


def _without(samples: Samples, bits: int) -> Samples:
    """Less the values with this bit pattern."""
    found = samples.values.view(np.uint64) == np.uint64(bits)
    if not found.any():
        return samples
    before = np.concatenate([[0], np.cumsum(found)])
    keep = ~found
    return Samples(samples.labels, samples.times[keep], samples.values[keep], samples.starts - before[samples.starts])


def without_stale(samples: Samples) -> Samples:
    """Less the stale markers: range functions never see them."""
    return _without(samples, STALE_BITS) if samples.nans else samples


def _edges(samples: Samples, times: Ints, side: str) -> Ints:
    """For each series and each of `times`, the flat index where it would be inserted; shape (n, T)."""
    count = len(samples.starts) - 1
    edges = np.empty((count, len(times)), dtype=np.int64)
    if not count:
        return edges
    if samples.axis is not None:
        shared = samples.axis.searchsorted(times, side=side)  # type: ignore[call-overload]
        return np.asarray(samples.starts[:-1, None] + shared[None, :], dtype=np.int64)
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
    """Windows of `range_ms` that end at each of `ends` (ms). Of one window nothing may lie outside, as `gather` gives it."""
    if len(ends) == 1:
        return Windows(samples, samples.starts[:-1, None], samples.starts[1:, None], ends, range_ms)
    return Windows(samples, _edges(samples, ends - range_ms, "left"), _edges(samples, ends, "right"), ends, range_ms)


def newest(selection: Selection, at: int, lookback: int) -> tuple[Vector, Ints] | None:
    """What `latest` tells of one time, from the last row of each block alone; None where it takes more rows to tell."""
    rows: dict[Block, int] = {}
    for block in selection.blocks:
        row = -1
        if block.newest >= at - lookback:
            row = block.end - 1 if block.newest <= at else block.first - 1 + int(block.times[block.first : block.end].searchsorted(at, side="right"))
        rows[block] = row if row >= block.first and block.times[row] >= at - lookback else -1
    layout = selection.layout(tuple(row >= 0 for row in rows.values()))
    if layout.firsts is not None or not layout.labels:
        return None
    values = np.concatenate([block.values[rows[block]][columns] for block, columns in zip(layout.blocks, layout.columns, strict=True)])
    times = np.repeat([block.times[rows[block]] for block in layout.blocks], [len(columns) for columns in layout.columns])
    if layout.order is not None:
        values, times = values[layout.order], times[layout.order]
    bits = values.view(np.uint64)
    if (bits == np.uint64(ABSENT_BITS)).any():
        return None
    return Vector(layout.labels, values[:, None], (bits != np.uint64(STALE_BITS))[:, None]), times[:, None]


def latest(samples: Samples, at: Ints, lookback: int) -> tuple[Vector, Ints]:
    """The newest sample of each series at each of `at` (ms), not older than `lookback` ms and not a stale marker; and those samples' times."""
    newest = (samples.starts[1:, None] if len(at) == 1 else _edges(samples, at, "right")) - 1
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
