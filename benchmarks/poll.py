"""One poll of 1,000 series from HTTP to the store: CPU milliseconds, ours and a script of the field's packages, in turn.

    python -m benchmarks.poll [--series 1000] [--polls 100]

A server process on loopback answers each query anew, at the time asked for; a tenth of the series is wrong at any time, and in each poll one in a
hundred begins and one in a hundred ends. Ours is what the daemon runs: the source, the detector bank, triage, and one durable transaction with
signals, evidence, incidents and decisions. The peer asks with prometheus-api-client, compares with pandas and writes a row for each change with
sqlite3: no evidence, no incidents, no reasons. Counted is this process's CPU time, client side of HTTP included; the first polls (imports,
labels, warm-up of detectors) are not. The goal for ours is 50 ms.
"""

from __future__ import annotations

import argparse
import json
import resource
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.loopback import serve_answers

GOAL = 50.0
WARM = 40
EVERY = 15.0
START = 1_790_000_000.0
LIMIT = 100.0
DETECTORS: dict[str, dict[str, Any]] = {
    "threshold": {"above": LIMIT},
    "seasonalZ": {},
    "logErrorRate": {},
    "drift": {},
    "isolationForest": {"window": 64},
}


def serve(n: int) -> None:
    """Answer each query at its `time`; print the port, stay until standard input ends."""
    metrics = [
        f'{{"metric":{{"__name__":"load","container":"main","instance":"10.0.{i // 250}.{i % 250}:9100","job":"app","namespace":"team-{i % 20:02d}",'
        f'"pod":"service-{i:04d}-7c9f8d6b5-x{i:04d}","workload":"service-{i:04d}"}},"value":['
        for i in range(n)
    ]

    def answer(_query: str, at: float) -> bytes:
        step = round((at - START) / EVERY)
        values = np.random.default_rng(step).normal(80.0, 2.0, n)
        # Each series is wrong for ten polls of a hundred, from a poll of its own on: some begin and some end in each poll.
        values[(np.arange(n) * 37 + step) % 100 < 10] = 150.0
        parts = (f'{metric}{at!r},"{value!r}"]}}' for metric, value in zip(metrics, values.tolist(), strict=True))
        return ('{"status":"success","data":{"resultType":"vector","result":[' + ",".join(parts) + "]}}").encode()

    serve_answers(answer)


