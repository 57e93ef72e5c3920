"""SIGKILL of the whole daemon at random moments under load, on a real API server; then the API server's audit log says what happened how often.

    python -m benchmarks.chaos [--kills 50] [--seed N] [--workloads 8] [--postgres]

Load: a dial makes trouble for each workload again as soon as its last incident is over, one runbook adds a replica, and a write ends the trouble.
The daemon is killed after 0.3 to 10 s of life and started again. At the end: each step of each run has at most one write in the audit log, each that
succeeded exactly one; no run is left unfinished, and the replicas are what the last write said, each write one away from the one before. Exit status 1 if not.
With `--postgres` the store is a PostgreSQL. The rule of limits is off: what is tried here is not whether the daemon may act, but how often it does.
"""

from __future__ import annotations

import argparse
import random
import secrets
import sys
import threading
from collections import Counter
from contextlib import ExitStack, suppress
from itertools import pairwise
from typing import Any, cast

import yaml

from aiops.remediate.guardrails import GUARDS
from tests.integration.hard_kit import FOUND, WELL, Case, Dial
from tests.integration.pair_kit import SmallStand
from tests.testbed.audit import Write
from tests.testbed.daemon import Daemon
from tests.testbed.errors import TestbedError
from tests.testbed.plane import KubernetesPlane
from tests.testbed.postgres import Postgres
from tests.testbed.process import eventually, pause
from tests.testbed.prometheus import Prometheus

LIFE_S = (0.3, 10.0)
STAMP_PATH = "/metadata/annotations/aiops~1operation"
PATIENCE_S = 240.0


class Load:
    """Makes trouble for each workload again as soon as its last incident is over, and ends it with each write."""

    def __init__(self, case: Case, names: list[str], daemon: Daemon) -> None:
        self.case, self.names, self.daemon = case, names, daemon
        self.rounds: Counter[str] = Counter()
        self._ends, self._calm = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._run, name="load", daemon=True)
        self._thread.start()

    def calm(self) -> None:
        """No new trouble."""
        self._calm.set()

    def stop(self) -> None:
        """Nothing more at all."""
        self._ends.set()
        self._thread.join(30)

    def _run(self) -> None:
        troubled: set[str] = set()
        seen = 0
        while not self._ends.wait(0.3):
            effects = self.case.effects()
            for write in effects[seen:]:
                self.case.dial.set(self.case.name, self.case.namespace, write.name, WELL)
                troubled.discard(write.name)
            seen = len(effects)
            for name in () if self._calm.is_set() else self._over(troubled):
                self.case.trouble(name, level=FOUND)
                troubled.add(name)
                self.rounds[name] += 1

    def _over(self, troubled: set[str]) -> list[str]:
        """Those without trouble and without an incident or a run under way; none while the daemon does not answer."""
        try:
            found = self.daemon.json("/api/v1/incidents?limit=1000")
            busy = {run["plan"]["target"]["name"] for run in every_run(self.daemon) if run["state"] != "done"}
        except TestbedError:
            return []
        busy |= {i["target"]["name"] for i in found if i["state"] != "resolved" and i["target"]}
        return [name for name in self.names if name not in troubled and name not in busy]


def daemon_of(case: Case, postgres: Postgres | None) -> Daemon:
    """One that may act without limit."""

    def own(settings: dict[str, Any]) -> None:
        settings["guards"] = {"modes": dict.fromkeys(sorted(set(GUARDS) - {"paused"}), "off"), "maximumReplicas": 1000}
        settings["incidents"] = {"resolveAfter": "1s", "flapWindow": "0s"}
        if postgres is not None:
            settings |= {"storeUrl": postgres.url(postgres.database()), "storePasswordFile": str(postgres.password_file)}

    made = case.daemon(change=own)
    runbook = yaml.safe_load(case.runbooks.read_text())
    runbook["guards"] = {"cooldown": "0s"}
    case.runbooks.write_text(yaml.safe_dump(runbook))
    return made


