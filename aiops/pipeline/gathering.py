"""The past of a query, kept at home: asked for in bounded pieces, oldest first, each stored before the next is asked, so that a restart goes on where it was.

Only steps that are over are asked for, and the last ones once more, since samples may come late. Half an answer is not kept: the piece is asked again, and after
`TRIES` times taken as it is. Neighbours: `ports.history` keeps, `capacity` asks at each of its polls.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np

from aiops.domain.errors import SourceError
from aiops.domain.series import Floats, SeriesRange
from aiops.ports.clock import Clock
from aiops.ports.history import History, Track
from aiops.ports.sources import MetricSource
from aiops.ports.telemetry import Telemetry

PIECE = 240
"""Points a series of one question."""
AGAIN = 2
"""Steps that are asked for once more."""
LATE = 60.0
"""Seconds after its end that a step is asked for: what is scraped and written by rules comes later than its time."""
BUDGET = 20.0
TRIES = 3
MOST = 20_000
"""Series of one query that are kept; of more the first by their labels."""


@dataclass
class Gathering:
    """`keep`: seconds of history."""

    history: History
    clock: Clock
    telemetry: Telemetry
    keep: float
    _halves: dict[str, int] = field(default_factory=dict)
    _purged: float = -math.inf

    def update(self, source: MetricSource, track: Track, back: float, now: float) -> bool:
        """Bring the track up to `now`, from `back` seconds ago where nothing is kept. False if time ran out before: the next call goes on.

        Raises SourceError (throttled, timed out, half an answer: what came before it is kept), StoreError.
        """
        self._purge(now)
        step = track.step
        end = math.floor((now - LATE) / step) * step
        through = self.history.through(track)
        begin = math.ceil((now - min(back, self.keep)) / step) * step
        # A clock that was set back: nothing is asked until it is there again.
        start = begin if through is None else max(begin, through - (AGAIN - 1) * step)
        if through is not None and through >= end:
            return True
        began = self.clock.monotonic()
        while start <= end:
            last = min(start + (PIECE - 1) * step, end)
            found = source.range(track.query, start, last, step)
            if found.partial and self._half(track):
                raise SourceError(track.source, "Partial", f"half an answer for the history of {track.query}")
            self._halves.pop(track.id, None)
            self.history.add(track, found.series[:MOST], last)
            if len(found.series) > MOST:
                self.telemetry.count("history_series_dropped", len(found.series) - MOST)
            start = last + step
            if self.clock.monotonic() - began > BUDGET:
                return start > end
        return True

    def _half(self, track: Track) -> bool:
        """Whether to ask again."""
        self._halves[track.id] = self._halves.get(track.id, 0) + 1
        return self._halves[track.id] < TRIES

    def _purge(self, now: float) -> None:
        if not 0.0 <= now - self._purged < 86400.0:
            self._purged = now
            self.history.purge(now - self.keep)


def rates(series: SeriesRange) -> SeriesRange:
    """A counter's increase a second between samples; one that fell began anew at zero. The first sample has none; a gap has the mean rate over it."""
    if len(series.times) < 2:
        return SeriesRange(series.labels, np.empty(0), np.empty(0))
    risen: Floats = np.diff(series.values)
    risen = np.where(risen < 0.0, series.values[1:], risen)
    return SeriesRange(series.labels, series.times[1:], risen / np.diff(series.times))
