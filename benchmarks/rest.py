"""The daemon at rest: seconds until it is ready, memory, and its share of one CPU, against the goals.

    python -m benchmarks.rest [--series 1000] [--minutes 10]

The real daemon as a process, in dry-run and without a cluster: the shipped rules and runbooks, one rule more that watches `--series` series, each
15 seconds. A server process on loopback answers as Prometheus does: that rule's query with all its series, of which nothing is wrong, every other
query with no series, so all shipped rules poll too. The first minute (imports, labels, warm-up of what learns) is not counted as rest.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

import yaml

from benchmarks.loopback import serve_answers

ROOT = Path(__file__).parents[1]
READY_GOAL, RSS_GOAL, CPU_GOAL = 5.0, 350.0, 0.05
WARM = 60.0
pause = threading.Event().wait  # nothing sets it
TICKS = os.sysconf("SC_CLK_TCK")
RULE = """\
apiVersion: aiops/v1
kind: RuleSet
metadata: {name: bench}
rules:
  - name: bench-load
    description: A thousand series in which nothing is wrong.
    query: bench_load
    every: 15s
    severity: warning
    detector: {type: seasonalZ}
    target: {kind: Deployment, namespace: "{{ labels.namespace }}", name: "{{ labels.workload }}"}
    summary: "load of {{ labels.workload }} is {{ value }}"
"""


def serve(n: int) -> None:
    """Answer until standard input ends; prints the port."""
    import numpy as np

    metrics = [
        f'{{"metric":{{"__name__":"bench_load","container":"main","instance":"10.0.{i // 250}.{i % 250}:9100","job":"app","namespace":"team-{i % 20:02d}",'
        f'"pod":"service-{i:04d}-7c9f8d6b5-x{i:04d}","workload":"service-{i:04d}"}},"value":['
        for i in range(n)
    ]

    def answer(query: str, at: float) -> bytes:
        values = np.random.default_rng(round(at)).normal(80.0, 2.0, n).tolist() if query == "bench_load" else []
        parts = [f'{metric}{at!r},"{value!r}"]}}' for metric, value in zip(metrics, values, strict=False)]
        return ('{"status":"success","data":{"resultType":"vector","result":[' + ",".join(parts) + "]}}").encode()

    serve_answers(answer)


def settings(folder: Path, url: str, port: int) -> Path:
    """The settings file of a daemon that reads the server at `url` and nothing else."""
    (folder / "rules").mkdir()
    (folder / "rules" / "bench.yaml").write_text(RULE)
    document = {
        "apiVersion": "aiops/v1",
        "kind": "Config",
        "stateDir": str(folder / "state"),
        "web": {"host": "127.0.0.1", "port": port},
        "sources": {"prometheus": {"type": "prometheus", "url": url}},
        "rules": [str(ROOT / "rules"), str(folder / "rules")],
        "runbooks": [str(ROOT / "runbooks")],
        "clusters": [],
    }
    path = folder / "aiops.yaml"
    path.write_text(yaml.safe_dump(document))
    return path


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def get(port: int, path: str) -> tuple[int, str]:
    """Status and body; 0 while nobody answers."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, ""
    except OSError:
        return 0, ""


def until_ready(daemon: subprocess.Popen[bytes], port: int, log: Path) -> float:
    """Seconds from now; SystemExit with the end of its log if it ends before."""
    began = time.monotonic()
    while get(port, "/readyz")[0] != 200:
        if daemon.poll() is not None or time.monotonic() - began > 60:
            raise SystemExit("the daemon did not become ready:\n" + "\n".join(log.read_text().splitlines()[-20:]))
        pause(0.05)
    return time.monotonic() - began


def memory(pid: int, name: str) -> float:
    """MiB, by a line of /proc/PID/status."""
    line = next(x for x in Path(f"/proc/{pid}/status").read_text().splitlines() if x.startswith(name + ":"))
    return int(line.split()[1]) / 1024


def cpu(pid: int) -> float:
    """CPU seconds so far, all threads."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def total(text: str, name: str, label: str = "") -> float:
    """Sum over the series of a metric that hold `label`."""
    lines = [x for x in text.splitlines() if x.startswith((f"{name} ", f"{name}{{")) and label in x]
    return sum(float(x.rsplit(" ", 1)[1]) for x in lines)


def measure(url: str, minutes: float) -> dict[str, float]:
    """Run the daemon; what it took."""
    with tempfile.TemporaryDirectory() as name:
        folder, port = Path(name), free_port()
        log = folder / "daemon.log"
        command = [str(Path(sys.executable).with_name("aiops")), "run", "--config", str(settings(folder, url, port))]
        with log.open("wb") as out:
            daemon = subprocess.Popen(command, stdout=out, stderr=out, cwd=ROOT)
        try:
            ready = until_ready(daemon, port, log)
            started = cpu(daemon.pid)
            pause(min(WARM, minutes * 60 / 2))
            before, began = cpu(daemon.pid), time.monotonic()
            pause(max(0.0, minutes * 60 - WARM) or minutes * 30)
            share = (cpu(daemon.pid) - before) / (time.monotonic() - began)
            seen = get(port, "/metrics")[1]
            return {
                "ready": ready, "started": started, "share": share, "rss": memory(daemon.pid, "VmRSS"), "peak": memory(daemon.pid, "VmHWM"),
                "series": total(seen, "aiops_series", 'rule="bench-load"'), "polls": total(seen, "aiops_polls_total"),
                "failed": total(seen, "aiops_polls_total") - total(seen, "aiops_polls_total", 'result="ok"'),
            }  # fmt: skip
        finally:
            daemon.send_signal(signal.SIGTERM)
            daemon.wait(30)


def main() -> int:
    parser = argparse.ArgumentParser(description="The daemon at rest: start, memory, CPU.")
    parser.add_argument("--series", type=int, default=1000)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--serve", type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.serve:
        serve(arguments.serve)
        return 0
    me = [sys.executable, "-m", "benchmarks.rest", "--serve", str(arguments.series)]
    with subprocess.Popen(me, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT) as server:
        assert server.stdout is not None
        try:
            found = measure(f"http://127.0.0.1:{server.stdout.readline().strip()}", arguments.minutes)
        finally:
            server.communicate()
    print(json.dumps({k: round(v, 3) for k, v in found.items()}))
    return report(found, arguments.series)


def report(found: dict[str, float], series: int) -> int:
    """Print what was measured; 0 if every goal is met."""
    if found["series"] != series or found["failed"]:
        print(f"not a measurement: {found['series']:.0f} of {series} series known, {found['failed']:.0f} polls failed")
        return 1
    print(f"{series} series, {found['polls']:.0f} polls; CPU to be ready {found['started']:.1f} s, peak memory {found['peak']:.0f} MiB")
    rows = [
        ("start to ready", found["ready"], READY_GOAL, "s"),
        ("memory (VmRSS)", found["rss"], RSS_GOAL, "MiB"),
        ("CPU at rest", found["share"] * 100, CPU_GOAL * 100, "% of one"),
    ]
    for name, value, goal, unit in rows:
        print(f"{name:16}{value:8.1f} {unit:10} goal {goal:g}: {'met' if value <= goal else 'missed'}")
    return 0 if all(value <= goal for _, value, goal, _ in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
