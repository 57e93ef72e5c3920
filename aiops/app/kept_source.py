"""A source whose ranges are kept at home: only what is new is asked for, and what was kept outlives the source's retention.

Neighbours: `pipeline.gathering` keeps; `app.budgets` looks through it each hour, `app.spending` reads what the daemon has kept without writing to it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from pathlib import Path

from aiops.adapters.history import MemoryHistory, ParquetHistory
from aiops.domain.series import RangeBatch, SampleBatch
from aiops.pipeline.gathering import Gathering
from aiops.ports.clock import Clock
from aiops.ports.history import History, Track
from aiops.ports.sources import MetricSource
from aiops.ports.telemetry import NullTelemetry


class KeptSource:
    """See `ports.sources.MetricSource`. Queries that are asked with the same step share what is kept."""

    def __init__(self, source: MetricSource, gathering: Gathering) -> None:
        self._source, self._gathering = source, gathering

    @property
    def name(self) -> str:
        """The source's own."""
        return self._source.name

    def instant(self, query: str, at: float) -> SampleBatch:
        """Never kept."""
        return self._source.instant(query, at)

    def range(self, query: str, start: float, end: float, step: float) -> RangeBatch:
        """What is kept, brought up to `end`. Raises SourceError; StoreError if it cannot be kept."""
        track = Track(self._source.name, query, step)
        while not self._gathering.update(self._source, track, end - start, end):
            """In pieces; each call goes on where the last one stopped."""
        return RangeBatch(self._source.name, query, start, end, step, self._gathering.history.read(track, start, end))


def reading(source: MetricSource, folder: Path, queries: Iterable[str], step: float, clock: Clock, keep: float) -> KeptSource:
    """Over a copy in memory of what a daemon keeps in `folder`: its files are its own."""
    copied: History = MemoryHistory()
    if folder.is_dir():
        kept = ParquetHistory(folder, owner=False)
        for query in queries:
            track = Track(source.name, query, step)
            through = kept.through(track)
            if through is not None:
                copied.add(track, kept.read(track, -math.inf, math.inf), through)
    return KeptSource(source, Gathering(copied, clock, NullTelemetry(), keep))
