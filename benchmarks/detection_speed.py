"""What a tick costs, ours and the peers' in turn, each measured in a process of its own. Neighbour: `detection` prints.

    python -m benchmarks.detection_speed SIDE    one measurement as JSON; `detection` calls this

CPU time of one tick (median of several) and the peak of resident memory above what the process held before the state of the series was made. river keeps one model a
series in Python objects, a megabyte each, so it is measured on a sample of the series and multiplied.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.detection_report import Context, Report

FLEET, FOCUS, RIVER_SAMPLE = 100_000, 5_000, 150
EVERY, T0 = 60.0, 1_790_000_000.0
TICKS = 5
FEATURES = 4
TREES, HEIGHT, DEFAULT_HEIGHT = 10, 5, 8
"""Of river's half-space trees: as many trees as ours, and walks as long as ours are on average (six nodes); and river's own default."""
KNOWN = 2000
"""Samples known of each series before a tick of focus is measured."""


def memory(name: str) -> float:
    """MiB by `/proc/self/status`."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(name)) / 1024


def timed(tick: Callable[[], Any], ticks: int = TICKS) -> float:
    """Median CPU ms."""
    spent = []
    for _ in range(ticks):
        began = time.process_time()
        tick()
        spent.append(time.process_time() - began)
    return 1000.0 * float(np.median(spent))


def _answer(n: int) -> bytes:
    from benchmarks.decode import answer

    return answer(n)


def fleet() -> dict[str, float]:
    """Decode, three views, rest: 100,000 series, 60 samples known of each."""
    from aiops.adapters.prometheus.decode import AnswerDecoder
    from aiops.adapters.prometheus.labels import LabelTable
    from aiops.detect.fleet import Fleet
    from aiops.detect.rest import Rest

    body, table = _answer(FLEET), LabelTable()
    start = memory("VmRSS")
    detector, rest, rows, rng = Fleet(), Rest(), np.arange(FLEET), np.random.default_rng(1)
    for i in range(60):
        rest.rested(rows, detector.score_and_learn(rows, np.full(FLEET, T0 + EVERY * i), rng.normal(size=FLEET)).score)
    parts: dict[str, list[float]] = {"decode": [], "score": [], "rest": []}
    for i in range(60, 60 + TICKS):
        began = time.process_time()
        decoder = AnswerDecoder(table)
        for place in range(0, len(body), 1 << 20):
            decoder.feed(body[place : place + (1 << 20)])
        values = decoder.finish().values
        read = time.process_time()
        scores = detector.score_and_learn(rows, np.full(FLEET, T0 + EVERY * i), values)
        scored = time.process_time()
        rest.rested(rows, scores.score)
        for name, spent in (("decode", read - began), ("score", scored - read), ("rest", time.process_time() - scored)):
            parts[name].append(1000.0 * spent)
    middle = {name: float(np.median(times)) for name, times in parts.items()}
    return {**middle, "ms": sum(middle.values()), "peak": memory("VmHWM") - start, "bytes": detector.bytes_each + rest.bytes_each}


def sklearn() -> dict[str, float]:
    """scikit-learn's forest of 100 trees, fitted beforehand on three features, scoring 100,000 rows: no state of a series, no decoding, no alarm logic."""
    from sklearn.ensemble import IsolationForest

    from aiops.detect.flat_forest import flattened

    rng = np.random.default_rng(1)
    forest = IsolationForest(random_state=1).fit(rng.normal(size=(4096, 3)))
    start = memory("VmRSS")
    rows = rng.normal(size=(FLEET, 3))
    ms, peak = timed(lambda: forest.score_samples(rows)), memory("VmHWM") - start
    flat = flattened(forest)
    flat.score_samples(rows[:10])
    return {"ms": ms, "peak": peak, "flat": timed(lambda: flat.score_samples(rows)), "apart": float(np.abs(flat.score_samples(rows) - forest.score_samples(rows)).max())}


def _river(features: int, height: int = HEIGHT, window: int = 50) -> dict[str, float]:
    from river.anomaly import HalfSpaceTrees

    rng = np.random.default_rng(1)
    names = [f"f{j}" for j in range(features)]
    tracemalloc.start()
    models: list[Any] = [HalfSpaceTrees(n_trees=TREES, height=height, window_size=window, seed=1) for _ in range(RIVER_SAMPLE)]

    def tick() -> None:
        for model in models:
            point = dict(zip(names, rng.random(features).tolist(), strict=True))
            model.score_one(point)
            model.learn_one(point)

    for _ in range(3):
        tick()
    size = tracemalloc.get_traced_memory()[0] / RIVER_SAMPLE
    tracemalloc.stop()
    for _ in range(57):
        tick()
    return {"ms": timed(tick) / RIVER_SAMPLE, "bytes": size}