def judge(case: Case, runs: list[dict[str, Any]], names: list[str]) -> list[str]:
    """What is wrong, in lines."""
    wrong = []
    writes = Counter(series(write) for write in case.effects())
    wrong += [f"{key}: {count} writes" for key, count in writes.items() if count > 1]
    for run in runs:
        mine = writes[f"{run['id']}.scale"]
        if run["state"] != "done":
            wrong.append(f"{run['id']}: left {run['state']}")
        elif run["result"]["outcome"] == "succeeded" and mine != 1:
            wrong.append(f"{run['id']}: succeeded with {mine} writes")
    known = {run["id"] for run in runs}
    wrong += [f"{key}: a write of no run" for key in writes if key.split(".")[0] not in known]
    for name in names:
        counts = [2, *(o["value"] for w in case.effects(name) for o in w.request_body if o["path"] == "/spec/replicas" and o["op"] == "replace")]
        if case.replicas(name) != counts[-1] or any(abs(after - before) != 1 for before, after in pairwise(counts)):
            wrong.append(f"{name}: {case.replicas(name)} replicas, its writes were {counts}")
    return wrong


def series(write: Write) -> str:
    """`EXECUTION.STEP` of the stamp that a write put on its object: the same for all tries."""
    stamp = next(str(o["value"]) for o in write.request_body if o["path"] in (STAMP_PATH, "/metadata/annotations") and o["op"] == "add")
    return stamp.rpartition(".")[0]


def every_run(daemon: Daemon) -> list[dict[str, Any]]:
    """All runs that the daemon knows."""
    incidents = daemon.json("/api/v1/incidents?limit=1000")
    return [run for i in incidents for run in daemon.json(f"/api/v1/incidents/{i['id']}")["executions"]]


def storm(daemon: Daemon, chance: random.Random, kills: int) -> tuple[list[float], int]:
    """Kill and start again; the seconds that each start took, and how often death came while a run was under way."""
    starts, amid = [], 0
    for number in range(kills):
        starts.append(daemon.start(deadline_s=120))
        pause(chance.uniform(*LIFE_S))
        with suppress(TestbedError):
            amid += any(run["state"] != "done" for run in every_run(daemon))
        daemon.kill()
        print(f"\r{number + 1} of {kills} kills", end="", flush=True)
    print()
    return starts, amid


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=secrets.randbelow(10**6))
    parser.add_argument("--workloads", type=int, default=8)
    parser.add_argument("--postgres", action="store_true")
    options = parser.parse_args()
    print(f"seed {options.seed}, {options.kills} kills, {options.workloads} workloads, store {'PostgreSQL' if options.postgres else 'SQLite'}")
    chance, names = random.Random(options.seed), [f"w{n}" for n in range(options.workloads)]
    with ExitStack() as stack:
        plane, prometheus = KubernetesPlane(), Prometheus()
        postgres = Postgres() if options.postgres else None
        for start, stop in ((plane.start, plane.stop), (prometheus.start, prometheus.stop), *([(postgres.start, postgres.stop)] if postgres else [])):
            start()
            stack.callback(stop)
        stand = SmallStand(plane, prometheus)
        dial = stack.enter_context(Dial())
        stack.enter_context(stand.stack)
        prometheus.scrape(dial.target)
        case = Case("chaos", cast("Any", stand), dial)
        case.deployments(*names)
        prometheus.wait_up("dial")
        daemon = daemon_of(case, postgres)
        load = Load(case, names, daemon)
        stack.callback(load.stop)
        starts, amid = storm(daemon, chance, options.kills)
        load.calm()
        daemon.start(deadline_s=120)
        with suppress(TestbedError):  # what is left over then is told below
            eventually(lambda: all(r["state"] == "done" for r in every_run(daemon)) and not daemon.json("/api/v1/status")["active"], deadline_s=PATIENCE_S, what="all to be over")
        runs, wrong = every_run(daemon), []
        wrong += judge(case, runs, names)
        daemon.stop(deadline_s=60)
        table = {
            "kills": options.kills, "of them amid a run": amid, "troubles": sum(load.rounds.values()), "runs": len(runs),
            "writes that the API server carried out": len(case.effects()), "writes that it refused": sum(w.response_code >= 400 for w in case.writes()),
            "start, longest (s)": round(max(starts), 1), "wrong": len(wrong),
        }
        reasons = Counter(f"{r['result']['outcome']} {r['result']['reason']}" for r in runs if r["result"])
        table |= {f"  {words}": count for words, count in reasons.most_common()}
        for name, value in table.items():
            print(f"{name:<42}{value}")
        print(*wrong, sep="\n")
        return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
