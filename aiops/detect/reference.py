"""What was usual: a distribution in bins, with the law of how far chance alone departs from it. Made of cells (a stretch of time each), in order of time.

Four kinds: `values` (numbers, bins at quantiles), `histogram` (Prometheus buckets: their bounds are the bins), `buckets` (counts by number, absent is none; bins at
quantiles, as of values), `categories` (counts by name).
Neighbours: `drift` collects cells, `no_drift_law` learns from them, `population` measures.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aiops.detect.divergence import quantile_edges
from aiops.detect.no_drift_law import Law, law_of_cells
from aiops.detect.population import MAX_CATEGORIES, NEW, OTHER, Counted, spans
from aiops.domain.series import Floats

Counts = NDArray[np.int64]
Cell = Floats | Mapping[str, float]
"""Numbers as they were, or counts by bucket bound (cumulative, as `le` has them) or by category."""


@dataclass(frozen=True, slots=True)
class Reference:
    """`edges`: inner edges of values, bounds of a histogram; `names`: of the bins; `counts`: rows in each; `start`, `end`: of the stretch, Unix seconds."""

    kind: str
    edges: tuple[float, ...]
    names: tuple[str, ...]
    counts: tuple[int, ...]
    law: Law
    start: float
    end: float
    version: int = 1

    @property
    def rows(self) -> int:
        """Rows counted."""
        return sum(self.counts)

    def counted(self, cells: Sequence[Cell]) -> Counted | None:
        """What was seen since, beside this; None if there is nothing, or if the buckets are others now."""
        now = self._count(cells)
        if now is None or not now.sum():
            return None
        return Counted(self.names, self.law, np.asarray(self.counts, dtype=np.int64), now)

    def _count(self, cells: Sequence[Cell]) -> Counts | None:
        if self.kind == "values":
            return _in_bins(_numbers(cells), self.edges).astype(np.int64)
        if self.kind == "buckets":
            return _rounded(_by_number(cells, self.edges).sum(axis=0))
        if self.kind == "categories":
            return _rounded(_by_name(cells, self.names[:-2]).sum(axis=0))
        found = _by_bound(cells, self.edges)
        return None if found is None else _rounded(found.sum(axis=0))

    def dump(self) -> dict[str, Any]:
        """JSON-ready."""
        chance = self.law
        return {
            "kind": self.kind, "edges": list(self.edges), "names": list(self.names), "counts": list(self.counts), "start": self.start, "end": self.end,
            "version": self.version, "law": asdict(chance),
        }


def loaded(document: Mapping[str, Any]) -> Reference:
    """What `dump` gave. Raises ValueError if it is something else."""
    try:
        law = document["law"]
        scale, freedom, memory, inflation, certainty = (float(law[name]) for name in ("scale", "freedom", "memory", "inflation", "certainty"))
        chance = Law(scale, freedom, int(law["windows"]), memory, int(law["ordered"]), inflation, certainty)
        found = Reference(
            str(document["kind"]), tuple(map(float, document["edges"])), tuple(map(str, document["names"])), tuple(map(int, document["counts"])),
            chance, float(document["start"]), float(document["end"]), int(document["version"]),
        )
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise ValueError(f"no reference: {error}") from error
    if len(found.names) != len(found.counts):
        raise ValueError("no reference: names and counts differ in number")
    return found


def learned(kind: str, cells: Sequence[Cell], span: tuple[float, float], *, bins: int, beside: Sequence[Cell] = ()) -> Reference | None:
    """The reference that these cells make, or None if they hold nothing. `beside`: cells it will be compared with; of a histogram only bounds that all have count."""
    edges: tuple[float, ...] = ()
    if kind == "values":
        numbers = _numbers(cells)
        if not len(numbers):
            return None
        edges = tuple(np.unique(quantile_edges(numbers[None, :], bins)[0]).tolist())
        table, names = _values_table(cells, edges), spans(np.asarray(edges))[:-1]
    elif kind == "buckets":
        edges = _weighted_edges(cells, bins)
        if not edges:
            return None
        table, names = _by_number(cells, edges), spans(np.asarray(edges))[:-1]
    elif kind == "categories":
        names = (*_common(cells), OTHER, NEW)
        table = _by_name(cells, names[:-2])
    else:
        edges = _bounds((*cells, *beside))
        found = _by_bound(cells, edges) if len(edges) > 1 else None
        if found is None:
            return None
        table, names = found, _bucket_names(edges)
    counts = _rounded(table.sum(axis=0))
    if not counts.sum():
        return None
    return Reference(kind, edges, tuple(names), tuple(map(int, counts)), law_of_cells(table, 0 if kind == "categories" else len(names)), *span)


def _numbers(cells: Iterable[Cell]) -> Floats:
    parts = [cell for cell in cells if isinstance(cell, np.ndarray)]
    return np.concatenate(parts) if parts else np.empty(0)


def _in_bins(values: Floats, edges: Sequence[float]) -> Counts:
    return np.bincount(np.searchsorted(edges, values, side="left"), minlength=len(edges) + 1)


def _values_table(cells: Sequence[Cell], edges: Sequence[float]) -> Floats:
    """(cells, bins) in one pass."""
    sizes = [len(cell) for cell in cells]
    places = np.searchsorted(edges, _numbers(cells), side="left") + np.repeat(np.arange(len(cells)) * (len(edges) + 1), sizes)
    return np.bincount(places, minlength=len(cells) * (len(edges) + 1)).reshape(len(cells), -1).astype(np.float64)


def _weighted_edges(cells: Sequence[Cell], bins: int) -> tuple[float, ...]:
    """As quantile_edges, of counts by number; empty if there are none."""
    total: dict[float, float] = {}
    for number, count in (pair for cell in cells for pair in _numbered(cell)):
        total[number] = total.get(number, 0.0) + count
    numbers = sorted(total)
    reached = np.cumsum([total[number] for number in numbers])
    if not numbers or reached[-1] <= 0.0:
        return ()
    edges = np.array(numbers)[np.searchsorted(reached, reached[-1] * np.arange(1, bins) / bins * (1.0 - 1e-12))]
    edges[:-1] = np.where(edges[:-1] == edges[1:], np.nextafter(edges[:-1], -np.inf), edges[:-1])
    return tuple(np.unique(edges).tolist())


def _by_number(cells: Sequence[Cell], edges: Sequence[float]) -> Floats:
    """(cells, bins)."""
    table = np.zeros((len(cells), len(edges) + 1))
    for row, cell in enumerate(cells):
        for number, count in _numbered(cell):
            table[row, np.searchsorted(edges, number, side="left")] += count
    return table


def _numbered(cell: Cell) -> list[tuple[float, float]]:
    """Buckets of a cell; what was too many to be told apart is left out."""
    return [(float(name), count) for name, count in cell.items() if name != OTHER] if isinstance(cell, Mapping) else []


def _common(cells: Sequence[Cell]) -> list[str]:
    total: dict[str, float] = {}
    for cell in cells:
        for name, count in cell.items() if isinstance(cell, Mapping) else ():
            total[name] = total.get(name, 0.0) + count
    return [name for name, _ in sorted(total.items(), key=lambda item: (-item[1], item[0])) if name != OTHER][:MAX_CATEGORIES]


def _by_name(cells: Sequence[Cell], kept: Sequence[str]) -> Floats:
    """(cells, kept + other + new): within the reference nothing is new, and what is rare there is other there and here alike only if it was seen as such."""
    rank = {name: place for place, name in enumerate(kept)}
    full = len(kept) >= MAX_CATEGORIES
    table = np.zeros((len(cells), len(kept) + 2))
    for row, cell in enumerate(cells):
        for name, count in cell.items() if isinstance(cell, Mapping) else ():
            # Where the reference had more names than are told apart, a rare one cannot be told from a new one.
            table[row, rank.get(name, len(kept) if full or name == OTHER else len(kept) + 1)] += count
    return table


def _bounds(cells: Sequence[Cell]) -> tuple[float, ...]:
    shared: set[float] | None = None
    for cell in cells:
        if isinstance(cell, Mapping) and cell:
            found = {float(name) for name in cell}
            shared = found if shared is None else shared & found
    return tuple(sorted(shared or ()))


def _by_bound(cells: Sequence[Cell], edges: Sequence[float]) -> Floats | None:
    """(cells, buckets) of plain counts from cumulative ones; None if a cell lacks a bound."""
    rows = []
    for cell in cells:
        if not isinstance(cell, Mapping) or not cell:
            continue
        held = {float(name): count for name, count in cell.items()}
        if any(edge not in held for edge in edges):
            return None
        # Buckets are read one after the other: a greater bound may be a little behind.
        rows.append(np.diff(np.maximum.accumulate([held[edge] for edge in edges]), prepend=0.0))
    return np.array(rows) if rows else None


def _bucket_names(edges: Sequence[float]) -> tuple[str, ...]:
    return (f"≤ {edges[0]:.6g}", *(f"{low:.6g} … {high:.6g}" for low, high in pairwise(edges)))


def _rounded(counts: Floats) -> Counts:
    """Whole counts: what PromQL extrapolates is none."""
    return np.asarray(np.rint(np.minimum(counts, 1e15)), dtype=np.int64)
