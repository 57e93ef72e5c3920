"""How fast the loop closes on the testbed: from the scrape that shows a fault to the first write, and MTTD and MTTR of each fault.

    python -m benchmarks.loop [--faults]

Part one: a threshold rule without hold, polled each 2 s; twelve workloads whose gauge steps up at uneven times. The scrape is read from
Prometheus' raw samples, the write from the API server's audit log. Goal: at most one poll interval + 1 s.
Part two (`--faults`, about 5 min): the six faults of `tests/integration/harbour`, the shipped rules and runbooks. MTTD: fault to incident; MTTR: fault to cure.
No peer closes this loop on its own, so there is none beside it.
"""

from __future__ import annotations

import http.server
import statistics
import sys
import threading
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path
from typing import Any

import yaml

from tests.testbed.daemon import Daemon, apply_account
from tests.testbed.plane import KubernetesPlane
from tests.testbed.process import eventually, new_folder, pause
from tests.testbed.prometheus import Prometheus, Target
from tests.testbed.stand import Stand

EVERY, WORKLOADS, SPACE = 2.0, 12, "bench"
HARBOUR = Path(__file__).parents[1] / "tests" / "integration" / "harbour"
RULES = {
    "apiVersion": "aiops/v1", "kind": "RuleSet", "metadata": {"name": "bench"},
    "rules": [{
        "name": "gauge-high", "source": "prometheus", "query": "bench_gauge", "every": f"{EVERY:g}s", "severity": "warning",
        "detector": {"type": "threshold", "above": 0.5}, "labels": {"symptom": "saturation"}, "summary": "high",
        "target": {"kind": "Deployment", "namespace": SPACE, "name": "{{ labels.workload }}"},
    }],
}  # fmt: skip
RUNBOOK = {
    "apiVersion": "aiops/v1", "kind": "Runbook", "metadata": {"name": "grow"}, "mode": "auto", "match": '"saturation" in incident.symptoms',
    "steps": [{"name": "scale", "action": "scale", "arguments": {"by": "+1"}}],
}  # fmt: skip


class Gauge:
    """An exporter of one gauge for each workload."""

    def __init__(self) -> None:
        self.values = dict.fromkeys((f"w{n}" for n in range(WORKLOADS)), 0)
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                lines = "".join(f'bench_gauge{{workload="{w}"}} {v}\n' for w, v in outer.values.items())
                self.send_response(200)
                self.end_headers()
                self.wfile.write(lines.encode())

            def log_message(self, *_: Any) -> None:
                return

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/metrics"


def deployment(name: str) -> dict[str, Any]:
    labels = {"app": name}
    return {
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name, "namespace": SPACE},
        "spec": {"replicas": 1, "selector": {"matchLabels": labels}, "template": {
            "metadata": {"labels": labels}, "spec": {"containers": [{"name": "app", "image": "bench:1"}]}}},
    }  # fmt: skip


def latency() -> bool:
    """Part one; True if the goal is met by the slowest."""
    folder, gauge = new_folder("bench-loop"), Gauge()
    with ExitStack() as stack:
        plane, prometheus = KubernetesPlane(nodes=3), Prometheus()
        for server in (plane, prometheus):
            server.start()
            stack.callback(server.stop)
        prometheus.scrape(Target("bench", gauge.url))
        plane.namespace(SPACE)
        plane.apply(*[deployment(w) for w in gauge.values])
        for name in gauge.values:
            plane.wait_rollout(SPACE, name)
        (folder / "rules.yaml").write_text(yaml.safe_dump(RULES))
        (folder / "runbook.yaml").write_text(yaml.safe_dump(RUNBOOK))
        kubeconfig = plane.kubeconfig(folder / "kubeconfig", token=apply_account(plane, "act"), user="aiops")
        daemon = Daemon(folder / "daemon", {
            "rules": [str(folder / "rules.yaml")], "runbooks": [str(folder / "runbook.yaml")],
            "sources": {"prometheus": {"type": "prometheus", "url": prometheus.url}}, "clusters": [{"kubeconfig": str(kubeconfig)}],
            "guards": {"maximumPerHour": 1000, "stormTargets": 1000, "stormIncidents": 1000},
        }, act=True)  # fmt: skip
        print(f"start to ready: {daemon.start():.1f} s")
        stack.callback(daemon.kill)
        eventually(lambda: len(prometheus.instant("bench_gauge")) == WORKLOADS, deadline_s=30, what="the gauge to be scraped")
        pause(10)
        for number, name in enumerate(gauge.values):
            gauge.values[name] = 1
            pause(3.1 + 0.37 * (number % 7))
        pause(10)
        writes = [w for w in plane.audit_events() if w.verb == "patch" and w.resource == "deployments" and "aiops:aiops" in w.user]
        written = {w.name: datetime.fromisoformat(w.received).timestamp() for w in reversed(writes)}
        took = sorted(written[name] - shown(prometheus, name) for name in gauge.values if name in written)
    if len(took) < WORKLOADS:
        print(f"only {len(took)} of {WORKLOADS} were acted on\n{daemon.tail()}")
        return False
    print(f"scrape that shows the fault → first write, {WORKLOADS} faults, poll each {EVERY:g} s, threshold without hold:")
    print(f"  median {statistics.median(took):.2f} s, slowest {took[-1]:.2f} s; goal at most {EVERY + 1:g} s: {'met' if took[-1] <= EVERY + 1 else 'MISSED'}")
    return took[-1] <= EVERY + 1


def shown(prometheus: Prometheus, workload: str) -> float:
    """The time of the first raw sample that shows the fault."""
    return min(at for at, value in prometheus.raw(f'bench_gauge{{workload="{workload}"}}[5m]') if value > 0.5)


def faults() -> bool:
    """Part two; True if all that can be cured were, and nothing wrong was written."""
    curable, hands_off = ("regatta", "rust", "wrong-lamp", "old-ledger"), ("tide-office-closed", "fog")
    with Stand(services=[HARBOUR / "services.yaml"], faults=[HARBOUR / "faults.yaml"]) as stand:
        daemon = stand.daemon("acting", act=True)
        daemon.start()
        pause(30)
        for name in (*curable, *hands_off):
            stand.world.switch_on(name)
        eventually(lambda: all(stand.world.episode(n).cured for n in curable), deadline_s=300, what="all to be cured")
        pause(5)
        incidents = daemon.json("/api/v1/incidents")
        print(f"{'fault':<20} {'MTTD s':>7} {'MTTR s':>7}  wrong writes")
        good = True
        for name in (*curable, *hands_off):
            episode = stand.world.episode(name)
            workload = episode.service.split("/")[1]
            opened = min((i["opened_at"] for i in incidents if (i["target"] or {}).get("name") == workload), default=None)
            detected = f"{opened - episode.began:.0f}" if opened else "never"
            cured = f"{episode.cured - episode.began:.0f}" if episode.cured else "-"
            print(f"{name:<20} {detected:>7} {cured:>7}  {len(episode.wrong)}")
            good &= not episode.wrong and (episode.cured is not None or name in hands_off)
        daemon.stop()
    return good


if __name__ == "__main__":
    met = latency()
    if "--faults" in sys.argv[1:]:
        met &= faults()
    sys.exit(0 if met else 1)
