"""Drift, ours and the peers' in turn: one batch of 10,000 rows against a reference of 100,000, and streams.

evidently and nannyml pin old packages, so they are asked in interpreters of their own, `--peers PYTHON,PYTHON`; without it scipy's `ks_2samp` stands beside ours alone.
Neighbours: `detection` asks for the section, `drift_streams`.

    PYTHON detection_drift.py SIDE FEATURES    one side in this interpreter, as JSON
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    # Asked in another interpreter, this file stands alone.
    from benchmarks.detection_report import Context, Report

REFERENCE, BATCH = 100_000, 10_000
SHIFT = 0.5
NAMES = {"ours": "ours: PSI, KL, JS and p", "nannyml": "nannyml, JS", "evidently": "evidently, its preset with PSI"}
Floats = NDArray[np.float64]


def populations(features: int) -> tuple[Floats, Floats]:
    """(features, rows) each; a tenth of the features has moved by half a deviation."""
    rng = np.random.default_rng(1)
    before, now = rng.normal(size=(features, REFERENCE)), rng.normal(size=(features, BATCH))
    now[: max(features // 10, 1)] += SHIFT
    return before, now


def timed(ask: Callable[[], Any], rounds: int) -> tuple[float, float]:
    """Median ms by the clock and of CPU time. What comes first (imports, caches) is not counted."""
    ask()
    clock, cpu = [], []
    for _ in range(rounds):
        began, used = time.perf_counter(), time.process_time()
        ask()
        clock.append(1000.0 * (time.perf_counter() - began))
        cpu.append(1000.0 * (time.process_time() - used))
    return statistics.median(clock), statistics.median(cpu)


def ours(features: int) -> tuple[float, float]:
    """PSI, KL, JS and p of each feature, the reference fitted beforehand."""
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
    from aiops.detect.population import NumericReference, measured

    before, now = populations(features)
    references = [NumericReference(column) for column in before]
    return timed(lambda: measured([r.counted(column) for r, column in zip(references, now, strict=True)]), 9)


def kolmogorov(features: int) -> tuple[float, float]:
    """scipy's two-sample test of each feature."""
    from scipy.stats import ks_2samp

    before, now = populations(features)
    return timed(lambda: [ks_2samp(a, b) for a, b in zip(before, now, strict=True)], 1)


def nannyml(features: int) -> tuple[float, float]:
    """Its univariate calculator by Jensen-Shannon distance, fitted beforehand."""
    import nannyml as nml  # type: ignore[import-not-found]
    import pandas as pd

    before, now = populations(features)
    names = [f"f{j}" for j in range(features)]
    calculator = nml.UnivariateDriftCalculator(column_names=names, chunk_size=BATCH, continuous_methods=["jensen_shannon"])
    calculator.fit(pd.DataFrame(before.T, columns=names))
    frame = pd.DataFrame(now.T, columns=names)
    return timed(lambda: calculator.calculate(frame), 3)


def evidently(features: int) -> tuple[float, float]:
    """Its preset for drift by PSI."""
    import pandas as pd
    from evidently import Report as Theirs  # type: ignore[import-not-found]
    from evidently.presets import DataDriftPreset  # type: ignore[import-not-found]

    before, now = populations(features)
    names = [f"f{j}" for j in range(features)]
    old, new = pd.DataFrame(before.T, columns=names), pd.DataFrame(now.T, columns=names)
    return timed(lambda: Theirs([DataDriftPreset(num_method="psi")]).run(new, old), 1)


