"""SIGKILL of the whole daemon at random moments under load, and the network to the API server cut for a minute; then the audit log says what happened how often.

    python -m benchmarks.chaos [--kills 50] [--cuts 2] [--seed N] [--workloads 8] [--postgres]

Load: a dial makes trouble for each workload again as soon as its last incident is over, one runbook adds a replica, and a write ends the trouble.
The daemon is killed after 0.3 to 10 s of life and started again. Then it lives, and the relay between it and the API server stands still for a minute
while a run is under way (`chaos_cut`). At the end: each step of each run has at most one write in the audit log, each that succeeded exactly one; no run
or incident is left unfinished, no target is held; replicas are what the last write said, each write one away from the one before; and what guards
limit (the time between two runs on a target, runs on the cluster) was kept across all deaths. Exit status 1 if not. `--postgres`: the store is a PostgreSQL.

All guards enforce. `GUARDS` has the numbers that are not the shipped ones: those that would leave the daemon at rest for most of the ten minutes.
"""

from __future__ import annotations

import argparse
import random
import secrets
import sys
import threading
from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import Any, cast
from urllib.parse import urlsplit

import yaml

from benchmarks.chaos_cut import cut
from tests.integration.hard_kit import FOUND, WELL, Case, Dial, leased, runs
from tests.integration.pair_kit import SmallStand
from tests.testbed.audit import Write
from tests.testbed.daemon import Daemon
from tests.testbed.errors import TestbedError
from tests.testbed.plane import KubernetesPlane
from tests.testbed.postgres import Postgres
from tests.testbed.process import eventually, pause
from tests.testbed.prometheus import Prometheus
from tests.testbed.relay import RelayProcess

LIFE_S = (0.3, 10.0)
STAMP_PATH = "/metadata/annotations/aiops~1operation"
PATIENCE_S = 300.0
COOLDOWN_S = 10.0
BURST, EVERY_S = 30, 2.0
GUARDS: dict[str, Any] = {
    "cooldown": f"{COOLDOWN_S:g}s", "targetCooldown": f"{COOLDOWN_S:g}s", "targetBurst": 5, "targetEvery": f"{COOLDOWN_S:g}s",
    "runbookBurst": BURST, "runbookEvery": f"{EVERY_S:g}s", "clusterBurst": BURST, "clusterEvery": f"{EVERY_S:g}s",
    # Limits by the hour and by the incident's number: the load is the same trouble again and again, all day's worth in minutes.
    "maximumPerHour": 10_000, "loopLimit": 10_000, "stormIncidents": 10_000,
    # Each write adds a replica and nothing takes one away.
    "maximumReplicas": 10_000,
}  # fmt: skip


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
                if self._calm.is_set():  # asking took its time
                    break
                self.case.trouble(name, level=FOUND)
                troubled.add(name)
                self.rounds[name] += 1

    def _over(self, troubled: set[str]) -> list[str]:
        """Those without trouble and without an incident or a run under way; none while the daemon does not answer."""
        try:
            found = self.daemon.json("/api/v1/incidents?limit=1000")
            busy = {run["plan"]["target"]["name"] for run in runs(self.daemon) if run["state"] != "done"}
        except TestbedError:
            return []
        busy |= {i["target"]["name"] for i in found if i["state"] != "resolved" and i["target"]}
        return [name for name in self.names if name not in troubled and name not in busy]


def daemon_of(case: Case, relay: RelayProcess, postgres: Postgres | None, database: str) -> Daemon:
    """The daemon, which reaches the API server through the relay."""

    def own(settings: dict[str, Any]) -> None:
        settings["guards"] = GUARDS
        # The same trouble on the same workload again and again is the load, no flapping.
        settings["incidents"] = {"resolveAfter": "1s", "flapWindow": "0s"}
        kubeconfig = Path(settings["clusters"][0]["kubeconfig"])
        kubeconfig.write_text(kubeconfig.read_text().replace(case.stand.plane.url, f"https://127.0.0.1:{relay.port}"))
        if postgres is not None:
            settings |= {"storeUrl": postgres.url(database), "storePasswordFile": str(postgres.password_file)}

    made = case.daemon(change=own)
    runbook = yaml.safe_load(case.runbooks.read_text())
    runbook["guards"] = {"cooldown": f"{COOLDOWN_S:g}s"}
    case.runbooks.write_text(yaml.safe_dump(runbook))
    return made


