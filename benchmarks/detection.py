"""Detection in figures: how good, how fast, how large, beside what a user would otherwise pick.

    python -m benchmarks.detection [--data DIR] [--peers PYTHON] [--rounds 3]

With `--data` (a folder with `nab` and `smd`) quality is measured too, and tables and plots are written into docs/benchmarks/; without it only the speed part is
printed. Each figure says which profile made it: `fleet` is without the forest, `focus` with it. Ours and the peers' are measured in turn in one run.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
from pathlib import Path

from benchmarks import detection_drift, detection_quality
from benchmarks.bars import bars
from benchmarks.detection_speed import FLEET, FOCUS, RIVER_SAMPLE, SIDES

TARGET = Path(__file__).resolve().parent.parent / "docs" / "benchmarks"
Measured = dict[str, dict[str, float]]


class Report:
    """What is printed, kept as the page that is written."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def say(self, text: str = "") -> None:
        print(text, flush=True)
        self.lines.append(text)

    def table(self, head: str, rows: list[str]) -> None:
        columns = head.count("|") + 1
        for line in (f"| {head} |", "|" + " --- |" * columns, *(f"| {row} |" for row in rows), ""):
            self.say(line)


def speeds(rounds: int) -> Measured:
    """Each side in a process of its own, in turn; medians over the rounds."""
    found: dict[str, list[dict[str, float]]] = {side: [] for side in SIDES}
    for _ in range(rounds):
        for side in SIDES:
            run = subprocess.run([sys.executable, "-m", "benchmarks.detection_speed", side], check=True, capture_output=True, text=True)
            found[side].append(json.loads(run.stdout))
    return {side: {key: statistics.median(run[key] for run in runs) for key in runs[0]} for side, runs in found.items()}


def tell_speed(report: Report, m: Measured) -> None:
    report.say(f"## One tick of {FLEET:,} series")
    report.say()
    ours = m["fleet"]["ms"]
    parts = f"decode {m['fleet']['decode']:.0f}, views {m['fleet']['score']:.0f}, rest {m['fleet']['rest']:.0f}"
    report.table(
        "what | CPU ms | times ours | MiB above the start | bytes a series",
        [
            f"fleet, without forest: {parts} | {ours:.0f} | 1 | {m['fleet']['peak']:.0f} | {m['fleet']['bytes']:.0f}",
            f"scikit-learn `IsolationForest`, 100 trees, scoring alone | {m['sklearn']['ms']:.0f} | {m['sklearn']['ms'] / ours:.1f} | {m['sklearn']['peak']:.0f} | none kept",
            f"river half-space trees for each series, one feature | {m['river']['ms']:.0f} | {m['river']['ms'] / ours:.1f} | not measured | {m['river']['bytes']:.0f}",
        ],
    )
    report.say(f"## One tick of {FOCUS:,} series")
    report.say()
    ours, forest, river = m["focus"]["ms"], m["forest"]["ms"], m["river-focus"]["ms"]
    report.table(
        "what | CPU ms | river takes, times this | MiB above the start | bytes a series",
        [
            f"focus, with forest | {ours:.1f} | {river / ours:.1f} | {m['focus']['peak']:.0f} | {m['focus']['bytes']:.0f}",
            f"focus, its forest alone | {forest:.1f} | {river / forest:.1f} | not measured | {m['forest']['bytes']:.0f}",
            f"river half-space trees for each series, four features | {river:.0f} | 1 | not measured | {m['river-focus']['bytes']:.0f}",
        ],
    )
    report.say(f"river is measured on {RIVER_SAMPLE} series and multiplied; it has 10 trees of height 5, ours 10 trees of 32 points.")
    report.say()
    alone = m["alone"]
    both = ", ".join(f"{name} {alone[name]:.2f} ms by the clock, {alone[f'{name}-cpu']:.2f} of CPU" for name in ("fleet", "focus"))
    report.say(f"One series scored alone, P95: {both}.")
    report.say()