def turns(features: int, rounds: int, interpreters: Sequence[str]) -> dict[str, tuple[float, float]]:
    """Each side in a process of its own, in turn; medians over the rounds of ms by the clock and of CPU. A side that an interpreter lacks is left out."""
    found: dict[str, list[tuple[float, float]]] = {}
    for turn in range(rounds):
        # evidently takes half a minute: once, and of few features, is enough.
        names = ("nannyml", "evidently") if turn == 0 and features <= 50 else ("nannyml",)
        for python, side in [(sys.executable, "ours"), *((p, name) for p in interpreters for name in names)]:
            run = subprocess.run([python, str(Path(__file__).resolve()), side, str(features)], capture_output=True, text=True, check=False)
            if not run.returncode:
                clock, cpu = json.loads(run.stdout.splitlines()[-1])
                found.setdefault(side, []).append((clock, cpu))
            elif side == "ours":
                raise RuntimeError(run.stderr)
    return {side: (statistics.median(c for c, _ in all_), statistics.median(c for _, c in all_)) for side, all_ in found.items()}


def section(report: Report, context: Context) -> None:
    """Batches beside peers, and streams without drift."""
    from benchmarks import drift_streams

    report.paragraph(f"## Drift: {BATCH:,} rows against {REFERENCE:,}")
    interpreters = context.peers.split(",") if context.peers else []
    rows, plotted = [], list[tuple[str, float]]()
    for features in (50,) if context.small else (50, 1000):
        found = turns(features, context.rounds if features == 50 else 1, interpreters)
        if features == 50 and not context.small:
            found["scipy ks_2samp"] = kolmogorov(features)
        own = found["ours"]
        rows += [f"{features} | {NAMES.get(n, n)} | {clock:.1f} | {cpu:.1f} | {clock / own[0]:.1f} | {cpu / own[1]:.1f}" for n, (clock, cpu) in found.items()]
        plotted = plotted or [(NAMES.get(n, n), cpu) for n, (_, cpu) in found.items()]
        if "nannyml" in found:
            ratios = " · ".join(f"{theirs / mine:.1f} times by {how}" for how, theirs, mine in zip(("the clock", "CPU"), found["nannyml"], own, strict=True))
            report.figure(f"drift, {features} features, as fast as nannyml", "-", ratios, "1", "6 times", "20 times")
        context.told(f"drift, {features} features")
    report.table("features | method | ms by the clock | CPU ms | clock, times ours | CPU, times ours", rows)
    report.paragraph("Ours and nannyml have seen the reference beforehand; evidently has no such step and reads both files each time.")
    report.plot("drift", "Drift of 50 features, CPU", plotted, "ms", logarithmic=True)
    number, samples = (4, 2_000) if context.small else (40, drift_streams.SAMPLES)
    report.paragraph(
        f"{number} streams of {samples:,} samples of each kind; alarms per 10,000 samples without drift. Delay: samples after a step of half a deviation, "
        f"median; missed: not within {drift_streams.WITHIN}. All as they are by default."
    )
    told = drift_streams.measured(number, samples, context.told)
    independent, chained = drift_streams.KINDS
    report.table(
        "method | false alarms, independent | false alarms, AR(1) 0.9 | delay | missed",
        [f"{r.name} | {r.alarms[independent]:.3f} | {r.alarms[chained]:.3f} | {r.delay:.0f} | {r.missed:.0%}" for r in told],
    )
    theirs = {r.name: r for r in told[1:]}
    for kind, least, aim in ((independent, "≤ 0.1", "0"), (chained, "≤ 0.3", "0.1")):
        peers = " · ".join(f"{name} {r.alarms[kind]:.2f}" for name, r in theirs.items())
        report.figure(f"drift, false alarms per 10,000 samples, {kind}", "-", f"{told[0].alarms[kind]:.3f}", peers, least, aim)
    peers = " · ".join(f"{name} {r.delay:.0f}" for name, r in theirs.items())
    report.figure("drift, samples until a step of half a deviation is found", "-", f"{told[0].delay:.0f}", peers, "≤ 350", "200")
    report.plot("drift-alarms", "False alarms per 10,000 samples, AR(1) 0.9", [(r.name, r.alarms[chained]) for r in told], "")


if __name__ == "__main__":
    sides: dict[str, Callable[[int], tuple[float, float]]] = {"ours": ours, "nannyml": nannyml, "evidently": evidently}
    print(json.dumps(sides[sys.argv[1]](int(sys.argv[2]))))
