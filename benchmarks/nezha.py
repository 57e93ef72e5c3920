"""Recorded faults of two systems of services (Nezha; Yu et al., FSE 2023) replayed through the product: found in time, culprit first, false incidents an hour.

    python -m benchmarks.nezha --data DIR [--system NAME]

DIR has `faults.json`, `<system>_metrics.csv.xz` (a row a minute and pod) and `logs/*.csv.xz`. Each system becomes a recording (`aiops.replay.bundle`): pods by the
workload that their names say, as relabelling would have it, and the lines that the shipped rules ask for, where logs were kept. It is then played as `aiops replay`
plays it, with the shipped rules, in virtual time. Incidents are counted by episode (`aiops.correlate.episodes`: what begins near and soon after is one), each
opening and opening again, with the culprit that is known at its beginning.

  found    opened from 75 s (onlineboutique) or 100 s (trainticket: effects begin before the label) before the injection up to 3, or 5, minutes after it;
           an incident counts for one fault only
  first    the first incident that finds a fault names its service first
  false    incidents outside of every fault's window (that allowance before to 6 minutes after), for each hour of data outside of the windows

Neighbours: `nezha_recording` makes the recordings; `detection` asks for the section.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aiops.app.check import load_or_raise
from aiops.app.config import read_settings
from aiops.app.logs import quiet
from aiops.app.replays import open_replay
from aiops.correlate.episodes import Episode, episodes
from aiops.replay.bundle import write_bundle
from benchmarks.detection_report import Context, Report
from benchmarks.nezha_recording import recording

ROOT = Path(__file__).resolve().parent.parent
EARLY = {"onlineboutique": 75.0, "trainticket": 100.0}
AFTER, GAP, STEP = 360.0, 300.0, 60.0


@dataclass(frozen=True)
class Opened:
    """One incident as it was told: when, and who is to blame, most likely first."""

    at: float
    culprits: tuple[str, ...]
    title: str


@dataclass
class Row:
    """What became of the faults of one kind."""

    faults: int = 0
    found3: int = 0
    found5: int = 0
    first: int = 0
    first3: int = 0
    """Found in 3 minutes with the culprit first."""


@dataclass(frozen=True)
class Result:
    """One system. `hours` outside of the windows of faults."""

    kinds: dict[str, Row]
    false: int
    hours: float


def play(folder: Path, system: str, rules: Sequence[Path] = (ROOT / "rules",)) -> tuple[list[Opened], NDArray[np.float64]]:
    """The incidents of one system, and the times of its samples."""
    quiet()
    settings = read_settings(None).model_copy(update={"rules": tuple(map(str, rules)), "runbooks": ()})
    bundle = recording(folder, system, load_or_raise(settings).rules)
    with TemporaryDirectory() as place:
        write_bundle(Path(place) / system, bundle)
        replay = open_replay(Path(place) / system, settings)
        try:
            replay.run.run(60.0)
            incidents = replay.run.store.incidents(limit=100_000)
            if replay.run.errors:
                raise RuntimeError("; ".join(replay.run.errors[:5]))
        finally:
            replay.run.close()
    # A source that is in the dark is told too, and is not about any service.
    told = [opened(episode) for episode in episodes(incident for incident in incidents if incident.target is not None)]
    return told, np.unique(np.concatenate([s.times for s in bundle.metrics]))


def opened(episode: Episode) -> Opened:
    """As it stood when it began: what came later is not known then."""
    first = [b.incident.target.name for b in episode.beginnings if b.at <= episode.at and b.incident.target is not None]
    return Opened(episode.at, tuple(first), "; ".join(b.incident.title for b in episode.beginnings))


def score(incidents: Sequence[Opened], faults: Sequence[dict[str, Any]], times: NDArray[np.float64], early: float) -> Result:
    """`faults` of one system, `incidents` in the order of time."""
    windows = [(f["inject_timestamp"] - early, f["inject_timestamp"] + AFTER) for f in faults]
    used: set[int] = set()
    kinds: dict[str, Row] = {}
    for fault in sorted(faults, key=lambda f: float(f["inject_timestamp"])):
        start, row = fault["inject_timestamp"], kinds.setdefault(fault["inject_type"], Row())
        hit = next((k for k, i in enumerate(incidents) if k not in used and start - early <= i.at <= start + 300.0), None)
        row.faults += 1
        if hit is None:
            continue
        used.add(hit)
        first, soon = incidents[hit].culprits[:1] == (fault["service"],), incidents[hit].at <= start + 180.0
        row.found5 += 1
        row.found3 += soon
        row.first += first
        row.first3 += first and soon
    false = sum(not any(a <= i.at <= b for a, b in windows) for i in incidents)
    step = np.diff(times, append=times[-1] + STEP)
    step = np.where(step > GAP, STEP, step)  # a hole in the recording is not observed time
    inside = np.zeros(len(times), dtype=bool)
    for a, b in windows:
        inside |= (times >= a) & (times <= b)
    return Result(kinds, false, float(step[~inside].sum() / 3600.0))


def section(report: Report, context: Context) -> None:
    """Both systems, and the three lines of the goals."""
    folder = context.folder("nezha")
    if folder is None:
        return
    report.paragraph("## Replayed incidents (Nezha)")
    every: dict[str, Result] = {}
    faults = json.loads((folder / "faults.json").read_text())
    rows = []
    for system in EARLY if not context.small else ["trainticket"]:
        incidents, times = play(folder, system)
        context.told(f"Nezha {system}")
        result = every[system] = score(incidents, [f for f in faults if f["system"] == system], times, EARLY[system])
        for kind, r in sorted(result.kinds.items()):
            rows.append(f"{system} | {kind} | {r.faults} | {r.found3} | {r.found5} | {r.first} |")
        rows.append(f"{system} | outside of faults | | | | | {result.false} in {result.hours:.1f} h, {result.false / result.hours:.2f} an hour")
    report.table("system | fault | faults | found in 3 min | in 5 min | culprit first | false incidents", rows)

    def total(kinds: Sequence[str]) -> Row:
        whole = Row()
        for r in (r for result in every.values() for kind, r in result.kinds.items() if kind in kinds):
            whole = Row(whole.faults + r.faults, whole.found3 + r.found3, whole.found5 + r.found5, whole.first + r.first, whole.first3 + r.first3)
        return whole

    cpu, code = total(("cpu_contention", "cpu_consumed")), total(("return", "exception"))
    report.figure("Nezha, CPU faults found in 3 min, culprit first", "–", f"{cpu.first3} of {cpu.faults}", "13 of 13", "12", "13")  # noqa: RUF001
    report.figure("Nezha, return and exception found in 5 min", "–", f"{code.found5} of {code.faults}", "11 of 13", "9", "12")  # noqa: RUF001
    limits = {"onlineboutique": ("1.4", "1.5", "0.95"), "trainticket": ("0.9", "1.0", "0.5")}
    for system, result in every.items():
        report.figure(f"Nezha, false incidents an hour, {system}", "–", f"{result.false / result.hours:.2f}", *limits[system])  # noqa: RUF001


def main() -> None:
    parser = argparse.ArgumentParser(description="Recorded faults of services through the product.")
    parser.add_argument("--data", type=Path, required=True, help="folder with faults.json, metrics and logs")
    parser.add_argument("--system", choices=sorted(EARLY))
    parser.add_argument("--rules", type=Path, nargs="+", default=[ROOT / "rules"], help="other rules than the shipped ones")
    parser.add_argument("--incidents", type=Path, help="write the incidents of each system here, as SYSTEM.json")
    given = parser.parse_args()
    faults = json.loads((given.data / "faults.json").read_text())
    for system in [given.system] if given.system else EARLY:
        incidents, times = play(given.data, system, given.rules)
        mine = sorted((f for f in faults if f["system"] == system), key=lambda f: float(f["inject_timestamp"]))
        result = score(incidents, mine, times, EARLY[system])
        for incident in incidents:
            near = next((f for f in mine if f["inject_timestamp"] - EARLY[system] <= incident.at <= f["inject_timestamp"] + AFTER), None)
            about = f"{near['service']} {near['inject_type']} {incident.at - near['inject_timestamp']:+.0f} s" if near else "FALSE"
            print(f"{incident.at:.0f}  {about:<48} {', '.join(incident.culprits)}: {incident.title}")
        for kind, row in sorted(result.kinds.items()):
            print(f"{system} {kind:<16} {row}")
        print(f"{system}: {result.false} false in {result.hours:.2f} h = {result.false / result.hours:.2f} an hour")
        if given.incidents:
            given.incidents.mkdir(parents=True, exist_ok=True)
            document = [{"opened": i.at, "culprits": list(i.culprits)} for i in incidents]
            (given.incidents / f"{system}.json").write_text(json.dumps(document, indent=1))


if __name__ == "__main__":
    main()
