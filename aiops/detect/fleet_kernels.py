"""Compiled loops of `fleet`: what a batch looks like, and learning it, row by row with the same operations in the same order as its vector form, so to the same bits.

Imported only by `fleet` for large batches, since numba costs about a second and 70 MiB. `test_fleet_kernels` holds both forms equal.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from aiops.detect.forest_kernels import compiled

_whole: Any = np.int64
_FAR_OFF = 2**40


class Known(NamedTuple):
    """The columns of `Fleet`'s state, capacity included."""

    count: Any
    at: Any
    every: Any
    mean: Any
    variance: Any
    low: Any
    high: Any
    hour_mean: Any
    hour_variance: Any
    hour_count: Any
    z_variance: Any
    z_count: Any
    step_variance: Any
    step_count: Any
    past: Any
    past_minute: Any
    block_worst: Any
    block_size: Any
    worst_sum: Any
    worst_count: Any


class Settings(NamedTuple):
    """The constants of `fleet`; `side`: 1 up, -1 down, 0 both."""

    ready: int
    bucket_ready: int
    memory: float
    bucket_seconds: float
    bucket_least: float
    cap: float
    clip: float
    floor: float
    step_floor: float
    beyond: float
    far: float
    range_weight: float
    block: int
    usual: float
    usual_weight: float
    usual_most: float
    tiny: float
    side: int


@compiled
def most(a: Any, b: Any) -> Any:
    """As `np.maximum`: NaN if either is."""
    return a if a >= b or np.isnan(a) else b


@compiled
def least(a: Any, b: Any) -> Any:
    """As `np.minimum`: NaN if either is."""
    return a if a <= b or np.isnan(a) else b


@compiled
def sided(z: Any, side: Any) -> Any:
    """How far on the side that counts."""
    if side == 0:
        return abs(z)
    return most(z, 0.0) if side > 0 else most(-z, 0.0)


@compiled
def hour_ago(s: Any, row: Any, minute: Any) -> Any:
    """As `Fleet._hour_ago`."""
    minutes = s.past.shape[1]
    place = minute % minutes
    age = minute - s.past_minute[row, place]
    if minutes <= age < 2 * minutes:
        return s.past[row, place]
    if not s.every[row] > 60.0:
        return np.nan
    oldest, newest = _whole(-1), _whole(_FAR_OFF)
    old, young = _whole(-1), _whole(-1)
    for k in range(minutes):
        if np.isnan(s.past[row, k]):
            continue
        age = minute - s.past_minute[row, k]
        if age >= minutes:
            if age < newest:
                newest, old = age, k
        elif age > oldest:
            oldest, young = age, k
    if old >= 0:
        return s.past[row, old]
    return s.past[row, young] if young >= 0 else np.nan


@compiled
def outside(s: Any, c: Any, row: Any, value: Any, hair: Any) -> Any:
    """How far outside of the range seen so far, as a view."""
    low, high = s.low[row], s.high[row]
    above, below = value - high, low - value
    far = most(above, below) if c.side == 0 else above if c.side > 0 else below
    beyond = far / most(high - low, hair)
    margin = c.beyond + 2.0 / np.sqrt(most(s.count[row], 1))
    return c.cap * least((beyond - margin) / (c.far - c.beyond), 1.0) if beyond > margin else 0.0


@compiled
def look_all(s: Any, c: Any, rows: Any, values: Any, bucket: Any, minute: Any, ago: Any, zs: Any, steps: Any, raw: Any, ready: Any, expected: Any, sigma: Any) -> None:
    """As `Fleet._look`, into the last seven, each of shape (n,)."""
    for i in range(rows.shape[0]):
        row, value, b = rows[i], values[i], bucket[i]
        whole = s.variance[row]
        hourly = s.hour_count[row, b] >= c.bucket_ready
        expected[i] = s.hour_mean[row, b] if hourly else s.mean[row]
        variance = most(s.hour_variance[row, b], c.floor * whole) if hourly else whole
        hair = 1e-9 * abs(s.mean[row]) + c.tiny
        spread = np.sqrt(variance) + hair
        z = (value - expected[i]) / spread
        own = most(np.sqrt(s.z_variance[row]), 0.3) if s.z_count[row] >= c.ready else 1.0
        ago[i] = hour_ago(s, row, minute[i])
        steps[i] = value - ago[i]
        steady = np.sqrt(most(s.step_variance[row], c.step_floor * whole)) + hair
        stepped = steps[i] / steady if s.step_count[row] >= c.ready and not np.isnan(steps[i]) else 0.0
        ready[i] = s.count[row] >= c.ready
        views = least(sided(z / own, c.side), c.cap) + least(sided(stepped, c.side), c.cap)
        raw[i] = views / 2 + c.range_weight * outside(s, c, row, value, hair) if ready[i] else 0.0
        zs[i] = least(most(z, -c.clip), c.clip)
        sigma[i] = spread * own


