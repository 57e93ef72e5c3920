"""The fleet's views for live series: the same model as `aiops score`, with a level from `falseAlarms`, an eye on regime changes, and one alarm an episode.

While an alarm lasts, its samples teach the model nothing; it is over after a few calm samples, or, where it came back meanwhile, when departures have become
rare. A change that lasts ends the alarm as `RegimeChanged`, and the baseline is moved there. Neighbours: `fleet`, `calibration`, `regime`, `contract`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from aiops.detect.arrays import Column, Flags, RowArrays, Rows, pack, part, unpack
from aiops.detect.calibration import Calibration
from aiops.detect.contract import MAX_SCORE, Scores, scattered
from aiops.detect.fleet import HUGE, Fleet
from aiops.detect.focus import Focus
from aiops.detect.regime import Regimes
from aiops.detect.views import Reasons
from aiops.domain.rule import Direction, MetricKind
from aiops.domain.series import Floats

CALM = 5
"""Samples in a row that must be calm before an alarm is over."""
ABSURD = 1e100
"""What is so great is no measurement: learned once, it would hide for weeks whatever comes after it."""
CALM_SHARE = 0.8
"""A sample is calm at no more than this share of the level."""


class LiveFleet:
    """`false_alarms`: seconds in which one false alarm a series is borne; None: `aiops score`'s own level, which holds for all series alike.

    `pooled`: a new series leans on the rule's other ones. `forest`: the views of `focus`, which has one more.
    `timezone`: as `fleet.Fleet`'s zone, an IANA name. Raises ValueError if there is none of that name.
    """

    reason = "UnlikeItself"

    def __init__(
        self,
        *,
        false_alarms: float | None = None,
        pooled: bool = True,
        forest: bool = False,
        direction: Direction = Direction.BOTH,
        kind: MetricKind = MetricKind.GAUGE,
        timezone: str = "UTC",
    ) -> None:
        self._direction, self._kind, self._period, self._pooled, self._forest, self._timezone = direction, kind, false_alarms, pooled, forest, timezone
        self._fill()

    def _fill(self) -> None:
        # Two models of one face; what one looks at only itself understands.
        zone = ZoneInfo(self._timezone) if self._timezone != "UTC" else None
        self._fleet: Any = Focus(direction=self._direction, zone=zone) if self._forest else Fleet(direction=self._direction, zone=zone)
        self._calibration = Calibration(self._period, pooled=self._pooled) if self._period is not None else None
        self._regimes = Regimes()
        self._why: dict[int, tuple[Reasons, int]] = {}
        self._alarms = RowArrays(calm=Column(0, np.int8), again=Column(False, np.bool_))

    @property
    def bytes_each(self) -> int:
        """Memory of one series."""
        return int(self._fleet.bytes_each) + self._regimes.bytes_each + self._alarms.bytes_each + (self._calibration.bytes_each if self._calibration else 0)

    def score_and_learn(self, rows: Rows, times: Floats, values: Floats, *, learn: bool = True) -> Scores:
        """As the contract says; ready once there are 30 samples and, where a rate is asked for, a level. With a rate, new series lean on the others."""
        ok = np.isfinite(values)
        rows, times, values = rows[ok], times[ok], np.clip(values[ok], -HUGE, HUGE)
        self._regimes.cover(rows)
        self._alarms.cover(rows)
        if self._calibration:
            self._calibration.cover(rows)
        with np.errstate(over="ignore", invalid="ignore", divide="ignore", under="ignore"):
            scores = self._finite(rows, times, values, learn=learn)
        return scattered(scores, ok)

    def _finite(self, rows: Rows, times: Floats, values: Floats, *, learn: bool) -> Scores:
        plain, seen = self._fleet.look(rows, times, values)
        level = self._calibration.levels(rows) if self._calibration else np.ones(len(rows))
        ready = plain.ready & np.isfinite(level)
        score = np.where(ready, np.minimum(plain.score / level, MAX_SCORE), np.nan)
        breach = ready & (score > 1.0)
        self._note(rows, values, seen, breach)
        watched = self._regimes.watching(rows)
        calm = np.where(ready & (score <= CALM_SHARE), np.minimum(self._alarms["calm"][rows] + 1, CALM), 0)
        again = watched & (self._alarms["again"][rows] | (breach & (self._alarms["calm"][rows] >= CALM)))
        recovered = ready & ~breach & (calm >= CALM) & ~again
        changed = np.zeros(len(rows), dtype=np.bool_)
        if learn:
            self._alarms["calm"][rows], self._alarms["again"][rows] = calm, again
            self._fleet.learn(rows, times, values, seen, ~watched & ~breach & (np.abs(values) < ABSURD))
            change = self._regimes.step(rows, times, values - plain.expected, self._fleet.deviation(rows, plain), breach)
            changed = np.isin(rows, change.rows)
            self._fleet.reseed(change.rows, change.shift, change.scale)
            self._alarms.reset(change.rows)
            if self._calibration:
                judged = plain.ready
                self._calibration.learn(rows[judged], times[judged], plain.score[judged], watched[judged])
        breach &= ~changed
        return self._told(plain, level, score, ready, breach, recovered | (changed & ready), changed)

    def _note(self, rows: Rows, values: Floats, seen: Any, breach: Flags) -> None:
        """Why what is wrong now is wrong; of others it is forgotten."""
        if self._why:
            calm = np.zeros(int(rows.max(initial=-1)) + 1, dtype=np.bool_)
            calm[rows[~breach]] = True
            for row in [row for row in self._why if row < len(calm) and calm[row]]:
                del self._why[row]
        if breach.any():
            reasons: Reasons = self._fleet.why(rows, values, seen, breach)
            self._why |= ((row, (reasons, i)) for i, row in enumerate(rows[breach].tolist()))

    def lines(self, row: int) -> tuple[str, ...]:
        """Each view of the newest sample, if that is wrong: what was expected and what was seen. Not kept over a restart."""
        reasons, which = self._why.get(row, (None, 0))
        return reasons.lines(which) if reasons is not None else ()

    def _told(self, plain: Scores, level: Floats, score: Floats, ready: Flags, breach: Flags, recovered: Flags, changed: Flags) -> Scores:
        reach = (plain.upper - plain.expected) * level
        lower, upper = plain.expected - reach, plain.expected + reach
        if self._kind is not MetricKind.GAUGE:
            lower = np.maximum(lower, 0.0)
        if self._kind is MetricKind.RATIO:
            upper = np.minimum(upper, 1.0)
        known = ready & np.isfinite(reach)
        return Scores(
            score=np.where(changed & (score > 1.0), 1.0, score),
            expected=np.where(ready, plain.expected, np.nan),
            lower=np.where(known & (self._direction is not Direction.UP), lower, np.nan),
            upper=np.where(known & (self._direction is not Direction.DOWN), upper, np.nan),
            ready=ready,
            breach=breach,
            critical=np.zeros(len(score), dtype=np.bool_),
            recovered=recovered,
            changed=changed,
        )

    def forget(self, rows: Rows) -> None:
        """These rows will stand for other series."""
        self._fleet.forget(rows)
        self._regimes.forget(rows)
        self._alarms.reset(rows)
        for row in rows.tolist() if self._why else ():
            self._why.pop(row, None)
        if self._calibration:
            self._calibration.forget(rows)

    def snapshot(self) -> bytes:
        """All that was learned."""
        parts = {"regimes": self._regimes.used(), "alarms": self._alarms.used(), **({"calibration": self._calibration.used()} if self._calibration else {})}
        arrays: dict[str, NDArray[Any]] = {f"{prefix}.{name}": array for prefix, columns in parts.items() for name, array in columns.items()}
        arrays["fleet"] = np.frombuffer(self._fleet.snapshot(), dtype=np.uint8)
        return pack(arrays, {"detector": self.reason, "period": self._period, "timezone": self._timezone})

    def restore(self, data: bytes) -> None:
        """Raises ValueError if the bytes are damaged or of other parameters."""
        arrays, header = unpack(data)
        if header.get("detector") != self.reason or header.get("period") != self._period or header.get("timezone", "UTC") != self._timezone or "fleet" not in arrays:
            raise ValueError("snapshot is of another detector, of another rate of false alarms, or of other clocks")
        new = LiveFleet(
            false_alarms=self._period, pooled=self._pooled, forest=self._forest, direction=self._direction, kind=self._kind, timezone=self._timezone
        )
        new._take(arrays)
        self._fleet, self._calibration, self._regimes, self._alarms = new._fleet, new._calibration, new._regimes, new._alarms
        self._why = {}

    def _take(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        self._fleet.restore(arrays["fleet"].tobytes())
        self._regimes.replace(part(dict(arrays), "regimes"))
        self._alarms.replace(part(dict(arrays), "alarms"))
        if self._calibration:
            self._calibration.replace(part(dict(arrays), "calibration"))
