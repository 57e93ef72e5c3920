"""Samples of the past that outlive their source. Neighbours: `pipeline.gathering` fills it, `pipeline.capacity` reads; `adapters.history` (Parquet files; in memory too)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from aiops.domain.ids import make_id
from aiops.domain.series import SeriesRange


@dataclass(frozen=True, slots=True)
class Track:
    """What is kept together: the answers of one `query` to one `source` each `step` seconds."""

    source: str
    query: str
    step: float

    @property
    def id(self) -> str:
        """The same for the same question, safe in a file's name."""
        return make_id("track", self.source, self.query, self.step)


class History(Protocol):
    """Samples by track. All methods raise `StoreError`; what is damaged is set aside, logged and counted, and is as if it had not been there."""

    def through(self, track: Track) -> float | None:
        """The time (Unix seconds) up to which the source was asked; None if never."""
        ...

    def add(self, track: Track, series: Sequence[SeriesRange], through: float) -> None:
        """Keep these samples; of two at one time of a series the later given holds. Durable when it returns; `through` never goes back by it."""
        ...

    def read(self, track: Track, start: float, end: float) -> tuple[SeriesRange, ...]:
        """Samples with `start <= t <= end`, times rising, series ordered by their labels; those without any are absent."""
        ...

    def purge(self, before: float) -> int:
        """Forget what is wholly older, of all tracks; returns how many pieces that were."""
        ...