@compiled
def usual(s: Any, c: Any, row: Any) -> Any:
    """As `Fleet._usual`."""
    return (c.usual_weight * c.usual + s.worst_sum[row]) / (c.usual_weight + s.worst_count[row])


@compiled
def learn_moments(s: Any, c: Any, row: Any, time: Any, value: Any, b: Any) -> None:
    """When samples come, and the moments of the whole and of the hour."""
    gap = time - s.at[row]
    every = s.every[row]
    s.every[row] = gap if np.isnan(every) else every + 0.1 * (least(gap, 86400.0) - every)
    s.at[row] = time
    s.count[row] += 1
    gain = 1.0 / least(s.count[row], c.memory)
    away = value - s.mean[row]
    s.mean[row] += gain * away
    s.variance[row] = 0.0 if gain >= 1.0 else (1.0 - gain) * (s.variance[row] + gain * away * away)
    every = 3600.0 if np.isnan(s.every[row]) else s.every[row]
    memory = least(most(c.bucket_seconds / every, c.bucket_least), 32_000.0)
    held = least(s.hour_count[row, b] + 1.0, memory)
    s.hour_count[row, b] = held
    away = value - s.hour_mean[row, b]
    s.hour_mean[row, b] += away / held
    s.hour_variance[row, b] = 0.0 if held <= 1.0 else (1.0 - 1.0 / held) * (s.hour_variance[row, b] + away * away / held)


@compiled
def learn_scales(s: Any, c: Any, row: Any, z: Any, step: Any, ready: Any) -> None:
    """As `Fleet._learn_scales`."""
    s.z_count[row] += ready
    gain = ready / least(most(s.z_count[row], 1), c.memory)
    z = 0.0 if np.isnan(z) else z
    s.z_variance[row] += gain * (z * z - s.z_variance[row])
    known = not np.isnan(step)
    s.step_count[row] += known
    sigma = c.clip * np.sqrt(s.step_variance[row])
    cut = step if known else 0.0
    if known and sigma > 0.0 and s.step_count[row] > 50:
        cut = least(most(step, -sigma), sigma)
    gain = known / least(most(s.step_count[row], 1), c.memory)
    s.step_variance[row] += gain * (cut * cut - s.step_variance[row])


@compiled
def learn_block(s: Any, c: Any, row: Any, raw: Any) -> None:
    """As `Fleet._learn_block`."""
    before = usual(s, c, row)
    s.block_worst[row] = most(s.block_worst[row], raw)
    s.block_size[row] += 1
    if s.block_size[row] < c.block:
        return
    s.worst_sum[row] += least(s.block_worst[row], 3.0 * before)
    s.worst_count[row] += 1.0
    shrink = least(c.usual_most / s.worst_count[row], 1.0)
    s.worst_sum[row] *= shrink
    s.worst_count[row] *= shrink
    s.block_worst[row], s.block_size[row] = 0.0, 0


@compiled
def learn_all(s: Any, c: Any, rows: Any, times: Any, values: Any, bucket: Any, minute: Any, zs: Any, steps: Any, raw: Any, ready: Any) -> None:
    """As `Fleet._learn`; what is given is what `look_all` gave."""
    for i in range(rows.shape[0]):
        row, value = rows[i], values[i]
        learn_moments(s, c, row, times[i], value, bucket[i])
        learn_scales(s, c, row, zs[i], steps[i], ready[i])
        s.low[row], s.high[row] = least(s.low[row], value), most(s.high[row], value)
        place = minute[i] % s.past.shape[1]
        s.past[row, place], s.past_minute[row, place] = value, minute[i]
        learn_block(s, c, row, raw[i])


@compiled
def rest_all(worst: Any, opened: Any, size: Any, block: Any, rows: Any, now: Any, recent_blocks: Any, block_size: Any, counts: Any) -> None:
    """As `Rest.rested`: into `counts`, (n,), how much of each score counts."""
    blocks = worst.shape[1]
    for i in range(rows.shape[0]):
        row = rows[i]
        place, recent, longer = _whole(block[row]), opened[row], opened[row]
        for k in range(blocks):
            one = worst[row, k]
            longer = max(longer, one)
            recent = max(recent, one) if (place - 1 - k) % blocks < recent_blocks else recent
        counts[i] = 0.5 * (now[i] > recent) + 0.5 * (now[i] > longer)
        opened[row] = max(opened[row], now[i])
        size[row] += 1
        if size[row] >= block_size:
            worst[row, place] = opened[row]
            block[row] = (place + 1) % blocks
            opened[row], size[row] = 0.0, 0
