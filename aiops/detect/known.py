"""What a bank knows: labels by row, the detector, alarms, last samples, and how each series stands. Whole as bytes, for a restart.

Neighbours: `bank` judges polls with it, `telling` makes findings of it, `absence` looks at what is not there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aiops.detect.alarm import Alarms
from aiops.detect.arrays import Column, RowArrays, Rows, pack, part, unpack
from aiops.detect.contract import Detector, Grouped, Scores
from aiops.detect.groups import GroupDetector
from aiops.detect.intake import Intake
from aiops.detect.recent import Recent
from aiops.detect.registry import AT_ONCE, build_detector, build_group
from aiops.detect.series_table import SeriesTable
from aiops.detect.waiting import Waiting
from aiops.domain.ids import make_id
from aiops.domain.rule import MetricKind, ObjectQuery, Rule
from aiops.domain.series import Floats

WAITING = 10_000
"""Series seen once that are remembered."""


class Known:
    """All state of one rule; of `detector` and `group` one is None. Raises ValueError if the rule's detector or its parameters are not usable."""

    def __init__(self, rule: Rule) -> None:
        self.rule = rule
        # One of the two: a detector of numbers, or one that folds the answer into subjects and judges those.
        self.group = build_group(rule)
        self.detector = build_detector(rule) if self.group is None else None
        self.alarms = Alarms(hold=rule.hold, clear_hold=rule.clear_hold, every=rule.every)
        self.table = SeriesTable()
        self.patient, self.waiting = rule.detector.type not in AT_ONCE, Waiting(WAITING)
        # A subject's value is a level, whatever the series that it was made of are.
        self.intake = Intake(rule if self.group is None else replace(rule, kind=MetricKind.GAUGE))
        self.recent = Recent()
        self.query = ""
        self.state = RowArrays(
            absent_since=Column(np.nan),
            blind_since=Column(np.nan),
            absence=Column(False, np.bool_),
            warming=Column(False, np.bool_),
            changed=Column(False, np.bool_),
            value=Column(np.nan),
            score=Column(np.nan),
            expected=Column(np.nan),
            lower=Column(np.nan),
            upper=Column(np.nan),
            judged_at=Column(np.nan),
        )

    @property
    def bytes_each(self) -> int:
        """Memory of one series, its labels apart. What a group detector keeps of a subject is bounded by its parameters and not counted here."""
        rooms = (self.alarms.bytes_each, self.intake.bytes_each, self.recent.bytes_each, self.state.bytes_each)
        return sum(rooms) + (self.detector.bytes_each if self.detector is not None else 0)

    @property
    def learned(self) -> Detector | GroupDetector:
        """The rule's detector."""
        one = self.detector if self.group is None else self.group
        assert one is not None
        return one

    def reserve(self) -> None:
        """Make all rows of the table usable."""
        for room in (self.state, self.alarms, self.intake):
            room.reserve(self.table.rows)

    def introduce(self, rows: Sequence[int]) -> None:
        """Tell a detector that looks at labels who is behind rows."""
        if rows and isinstance(self.detector, Grouped):
            self.detector.introduce(rows, [self.table.labels(row) for row in rows])

    def remember(self, rows: Rows, times: Floats, values: Floats, scores: Scores) -> None:
        """How these series stand."""
        state = self.state
        state["warming"][rows] = ~scores.ready
        state["value"][rows], state["score"][rows], state["expected"][rows] = values, scores.score, scores.expected
        state["lower"][rows], state["upper"][rows], state["judged_at"][rows] = scores.lower, scores.upper, times

    def release(self, rows: Rows) -> None:
        """These series are forgotten, and their rows free for others."""
        if not len(rows):
            return
        if self.group is not None:
            self.group.forget([self.table.series(row) for row in rows.tolist()])
        self.table.release(rows)
        for room in (self.detector, self.alarms, self.intake, self.recent):
            if room is not None:
                room.forget(rows)
        self.state.reset(rows)

    def states(self) -> dict[str, int]:
        """How many series are `warming`, `ready` and `blind`."""
        known = self.table.in_use()
        blind = np.isfinite(self.state["blind_since"][known])
        if self.group is not None:
            # It is there, and too little of it to say anything.
            blind &= ~(self.state["warming"][known] & np.isnan(self.state["absent_since"][known]))
        count, warming = int(np.count_nonzero(blind)), int(np.count_nonzero(self.state["warming"][known] & ~blind))
        return {"warming": warming, "ready": len(known) - count - warming, "blind": count}

    @property
    def key(self) -> str:
        """Identity of what was learned: a rule that asks something else or judges otherwise starts anew."""
        rule = self.rule
        query = f"{rule.query.kind} {rule.query.value.text}" if isinstance(rule.query, ObjectQuery) else repr(rule.query)
        detector = sorted(rule.detector.parameters.items())
        return make_id("bank", rule.name, rule.source, query, rule.detector.type, repr(detector), rule.kind.value, rule.direction.value)

    def snapshot(self) -> bytes:
        """All state, alarms included, so that a restart neither forgets nor repeats."""
        parts = {"state": self.state.used(), "alarms": self.alarms.used(), "intake": self.intake.used(), "recent": self.recent.used()}
        arrays = {f"{prefix}.{name}": array for prefix, columns in parts.items() for name, array in columns.items()}
        arrays["detector"] = np.frombuffer(self.learned.snapshot(), dtype=np.uint8)
        return pack(arrays, {"key": self.key, "series": self.table.dump(), "query": self.query, "waiting": self.waiting.dump()})

    def restored(self, data: bytes) -> Known:
        """What `snapshot` was taken of. Raises ValueError if the bytes are damaged or of another rule."""
        arrays, header = unpack(data)
        if header.get("key") != self.key:
            raise ValueError(f"snapshot is not of rule {self.rule.name} as it is now")
        # Filled aside: a snapshot that fits by half must not leave half a state.
        new = Known(self.rule)
        try:
            new._fill(arrays, header)
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"snapshot of rule {self.rule.name} is damaged: {error}") from error
        return new

    def _fill(self, arrays: dict[str, NDArray[Any]], header: Mapping[str, Any]) -> None:
        self.learned.restore(arrays.pop("detector").tobytes())
        self.state.replace(part(arrays, "state"))
        self.alarms.replace(part(arrays, "alarms"))
        self.intake.replace(part(arrays, "intake"))
        self.recent.replace(part(arrays, "recent"))
        self.table.load(header["series"])
        self.reserve()
        self.introduce(self.table.in_use().tolist())
        self.query = str(header.get("query", ""))
        self.waiting.load(header.get("waiting", {}))
