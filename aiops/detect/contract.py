"""The one contract of all detectors. Neighbours: one algorithm a file beside this one; `bank` calls them, `registry` builds them.

A detector is causal (a score depends on samples up to its own time only), knows series by row number alone, treats each row by itself
unless it says otherwise, and does not depend on the order of rows in a batch.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np

from aiops.detect.arrays import Flags, Rows, nan
from aiops.domain.series import Floats, Labels

MAX_SCORE = 1e6
"""Scores are cut here, so that evidence stays printable when a value is absurd."""


@dataclass(frozen=True, slots=True)
class Scores:
    """What a detector thinks of n samples; every array has shape (n,).

    `score` is scaled so that 1.0 is the threshold, 0 is wholly usual, at most `MAX_SCORE`, NaN where `ready` is False.
    `expected`, `lower`, `upper`: in the value's unit, NaN where unknown. `ready`: enough was learned to judge, and the value is finite.
    `breach`: wrong now; `critical`: wrong at the worse level (implies breach); `recovered`: far enough back to count as good. Between the
    last two lies hysteresis: neither breach nor recovered keeps an alarm as it is.
    """

    score: Floats
    expected: Floats
    lower: Floats
    upper: Floats
    ready: Flags
    breach: Flags
    critical: Flags
    recovered: Flags
    changed: Flags | None = None
    """Where what is usual has just changed for good, and was learned anew: an alarm ends by that, once. None: nowhere."""

    def __len__(self) -> int:
        return len(self.score)


@dataclass(frozen=True, slots=True)
class Window:
    """When a release began to be rolled out and was complete (NaN: it is not), Unix seconds."""

    began: float
    ended: float


class Detector(Protocol):
    """State of one rule's series, by row."""

    @property
    def reason(self) -> str:
        """CamelCase code of what a breach means."""
        ...

    @property
    def bytes_each(self) -> int:
        """Memory of one series, in bytes: what is kept by row."""
        ...

    def score_and_learn(self, rows: Rows, times: Floats, values: Floats, *, learn: bool = True) -> Scores:
        """Score first, then learn (unless told not to). Called once a poll, also when there is nothing to score.

        `rows` are distinct; `times` Unix seconds, later than any before for the row; NaN and ±Inf are skipped.
        """
        ...

    def forget(self, rows: Rows) -> None:
        """These rows will stand for other series."""
        ...

    def snapshot(self) -> bytes:
        """All that was learned."""
        ...

    def restore(self, data: bytes) -> None:
        """Continue exactly where `snapshot` was taken. Raises ValueError if it is damaged or of other parameters; the state is then as before."""
        ...


@runtime_checkable
class Grouped(Protocol):
    """A detector that looks at labels too."""

    def introduce(self, rows: Sequence[int], labels: Sequence[Labels]) -> None:
        """Which series stand behind rows, before the first sample of them and after `restore`."""
        ...


@runtime_checkable
class Explained(Protocol):
    """A detector that can say why a row is wrong."""

    def lines(self, row: int) -> tuple[str, ...]:
        """Why the newest sample of a row is wrong, for people: features or views, expected against seen. Empty if it is not, or nothing is known."""
        ...


@runtime_checkable
class Compares(Protocol):
    """A detector that must know when what stands behind a row was released last."""

    def released(self, windows: Mapping[int, Window]) -> None:
        """By row; before the samples that are to be judged by it."""
        ...


def plain_scores(score: Floats, ready: Flags, *, expected: Floats | None = None, lower: Floats | None = None, upper: Floats | None = None) -> Scores:
    """Scores whose breach is `score > 1`, without a critical level and without hysteresis."""
    size = len(score)
    breach = ready & (score > 1.0)
    return Scores(
        score=np.where(ready, np.clip(score, 0.0, MAX_SCORE), np.nan),
        expected=nan(size) if expected is None else expected,
        lower=nan(size) if lower is None else lower,
        upper=nan(size) if upper is None else upper,
        ready=ready,
        breach=breach,
        critical=np.zeros(size, dtype=np.bool_),
        recovered=ready & ~breach,
    )


def scattered(part: Scores, where: Flags) -> Scores:
    """Scores of the samples flagged by `where`, put back among all samples; the others are not ready."""
    if where.all():
        return part
    size = len(where)

    def floats(values: Floats) -> Floats:
        whole = nan(size)
        whole[where] = values
        return whole

    def flags(values: Flags) -> Flags:
        whole = np.zeros(size, dtype=np.bool_)
        whole[where] = values
        return whole

    return Scores(
        floats(part.score),
        floats(part.expected),
        floats(part.lower),
        floats(part.upper),
        flags(part.ready),
        flags(part.breach),
        flags(part.critical),
        flags(part.recovered),
        None if part.changed is None else flags(part.changed),
    )


def taken(scores: Scores, places: Rows) -> Scores:
    """Those at these places."""
    return Scores(
        scores.score[places], scores.expected[places], scores.lower[places], scores.upper[places],
        scores.ready[places], scores.breach[places], scores.critical[places], scores.recovered[places],
    )  # fmt: skip
