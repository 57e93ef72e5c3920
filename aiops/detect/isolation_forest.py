"""Isolation forest on standardised residuals, one forest for all series of a rule (Liu, Ting, Zhou, "Isolation Forest", ICDM 2008).

A forest alone cannot see how far outside a value is: its score saturates at the edge of what it was trained on. So it is fed residuals to the recent
median instead of raw values, and its score is averaged with |z| of the newest one. Each fit draws on at most `POOL` pooled samples and happens
at most once in `window` polls, which bounds its cost. Unlike the other detectors it needs company: series of one rule train one forest.
Neighbours: scikit-learn's IsolationForest is fitted, `flat_forest` scores what was fitted, `windows` has the residuals.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from aiops.detect.arrays import Column, RowArrays, Rows, nan, pack, part, unpack
from aiops.detect.contract import MAX_SCORE, Scores, scattered
from aiops.detect.flat_forest import FlatForest, flattened, kept
from aiops.detect.windows import Windows
from aiops.domain.rule import Direction, MetricKind
from aiops.domain.series import Floats

FEATURES = 3
"""Residual z, its change since the last sample, and its moving average."""
POOL, FIRST_FIT = 4096, 256
CLIP = 20.0
Z_LIMIT = 6.0
"""|z| that alone is worth a ratio of 1: the forest's ratio and this one are averaged."""
MINIMUM = 10
SMOOTHING = 0.2
FLOOR = 0.02
SEED = 20081215
RECOVERED_SHARE = 0.8


class ResidualForest:
    """`trees` of the forest; `window`: samples of the recent median, and polls between fits; `score`: anomaly score (0.5..1) that counts as 1.0."""

    reason = "Isolated"

    def __init__(
        self,
        *,
        trees: int = 100,
        window: int = 256,
        score: float = 0.65,
        direction: Direction = Direction.BOTH,
        kind: MetricKind = MetricKind.GAUGE,
    ) -> None:
        if not 1 <= trees <= 1000 or window < MINIMUM or not 0.5 < score < 1.0:
            raise ValueError(f"isolationForest: trees ({trees}) must be 1 to 1000, window ({window}) at least {MINIMUM}, score ({score:g}) between 0.5 and 1")
        del kind  # Residuals are standardised, whatever the values are.
        self._trees, self._score, self._refit_after, self._direction = trees, score, window, direction
        self._recent = Windows(window)
        self._state = self._fresh()
        self._pool = np.empty((0, FEATURES))
        self._polls = 0
        self._forest: FlatForest | None = None

    @staticmethod
    def _fresh() -> RowArrays:
        return RowArrays(z=Column(0.0), average=Column(0.0))

    @property
    def bytes_each(self) -> int:
        """Memory of one series."""
        return self._state.bytes_each + self._recent.bytes_each

    def score_and_learn(self, rows: Rows, times: Floats, values: Floats, *, learn: bool = True) -> Scores:
        """As the contract says; ready once the row has a median and the rule has a forest."""
        del times  # The order of samples is all it needs.
        ok = np.isfinite(values)
        # By row number, so that the pool, and with it the forest, does not depend on the order within a batch.
        order = np.argsort(rows[ok], kind="stable")
        back = np.argsort(order, kind="stable")
        scores = self._finite(rows[ok][order], values[ok][order], learn=learn)
        return scattered(_permuted(scores, back), ok)

    def _finite(self, rows: Rows, values: Floats, *, learn: bool) -> Scores:
        self._state.cover(rows)
        self._recent.cover(rows)
        spread = self._recent.spread(rows)
        known = spread.count >= MINIMUM
        with np.errstate(invalid="ignore", over="ignore", divide="ignore"):
            scale = np.maximum(np.maximum(spread.sigma, FLOOR * np.abs(spread.median)), np.finfo(np.float64).tiny)
            z = np.where(known, np.clip(np.nan_to_num((values - spread.median) / scale, nan=0.0), -CLIP, CLIP), 0.0)
        average = (1.0 - SMOOTHING) * self._state["average"][rows] + SMOOTHING * z
        features = np.column_stack([z, z - self._state["z"][rows], average])
        ready = known & (self._forest is not None)
        score = np.zeros(len(rows))
        if self._forest is not None and ready.any():
            forest = -self._forest.score_samples(features[ready]) / self._score
            score[ready] = 0.5 * forest + 0.5 * np.abs(z[ready]) / Z_LIMIT
        score = np.where(self._wrong_side(z), 0.0, score)
        breach = ready & (score > 1.0)
        if learn:
            self._state["z"][rows], self._state["average"][rows] = z, average
            self._recent.push(rows, values)
            self._train(features[known & ~breach])
        return Scores(
            score=np.where(ready, np.minimum(score, MAX_SCORE), np.nan),
            expected=np.where(known, spread.median, np.nan),
            lower=nan(len(rows)),
            upper=nan(len(rows)),
            ready=ready,
            breach=breach,
            critical=np.zeros(len(rows), dtype=np.bool_),
            recovered=ready & (score <= RECOVERED_SHARE),
        )

    def _wrong_side(self, z: Floats) -> NDArray[np.bool_]:
        if self._direction is Direction.BOTH:
            return np.zeros(len(z), dtype=np.bool_)
        return z <= 0.0 if self._direction is Direction.UP else z >= 0.0

    def _train(self, features: Floats) -> None:
        if not len(features):
            return  # an answer that repeats, or comes late, does not bring the next fit nearer
        self._polls += 1
        self._pool = np.concatenate([self._pool, features])[-POOL:]
        due = self._forest is None or self._polls >= self._refit_after
        if due and len(self._pool) >= FIRST_FIT:
            self._polls = 0
            # Loaded at the first fit: over a second and some hundred MiB, paid only by a rule that uses it.
            from sklearn.ensemble import IsolationForest

            self._forest = flattened(IsolationForest(n_estimators=self._trees, random_state=SEED).fit(self._pool))

    def forget(self, rows: Rows) -> None:
        """These rows will stand for other series."""
        self._state.reset(rows)
        self._recent.forget(rows)

    def snapshot(self) -> bytes:
        """All that was learned, the forest as plain arrays: nothing is pickled, and nothing needs to be fitted again."""
        arrays = {f"state.{name}": array for name, array in self._state.used().items()}
        arrays |= {f"recent.{name}": array for name, array in self._recent.used().items()}
        arrays |= {f"forest.{name}": array for name, array in (self._forest.used() if self._forest else {}).items()}
        return pack({**arrays, "pool.now": self._pool}, {"polls": self._polls})

    def restore(self, data: bytes) -> None:
        """Raises ValueError if the bytes are damaged or of other parameters."""
        arrays, header = unpack(data)
        state, recent = self._fresh(), Windows(self._recent.length)
        state.replace(part(arrays, "state"))
        recent.replace(part(arrays, "recent"))
        trees = part(arrays, "forest")
        forest = kept(trees, FEATURES) if trees else None
        try:
            pool, polls = arrays["pool.now"], int(header["polls"])
        except (KeyError, TypeError) as error:
            raise ValueError(f"snapshot is damaged: {error}") from error
        if pool.shape[1:] != (FEATURES,):
            raise ValueError("snapshot has other features")
        self._state, self._recent, self._pool, self._polls, self._forest = state, recent, pool, polls, forest


def _permuted(scores: Scores, order: Rows) -> Scores:
    return Scores(
        scores.score[order],
        scores.expected[order],
        scores.lower[order],
        scores.upper[order],
        scores.ready[order],
        scores.breach[order],
        scores.critical[order],
        scores.recovered[order],
    )
