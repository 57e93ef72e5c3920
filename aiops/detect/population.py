"""Whole populations compared: one batch of rows against a reference, feature by feature. Numbers are counted in bins at quantiles of the
reference, categories by name; both become counts, and everything after that is the same.

A reference is fitted once and asked often: asking counts and divides, it sorts nothing. What is missing (NaN, null) has a bin of its own once it
occurs on either side. Neighbours: `divergence` (PSI, KL, JS), `no_drift_law` (whether chance alone reaches so far).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from aiops.detect.divergence import divergence, quantile_edges
from aiops.detect.no_drift_law import Law, law, p_values
from aiops.domain.series import Floats

BINS = 10
MAX_CATEGORIES = 50
"""Of a categorical feature so many names are told apart; rarer ones are counted together."""
MISSING, OTHER, NEW = "(missing)", "(other)", "(new)"
Counts = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Measured:
    """One feature's batch against its reference. `psi`, `kl` in nats, `js` in bits; `p`: how often chance alone departs as far.

    `bins` name the counts; `size`, `reference_size`: rows counted; `memory`: how many rows of the reference are worth one independent row.
    """

    psi: float
    kl: float
    js: float
    p: float
    size: int
    reference_size: int
    memory: float
    bins: tuple[str, ...]
    reference: tuple[int, ...]
    current: tuple[int, ...]


class NumericReference:
    """`values`: (rows,) in order of time, NaN is missing, ±Inf lies in the outer bins. Raises ValueError without a single number."""

    def __init__(self, values: Floats, bins: int = BINS) -> None:
        present = values[~np.isnan(values)]
        if not len(present):
            raise ValueError("not one number in the reference")
        self._edges = np.unique(quantile_edges(present[None, :], bins)[0])
        places = self._place(values)
        self.counts = np.bincount(places, minlength=len(self._edges) + 2)
        self.names = spans(self._edges)
        self._law = law(places, len(self.counts), len(self._edges) + 1)

    def _place(self, values: Floats) -> Counts:
        places = np.searchsorted(self._edges, values, side="left")
        places[np.isnan(values)] = len(self._edges) + 1
        return places

    def count(self, values: Floats) -> Counts:
        """Rows in each bin, the missing ones last. Shape (bins + 1,). A few passes of comparison are faster than a search for each value."""
        missing = int(np.count_nonzero(np.isnan(values)))
        up_to = [0, *(int(np.count_nonzero(values <= edge)) for edge in self._edges), len(values) - missing]
        return np.array([*(high - low for low, high in pairwise(up_to)), missing], dtype=np.int64)

    def counted(self, values: Floats | Sequence[str | None]) -> Counted:
        """A batch of at least one row beside the reference."""
        return Counted(self.names, self._law, self.counts, self.count(np.asarray(values, dtype=np.float64)))

    def measure(self, values: Floats | Sequence[str | None]) -> Measured:
        """Compare a batch of at least one row."""
        return measured([self.counted(values)])[0]


class CategoricalReference:
    """`values`: names in order of time, None is missing. Raises ValueError if it is empty."""

    def __init__(self, values: Sequence[str | None]) -> None:
        seen = Counter(v for v in values if v is not None)
        if not seen:
            raise ValueError("not one value in the reference")
        kept = [name for name, _ in sorted(seen.items(), key=lambda item: (-item[1], item[0]))[:MAX_CATEGORIES]]
        self.distinct = len(seen)
        self._rank: dict[str | None, int] = {name: rank for rank, name in enumerate(kept)}
        self._rank |= {name: len(kept) for name in seen if name not in self._rank}
        self._rank[None] = len(kept) + 2
        self.names = (*kept, OTHER, NEW, MISSING)
        places = self._place(values)
        self.counts = np.bincount(places, minlength=len(self.names))
        self._law = law(places, len(self.names))

    def _place(self, values: Sequence[str | None]) -> Counts:
        new = len(self.names) - 2
        return np.fromiter((self._rank.get(v, new) for v in values), np.int64, len(values))

    def counted(self, values: Floats | Sequence[str | None]) -> Counted:
        """A batch of at least one row beside the reference."""
        counts = np.bincount(self._place([None if v is None else str(v) for v in values]), minlength=len(self.names))
        return Counted(self.names, self._law, self.counts, counts)

    def measure(self, values: Floats | Sequence[str | None]) -> Measured:
        """Compare a batch of at least one row."""
        return measured([self.counted(values)])[0]


@dataclass(frozen=True, slots=True)
class Counted:
    """One feature's batch and its reference, counted in the same bins: shape (bins,), named `names`; `law`: what chance does."""

    names: tuple[str, ...]
    law: Law
    before: Counts
    now: Counts


def measured(counted: Sequence[Counted]) -> list[Measured]:
    """All features of a batch at once; bins empty on both sides do not count."""
    if not counted:
        return []
    width = max(len(c.names) for c in counted)
    before, now = np.zeros((2, len(counted), width), dtype=np.int64)
    for i, c in enumerate(counted):
        before[i, : len(c.names)], now[i, : len(c.names)] = c.before, c.now
    used = before + now > 0
    p, q = _smoothed(before, used), _smoothed(now, used)
    found = [divergence(method, p, q) for method in ("psi", "kl", "js")]
    found += [p_values(before, now, [c.law for c in counted]), now.sum(axis=1), before.sum(axis=1)]
    made = []
    for i, (c, (psi, kl, js, chance, size, rows)) in enumerate(zip(counted, zip(*(column.tolist() for column in found), strict=True), strict=True)):
        held = np.flatnonzero(used[i]).tolist()
        old, new = before[i].tolist(), now[i].tolist()
        made.append(
            Measured(
                psi, kl, js, chance, size, rows, c.law.memory, tuple([c.names[j] for j in held]), tuple([old[j] for j in held]), tuple([new[j] for j in held])
            )
        )
    return made


def _smoothed(counts: Counts, used: NDArray[np.bool_]) -> Floats:
    """Shares, (features, bins), with half a count added to each bin that is used, so that an empty one is a finite surprise. Elsewhere 1: it departs by nothing."""
    whole = counts.sum(axis=1, keepdims=True) + 0.5 * used.sum(axis=1, keepdims=True)
    return np.where(used, (counts + 0.5) / np.maximum(whole, 0.5), 1.0)


def spans(edges: Floats) -> tuple[str, ...]:
    """Names of the bins that inner edges (at least one) make, and of the one for what is missing."""
    words = [f"{edge:.6g}" for edge in edges]
    spans = [f"≤ {words[0]}", *(f"{low} … {high}" for low, high in pairwise(words)), f"> {words[-1]}"]
    return (*spans, MISSING)

