"""Which series of an answer a bank takes: rows of those it knows, new rows while there is room, nothing for the rest.

Neighbours: `bank` asks once a poll, `series_table` has the rows, `known` the state.
"""

from __future__ import annotations

from collections import Counter

import numpy as np

from aiops.detect.arrays import Rows
from aiops.detect.known import Known
from aiops.detect.series_table import REFUSED
from aiops.domain.series import SampleBatch


def admitted(known: Known, batch: SampleBatch, dropped: Counter[str]) -> tuple[Rows, Rows]:
    """Distinct rows of the batch and the positions they stand at."""
    rows, new = known.table.intern(batch.labels)
    if REFUSED in rows:
        # Room is made by those that are gone and claim nothing, before new ones are refused.
        used = known.table.in_use()
        known.reserve()
        idle = used[np.isfinite(known.state["absent_since"][used]) & ~known.alarms.firing[used]]
        known.release(np.setdiff1d(idle, rows))
        rows, more = known.table.intern(batch.labels)
        new += more
    known.reserve()
    known.introduce(new)
    if len(set(rows.tolist())) == len(rows) and not (len(rows) and rows.min() == REFUSED):
        return rows, np.arange(len(rows))
    refused = rows == REFUSED
    if refused.any():
        dropped["SeriesLimit"] += int(refused.sum())
    keep = np.flatnonzero(~refused)
    distinct, first = np.unique(rows[keep], return_index=True)
    if len(distinct) < len(keep):
        dropped["DuplicateSeries"] += len(keep) - len(distinct)
        keep = keep[np.sort(first)]
    return rows[keep], keep
