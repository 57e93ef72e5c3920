"""Where telemetry comes from. All methods raise the `SourceError` family of `domain.errors` and nothing else.

A source never invents: NaN and ±Inf come as they are, a missing series is missing, a known incompleteness is `partial`.
Neighbours: `adapters.prometheus`, `adapters.elasticsearch`, `adapters.memory_prometheus`, `adapters.recorded`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from aiops.domain.declared import DeclaredQuery
from aiops.domain.rule import LogQuery, ObjectQuery
from aiops.domain.series import LogLine, RangeBatch, SampleBatch


class MetricSource(Protocol):
    """PromQL in, columns out."""

    @property
    def name(self) -> str:
        """As rules name it."""
        ...

    def instant(self, query: str, at: float) -> SampleBatch:
        """Evaluate at `at` (Unix seconds). A scalar answer is one series without labels."""
        ...

    def range(self, query: str, start: float, end: float, step: float) -> RangeBatch:
        """Evaluate from `start` to `end` inclusive, each `step` seconds; the adapter splits what is over the server's limit of points."""
        ...


class RawSource(Protocol):
    """Where recordings come from: samples as they were scraped, past any evaluation."""

    @property
    def name(self) -> str:
        """As rules name it."""
        ...

    def samples(self, selector: str, start: float, end: float) -> RangeBatch:
        """The raw samples of a vector selector with `start < t <= end` (`step` is 0 in the answer)."""
        ...


class LogSource(Protocol):
    """Log records, counted or shown."""

    @property
    def name(self) -> str:
        """As rules name it."""
        ...

    def counts(self, query: LogQuery, at: float) -> SampleBatch:
        """Count of records with `at - window <= t < at` for each group; groups without records are absent. `partial` if shards failed or groups were cut."""
        ...

    def samples(self, query: LogQuery, start: float, end: float, limit: int, *, whole: bool = False) -> Sequence[LogLine]:
        """At most `limit` matching records, oldest first. What shards could not give is missing; with `whole` that is SourceUnavailableError (Partial)."""
        ...


class ObjectSource(Protocol):
    """Numbers read off the cached objects of a cluster."""

    @property
    def name(self) -> str:
        """As rules name it."""
        ...

    def values(self, query: ObjectQuery | DeclaredQuery, at: float) -> SampleBatch:
        """The expression's value for each object of the kind; objects on which it fails are left out and counted in `warnings`. Of declared objects a 1 for each field that differs."""
        ...
