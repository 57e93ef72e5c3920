"""Series and samples as numpy columns: what a poll's answer becomes, once.

Neighbours: sources make `SampleBatch` and `RangeBatch`, detectors read them. The only room of `domain` that imports numpy.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Labels = Mapping[str, str]


def label_key(labels: Labels) -> tuple[tuple[str, str], ...]:
    """Sorted pairs: the identity of a series."""
    return tuple(sorted(labels.items()))


def series_id(labels: Labels) -> str:
    """Stable 16 hex digits for a label set (blake2b over length-prefixed pairs, so no two label sets collide by joining)."""
    digest = hashlib.blake2b(digest_size=8)
    for name, value in sorted(labels.items()):
        for part in (name.encode(), value.encode(errors="surrogatepass")):
            digest.update(len(part).to_bytes(4, "big"))
            digest.update(part)
    return digest.hexdigest()


@dataclass(frozen=True, slots=True)
class SampleBatch:
    """The answer to one instant query: n series with one sample each.

    `labels[i]` belongs to `values[i]` (any unit, NaN and ±Inf are kept as they came) at `times[i]` (Unix seconds).
    `at` is the evaluation time asked for. `warnings` are the server's own; `partial` says that the answer is known to be incomplete.
    """

    source: str
    query: str
    at: float
    labels: Sequence[Labels]
    times: Floats
    values: Floats
    warnings: tuple[str, ...] = ()
    partial: bool = False

    def __len__(self) -> int:
        return len(self.labels)


@dataclass(frozen=True, slots=True)
class SeriesRange:
    """One series over time: `times` (Unix seconds, rising) and `values`, both of shape (k,)."""

    labels: Labels
    times: Floats
    values: Floats


@dataclass(frozen=True, slots=True)
class RangeBatch:
    """The answer to one range query: n series of any length each. Steps without a sample are absent, not NaN."""

    source: str
    query: str
    start: float
    end: float
    step: float
    series: tuple[SeriesRange, ...]
    warnings: tuple[str, ...] = ()
    partial: bool = False


@dataclass(frozen=True, slots=True)
class LogLine:
    """One log record; `text` is as it was written and hostile."""

    at: float
    text: str
    fields: Mapping[str, str] = field(default_factory=dict)


def empty_batch(source: str, query: str, at: float) -> SampleBatch:
    """An answer with no series: valid, and not the same as no answer."""
    return SampleBatch(source, query, at, (), np.empty(0), np.empty(0))