def judge(case: Case, found: list[dict[str, Any]], names: list[str]) -> list[str]:
    """What is wrong with the writes, in lines."""
    wrong = []
    writes = Counter(series(write) for write in case.effects())
    wrong += [f"{key}: {count} writes" for key, count in writes.items() if count > 1]
    for run in found:
        mine = writes[f"{run['id']}.scale"]
        if run["state"] != "done":
            wrong.append(f"{run['id']}: left {run['state']}")
        elif run["result"]["outcome"] == "succeeded" and mine != 1:
            wrong.append(f"{run['id']}: succeeded with {mine} writes")
    known = {run["id"] for run in found}
    wrong += [f"{key}: a write of no run" for key in writes if key.split(".")[0] not in known]
    for name in names:
        counts = [2, *(o["value"] for w in case.effects(name) for o in w.request_body if o["path"] == "/spec/replicas" and o["op"] == "replace")]
        if case.replicas(name) != counts[-1] or any(abs(after - before) != 1 for before, after in pairwise(counts)):
            wrong.append(f"{name}: {case.replicas(name)} replicas, its writes were {counts}")
    return wrong + judge_limits(case, found, names)


def judge_limits(case: Case, found: list[dict[str, Any]], names: list[str]) -> list[str]:
    """Limits that were not kept, in lines. The time between two runs is counted between their writes."""
    wrong = []
    for name in names:
        for before, after in pairwise(case.effects(name)):
            apart = _seconds(after.received) - _seconds(before.received)
            if apart < COOLDOWN_S and series(before).split(".")[0] != series(after).split(".")[0]:
                wrong.append(f"{name}: two runs wrote within {apart:.1f} s, at least {COOLDOWN_S:g} s apart was asked")
    begun = sorted(run["created_at"] for run in found)
    for first, since in enumerate(begun):
        most = max((last - first + 1 - (at - since) / EVERY_S for last, at in enumerate(begun[first:], first)), default=0)
        if most > BURST + 1e-6:
            wrong.append(f"{most:.1f} runs above the rate from {since:.0f} on, at most {BURST} were asked")
            break
    return wrong


