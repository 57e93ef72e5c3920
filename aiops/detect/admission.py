"""Which series of an answer a bank takes: those it knows, new ones while there is room, nothing for the rest.

A new series of a detector that must learn first is taken when it is seen twice (`waiting`). Room is made by those that are gone and claim nothing, longest gone
first; where the `budget` says that others need the room more, by the least important: what is gone, then what warms up, then what is ready; never by what fires.
Which of several equal ones it is does not depend on their order in an answer. Neighbours: `bank` asks once a poll, `series_table` has the rows.
"""

from __future__ import annotations

from collections import Counter

import numpy as np

from aiops.detect.arrays import Rows
from aiops.detect.budget import Place
from aiops.detect.known import Known
from aiops.detect.series_table import REFUSED
from aiops.domain.series import Labels, SampleBatch, series_id

ANSWER, LEAST = 10, 100_000
"""An answer of more than so many times the series that a rule may have, and of more than so many, is not looked at: finding the known ones in it would hold up all others."""


def too_large(place: Place, batch: SampleBatch) -> bool:
    """Whether an answer is refused as a whole."""
    return len(batch) > max(ANSWER * place.limit, LEAST)


def admitted(known: Known, place: Place, batch: SampleBatch, dropped: Counter[str]) -> tuple[Rows, Rows]:
    """Distinct rows of the batch and the positions they stand at; afterwards the budget knows what is held."""
    known.waiting.turn()
    known.reserve()
    surplus = place.surplus(len(known.table))
    if surplus > 0:
        _give_up(known, surplus)
    rows = known.table.find(batch.labels)
    unknown = np.flatnonzero(rows == REFUSED)
    if len(unknown):
        if _admit(known, place, rows[rows != REFUSED], [batch.labels[p] for p in unknown.tolist()], dropped):
            rows[unknown] = known.table.find([batch.labels[p] for p in unknown.tolist()])
    else:
        place.take(len(known.table), 0)
    place.settle(len(known.table))
    known.reserve()
    refused = rows == REFUSED
    if not refused.any() and len(set(rows.tolist())) == len(rows):
        return rows, np.arange(len(rows))
    keep = np.flatnonzero(~refused)
    distinct, first = np.unique(rows[keep], return_index=True)
    if len(distinct) < len(keep):
        dropped["DuplicateSeries"] += len(keep) - len(distinct)
        keep = keep[np.sort(first)]
    return rows[keep], keep


def _admit(known: Known, place: Place, present: Rows, labels: list[Labels], dropped: Counter[str]) -> bool:
    """Whether any of these unknown series was taken in."""
    full = len(known.table) >= place.limit
    idle = _idle(known, present) if full else np.empty(0, dtype=np.int64)
    if full and not len(idle):
        # Said before their names are looked at: with many of them that would take long.
        place.take(len(known.table), 0)
        dropped["SeriesLimit"] += len(labels)
        return False
    fresh: dict[str, Labels] = {}
    for one in labels:
        fresh.setdefault(series_id(one), one)
    ready = sorted(fresh) if not known.patient or not known.table.rows else known.waiting.twice(fresh)
    if len(ready) < len(fresh):
        dropped["SeenOnce"] += len(fresh) - len(ready)
    room = place.take(len(known.table), len(ready))
    if room < len(ready):
        idle = _idle(known, present)[: len(ready) - room]
        if len(idle):
            known.release(idle)
            place.settle(len(known.table) + room)
            room += place.take(len(known.table) + room, len(ready) - room)
    if room < len(ready):
        dropped["SeriesLimit"] += len(ready) - room
    chosen = ready[:room]
    known.waiting.admit(chosen)
    new = [known.table.add(fresh[series], series) for series in chosen]
    known.reserve()
    known.introduce(new)
    return bool(new)


def _idle(known: Known, present: Rows) -> Rows:
    """Rows whose series are gone and claim nothing, longest gone first; those of `present` are back."""
    used = known.table.less(np.unique(present))
    idle = used[np.isfinite(known.state["absent_since"][used]) & ~known.alarms.firing[used]]
    since = known.state["absent_since"]
    return np.array(sorted(idle.tolist(), key=lambda row: (since[row], known.table.series(row))), dtype=np.int64)


def _give_up(known: Known, count: int) -> None:
    used = known.table.in_use()
    quiet = used[~known.alarms.firing[used]].tolist()
    state = known.state

    def importance(row: int) -> tuple[bool, bool, float, str]:
        gone = state["absent_since"][row]
        return not np.isfinite(gone), not state["warming"][row], gone if np.isfinite(gone) else 0.0, known.table.series(row)

    known.release(np.array(sorted(quiet, key=importance)[:count], dtype=np.int64))
