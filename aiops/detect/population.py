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
from aiops.detect.no_drift_law import Law, law, p_value
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
        up_to = np.fromiter((np.count_nonzero(values <= edge) for edge in self._edges), np.int64, len(self._edges))
        missing = int(np.count_nonzero(np.isnan(values)))
        held = np.diff(up_to, prepend=0, append=len(values) - missing)
        return np.append(held, missing)

    def measure(self, values: Floats | Sequence[str | None]) -> Measured:
        """Compare a batch of at least one row."""
        return measured(self.names, self._law, self.counts, self.count(np.asarray(values, dtype=np.float64)))


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

    def measure(self, values: Floats | Sequence[str | None]) -> Measured:
        """Compare a batch of at least one row."""
        counts = np.bincount(self._place([None if v is None else str(v) for v in values]), minlength=len(self.names))
        return measured(self.names, self._law, self.counts, counts)


def measured(names: tuple[str, ...], chance: Law, before: Counts, now: Counts) -> Measured:
    """Two counts over the same bins (shape (bins,), named `names`); bins empty on both sides do not count."""
    used = (before + now) > 0
    reference, current = before[used], now[used]
    found = {method: float(divergence(method, _smoothed(reference), _smoothed(current))[0]) for method in ("psi", "kl", "js")}
    return Measured(
        psi=found["psi"], kl=found["kl"], js=found["js"], p=p_value(before, now, chance), size=int(now.sum()),
        reference_size=int(before.sum()), memory=chance.memory, bins=tuple(n for n, u in zip(names, used, strict=True) if u),
        reference=tuple(map(int, reference)), current=tuple(map(int, current)),
    )


def _smoothed(counts: Counts) -> Floats:
    """Shares, shape (1, bins), with half a count added to each bin, so that an empty one is a finite surprise."""
    return np.asarray((counts + 0.5) / (counts.sum() + 0.5 * len(counts)))[None, :]


def spans(edges: Floats) -> tuple[str, ...]:
    """Names of the bins that inner edges (at least one) make, and of the one for what is missing."""
    words = [f"{edge:.6g}" for edge in edges]
    spans = [f"≤ {words[0]}", *(f"{low} … {high}" for low, high in pairwise(words)), f"> {words[-1]}"]
    return (*spans, MISSING)

