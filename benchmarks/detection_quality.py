"""Both profiles over labelled recordings in `--data DIR`: `nab/data/<category>/*.csv.gz` with `nab/combined_windows.json`, `smd/machine-*.csv[.xz]` with `smd/labels`.

One causal pass, one setting for all series. Neighbours: `nab`, `smd` have the rules, `detection` asks for the sections.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from aiops.adapters.timed_tables import read_timed
from aiops.detect.scoring import Profile, score_series, score_table
from benchmarks import nab, smd
from benchmarks.detection_report import Context, Report

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class NabRow:
    """A detector over all series: with the threshold of the labels and with the other half's; CPU µs a point."""

    name: str
    oracle: nab.Result
    transferred: nab.Result
    micros: float


@dataclass(frozen=True)
class SmdRow:
    """A detector over all machines; CPU µs a row."""

    name: str
    machines: dict[str, smd.Machine]
    micros: float

    @property
    def found(self) -> int:
        return sum(m.found for m in self.machines.values())

    @property
    def events(self) -> int:
        return sum(m.events for m in self.machines.values())

    @property
    def auc_pr(self) -> float:
        return float(np.mean([m.auc_pr for m in self.machines.values()]))


def range_rule(values: Floats) -> Floats:
    """The five-line rule that a detector has to beat: how far beyond the range seen so far, in shares of it; 5 % and less is nothing."""
    high, low = np.maximum.accumulate(values), np.minimum.accumulate(values)
    before_high, before_low = np.append(values[0], high[:-1]), np.append(values[0], low[:-1])
    beyond = np.maximum(values - before_high, before_low - values) / np.maximum(before_high - before_low, 1e-12)
    return np.where(beyond > 0.05, beyond / (1.0 + beyond), 0.0)


def max_z(values: Floats, train: int) -> Floats:
    """max |z| of the columns, which are of 0 to 1, against the training half, a hundredth added to each deviation: one line that a detector has to beat."""
    return np.asarray(np.abs((values - values[:train].mean(axis=0)) / (values[:train].std(axis=0) + 0.01)).max(axis=1))


def sklearn_forest(values: Floats, train: int) -> Floats:
    """scikit-learn's forest, fitted on the training half."""
    from sklearn.ensemble import IsolationForest

    return np.asarray(-IsolationForest(random_state=1).fit(values[:train]).score_samples(values))


def nab_rows(folder: Path, told: Callable[[str], None]) -> list[NabRow]:
    """Ours in both profiles and the range rule."""
    windows = json.loads((folder / "combined_windows.json").read_text())
    tables = {name: read_timed(_existing(folder / "data" / name)) for name in sorted(windows)}
    times, values = [t.times for t in tables.values()], [t.values[:, 0] for t in tables.values()]
    points = sum(len(v) for v in values)

    def row(name: str, score: Callable[[], list[Floats]]) -> NabRow:
        began = time.process_time()
        scores = score()
        micros = 1e6 * (time.process_time() - began) / points
        series = [nab.labelled(key, t.times, s, [_span(w) for w in windows[key]]) for (key, t), s in zip(tables.items(), scores, strict=True)]
        told(f"NAB {name}")
        return NabRow(name, nab.oracle(series), nab.transferred(series), micros)

    return [
        row("range rule", lambda: [range_rule(v) for v in values]),
        row("fleet (without forest)", lambda: score_series(times, values, profile=Profile.FLEET)),
        row("focus (with forest)", lambda: score_series(times, values, profile=Profile.FOCUS)),
    ]


def _existing(path: Path) -> Path:
    return path if path.exists() else path.with_name(f"{path.name}.gz")


def _span(limits: list[str]) -> tuple[float, float]:
    first, last = (datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() for text in limits)
    return first, last


