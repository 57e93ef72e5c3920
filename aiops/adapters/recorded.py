"""Sources over a recording: samples loaded into memory, log answers as they were given, cluster changes forced in order.

Neighbours: `replay.bundle` is what was recorded; `app.virtual` plugs these into the live pipeline in virtual time.
"""

from __future__ import annotations

import bisect
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Protocol

import numpy as np

from aiops.adapters.memory_prometheus.store import MemorySeriesStore
from aiops.domain.errors import SourceRejectedError, SourceUnavailableError
from aiops.domain.rule import LINE_LABEL, LogQuery
from aiops.domain.series import LogLine, SampleBatch, SeriesRange, empty_batch

PAUSE = 10.0
"""Seconds, beyond the window asked for, after which lines are those of another time."""
GAP = 3.0
"""A series that pauses for more than so many of its own intervals was gone: the scrape that missed it is made up for by a stale marker."""


def load_series(store: MemorySeriesStore, series: Iterable[SeriesRange], end: float) -> int:
    """Put recorded raw samples into the store; the number of samples. Recordings hold no stale markers, so they are put back where series broke off."""
    count = 0
    for one in series:
        store.append_many(one.labels, one.times, one.values)
        count += len(one.times)
        if len(one.times) >= 2:
            steps = np.diff(one.times)
            usual = float(np.median(steps))
            breaks = [float(one.times[i]) for i in np.flatnonzero(steps > GAP * usual)]
            if end - float(one.times[-1]) > GAP * usual:
                breaks.append(float(one.times[-1]))
            for last in breaks:
                store.mark_stale(one.labels, last + usual)
    return count


class Answer(Protocol):
    """What one log query counted at one time."""

    @property
    def at(self) -> float:
        """Unix seconds."""
        ...

    @property
    def query(self) -> str:
        """Its key."""
        ...

    @property
    def labels(self) -> Sequence[Mapping[str, str]]:
        """One map a group."""
        ...

    @property
    def counts(self) -> Sequence[float]:
        """One count a group."""
        ...


class RecordedLogs:
    """`LogSource` over recorded answers: the newest one not after the time asked for. A query that was not recorded is refused, not guessed."""

    def __init__(self, name: str, answers: Iterable[Answer], key: Callable[[LogQuery], str]) -> None:
        self._name, self._key = name, key
        self._answers: dict[str, list[Answer]] = {}
        for answer in sorted(answers, key=lambda a: a.at):
            self._answers.setdefault(answer.query, []).append(answer)

    @property
    def name(self) -> str:
        """As rules name it."""
        return self._name

    def counts(self, query: LogQuery, at: float) -> SampleBatch:
        """See the port."""
        known = self._answers.get(self._key(query))
        if known is None:
            raise SourceRejectedError(self._name, "NotRecorded", "the recording has no answers to this query; record again with these rules")
        place = bisect.bisect_right(known, at, key=lambda a: a.at) - 1
        if place < 0:
            return empty_batch(self._name, str(query), at)
        answer = known[place]
        return SampleBatch(
            self._name, str(query), at, tuple(answer.labels), np.full(len(answer.counts), at), np.array(answer.counts, dtype=np.float64),
        )

    def samples(self, query: LogQuery, start: float, end: float, limit: int, *, whole: bool = False) -> Sequence[LogLine]:
        """Lines as they were recorded for a rule that asks for lines; nothing where the recording knows no such rule.

        SourceUnavailableError (NotRecorded) where the recording pauses: that nothing was written then is not known.
        """
        del whole  # what was recorded was
        known = self._answers.get(self._key(query)) if query.lines else None
        if known is None:
            return ()
        place = bisect.bisect_right(known, end, key=lambda a: a.at) - 1
        if place < 0 or end - known[place].at >= end - start + PAUSE:
            raise SourceUnavailableError(self._name, "NotRecorded", "the recording has no lines of this time")
        answer = known[place]
        fields = ({name: text for name, text in labels.items() if name != LINE_LABEL} for labels in answer.labels)
        return tuple(LogLine(answer.at, labels[LINE_LABEL], own) for labels, own in zip(answer.labels[:limit], fields, strict=False))
