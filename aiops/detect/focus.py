"""The detector for the few series that deserve more: the views of `fleet` and a random cut forest of their own, averaged.

What the forest sees of a sample: its departure from what `fleet` expects, its step since the last sample, and the mean and the size of recent departures; all in
deviations of the series itself, since a forest fed raw values or lags is worth less than one line of arithmetic. Its score is set against how unusual
this series *usually* is at its worst, as `fleet` does with its own, and joins the three views of `fleet` as the fourth: each side is 1 where it alone would call the sample wrong.

About 8 kB a series, of which `fleet` has 1.7. Neighbours: `cut_forest`, `fleet`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import tzinfo

import numpy as np

from aiops.detect.arrays import Column, Flags, RowArrays, Rows, pack, part, unpack
from aiops.detect.contract import Scores, plain_scores, scattered
from aiops.detect.cut_forest import SEED, CutForest, Points
from aiops.detect.fleet import HUGE, Fleet, Seen
from aiops.detect.views import Reasons
from aiops.domain.rule import Direction
from aiops.domain.series import Floats

FEATURES = ("departure", "step", "mean", "size")
TREES, SIZE, MEMORY = 10, 16, 2000
RECENT = 0.1
"""Weight of the newest departure in the mean and the size of recent ones."""
FLOOR = 0.01
"""Share of the range seen so far below which a deviation is not taken."""
CLIP = 3.0
READY = 60
"""Points a forest has been offered before it speaks."""
BLOCK, USUAL, USUAL_WEIGHT, USUAL_MOST = 300, 0.3, 3.0, 200.0
"""Samples of a block; what is taken for the usual worst at first, how many blocks that is worth, how many are remembered."""
BREACH = 2.5
SHARE = 0.25
"""Of the forest in the score: one view beside the three of `fleet`."""
_TINY = 1e-300


@dataclass(frozen=True, slots=True)
class Closer:
    """What one batch looks like before anything is learned of it: what `fleet` sees, and what the forest does; all of shape (n, ...)."""

    plain: Seen
    ready: Flags
    away: Floats
    step: Floats
    mean: Floats
    size: Floats
    found: Floats
    points: Points


class Focus:
    """See above. `direction`: which departures count; `seed` of the forest. The same face as `Fleet`."""

    reason = "Isolated"

    def __init__(self, *, direction: Direction = Direction.BOTH, seed: int = SEED, zone: tzinfo | None = None) -> None:
        self._direction, self._seed, self._zone = direction, seed, zone
        self._fleet, self._forest, self._state = self._fresh()

    def _fresh(self) -> tuple[Fleet, CutForest, RowArrays]:
        state = RowArrays(
            count=Column(0, np.int64), last=Column(np.nan), low=Column(np.inf), high=Column(-np.inf), departure_variance=Column(0.0),
            step_variance=Column(0.0), mean=Column(0.0), size=Column(0.0), block_worst=Column(0.0), block_size=Column(0, np.int32),
            worst_sum=Column(0.0), worst_count=Column(0.0),
        )
        forest = CutForest(len(FEATURES), trees=TREES, size=SIZE, memory=MEMORY, seed=self._seed)
        return Fleet(direction=self._direction, compiled_from=1, zone=self._zone), forest, state  # The forest has loaded numba anyway.

    @property
    def bytes_each(self) -> int:
        """Memory of one series."""
        return self._fleet.bytes_each + self._forest.bytes_each + self._state.bytes_each

    def score_and_learn(self, rows: Rows, times: Floats, values: Floats, *, learn: bool = True) -> Scores:
        """As the contract says; ready when `fleet` is, the forest joins in after 60 samples more."""
        ok = np.isfinite(values)
        rows, times, values = rows[ok], times[ok], np.clip(values[ok], -HUGE, HUGE)
        with np.errstate(over="ignore", invalid="ignore", divide="ignore", under="ignore"):
            scores, seen = self.look(rows, times, values)
            if learn:
                self.learn(rows, times, values, seen, np.ones(len(rows), dtype=np.bool_))
        return scattered(scores, ok)

    def look(self, rows: Rows, times: Floats, values: Floats) -> tuple[Scores, Closer]:
        """Scores of finite values up to `HUGE`, and what `learn` wants to know. Learns nothing; floating-point warnings are the caller's to silence."""
        self._state.cover(rows)
        plain, seen = self._fleet.look(rows, times, values)
        s = self._state
        away = np.where(plain.ready, values - plain.expected, 0.0)
        step = np.nan_to_num(values - s["last"][rows])
        hair = np.maximum(FLOOR * np.nan_to_num(s["high"][rows] - s["low"][rows], posinf=0.0, neginf=0.0), _TINY)
        z = away / (np.sqrt(s["departure_variance"][rows]) + hair)
        dz = step / (np.sqrt(s["step_variance"][rows]) + hair)
        cut = np.clip(z, -20.0, 20.0)
        mean = s["mean"][rows] + RECENT * (cut - s["mean"][rows])
        size = s["size"][rows] + RECENT * (np.abs(cut) - s["size"][rows])
        points = CutForest.points(CutForest.compressed(np.stack([z, dz, 2.0 * mean, 2.0 * size], axis=1)))
        found = self._forest.score(rows, points)
        usual = (USUAL_WEIGHT * USUAL + s["worst_sum"][rows]) / (USUAL_WEIGHT + s["worst_count"][rows])
        speaks = plain.ready & (s["count"][rows] >= READY) & ~self._wrong_side(away)
        score = np.where(speaks, (1.0 - SHARE) * plain.score + SHARE * found / (usual * BREACH), plain.score)
        joined = plain_scores(score, plain.ready, expected=plain.expected, lower=plain.lower, upper=plain.upper)
        return joined, Closer(seen, plain.ready, away, step, mean, size, found, points)

    def learn(self, rows: Rows, times: Floats, values: Floats, seen: Closer, which: Flags) -> None:
        """Learn those of the samples that `which` flags; of the others only what `fleet` notes. `seen` is what `look` gave."""
        self._fleet.learn(rows, times, values, seen.plain, which)
        s, taught = self._state, rows[which]
        s["last"][taught] = values[which]
        s["low"][taught], s["high"][taught] = np.minimum(s["low"][taught], values[which]), np.maximum(s["high"][taught], values[which])
        judged = which & seen.ready
        self._learn(rows[judged], seen.away[judged], seen.step[judged], seen.mean[judged], seen.size[judged], seen.found[judged])
        self._forest.learn(rows[judged], seen.points[judged])

    def why(self, rows: Rows, values: Floats, seen: Closer, which: Flags) -> Reasons:
        """As `Fleet.why`, and which features the forest finds alone."""
        blame = self._forest.blame(rows[which], seen.points[which])
        return replace(self._fleet.why(rows, values, seen.plain, which), features=FEATURES, blame=blame)

    def deviation(self, rows: Rows, scores: Scores) -> Floats:
        """As `Fleet.deviation`."""
        return self._fleet.deviation(rows, scores)

    def reseed(self, rows: Rows, shift: Floats, scale: Floats) -> None:
        """As `Fleet.reseed`. What the forest knows is in deviations, so it holds; where the series left off is not where it goes on."""
        self._fleet.reseed(rows, shift, scale)
        s = self._state
        s["departure_variance"][rows] *= np.square(scale)
        s["step_variance"][rows] *= np.square(scale)
        s["mean"][rows], s["size"][rows] = 0.0, 0.0

    def _wrong_side(self, away: Floats) -> Flags:
        if self._direction is Direction.BOTH:
            return np.zeros(len(away), dtype=np.bool_)
        return away <= 0.0 if self._direction is Direction.UP else away >= 0.0

    def _learn(self, rows: Rows, away: Floats, step: Floats, mean: Floats, size: Floats, found: Floats) -> None:
        s = self._state
        s["count"][rows] += 1
        gain = 1.0 / np.minimum(s["count"][rows], MEMORY)
        for name, seen in (("departure_variance", away), ("step_variance", step)):
            limit = CLIP * np.sqrt(s[name][rows])
            held = np.where((s["count"][rows] > READY) & (limit > 0.0), np.clip(seen, -limit, limit), seen)
            s[name][rows] += gain * (np.square(held) - s[name][rows])
        s["mean"][rows], s["size"][rows] = mean, size
        s["block_worst"][rows] = np.maximum(s["block_worst"][rows], np.where(s["count"][rows] > READY, found, 0.0))
        s["block_size"][rows] += 1
        full = rows[s["block_size"][rows] >= BLOCK]
        s["worst_sum"][full] += s["block_worst"][full]
        s["worst_count"][full] += 1.0
        shrink = np.minimum(USUAL_MOST / np.maximum(s["worst_count"][full], 1.0), 1.0)
        s["worst_sum"][full] *= shrink
        s["worst_count"][full] *= shrink
        s["block_worst"][full], s["block_size"][full] = 0.0, 0

    def forget(self, rows: Rows) -> None:
        """These rows will stand for other series."""
        self._fleet.forget(rows)
        self._forest.forget(rows)
        self._state.reset(rows)

    def snapshot(self) -> bytes:
        """All that was learned, the trees and the state of their randomness included."""
        arrays = {f"state.{name}": array for name, array in self._state.used().items()}
        arrays |= {f"forest.{name}": array for name, array in self._forest.used().items()}
        arrays["fleet"] = np.frombuffer(self._fleet.snapshot(), dtype=np.uint8)
        return pack(arrays, {"detector": self.reason})

    def restore(self, data: bytes) -> None:
        """Raises ValueError if the bytes are damaged or of other parameters."""
        arrays, _ = unpack(data)
        fleet, forest, state = self._fresh()
        if "fleet" not in arrays:
            raise ValueError("snapshot is of another detector")
        fleet.restore(arrays["fleet"].tobytes())
        forest.replace(part(arrays, "forest"))
        state.replace(part(arrays, "state"))
        self._fleet, self._forest, self._state = fleet, forest, state
