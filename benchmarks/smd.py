"""How an operator would feel a detector of many columns (Server Machine Dataset; Su et al., KDD 2019): events found at one false alarm a day, and AUC-PR of the rows.

An alarm is a row whose score is the greatest of the last 60 and beyond the threshold; an event is found by an alarm within it or up to 10 rows before. The threshold
leaves one false alarm a day (1,440 rows) on its machine; it is chosen on the labels. No point adjustment: with it random scores reach an F1 of 0.88.
Neighbour: `detection_quality`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

REST, EARLY, DAY = 60, 10, 1440
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Machine:
    """One machine's test half."""

    found: int
    events: int
    auc_pr: float


def average_precision(scores: Floats, labels: NDArray[np.int64]) -> float:
    """Area under precision and recall, ties taken together."""
    order = np.argsort(-scores, kind="stable")
    hits, ordered = np.cumsum(labels[order]), scores[order]
    last = np.append(np.flatnonzero(np.diff(ordered)), len(ordered) - 1)
    return float(np.sum(np.diff(hits[last] / labels.sum(), prepend=0.0) * hits[last] / (last + 1)))


def machine(scores: Floats, labels: NDArray[np.int64]) -> Machine:
    """`labels`: 0 or 1 for each row."""
    edges = np.diff(np.concatenate([[0], labels, [0]]))
    events = list(zip(np.flatnonzero(edges == 1), np.flatnonzero(edges == -1), strict=True))
    before = sliding_window_view(np.concatenate([np.full(REST - 1, -np.inf), scores[:-1]]), REST - 1).max(axis=1)
    peak = np.where(scores > before, scores, -np.inf)
    allowed = np.zeros(len(labels), dtype=bool)
    for a, b in events:
        allowed[max(0, a - EARLY) : b] = True
    outside, budget = np.sort(peak[~allowed])[::-1], len(labels) // DAY
    limit = outside[budget] if len(outside) > budget else -np.inf
    hit = np.isfinite(peak) & (peak > limit)
    return Machine(sum(bool(hit[max(0, a - EARLY) : b].any()) for a, b in events), len(events), average_precision(scores, labels))
