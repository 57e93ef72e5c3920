"""An instant answer of many series from HTTP into columns: ours, and prometheus-api-client into a DataFrame.

    python benchmarks/decode.py [--series 100000] [--rounds 3]

A server process on loopback makes the answer once and serves it. Each round asks it from a fresh process for each side in turn: imports and
one small query first (not counted), then the large query. Printed are the medians of wall and CPU time, and the peak of resident memory
above what the process held after its imports and the small query. Ours leaves labels as text until somebody looks at them; what looking at all of
them costs then ("labels") is printed too, and what the second poll with its looks costs ("again"), when the labels are known.
"""

from __future__ import annotations

import argparse
import http.server
import json
import random
import resource
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

QUERY = "container_memory_working_set_bytes"
SIDES = ("ours", "prometheus-api-client")


def answer(n: int) -> bytes:
    """What Prometheus sends for cadvisor's series of a large cluster: about 460 bytes a series, no two label sets equal."""
    rng = random.Random(7)
    parts = []
    for i in range(n):
        namespace, workload = f"team-{i % 40:02d}", f"service-{i % 900:03d}"
        parts.append(
            f'{{"metric":{{"__name__":"{QUERY}","container":"{workload}","endpoint":"https-metrics",'
            f'"id":"/kubepods.slice/kubepods-burstable.slice/pod{rng.getrandbits(128):032x}","image":"registry.example.org/{namespace}/{workload}:v1.{i % 30}.0",'
            f'"instance":"10.{i % 256}.{(i // 256) % 256}.{i % 7}:10250","job":"kubelet","namespace":"{namespace}","node":"node-{i % 2000:04d}",'
            f'"pod":"{workload}-{rng.getrandbits(40):010x}-{rng.getrandbits(20):05x}","service":"kubelet"}},"value":[1790000000.123,"{rng.random() * 1e9!r}"]}}'
        )
    return ('{"status":"success","data":{"resultType":"vector","result":[' + ",".join(parts) + "]}}").encode()


def serve(n: int) -> None:
    """Serve the answer, or a small one for the query `1`; print the port, stay until standard input ends."""
    large, small = answer(n), answer(1)

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            form = self.rfile.read(int(self.headers["Content-Length"] or 0)) + self.path.encode()
            body = large if QUERY.encode() in form else small
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_POST

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        print(json.dumps({"port": server.server_port, "bytes": len(large)}), flush=True)
        import threading

        threading.Thread(target=server.serve_forever, daemon=True).start()
        sys.stdin.read()
        server.shutdown()


def asker(side: str, url: str) -> Any:
    """A callable that asks one query and returns the number of series."""
    if side == "ours":
        from aiops.adapters.clock import SystemClock
        from aiops.adapters.http import HttpClient, HttpOptions
        from aiops.adapters.prometheus import PrometheusSource

        source = PrometheusSource("bench", HttpClient("bench", HttpOptions(url, deadline=120.0, read_timeout=60.0), SystemClock()))
        kept: list[Any] = []

        def ask(query: str) -> int:
            if query == "labels":
                return sum(len(labels) for labels in kept[0].labels)
            kept[:] = [source.instant(query, 1790000000.123)]
            return len(kept[0])

        return ask
    from prometheus_api_client import MetricSnapshotDataFrame, PrometheusConnect

    client = PrometheusConnect(url=url)
    frames: list[Any] = []

    def frame(query: str) -> int:
        frames[:] = [MetricSnapshotDataFrame(client.custom_query(query, params={"time": "1790000000.123"}))]
        return len(frames[0])

    return frame


def resident(field: str) -> float:
    """VmRSS or VmHWM of this process in MiB."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(field):
            return int(line.split()[1]) / 1024
    raise RuntimeError(f"no {field} in /proc/self/status")


def measured(ask: Any, *queries: str) -> tuple[float, float, int]:
    wall, cpu = time.perf_counter(), resource.getrusage(resource.RUSAGE_SELF)
    n = max([ask(query) for query in queries])
    after = resource.getrusage(resource.RUSAGE_SELF)
    spent = after.ru_utime - cpu.ru_utime + after.ru_stime - cpu.ru_stime
    return (time.perf_counter() - wall) * 1000, spent * 1000, n


def one(side: str, url: str) -> None:
    """One measurement in this process, printed as JSON."""
    ask = asker(side, url)
    ask("1")
    Path("/proc/self/clear_refs").write_text("5")  # the high-water mark starts anew at what is resident now
    base = resident("VmRSS")
    wall, cpu, n = measured(ask, QUERY)
    result = {"wall": wall, "cpu": cpu, "peak": resident("VmHWM") - base, "base": base, "series": n}
    if side == "ours":
        for name, queries in (("labels", ["labels"]), ("again", [QUERY, "labels"])):
            result[f"{name}_wall"], result[f"{name}_cpu"], _ = measured(ask, *queries)
            result[f"{name}_peak"] = resident("VmHWM") - base
    print(json.dumps(result))


def main() -> None:
    parser = argparse.ArgumentParser(description="Instant answer into columns: ours and prometheus-api-client.")
    parser.add_argument("--series", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--serve", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--one", nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.serve:
        return serve(arguments.serve)
    if arguments.one:
        return one(*arguments.one)
    me = [sys.executable, str(Path(__file__).resolve())]
    with subprocess.Popen([*me, "--serve", str(arguments.series)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        told = json.loads(server.stdout.readline())
        results: dict[str, list[dict[str, float]]] = {side: [] for side in SIDES}
        for _ in range(arguments.rounds):
            for side in SIDES:
                run = subprocess.run([*me, "--one", side, f"http://127.0.0.1:{told['port']}"], check=True, capture_output=True, text=True)
                results[side].append(json.loads(run.stdout))
        server.communicate()
    report(told["bytes"], arguments, results)
    return None


def report(size: int, arguments: argparse.Namespace, results: dict[str, list[dict[str, float]]]) -> None:
    def middle(side: str, key: str) -> float:
        return statistics.median(r[key] for r in results[side])

    print(f"instant answer of {arguments.series} series, {size / 1e6:.1f} MB, over HTTP on loopback; medians of {arguments.rounds} rounds, each in a new process")
    print(f"{'':24}{'wall ms':>10}{'CPU ms':>10}{'peak MiB':>10}   (peak above the {middle(SIDES[0], 'base'):.0f} and {middle(SIDES[1], 'base'):.0f} MiB after imports)")
    for side in SIDES:
        print(f"{side:24}{middle(side, 'wall'):10.0f}{middle(side, 'cpu'):10.0f}{middle(side, 'peak'):10.0f}")
    for name, text in (("labels", "ours, labels"), ("again", "ours, again")):
        print(f"{text:24}{middle('ours', f'{name}_wall'):10.0f}{middle('ours', f'{name}_cpu'):10.0f}{middle('ours', f'{name}_peak'):10.0f}")
    ratios = {key: middle(SIDES[1], key) / middle(SIDES[0], key) for key in ("wall", "cpu", "peak")}
    print(f"ratio: {ratios['wall']:.1f} x in wall time, {ratios['cpu']:.1f} x in CPU time, {ratios['peak']:.1f} x in peak memory (wanted: 10 in time, 5 in memory)")


if __name__ == "__main__":
    main()
