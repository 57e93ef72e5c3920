"""When does it run out? Simulated disks, queues, memory and requests whose future is known: ours beside Prometheus' `predict_linear`, in one run.

    python -m benchmarks.exhaustion [--series 40] [--seed 2026]

Hourly values, 30 days known, 30 days to come. `predict_linear` is its formula (least squares over the last 24 h or 7 d, met where its line meets the limit). The error of the P50 day
is over the series that do meet their limit in time, a forecast beyond 30 days counts as 30; coverage is the share of these whose day lies from P10 to P90. A false alarm: P(met within three
days) above 0.1 while more than half of the limit is used, or for `predict_linear` a line that meets it within three days, and it is not met within 30 days. The seeds that the model was written with are 0 to 9.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aiops.forecast.exhaustion import exhaustion

Floats = NDArray[np.float64]
DAY = 24
PAST = FUTURE = 30 * DAY
STEP, LEAD = 3600.0, 3.0


@dataclass(frozen=True, slots=True)
class Case:
    """A simulated series with `limit` (of each sample); `day` on which it is met, inf if it is not within the future."""

    kind: str
    past: Floats
    limit: Floats
    day: float


Make = Callable[[np.random.Generator, NDArray[np.int64]], tuple[Floats, Floats | float]]


def _ar(chance: np.random.Generator, size: int, sigma: float, phi: float = 0.7) -> Floats:
    out, last = np.empty(size), 0.0
    for i, each in enumerate(chance.normal(0.0, sigma * np.sqrt(1 - phi * phi), size)):
        last = phi * last + each
        out[i] = last
    return out


def _room(chance: np.random.Generator, now: float, rate: float, *, meets: float = 0.75) -> float:
    """A limit above `now` which growth of `rate` a day meets in 2 to 28 days, or, of some, in 45 to 120."""
    days = chance.uniform(2.0, 28.0) if chance.uniform() < meets else chance.uniform(45.0, 120.0)
    return now + rate * days


def disk(chance: np.random.Generator, at: NDArray[np.int64]) -> tuple[Floats, Floats | float]:
    """Written in working hours, at a pace that wanders."""
    pace = chance.uniform(0.5, 2.0) * np.exp(np.cumsum(chance.normal(0.0, 0.004, len(at))))
    hours = 1.0 + chance.uniform(0.3, 1.0) * np.sin(2 * np.pi * (at - 9) / DAY) - 0.4 * (at % (7 * DAY) >= 5 * DAY)
    y = 100.0 + np.cumsum(pace * np.maximum(hours, 0.0) / DAY) + _ar(chance, len(at), 0.05)
    return y, _room(chance, y[PAST - 1], (y[PAST - 1] - y[PAST - 7 * DAY]) / 7)


def cleaned(chance: np.random.Generator, at: NDArray[np.int64]) -> tuple[Floats, Floats | float]:
    """A disk that was cleaned up in the middle, once or twice."""
    y, _ = disk(chance, at)
    for when in chance.integers(6 * DAY, PAST - 2 * DAY, chance.integers(1, 3)):
        y[when:] -= chance.uniform(5.0, 25.0)
    return y, _room(chance, y[PAST - 1], chance.uniform(0.8, 1.2) * 1.0)


def stepped(chance: np.random.Generator, at: NDArray[np.int64]) -> tuple[Floats, Floats | float]:
    """Flat but for a step up (a deploy): half of them grow slowly besides."""
    rate = chance.choice([0.0, 0.3])
    y = 50.0 + rate * at / DAY + _ar(chance, len(at), 0.5)
    y[chance.integers(PAST - 10 * DAY, PAST - DAY) :] += chance.uniform(5.0, 20.0)
    return y, y[PAST - 1] + (chance.uniform(3.0, 8.0) if rate else chance.uniform(6.0, 15.0))


def paced(chance: np.random.Generator, at: NDArray[np.int64]) -> tuple[Floats, Floats | float]:
    """The pace itself changed, five to fifteen days ago."""
    first, second = chance.uniform(0.1, 0.5), chance.uniform(0.8, 2.0)
    when = chance.integers(PAST - 15 * DAY, PAST - 5 * DAY)
    y = 100.0 + np.cumsum(np.where(at < when, first, second) / DAY) + _ar(chance, len(at), 0.3)
    return y, _room(chance, y[PAST - 1], second)


def rotated(chance: np.random.Generator, at: NDArray[np.int64]) -> tuple[Floats, Floats | float]:
    """A log disk: each day or each three days rotated; what stays grows, or does not."""
    every = int(chance.choice([DAY, 3 * DAY]))
    rate = chance.choice([0.0, 0.5])
    height = chance.uniform(8.0, 15.0)
    y = 30.0 + rate * at / DAY + height * ((at + chance.integers(0, every)) % every) / every * chance.uniform(0.95, 1.05) + _ar(chance, len(at), 0.1)
    top = y[PAST - every : PAST].max()
    return y, max(top + (rate * chance.uniform(3.0, 28.0) if rate else chance.uniform(1.5, 8.0)), y[PAST - 1] + 0.5)


def collected(chance: np.random.Generator, at: NDArray[np.int64]) -> tuple[Floats, Floats | float]:
    """A heap: it rises and is collected at a level; half of them leak beneath."""
    rate, low, top = chance.choice([0.0, 0.4]), 20.0, chance.uniform(32.0, 40.0)
    pace, y, level = chance.uniform(0.4, 1.5), np.empty(len(at)), low
    for i in range(len(at)):
        level += pace * chance.uniform(0.5, 1.5)
        if level > top + rate * i / DAY + chance.normal(0.0, 0.5):
            level = low + rate * i / DAY + chance.normal(0.0, 0.5)
        y[i] = level
    peak = top + rate * PAST / DAY
    return y, peak + (rate * chance.uniform(4.0, 26.0) if rate else chance.uniform(2.5, 10.0)) + 1.0


def restarted(chance: np.random.Generator, at: NDArray[np.int64]) -> tuple[Floats, Floats | float]:
    """A leak that deploys set back now and then; the limit is met where none comes in time."""
    pace, y, level = chance.uniform(3.0, 6.0) / DAY, np.empty(len(at)), 20.0
    mean = chance.uniform(2.0, 4.0) * DAY
    for i in range(len(at)):
        level = 20.0 + chance.normal(0.0, 0.3) if chance.uniform() < 1.0 / mean else level + pace * chance.uniform(0.7, 1.3)
        y[i] = level
    return y, max(20.0 + pace * mean * chance.uniform(1.2, 2.5), y[:PAST].max() + 1.0)


def seasonal(chance: np.random.Generator, at: NDArray[np.int64]) -> tuple[Floats, Floats | float]:
    """Requests or a queue: by day and week, growing; the peaks meet the limit first."""
    rate = chance.choice([0.0, chance.uniform(0.3, 1.0)], p=[0.3, 0.7])
    size = chance.uniform(8.0, 20.0)
    y = 60.0 + rate * at / DAY + size * np.sin(2 * np.pi * at / DAY) - 0.3 * size * (at % (7 * DAY) >= 5 * DAY) + _ar(chance, len(at), 1.5)
    top = y[PAST - 7 * DAY : PAST].max()
    return y, top + (rate * chance.uniform(4.0, 26.0) if rate else chance.uniform(3.0, 8.0)) + 1.0


def resized(chance: np.random.Generator, at: NDArray[np.int64]) -> tuple[Floats, Floats | float]:
    """A volume whose limit was raised some days ago."""
    y, _ = disk(chance, at)
    last = _room(chance, y[PAST - 1], (y[PAST - 1] - y[PAST - 7 * DAY]) / 7)
    when = chance.integers(5 * DAY, PAST - DAY)
    return y, np.where(at < when, max(y[when] + 1.0, last - 20.0), last)


KINDS: dict[str, Make] = {
    f.__name__: f for f in (disk, cleaned, stepped, paced, rotated, collected, restarted, seasonal, resized)
}
TEETH = ("rotated", "collected")


def cases(series: int, seed: int) -> list[Case]:
    """So many of each kind."""
    found = []
    for number, (kind, make) in enumerate(KINDS.items()):
        for one in range(series):
            y, limit = make(np.random.default_rng((seed, number, one)), np.arange(PAST + FUTURE))
            limits = np.broadcast_to(np.asarray(limit, dtype=np.float64), y.shape)
            if y[PAST - 1] >= limits[PAST - 1]:
                continue  # met already: nothing is to be foretold
            after = np.flatnonzero(y[PAST:] >= limits[PAST:])
            found.append(Case(kind, y[:PAST], limits[:PAST], (after[0] + 1) / DAY if len(after) else np.inf))
    return found


def linear(case: Case, hours: int) -> float:
    """Days until the line of the last `hours` meets the limit."""
    slope, level = np.polyfit(np.arange(-hours + 1, 1), case.past[-hours:], 1)
    room = case.limit[-1] - level
    return max(float(room / slope), 0.0) / DAY if slope > 0 else np.inf


@dataclass(frozen=True, slots=True)
class Said:
    """Days; `soon`: whether an alarm would be raised."""

    p10: float
    p50: float
    p90: float
    soon: bool


def ours(case: Case) -> Said:
    found = exhaustion(case.past, case.limit, step=STEP, horizon=30 * 86400.0)
    p10, p50, p90 = (np.inf if (q := found.quantile(share)) is None else q / 86400.0 for share in (0.1, 0.5, 0.9))
    return Said(p10, p50, p90, found.within(LEAD * 86400.0) > 0.1 and case.past[-1] > 0.5 * case.limit[-1])


def peer(case: Case, hours: int) -> Said:
    day = linear(case, hours)
    return Said(day, day, day, day <= LEAD and case.past[-1] > 0.5 * case.limit[-1])


def row(name: str, todo: list[Case], said: list[Said], milliseconds: float) -> str:
    met = [i for i, c in enumerate(todo) if c.day <= 30.0]
    error = [abs(min(said[i].p50, 30.0) - todo[i].day) for i in met]
    inside = [said[i].p10 <= todo[i].day <= said[i].p90 for i in met]
    calm = [i for i, c in enumerate(todo) if c.day > 30.0]
    teeth = [i for i in calm if todo[i].kind in TEETH]
    return (
        f"| {name} | {len(met)} of {len(todo)} | {np.mean(error) if met else np.nan:.2f} | {np.median(error) if met else np.nan:.2f} | {100 * np.mean(inside) if met else np.nan:.0f} % "
        f"| {sum(said[i].soon for i in calm)} of {len(calm)} | {sum(said[i].soon for i in teeth)} of {len(teeth)} | {milliseconds:.2f} |"
    )


HEAD = "| what | meet the limit | error of P50, days: mean | median | in P10-P90 | false alarms | of these on saw-teeth | CPU ms a series |\n" + "| --- " * 8 + "|"


def table(series: int, seed: int) -> None:
    """All kinds together, then each."""
    todo = cases(series, seed)
    methods: dict[str, Callable[[Case], Said]] = {
        "predict_linear over 24 h": lambda c: peer(c, DAY), "predict_linear over 7 d": lambda c: peer(c, 7 * DAY), "aiops": ours,
    }
    print(f"{len(todo)} series, seed {seed}\n\n{HEAD}")
    results = {}
    for name, method in methods.items():
        began = time.process_time()
        results[name] = [method(c) for c in todo]
        print(row(name, todo, results[name], (time.process_time() - began) * 1000.0 / len(todo)), flush=True)
    for kind in KINDS:
        which = [i for i, c in enumerate(todo) if c.kind == kind]
        for name, said in results.items():
            print(row(f"{kind}: {name}", [todo[i] for i in which], [said[i] for i in which], np.nan))


def main() -> None:
    """See the module."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--series", type=int, default=40)
    options.add_argument("--seed", type=int, default=2026)
    given = options.parse_args()
    table(given.series, given.seed)


if __name__ == "__main__":
    main()
