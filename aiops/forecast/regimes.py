"""What is no growth: single wild samples, level shifts (a clean-up, a resize, a deploy), and saw-teeth (garbage collection, log rotation, restarts).

Neighbours: `exhaustion` asks these before it fits a trend; `teeth` goes on with saw-teeth.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from aiops.domain.series import Floats

JUMP = 10.0
"""Robust deviations of the usual step that a jump is, at least."""
SHARE = 0.06
"""Of the range of values that a jump is, at least."""
NEAR = 6
"""Samples before and after a jump whose medians say whether it stayed."""
LEAST_FALLS, ALIKE_FALLS = 4, 3
"""That make teeth of a series; fewer do where they end at one level."""
STOPPED = 3
"""Times as long as the longest tooth without a fall, above all peaks: it falls no more."""


@dataclass(frozen=True, slots=True)
class Teeth:
    """Completed rises between falls, oldest first: `start`, `end` (indices), `trough`, `peak`; `since` is the index at which the unfinished one began."""

    start: np.ndarray
    end: np.ndarray
    trough: Floats
    peak: Floats
    since: int


@dataclass(frozen=True, slots=True)
class Levelled:
    """`values` moved to the level of the last regime, and the indices at which new regimes began."""

    values: Floats
    changes: tuple[int, ...]


def scale_of(steps: Floats) -> float:
    """Robust deviation of increments; where more than half are equal, from the others."""
    off = np.abs(steps - np.median(steps))
    found = 1.4826 * float(np.median(off))
    return found if found > 0.0 else float(off.mean())


def without_spikes(values: Floats) -> Floats:
    """Single samples far from both neighbours become the median of the three."""
    middle = np.median(np.stack([values[:-2], values[1:-1], values[2:]]), axis=0)
    off = np.abs(values[1:-1] - middle)
    wild = off > max(JUMP * scale_of(np.diff(values)), SHARE * float(np.ptp(values)))
    out = values.copy()
    out[1:-1][wild] = middle[wild]
    return out


def _merged(at: np.ndarray) -> list[tuple[int, int]]:
    """Neighbouring indices as (first, last)."""
    runs: list[tuple[int, int]] = []
    for i in at.tolist():
        if runs and i - runs[-1][1] <= 1:
            runs[-1] = (runs[-1][0], i)
        else:
            runs.append((i, i))
    return runs


def teeth_of(values: Floats) -> Teeth | None:
    """Slow rises that end in falls which give back most of them; None if there are too few, or if they have stopped."""
    steps = np.diff(values)
    span = float(np.ptp(values))
    falls = _merged(np.flatnonzero(steps < -max(6.0 * scale_of(steps), 0.1 * span)))
    if len(falls) < ALIKE_FALLS or span <= 0.0:
        return None
    start = np.array([last + 1 for _, last in falls[:-1]])
    end = np.array([first for first, _ in falls[1:]])
    trough, peak = values[start], values[end]
    fallen = np.array([values[first] - values[last + 1] for first, last in falls])
    usual = float(np.median(fallen))
    if len(falls) < LEAST_FALLS and float(np.ptp(values[[last + 1 for _, last in falls]])) > 0.25 * usual:
        return None
    # What rises at one stroke, as load in the morning, is a season and no tooth.
    steepest = [float(steps[a:b].max(initial=0.0)) for a, b in zip(start, end, strict=True)]
    slow = float(np.median(steepest)) < 0.5 * usual
    if not slow or not 0.4 <= float(np.median(peak - trough)) / usual <= 2.5 or float(np.median(end - start)) < 2.0:
        return None
    since = falls[-1][1] + 1
    longest = int((end - start).max())
    if len(values) - since > STOPPED * longest and values[-1] > peak.max():
        return None  # what used to fall does so no more
    return Teeth(start, end, trough, peak, since)


def levelled(values: Floats, season: int | None) -> Levelled:
    """Level shifts taken out: what came before each is moved to the level after it."""
    steps = np.diff(values)
    if season and len(steps) >= 3 * season:
        whole = len(steps) // season * season
        usual = np.median(steps[len(steps) - whole :].reshape(-1, season), axis=0)
        steps = steps - usual[(np.arange(len(steps)) - len(steps)) % season]
    middle = float(np.median(steps))
    big = np.abs(steps - middle) > max(JUMP * scale_of(steps), SHARE * float(np.ptp(values)))
    out, changes = values.copy(), []
    for first, last in _merged(np.flatnonzero(big)):
        before, after = values[max(0, first + 1 - NEAR) : first + 1], values[last + 1 : last + 1 + NEAR]
        moved = float(steps[first : last + 1].sum()) - middle * (last + 1 - first)
        stayed = float(np.median(after) - np.median(before))
        if len(after) >= 2 and moved * stayed > 0.0 and abs(stayed) >= 0.5 * abs(moved):
            out[: first + 1] += moved
            if last > first:  # what lies within the move belongs to neither side
                out[first + 1 : last + 1] = np.interp(np.arange(first + 1, last + 1), [first, last + 1], [out[first], out[last + 1]])
            changes.append(last + 1)
    return Levelled(out, tuple(changes))


def refined(values: Floats, changes: tuple[int, ...], reach: int) -> Floats:
    """Level shifts at known `changes` taken out of values without a season, each by its height between the lines through `reach` samples to either side."""
    out = values.copy()
    for change in reversed(changes):
        earlier = [c for c in changes if c < change]
        later = [c for c in changes if c > change]
        first, last = max(change - reach, earlier[-1] if earlier else 0), min(change + reach, later[0] if later else len(values))
        at = np.arange(first, last)
        after = (at >= change).astype(np.float64)
        known = at != change - 1 if change - 1 - first >= 3 else np.ones(len(at), dtype=np.bool_)
        columns = np.stack([np.ones(len(at)), at - change, after], axis=1)[known]
        height = float(np.linalg.lstsq(columns, values[first:last][known], rcond=None)[0][2])
        out[:change] += height
    return out