def river() -> dict[str, float]:
    """river's half-space trees on one feature for each series, scored and taught; a sample of the series."""
    one = _river(1)
    return {"ms": one["ms"] * FLEET, "bytes": one["bytes"]}


def focus() -> dict[str, float]:
    """Three views and the forest, on one thread: 5,000 series, 2,000 samples known of each, as many as the forest remembers."""
    from aiops.detect.focus import Focus

    start = memory("VmRSS")
    detector, rows, rng, at = Focus(), np.arange(FOCUS), np.random.default_rng(1), [T0]

    def tick() -> None:
        at[0] += EVERY
        detector.score_and_learn(rows, np.full(FOCUS, at[0]), rng.normal(size=FOCUS))

    for _ in range(KNOWN):
        tick()
    return {"ms": timed(tick, 9), "peak": memory("VmHWM") - start, "bytes": detector.bytes_each}


def forest() -> dict[str, float]:
    """The forest alone, as river's trees alone: four features given."""
    from aiops.detect.cut_forest import CutForest
    from aiops.detect.focus import MEMORY, SIZE
    from aiops.detect.focus import TREES as OURS

    made, rows, rng = CutForest(FEATURES, trees=OURS, size=SIZE, memory=MEMORY), np.arange(FOCUS), np.random.default_rng(1)

    def tick() -> None:
        points = made.points(rng.normal(size=(FOCUS, FEATURES)))
        made.score(rows, points)
        made.learn(rows, points)

    for _ in range(KNOWN):
        tick()
    return {"ms": timed(tick, 9), "bytes": made.bytes_each}


def river_focus() -> dict[str, float]:
    """river's half-space trees on four features for each series; a sample of the series."""
    one, default = _river(FEATURES), _river(FEATURES, DEFAULT_HEIGHT, 250)
    return {"ms": one["ms"] * FOCUS, "bytes": one["bytes"], "default": default["ms"] * FOCUS, "default-bytes": default["bytes"]}


def alone() -> dict[str, float]:
    """One series scored alone: P95 in ms, by the clock and of CPU time."""
    from aiops.detect.fleet import Fleet
    from aiops.detect.focus import Focus

    found = {}
    for name, detector in (("fleet", Fleet()), ("focus", Focus())):
        rng, row = np.random.default_rng(1), np.zeros(1, dtype=np.int64)
        clock: list[float] = []
        cpu: list[float] = []
        for i in range(1500):
            value = rng.normal(size=1)
            began, used = time.perf_counter(), time.process_time()
            detector.score_and_learn(row, np.array([T0 + EVERY * i]), value)
            cpu.append(1000.0 * (time.process_time() - used))
            clock.append(1000.0 * (time.perf_counter() - began))
        found[name], found[f"{name}-cpu"] = float(np.percentile(clock[500:], 95)), float(np.percentile(cpu[500:], 95))
    return found


SIDES: dict[str, Callable[[], dict[str, float]]] = {
    "fleet": fleet, "sklearn": sklearn, "river": river, "focus": focus, "forest": forest, "river-focus": river_focus, "alone": alone,
}

Measured = dict[str, dict[str, float]]


def _measured(context: Context) -> Measured:
    """Each side in a process of its own, in turn; medians over the rounds."""
    found: dict[str, list[dict[str, float]]] = {side: [] for side in SIDES}
    for n in range(context.rounds):
        for side in SIDES:
            run = subprocess.run([sys.executable, "-m", "benchmarks.detection_speed", side], check=True, capture_output=True, text=True)
            found[side].append(json.loads(run.stdout))
            context.told(f"{side}, round {n + 1} of {context.rounds}")
    return {side: {key: statistics.median(run[key] for run in runs) for key in runs[0]} for side, runs in found.items()}


