"""Answers for detectors that judge whole answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from aiops.domain.series import SampleBatch

T0 = 1_700_000_000.0
EVERY = 15.0


def answer(at: float, series: Sequence[tuple[Mapping[str, str], float]], *, partial: bool = False) -> SampleBatch:
    """One instant answer."""
    values = np.array([value for _, value in series], dtype=np.float64)
    return SampleBatch("s", "q", at, tuple(dict(labels) for labels, _ in series), np.full(len(series), at), values, partial=partial)


def gauges(values: np.ndarray, start: float = T0) -> list[SampleBatch]:
    """(polls, pods) of one workload, each EVERY seconds."""
    return [answer(start + EVERY * i, [({"workload": "w", "pod": f"p{j}"}, float(v)) for j, v in enumerate(line)]) for i, line in enumerate(values)]


def histogram(counts: np.ndarray, bounds: Sequence[str], start: float = T0, **labels: str) -> list[SampleBatch]:
    """(polls, buckets), cumulative over `le`, as a scrape has them."""
    return [answer(start + EVERY * i, [({"workload": "w", "le": b, **labels}, float(v)) for b, v in zip(bounds, line, strict=True)]) for i, line in enumerate(counts)]
