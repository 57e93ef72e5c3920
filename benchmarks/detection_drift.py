"""Drift, ours and the peers' in turn: one batch of 10,000 rows against a reference of 100,000, and false alarms on streams without drift.

evidently and nannyml pin old packages, so they are asked in an interpreter of their own, `--peers PYTHON`; without it scipy's `ks_2samp` stands beside ours alone.
Neighbour: `detection` asks for the section.

    PYTHON detection_drift.py PEER FEATURES    one peer in this interpreter, as JSON
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    # Asked in another interpreter, this file stands alone.
    from benchmarks.detection_report import Context, Report

REFERENCE, BATCH = 100_000, 10_000
SAMPLES, STREAMS, EVERY = 10_000, 8, 15.0
SHIFT_AT, SHIFT = 5_000, 0.5
Floats = NDArray[np.float64]


def populations(features: int) -> tuple[Floats, Floats]:
    """(features, rows) each; a tenth of the features has moved by half a deviation."""
    rng = np.random.default_rng(1)
    before, now = rng.normal(size=(features, REFERENCE)), rng.normal(size=(features, BATCH))
    now[: max(features // 10, 1)] += SHIFT
    return before, now


def timed(ask: Callable[[], Any], rounds: int) -> float:
    """Median ms of CPU time."""
    spent = []
    for _ in range(rounds):
        began = time.process_time()
        ask()
        spent.append(1000.0 * (time.process_time() - began))
    return float(np.median(spent))


def ours(features: int, rounds: int = 5) -> float:
    """PSI, KL, JS and p of each feature, the reference fitted beforehand."""
    from aiops.detect.population import NumericReference, measured

    before, now = populations(features)
    references = [NumericReference(column) for column in before]
    return timed(lambda: measured([r.counted(column) for r, column in zip(references, now, strict=True)]), rounds)


def kolmogorov(features: int) -> float:
    """scipy's two-sample test of each feature."""
    from scipy.stats import ks_2samp

    before, now = populations(features)
    return timed(lambda: [ks_2samp(a, b) for a, b in zip(before, now, strict=True)], 1)


def nannyml(features: int) -> float:
    """Its univariate calculator by Jensen-Shannon distance, fitted beforehand."""
    import nannyml as nml  # type: ignore[import-not-found]
    import pandas as pd

    before, now = populations(features)
    names = [f"f{j}" for j in range(features)]
    calculator = nml.UnivariateDriftCalculator(column_names=names, chunk_size=BATCH, continuous_methods=["jensen_shannon"])
    calculator.fit(pd.DataFrame(before.T, columns=names))
    frame = pd.DataFrame(now.T, columns=names)
    return timed(lambda: calculator.calculate(frame), 3)


def peers(python: str, features: int) -> dict[str, float]:
    """What can be asked in that interpreter."""
    run = subprocess.run([python, str(Path(__file__).resolve()), "nannyml", str(features)], capture_output=True, text=True, check=False)
    if run.returncode:
        return {}
    return {"nannyml": float(json.loads(run.stdout.splitlines()[-1]))}


def stream(kind: str, seed: int) -> Floats:
    """Standard normal, independent or an autoregression at 0.9."""
    noise = np.random.default_rng(seed).normal(size=SAMPLES)
    if kind == "independent":
        return noise
    values = np.empty(SAMPLES)
    held = noise[0]
    for i, shock in enumerate(noise):
        held = 0.9 * held + np.sqrt(1.0 - 0.81) * shock
        values[i] = held
    return values


def _our_alarms(values: Floats) -> Floats:
    """Sample numbers at which an alarm of the detector `drift`, as a rule has it by default, begins; (streams, samples) in."""
    from aiops.detect.drift import Drift
    from aiops.domain.series import SampleBatch

    detector, held, begun = Drift(), np.zeros(len(values), dtype=bool), []
    labels = tuple({"stream": f"{i:02d}"} for i in range(len(values)))
    for i in range(values.shape[1]):
        at = 1.79e9 + EVERY * i
        scores = detector.assess(SampleBatch("bench", "q", at, labels, np.full(len(values), at), values[:, i])).scores
        begun += [float(i)] * int(np.count_nonzero(scores.breach & ~held))
        held = (held | scores.breach) & ~scores.recovered
    return np.array(begun)


def _adwin_alarms(values: Floats) -> Floats:
    from river import drift

    begun = []
    for line in values:
        detector: Any = drift.ADWIN()  # type: ignore[no-untyped-call]
        for i, value in enumerate(line):
            detector.update(value)
            if detector.drift_detected:
                begun.append(float(i))
    return np.array(begun)


def false_alarms() -> dict[str, dict[str, float]]:
    """Alarms per 10,000 samples by kind of stream, and samples from a step of half a deviation to the first alarm (median; NaN if never)."""
    found: dict[str, dict[str, float]] = {}
    for name, alarms in (("ours (detector drift)", _our_alarms), ("river ADWIN", _adwin_alarms)):
        row = {kind: len(alarms(np.stack([stream(kind, s) for s in range(STREAMS)]))) / STREAMS for kind in ("independent", "AR(1) 0.9")}
        delays = []
        for seed in range(STREAMS):
            values = stream("independent", 100 + seed)
            values[SHIFT_AT:] += SHIFT
            after = [i - SHIFT_AT for i in alarms(values[None, :]) if i >= SHIFT_AT]
            delays.append(min(after) if after else np.inf)
        row["delay"] = float(np.median(delays))
        found[name] = row
    return found


def section(report: Report, context: Context) -> None:
    """Batches beside peers, and streams without drift."""
    report.paragraph(f"## Drift: {BATCH:,} rows against {REFERENCE:,}")
    found: dict[int, dict[str, float]] = {}
    for features in (50,) if context.small else (50, 1000):
        found[features] = {"ours: PSI, KL, JS and p": ours(features)}
        if features == 50 and not context.small:
            found[features]["scipy ks_2samp"] = kolmogorov(features)
            found[features] |= peers(context.peers, features) if context.peers else {}
        context.told(f"drift, {features} features")
    rows = [f"{features} | {name} | {ms:.1f} | {ms / row['ours: PSI, KL, JS and p']:.1f}" for features, row in found.items() for name, ms in row.items()]
    report.table("features | method | CPU ms | times ours", rows)
    report.plot("drift", "Drift of 50 features", list(found[50].items()), "ms", logarithmic=True)
    report.paragraph(f"Streams of {SAMPLES:,} samples, {STREAMS} of each kind; delay: samples after a step of half a deviation.")
    rows = [f"{name} | {r['independent']:.2f} | {r['AR(1) 0.9']:.2f} | {r['delay']:.0f}" for name, r in false_alarms().items()]
    report.table("method | false alarms, independent | AR(1) 0.9 | delay", rows)


if __name__ == "__main__":
    print(json.dumps({"nannyml": nannyml}[sys.argv[1]](int(sys.argv[2]))))
