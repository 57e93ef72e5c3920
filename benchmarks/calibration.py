"""Realised false alarms of a rule that asks for one a week, over four weeks without any fault: independent values, AR(1) 0.9, a daily season.

Each kind is `SERIES` seeded series, each for itself (`alone`) and leaning on the others while it is new (`pooled`). Counted are alarms that began, as the
alarms of `bank` count them. Run: `make bench-calibration`, or `python -m benchmarks.calibration --every 60` for another interval.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aiops.detect.alarm import Alarms
from aiops.detect.live_fleet import LiveFleet
from benchmarks.detection_report import Context, Report

KINDS = ("independent", "AR(1) 0.9", "daily season")
WEEK = 7 * 86400.0
START = 1_700_000_000.0
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Realised:
    """By kind: alarms begun a series and period, for the whole span and for each week of it; hours until a series was judged; share of time judged."""

    ratio: dict[str, float]
    by_week: dict[str, list[float]]
    hours: float
    seconds_a_poll: float


def values(series: int, every: float, seed: int) -> Iterator[Floats]:
    """Shape (3 * series,), kind after kind; deviation 1 about 100."""
    rng = np.random.default_rng(seed)
    slow, step = rng.normal(size=series), 0
    while True:
        slow = 0.9 * slow + np.sqrt(1.0 - 0.81) * rng.normal(size=series)
        season = 4.0 * np.sin(2.0 * np.pi * step * every / 86400.0) + rng.normal(size=series)
        yield 100.0 + np.concatenate([rng.normal(size=series), slow, season])
        step += 1


def realised(*, series: int, every: float, weeks: float = 4.0, period: float = WEEK, pooled: bool = False, seed: int = 1) -> Realised:
    """Polls every `every` seconds for `weeks`; one false alarm in `period` seconds is asked for."""
    detector, alarms = LiveFleet(false_alarms=period, pooled=pooled), Alarms(hold=0.0, clear_hold=0.0, every=every)
    rows = np.arange(3 * series)
    polls = round(weeks * WEEK / every)
    fired = np.zeros((int(np.ceil(weeks)), len(rows)))
    ready, spent = 0.0, 0.0
    for poll, line in zip(range(polls), values(series, every, seed), strict=False):
        at, began = np.full(len(rows), START + poll * every), time.perf_counter()
        scores = detector.score_and_learn(rows, at, line)
        on = scores.ready
        steps = alarms.step(rows[on], at[on], breach=scores.breach[on], critical=scores.critical[on], recovered=scores.recovered[on])
        spent += time.perf_counter() - began
        fired[int(poll * every / WEEK), rows[on]] += steps.fired
        ready += float(np.mean(~on)) * every / 3600.0
    a_week = fired.reshape(len(fired), len(KINDS), series).mean(axis=2) * period / WEEK
    spans = np.full(len(fired), 1.0)
    spans[-1] = weeks - len(fired) + 1
    return Realised(
        {kind: float(a_week[:, i].sum() / weeks) for i, kind in enumerate(KINDS)},
        {kind: (a_week[:, i] / spans).tolist() for i, kind in enumerate(KINDS)},
        ready,
        spent / polls,
    )


def newcomer(known: int, *, every: float, pooled: bool, period: float = WEEK, seed: int = 1) -> float:
    """Hours until a series is judged that comes to `known` others, which have been there for two fifths of a period."""
    detector, rng = LiveFleet(false_alarms=period, pooled=pooled), np.random.default_rng(seed)
    polls = round(0.4 * period / every)
    for poll in range(polls + round(0.4 * period / every)):
        rows = np.arange(known + (poll >= polls))
        scores = detector.score_and_learn(rows, np.full(len(rows), START + poll * every), rng.normal(100.0, 1.0, len(rows)))
        if poll >= polls and scores.ready[known]:
            return (poll + 1 - polls) * every / 3600.0
    return float("inf")


def section(report: Report, context: Context) -> None:
    """Realised by asked, a sample each five minutes, each series alone and leaning on the others."""
    weeks, series = (1.0, 5) if context.small else (4.0, 50)
    report.paragraph("## False alarms of `falseAlarms: 1/week`, realised by asked")
    rows, worst = [], ""
    for pooled in (False, True):
        found = realised(series=series, every=300.0, weeks=weeks, pooled=pooled)
        context.told(f"calibration, {'leaning on the others' if pooled else 'each alone'}")
        cells = " | ".join(f"{found.ratio[kind]:.2f}" for kind in KINDS)
        worst = f"{min(found.ratio.values()):.2f} to {max(found.ratio.values()):.2f}"
        rows.append(f"{'leaning on the others' if pooled else 'each alone'} | {cells} | {found.hours:.0f}")
        report.figure(f"`falseAlarms: 1/week`, {weeks:g} weeks without fault, {rows[-1].partition(' |')[0]}", "fleet", worst, "", "0.3 to 3", "0.7 to 1.4")
    report.table(f"{series} series of a kind, {weeks:g} weeks, a sample each 5 min | " + " | ".join(KINDS) + " | hours warming", rows)


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--series", type=int, default=50)
    parser.add_argument("--every", type=float, default=60.0)
    parser.add_argument("--weeks", type=float, default=4.0)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    print(f"falseAlarms: 1/week, {given.weeks:g} weeks without fault, {given.series} series of a kind, a sample each {given.every:g} s: realised by asked")
    for pooled in (False, True):
        found = realised(series=given.series, every=given.every, weeks=given.weeks, pooled=pooled, seed=given.seed)
        print(f"{'pooled' if pooled else 'alone'}: warming {found.hours:.1f} h, {found.seconds_a_poll * 1e3:.2f} ms a poll of {3 * given.series} series")
        for kind in KINDS:
            print(f"  {kind:<14} {found.ratio[kind]:.2f} (by week {', '.join(f'{w:.2f}' for w in found.by_week[kind])})")
    for known in (5, 50):
        alone, leaning = (newcomer(known, every=given.every, pooled=pooled) for pooled in (False, True))
        print(f"one new series beside {known}: judged after {alone:.1f} h alone, {leaning:.1f} h leaning on them")


if __name__ == "__main__":
    main()