def tell_drift(report: Report, python: str | None) -> dict[int, dict[str, float]]:
    report.say(f"## Drift: {detection_drift.BATCH:,} rows against {detection_drift.REFERENCE:,}")
    report.say()
    found: dict[int, dict[str, float]] = {}
    for features in (50, 1000):
        found[features] = {"ours: PSI, KL, JS and p": detection_drift.ours(features)}
        if features == 50:
            found[features]["scipy ks_2samp"] = detection_drift.kolmogorov(features)
            found[features] |= detection_drift.peers(python, features) if python else {}
    rows = [
        f"{features} | {name} | {ms:.1f} | {ms / row['ours: PSI, KL, JS and p']:.1f}" for features, row in found.items() for name, ms in row.items()
    ]
    report.table("features | method | ms | times ours", rows)
    report.say(f"Streams of {detection_drift.SAMPLES:,} samples, {detection_drift.STREAMS} of each kind; delay: samples after a step of half a deviation.")
    report.say()
    rows = [f"{name} | {r['independent']:.2f} | {r['AR(1) 0.9']:.2f} | {r['delay']:.0f}" for name, r in detection_drift.false_alarms().items()]
    report.table("method | false alarms, independent | AR(1) 0.9 | delay", rows)
    return found


def tell_quality(report: Report, data: Path) -> tuple[list[detection_quality.NabRow], list[detection_quality.SmdRow]]:
    def told(text: str) -> None:
        print(f"… {text}", file=sys.stderr, flush=True)

    nab = detection_quality.nab_rows(data / "nab", told)
    report.say("## Numenta Anomaly Benchmark")
    report.say()
    report.say("Standard / low FP / low FN. Transfer: each half of the series with the threshold that the other half chose. Alarms are those outside of windows.")
    report.say()
    rows = []
    for row in nab:
        for how, r in (("of the labels", row.oracle), ("of the other half", row.transferred)):
            scores = " / ".join(f"{v:.1f}" for v in r.scores.values())
            rows.append(f"{row.name} | {how} | {scores} | {r.found} of {r.windows} | {r.alarms_a_day:.2f} | {row.micros:.0f}")
    report.table("detector | threshold | score | windows | alarms a day and series | CPU µs a point", rows)
    smd = detection_quality.smd_rows(data / "smd", told)
    report.say("## Server Machine Dataset")
    report.say()
    report.say("One causal pass; events at one false alarm a day. The first two know the whole training half beforehand.")
    report.say()
    rows = [f"{row.name} | {row.found} of {row.events} | {row.auc_pr:.3f} | {row.micros:.0f}" for row in smd]
    report.table("detector | events | AUC-PR | CPU µs a row", rows)
    return nab, smd


def main() -> None:
    parser = argparse.ArgumentParser(description="Detection: quality, speed, memory, beside peers.")
    parser.add_argument("--data", type=Path, help="folder with nab and smd; without it only speed")
    parser.add_argument("--peers", help="a Python interpreter that has nannyml")
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    report = Report()
    report.say("# Detection in figures")
    report.say()
    report.say("Written by `make bench-detection`; fleet is without the forest, focus with it.")
    report.say()
    measured = speeds(arguments.rounds)
    tell_speed(report, measured)
    drift = tell_drift(report, arguments.peers)
    if arguments.data is None:
        return
    nab, smd = tell_quality(report, arguments.data)
    TARGET.mkdir(parents=True, exist_ok=True)
    tick = [("fleet, all of it", measured["fleet"]["ms"]), ("scikit-learn forest alone", measured["sklearn"]["ms"]), ("river, one model a series", measured["river"]["ms"])]
    bars(TARGET / "tick.svg", f"CPU of one tick, {FLEET:,} series", tick, "ms", logarithmic=True)
    bars(TARGET / "nab.svg", "NAB, standard, threshold of the other half", [(r.name, r.transferred.scores["standard"]) for r in nab], "")
    bars(TARGET / "smd.svg", "SMD, events at one false alarm a day", [(r.name, float(r.found)) for r in smd], f"of {smd[0].events}")
    bars(TARGET / "drift.svg", "Drift of 50 features", list(drift[50].items()), "ms", logarithmic=True)
    report.say("![tick](tick.svg)\n![NAB](nab.svg)\n![SMD](smd.svg)\n![drift](drift.svg)")
    (TARGET / "detection.md").write_text("\n".join(report.lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
