"""The rules of the Numenta Anomaly Benchmark, written from their description (Lavin, Ahmad, arXiv:1510.03336; Ahmad et al. 2017), without its code.

In a window the best detection counts, worth more the earlier it is; a detection outside costs, less shortly after a window; the first 15 % (at most 750 points)
never count. The score is 0 for silence and 100 for a perfect detector. A threshold chosen on the labels flatters every detector alike; a threshold that one half of
the series chose and the other half is scored with does not. Neighbour: `detection_quality`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
PROFILES = {"standard": (0.11, 1.0), "low FP": (0.22, 1.0), "low FN": (0.11, 2.0)}
"""What a false detection costs at most, and what a missed window costs; a window found early earns 1."""


@dataclass(frozen=True)
class Labelled:
    """One series after its probation: scores, window of each point (-1 outside), worth of a detection there, how many windows there are, and days."""

    name: str
    scores: Floats
    window: NDArray[np.int64]
    worth: Floats
    windows: int
    days: float


@dataclass(frozen=True)
class Result:
    """NAB's score by profile; windows found and alarms (runs of detections outside of windows) a day with the standard threshold."""

    scores: dict[str, float]
    found: int
    windows: int
    alarms: int
    alarms_a_day: float


def _sigmoid(y: Floats) -> Floats:
    return np.asarray(2.0 / (1.0 + np.exp(5.0 * y)) - 1.0)


def labelled(name: str, times: Floats, scores: Floats, limits: Sequence[tuple[float, float]]) -> Labelled:
    """`times`, `limits` in Unix seconds; a limit is the time of a row."""
    n, at = len(scores), np.arange(len(scores))
    window, worth = np.full(n, -1), np.full(n, -1.0)
    ends = [(int(np.searchsorted(times, a, "left")), int(np.searchsorted(times, b, "right")) - 1) for a, b in sorted(limits)]
    for k, (first, last) in enumerate(ends):
        window[first : last + 1] = k
    for k, (first, last) in enumerate(ends):
        inside, width = window == k, last - first + 1
        worth[inside] = _sigmoid(-(last - at[inside] + 1) / width) / _sigmoid(np.array([-1.0]))[0]
        until = ends[k + 1][0] if k + 1 < len(ends) else n
        after = (at > last) & (at < until) & (window == -1)
        y = (at[after] - last) / max(width - 1, 1)
        worth[after] = np.where(y > 3.0, -1.0, _sigmoid(np.minimum(y, 3.0)))
    begin = min(int(0.15 * n), 750)
    return Labelled(name, scores[begin:], window[begin:], worth[begin:], len(ends), float(times[-1] - times[begin]) / 86400.0)


def _total(series: Sequence[Labelled], threshold: float, false: float, missed: float) -> float:
    total = 0.0
    for s in series:
        hit = s.scores >= threshold
        total += false * float(s.worth[hit & (s.window < 0)].sum())
        for k in np.unique(s.window[s.window >= 0]):
            mine = s.worth[hit & (s.window == k)]
            total += max(-missed, float(mine.max())) if len(mine) else -missed
    return total


def threshold(series: Sequence[Labelled], profile: str) -> float:
    """The one for all series whose total is greatest: by sweeping all that occur."""
    false, missed = PROFILES[profile]
    scores, worth = np.concatenate([s.scores for s in series]), np.concatenate([s.worth for s in series])
    ids, base = [], 0
    for s in series:
        ids.append(np.where(s.window >= 0, s.window + base, -1))
        base += s.windows
    window = np.concatenate(ids)
    order = np.argsort(-scores, kind="stable")
    scores, worth, window = scores[order], worth[order], window[order]
    gain = np.where(window < 0, false * worth, 0.0)
    for k in np.unique(window[window >= 0]):
        members = np.flatnonzero(window == k)
        gain[members] = np.diff(np.maximum.accumulate(np.maximum(worth[members], -missed)), prepend=-missed)
    total = np.cumsum(gain)
    last = np.append(np.flatnonzero(np.diff(scores)), len(scores) - 1)
    best = int(np.argmax(total[last]))
    return float(scores[last][best]) if total[last][best] > 0.0 else np.inf


def result(series: Sequence[Labelled], thresholds: Sequence[dict[str, float]]) -> Result:
    """`thresholds`: by profile, one for each of the series."""
    windows, scores = sum(s.windows for s in series), {}
    for profile, (false, missed) in PROFILES.items():
        total = sum(_total([s], t[profile], false, missed) for s, t in zip(series, thresholds, strict=True))
        scores[profile] = 100.0 * (total + missed * windows) / ((1.0 + missed) * windows)
    found, alarms = 0, 0
    for s, t in zip(series, thresholds, strict=True):
        hit = s.scores >= t["standard"]
        found += len(np.unique(s.window[hit & (s.window >= 0)]))
        outside = hit & (s.window < 0)
        alarms += int(np.count_nonzero(outside & ~np.append(False, outside[:-1])))
    return Result(scores, found, windows, alarms, alarms / sum(s.days for s in series))


def oracle(series: Sequence[Labelled]) -> Result:
    """One threshold for all, chosen on their labels."""
    chosen = {profile: threshold(series, profile) for profile in PROFILES}
    return result(series, [chosen] * len(series))


def transferred(series: Sequence[Labelled]) -> Result:
    """Each half of the series (every second by name) is scored with the threshold that the other half chose."""
    ordered = sorted(series, key=lambda s: s.name)
    halves = [{profile: threshold(ordered[1 - k :: 2], profile) for profile in PROFILES} for k in (0, 1)]
    return result(ordered, [halves[i % 2] for i in range(len(ordered))])
