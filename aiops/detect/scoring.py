"""Recorded tables scored as they would have been live: one causal pass, one setting for all. Single series by `fleet` or `focus`, and `rest`; several columns by `joint`.

The score of a row depends on rows up to it alone. Series are worked on side by side, which changes nothing but the time it takes.
Neighbours: `app.score_files` reads and writes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from enum import StrEnum

import numpy as np

from aiops.detect.fleet import Fleet
from aiops.detect.focus import Focus
from aiops.detect.joint import Joint
from aiops.detect.rest import Rest
from aiops.domain.series import Floats


class Profile(StrEnum):
    """How much a series is worth: `fleet` is cheap enough for every one, `focus` adds a random cut forest."""

    FLEET = "fleet"
    FOCUS = "focus"


WORTH_COMPILING = 50_000
"""Samples for which the compiled loops of `fleet`, which find the same, save more than the second that it takes to load them."""
Tick = Callable[[float], None]
"""Called with the share that is done, 0..1."""


def score_series(
    times: Sequence[Floats], values: Sequence[Floats], tick: Tick = lambda _share: None, *, profile: Profile = Profile.FLEET
) -> list[Floats]:
    """`times` (Unix seconds) and `values` of n series, each pair of one shape (k,). Scores in 0..1 of the same shapes: an alarm an episode, 0 while it rests."""
    many = sum(len(v) for v in values) >= WORTH_COMPILING
    detector = Focus() if profile is Profile.FOCUS else Fleet(compiled_from=1) if many else Fleet()
    rest = Rest()
    scores = [np.zeros(len(v)) for v in values]
    # The longest first, so that those with a sample at step i are the first so many.
    order = sorted(range(len(values)), key=lambda i: -len(values[i]))
    lengths = np.array([len(values[i]) for i in order])
    longest = int(lengths[0]) if len(lengths) else 0
    for step in range(longest):
        rows = np.arange(int(np.searchsorted(-lengths, -step, side="left")))
        at = np.array([times[order[r]][step] for r in rows])
        now = np.array([values[order[r]][step] for r in rows])
        rested = rest.rested(rows, detector.score_and_learn(rows, at, now).score)
        for row in np.flatnonzero(rested > 0.0):
            scores[order[row]][step] = rested[row] / (1.0 + rested[row])
        if step % 256 == 0:
            tick(step / longest)
    return scores


def score_table(values: Floats, tick: Tick = lambda _share: None, *, profile: Profile = Profile.FLEET) -> Floats:
    """`values`: (rows, columns), NaN for what is missing. Scores in 0..1, shape (rows,): how unusual the whole is, at each row."""
    joint = Joint(values.shape[1], forest=profile is Profile.FOCUS)
    found = np.empty(len(values))
    for row, line in enumerate(values):
        found[row] = joint.score_and_learn(line)
        if row % 1024 == 0:
            tick(row / len(values))
    return np.asarray(found / (1.0 + found))