def cpu() -> float:
    """CPU milliseconds of this process so far, all threads."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return (used.ru_utime + used.ru_stime) * 1000


def ours(detector: str, url: str, folder: Path) -> Callable[[float], tuple[float, float, float, int]]:
    """A poll that returns the CPU milliseconds of decoding, scoring and storing, and the number of signals."""
    from aiops.adapters.clock import SystemClock
    from aiops.adapters.http import HttpClient, HttpOptions
    from aiops.adapters.prometheus import PrometheusSource
    from aiops.adapters.snapshots import MemorySnapshots
    from aiops.adapters.store import open_store
    from aiops.correlate.incident_flow import FlowPolicy
    from aiops.definitions.templates import render
    from aiops.domain.rule import DetectorSpec as Spec
    from aiops.domain.rule import Direction, PromQuery, Rule, TargetTemplate
    from aiops.domain.signal import Severity
    from aiops.pipeline.board import Board
    from aiops.pipeline.damping import Damping
    from aiops.pipeline.observe import Observer
    from aiops.pipeline.poller import Polled
    from aiops.pipeline.stage import Passed
    from aiops.pipeline.triage import Triage
    from aiops.ports.storage import Changes
    from aiops.ports.telemetry import NullTelemetry

    source = PrometheusSource("bench", HttpClient("bench", HttpOptions(url), SystemClock()))
    store = open_store(f"sqlite:///{folder / 'ours.db'}")
    observer, board = Observer({}, {}, render, MemorySnapshots(), NullTelemetry(), Damping(store)), Board()
    rule = Rule(
        name="load",
        source="bench",
        query=PromQuery("load"),
        every=EVERY,
        detector=Spec(detector, DETECTORS[detector]),
        severity=Severity.WARNING,
        direction=Direction.UP,
        target=TargetTemplate("Deployment", "{{ labels.namespace }}", "{{ labels.workload }}"),
        summary="load of {{ labels.workload }} is {{ value }}",
    )
    observer.set_rules([rule])
    triage = Triage(board, store, FlowPolicy())

    def poll(at: float) -> tuple[float, float, float, int]:
        began = cpu()
        batch = source.instant("load", at)
        decoded = cpu()
        observed = observer.observe(Polled(rule, batch, None))
        signals = observed.record.signals if isinstance(observed, Passed) else ()
        scored = cpu()
        taken = triage.take(signals, at)
        pairs = tuple((t.incident.id, s) for t in taken.triaged for s in t.signals)
        incidents = tuple(t.incident for t in taken.triaged)
        store.write(Changes(signals=pairs, incidents=incidents, decisions=(*observed.decisions, *taken.decisions)))
        for incident in incidents:
            board.put(incident)
        return decoded - began, scored - decoded, cpu() - scored, len(signals)

    return poll


def peer(url: str, folder: Path) -> Callable[[float], tuple[float, float, float, int]]:
    """The same with prometheus-api-client, pandas and sqlite3: a fixed limit, and a row for each change."""
    import pandas as pd
    from prometheus_api_client import MetricSnapshotDataFrame, PrometheusConnect

    client = PrometheusConnect(url=url)
    store = sqlite3.connect(folder / "peer.db")
    store.execute("PRAGMA journal_mode=WAL")
    store.execute("PRAGMA synchronous=FULL")
    store.execute("CREATE TABLE signals (pod TEXT, at REAL, value REAL, firing INTEGER)")
    before: dict[str, Any] = {}

    def poll(at: float) -> tuple[float, float, float, int]:
        began = cpu()
        frame = MetricSnapshotDataFrame(client.custom_query("load", params={"time": repr(at)}))
        decoded = cpu()
        frame["value"] = pd.to_numeric(frame["value"])
        now = frame.set_index("pod")["value"]
        firing = now > LIMIT
        changed = firing[firing != before["firing"].reindex(firing.index)] if before else firing[firing]
        before["firing"] = firing
        scored = cpu()
        with store:
            store.executemany("INSERT INTO signals VALUES (?, ?, ?, ?)", [(pod, at, float(now[pod]), int(state)) for pod, state in changed.items()])
        return decoded - began, scored - decoded, cpu() - scored, len(changed)

    return poll


def one(side: str, url: str, polls: int) -> None:
    """One side in this process, printed as JSON."""
    with tempfile.TemporaryDirectory() as folder:
        poll = peer(url, Path(folder)) if side == "peer" else ours(side, url, Path(folder))
        for i in range(WARM):
            poll(START + EVERY * i)
        wall = time.perf_counter()
        rows = [poll(START + EVERY * (WARM + i)) for i in range(polls)]
        wall = (time.perf_counter() - wall) * 1000 / polls
    columns = list(zip(*rows, strict=True))
    total = sorted(sum(row[:3]) for row in rows)
    means = dict(zip(("decode", "score", "store", "signals"), (statistics.fmean(c) for c in columns), strict=True))
    print(json.dumps({**means, "total": statistics.fmean(total), "p99": total[int(len(total) * 0.99)], "wall": wall}))


def main() -> int:
    parser = argparse.ArgumentParser(description="A poll from HTTP to the store: CPU milliseconds.")
    parser.add_argument("--series", type=int, default=1000)
    parser.add_argument("--polls", type=int, default=100)
    parser.add_argument("--serve", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--one", nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.serve:
        serve(arguments.serve)
        return 0
    if arguments.one:
        one(arguments.one[0], arguments.one[1], arguments.polls)
        return 0
    me = [sys.executable, "-m", "benchmarks.poll"]
    results = {}
    with subprocess.Popen([*me, "--serve", str(arguments.series)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        url = f"http://127.0.0.1:{server.stdout.readline().strip()}"
        for side in (*DETECTORS, "peer"):
            run = subprocess.run([*me, "--one", side, url, "--polls", str(arguments.polls)], check=True, stdout=subprocess.PIPE, text=True)
            results[side] = json.loads(run.stdout)
        server.communicate()
    return report(results, arguments.series)


def report(results: dict[str, dict[str, float]], series: int) -> int:
    """Print the table; 0 if every detector of ours stays within the goal."""
    print(f"{series} series a poll, CPU ms (mean of a poll; the last column is wall time)")
    print(f"{'':18}{'decode':>8}{'score':>8}{'store':>8}{'total':>8}{'p99':>8}{'signals':>9}{'wall':>8}")
    for side, r in results.items():
        name = "peer" if side == "peer" else f"ours, {side}"
        print(f"{name:26}"[:26].ljust(18) + "".join(f"{r[k]:8.1f}" for k in ("decode", "score", "store", "total", "p99")) + f"{r['signals']:9.1f}{r['wall']:8.1f}")
    worst = max(r["total"] for side, r in results.items() if side != "peer")
    for part in ("decode", "total"):
        print(f"{part}, ours with threshold / peer: {results['threshold'][part] / results['peer'][part]:.2f}")
    print("the peer keeps a row for each change; ours keeps evidence, incidents and reasons too")
    print(f"goal {GOAL:.0f} ms a poll: {'met' if worst <= GOAL else 'missed'} (worst of ours {worst:.1f} ms)")
    return 0 if worst <= GOAL else 1


if __name__ == "__main__":
    sys.exit(main())