def section(report: Report, context: Context) -> None:
    """The ticks of 100,000 and of 5,000 series, and one series alone."""
    m = _measured(context)
    report.paragraph(f"## One tick of {FLEET:,} series")
    ours = m["fleet"]["ms"]
    parts = f"decode {m['fleet']['decode']:.0f}, views {m['fleet']['score']:.0f}, rest {m['fleet']['rest']:.0f}"
    report.table(
        "what | CPU ms | times ours | MiB above the start | bytes a series",
        [
            f"fleet, without forest: {parts} | {ours:.0f} | 1 | {m['fleet']['peak']:.0f} | {m['fleet']['bytes']:.0f}",
            f"scikit-learn `IsolationForest`, 100 trees, scoring alone | {m['sklearn']['ms']:.0f} | {m['sklearn']['ms'] / ours:.1f} | {m['sklearn']['peak']:.0f} | none kept",
            f"ours, the same forest flattened (detector `isolationForest`), scoring alone | {m['sklearn']['flat']:.0f} | {m['sklearn']['flat'] / ours:.1f} | not measured | none kept",
            f"river half-space trees for each series, one feature | {m['river']['ms']:.0f} | {m['river']['ms'] / ours:.1f} | not measured | {m['river']['bytes']:.0f}",
        ],
    )
    tick = [("fleet, all of it", ours), ("scikit-learn forest alone", m["sklearn"]["ms"]), ("river, one model a series", m["river"]["ms"])]
    report.plot("tick", f"CPU of one tick, {FLEET:,} series", tick, "ms", logarithmic=True)
    report.figure(
        f"one tick of {FLEET:,} series, CPU", "fleet", f"{ours:.0f} ms", f"scikit-learn's forest alone {m['sklearn']['ms']:.0f}, river {m['river']['ms']:.0f} ms",
        "faster than scikit-learn's forest", f"a third of it: {m['sklearn']['ms'] / 3:.0f} ms",
    )
    report.paragraph(f"The flattened forest gives scikit-learn's scores, apart by at most {m['sklearn']['apart']:.0e}.")
    report.figure(
        "scikit-learn's forest flattened, 100,000 rows, CPU", "isolationForest", f"{m['sklearn']['flat']:.0f} ms",
        f"scikit-learn {m['sklearn']['ms']:.0f} ms", "-", "-",
    )
    report.figure("memory of a series", "fleet", f"{m['fleet']['bytes']:.0f} B", f"river {m['river']['bytes'] / 1000:.0f} kB", "4 KB", "2 KB")
    _tell_focus(report, m)


def _tell_focus(report: Report, m: Measured) -> None:
    report.paragraph(f"## One tick of {FOCUS:,} series")
    ours, forest, river, default = m["focus"]["ms"], m["forest"]["ms"], m["river-focus"]["ms"], m["river-focus"]["default"]
    report.table(
        "what | CPU ms | river takes, times this | river's default, times this | MiB above the start | bytes a series",
        [
            f"focus, with forest | {ours:.1f} | {river / ours:.1f} | {default / ours:.1f} | {m['focus']['peak']:.0f} | {m['focus']['bytes']:.0f}",
            f"focus, its forest alone | {forest:.1f} | {river / forest:.1f} | {default / forest:.1f} | not measured | {m['forest']['bytes']:.0f}",
            f"river half-space trees, four features, 10 trees of height {HEIGHT} | {river:.0f} | 1 | | not measured | {m['river-focus']['bytes']:.0f}",
            f"the same, river's default of 10 trees of height {DEFAULT_HEIGHT} | {default:.0f} | | 1 | not measured | {m['river-focus']['default-bytes']:.0f}",
        ],
    )
    report.paragraph(
        f"One thread each; {KNOWN:,} samples are known of each series. river is measured on {RIVER_SAMPLE} series and multiplied. Ours has 10 trees of 16 points, whose walks visit six nodes "
        f"on average; one of height {HEIGHT} visits as many."
    )
    wanted = ("river / 20", "river / 100")
    report.figure(f"one tick of {FOCUS:,} series with the forest, CPU", "focus", f"{ours:.1f} ms", f"river {river:.0f} ms ({river / ours:.0f} times), by default {default:.0f} ({default / ours:.0f})", *wanted)
    report.figure(f"the forest of {FOCUS:,} series alone, CPU", "focus", f"{forest:.1f} ms", f"river {river:.0f} ms ({river / forest:.0f} times), by default {default:.0f} ({default / forest:.0f})", *wanted)
    alone = m["alone"]
    both = ", ".join(f"{name} {alone[name]:.2f} ms by the clock, {alone[f'{name}-cpu']:.2f} of CPU" for name in ("fleet", "focus"))
    report.paragraph(f"One series scored alone, P95: {both}.")
    for name in ("fleet", "focus"):
        report.figure("one series scored alone, P95", name, f"{alone[name]:.2f} ms, {alone[f'{name}-cpu']:.2f} of CPU", "-", "20 ms", "1 ms")


if __name__ == "__main__":
    print(json.dumps(SIDES[sys.argv[1]]()))