def _seconds(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


def series(write: Write) -> str:
    """`EXECUTION.STEP` of the stamp that a write put on its object: the same for all tries."""
    stamp = next(str(o["value"]) for o in write.request_body if o["path"] in (STAMP_PATH, "/metadata/annotations") and o["op"] == "add")
    return stamp.rpartition(".")[0]


def held(daemon: Daemon, postgres: Postgres | None, database: str) -> list[str]:
    """Targets that somebody still holds."""
    if postgres is None:
        return leased(daemon)
    return [str(name) for (name,) in postgres.execute("SELECT name FROM leases WHERE name LIKE 'target/%' AND owner <> ''", database)]


def storm(daemon: Daemon, chance: random.Random, kills: int) -> tuple[list[float], int]:
    """Kill and start again; the seconds that each start took, and how often death came while a run was under way."""
    starts, amid = [0.0], 0
    for number in range(kills):
        starts.append(daemon.start(deadline_s=120))
        pause(chance.uniform(*LIFE_S))
        with suppress(TestbedError):
            amid += any(run["state"] != "done" for run in runs(daemon))
        daemon.kill()
        print(f"\r{number + 1} of {kills} kills", end="", flush=True)
    print()
    return starts, amid


def play(case: Case, daemon: Daemon, load: Load, relay: RelayProcess, options: argparse.Namespace) -> tuple[dict[str, Any], list[str]]:
    """Kills, cuts, and then calm until all is over; the table, and what went wrong on the way."""
    chance, wrong = random.Random(options.seed), []
    starts, amid = storm(daemon, chance, options.kills)
    starts.append(daemon.start(deadline_s=120))
    cuts = []
    for number in range(options.cuts):
        told = cut(case, daemon, relay, chance, seconds=options.cut_seconds)
        wrong += [f"cut {number + 1}: {line}" for line in told.wrong]
        cuts.append(told.words)
    load.calm()
    with suppress(TestbedError):  # what is left over then is told below
        eventually(lambda: over(daemon), deadline_s=PATIENCE_S, what="all to be over")
    active = daemon.json("/api/v1/status")["active"]
    left = daemon.json("/api/v1/incidents?active=true") if active else []
    wrong += [f"{i['id']} is left {i['state']}: {i['title']}" for i in left]
    errors = {name: daemon.metric(f"aiops_{name}_errors_total") for name in ("task", "executor")}
    table = {
        "kills": options.kills, "of them amid a run": amid, "start, longest (s)": round(max(starts), 1), "troubles": sum(load.rounds.values()),
        **{f"cut {number + 1}": words for number, words in enumerate(cuts)}, "unforeseen errors of the last life": errors,
    }  # fmt: skip
    return table, wrong


def over(daemon: Daemon) -> bool:
    """No incident is active and no run unfinished: an incident may be over while its run is still being verified."""
    status = daemon.json("/api/v1/status")
    return not status["active"] and not status["unfinished"]


def report(case: Case, table: dict[str, Any], found: Sequence[dict[str, Any]], wrong: list[str]) -> None:
    """Print it."""
    table |= {
        "runs": len(found), "writes that the API server carried out": len(case.effects()),
        "writes that it refused": sum(w.response_code >= 400 for w in case.writes()), "wrong": len(wrong),
    }  # fmt: skip
    reasons = Counter(f"{r['result']['outcome']} {r['result']['reason']}" for r in found if r["result"])
    table |= {f"  {words}": count for words, count in reasons.most_common()}
    for name, value in table.items():
        print(f"{name:<42}{value}")
    print(*wrong, sep="\n", flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--cuts", type=int, default=2)
    parser.add_argument("--cut-seconds", type=float, default=60.0)
    parser.add_argument("--seed", type=int, default=secrets.randbelow(10**6))
    parser.add_argument("--workloads", type=int, default=8)
    parser.add_argument("--postgres", action="store_true")
    options = parser.parse_args()
    print(f"seed {options.seed}, {options.kills} kills, {options.cuts} cuts, {options.workloads} workloads, store {'PostgreSQL' if options.postgres else 'SQLite'}", flush=True)
    names = [f"w{n}" for n in range(options.workloads)]
    with ExitStack() as stack:
        plane, prometheus = KubernetesPlane(), Prometheus()
        postgres = Postgres() if options.postgres else None
        for start, stop in ((plane.start, plane.stop), (prometheus.start, prometheus.stop), *([(postgres.start, postgres.stop)] if postgres else [])):
            start()
            stack.callback(stop)
        where = urlsplit(plane.url)
        relay = RelayProcess(str(where.hostname), int(where.port or 0))
        relay.start()
        stack.callback(relay.stop)
        stand = SmallStand(plane, prometheus)
        dial = stack.enter_context(Dial())
        stack.enter_context(stand.stack)
        prometheus.scrape(dial.target)
        case = Case("chaos", cast("Any", stand), dial)
        case.deployments(*names)
        prometheus.wait_up("dial")
        database = postgres.database() if postgres else ""
        daemon = daemon_of(case, relay, postgres, database)
        load = Load(case, names, daemon)
        stack.callback(load.stop)
        table, wrong = play(case, daemon, load, relay, options)
        found = runs(daemon)
        wrong += judge(case, found, names) + [f"{name} is still held" for name in held(daemon, postgres, database)]
        if (status := daemon.stop(deadline_s=60)) != 0:
            wrong.append(f"the daemon ended with {status}")
        report(case, table, found, wrong)
        if wrong:
            told = [line for line in daemon.log.read_text(errors="replace").splitlines() if "aiops.access" not in line]
            print(f"the daemon's log is {daemon.log}; its end:", *told[-60:], sep="\n")
        return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