def smd_rows(folder: Path, told: Callable[[str], None]) -> list[SmdRow]:
    """Ours in both profiles, max |z| and scikit-learn's forest. The peers know the training half, ours is causal."""
    tables, labels = {}, {}
    for path in sorted(folder.glob("machine-*.csv*")):
        name = path.name.split(".")[0]
        tables[name] = read_timed(path)
        labels[name] = read_timed_labels(next(p for p in (folder / "labels").glob(f"{name}.csv*")))
    rows = sum(len(t.times) for t in tables.values())

    def row(name: str, score: Callable[[Floats, int], Floats]) -> SmdRow:
        began, found = time.process_time(), {}
        for key, table in tables.items():
            test = labels[key] >= 0
            found[key] = smd.machine(score(table.values, int((~test).sum()))[test], labels[key][test])
        told(f"SMD {name}")
        return SmdRow(name, found, 1e6 * (time.process_time() - began) / rows)

    return [
        row("greatest z against the training half", max_z),
        row("scikit-learn forest on the training half", sklearn_forest),
        row("fleet (without forest)", lambda values, _: score_table(values, profile=Profile.FLEET)),
        row("focus (with forest)", lambda values, _: score_table(values, profile=Profile.FOCUS)),
    ]


def read_timed_labels(path: Path) -> NDArray[np.int64]:
    """The column `label`."""
    import pandas as pd

    return np.asarray(pd.read_csv(path)["label"].to_numpy(), dtype=np.int64)


def nab_section(report: Report, context: Context) -> None:
    """The Numenta Anomaly Benchmark's series; left out where there are none."""
    folder = context.folder("nab")
    if folder is None:
        return
    nab_found = nab_rows(folder, context.told)
    report.paragraph("## Numenta Anomaly Benchmark")
    report.paragraph(
        "Standard / low FP / low FN. Transfer: each half of the series with the threshold that the other half chose. Alarms are those outside of windows."
    )
    rows = []
    for row in nab_found:
        for how, r in (("of the labels", row.oracle), ("of the other half", row.transferred)):
            scores = " / ".join(f"{v:.1f}" for v in r.scores.values())
            rows.append(f"{row.name} | {how} | {scores} | {r.found} of {r.windows} | {r.alarms_a_day:.2f} | {row.micros:.0f}")
    report.table("detector | threshold | score | windows | alarms a day and series | CPU µs a point", rows)
    report.plot("nab", "NAB, standard, threshold of the other half", [(r.name, r.transferred.scores["standard"]) for r in nab_found], "")
    plain = f"range rule {nab_found[0].transferred.scores['standard']:.1f}"
    for row in nab_found[1:]:
        r = row.transferred
        ours = f"{r.scores['standard']:.1f}, {r.found} of {r.windows} windows, {r.alarms_a_day:.2f} alarms a day"
        report.figure("NAB, half to half", row.name.partition(" ")[0], ours, plain, "printed", "-")
        report.figure("NAB, threshold of the labels", row.name.partition(" ")[0], f"{row.oracle.scores['standard']:.1f}", "", "66 (all 58)", "70 (all 58)")


def smd_section(report: Report, context: Context) -> None:
    """The Server Machine Dataset's machines; left out where there are none."""
    folder = context.folder("smd")
    if folder is None:
        return
    found = smd_rows(folder, context.told)
    report.paragraph("## Server Machine Dataset")
    report.paragraph("One causal pass; events at one false alarm a day. The first two know the whole training half beforehand.")
    rows = [f"{row.name} | {row.found} of {row.events} | {row.auc_pr:.3f} | {row.micros:.0f}" for row in found]
    report.table("detector | events | AUC-PR | CPU µs a row", rows)
    report.plot("smd", "SMD, events at one false alarm a day", [(r.name, float(r.found)) for r in found], f"of {found[0].events}")
    plain = ", ".join(f"{row.name.partition(' on ')[0]} {row.found} · {row.auc_pr:.3f}" for row in found[:2])
    for row in found[2:]:
        report.figure("SMD, events · AUC-PR", row.name.partition(" ")[0], f"{row.found} · {row.auc_pr:.3f}", plain, "60 · .42", "66 · .55")
