"""What the hard times share: a dial that makes trouble for one workload, accounts of their own, one rule and one runbook a case.

Each case has its own account, so the audit log tells them apart; and its own namespace and daemon, so that they do not meet.
Neighbours: `test_hard_times.py`, `gate`.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self

import yaml

from tests.testbed.audit import Write
from tests.testbed.daemon import Daemon, apply_account
from tests.testbed.process import PATIENCE_S as _PATIENCE_S
from tests.testbed.process import eventually
from tests.testbed.prometheus import Target
from tests.testbed.stand import Stand

GROUP = "rbac.authorization.k8s.io"
PATIENCE_S = _PATIENCE_S

WELL, UNWELL, FOUND = 0.0, 1.0, 2.0
"""Levels of the dial: UNWELL is bad enough for verification to go on, and is found by no rule, so that an alert alone tells of it."""


class Dial:
    """A gauge `trouble{case, namespace, workload}` for Prometheus to scrape; the test turns it."""

    def __init__(self) -> None:
        self._values: dict[tuple[str, str, str], float] = {}
        dial = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                lines = [f'trouble{{case="{c}",namespace="{n}",workload="{_escaped(w)}"}} {v:g}\n' for (c, n, w), v in list(dial._values.items())]
                self.send_response(200)
                self.send_header("Content-Type", "text/plain; version=0.0.4")
                self.end_headers()
                with suppress(ConnectionError):  # who asked has given up
                    self.wfile.write("".join(["# TYPE trouble gauge\n", *lines]).encode())

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 (the base class' name)
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.target = Target("dial", f"http://127.0.0.1:{self._server.server_port}/metrics")

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, args=(0.1,), name="dial", daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def set(self, case: str, namespace: str, workload: str, value: float) -> None:
        """From the next scrape on."""
        self._values[case, namespace, workload] = value


def _escaped(value: str) -> str:
    """A label's value in Prometheus' text format."""
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def account(stand: Stand, name: str, *, act: bool) -> tuple[str, str]:
    """(token, user as the audit log names it) of an account with the shipped Role for reading and, with `act`, the one for acting."""
    apply_account(stand.plane, "act")
    token = stand.plane.service_account_token("aiops", name)
    for role in ("aiops-read", *(["aiops-act"] if act else [])):
        stand.plane.apply({
            "apiVersion": f"{GROUP}/v1", "kind": "ClusterRoleBinding", "metadata": {"name": f"{role}-{name}"},
            "roleRef": {"apiGroup": GROUP, "kind": "ClusterRole", "name": role},
            "subjects": [{"kind": "ServiceAccount", "name": name, "namespace": "aiops"}],
        })
    return token, f"system:serviceaccount:aiops:{name}"


def ruleset(case: str, *, above: float = 1.5) -> dict[str, Any]:
    """The rule `trouble`, about this case's part of the dial."""
    rule = {
        "name": "trouble", "query": f'max by (namespace, workload) (trouble{{case="{case}"}})', "every": "1s", "severity": "warning",
        "detector": {"type": "threshold", "above": above}, "labels": {"symptom": "trouble"}, "summary": "trouble at {{ labels.workload }}",
        "target": {"kind": "Deployment", "namespace": "{{ labels.namespace }}", "name": "{{ labels.workload }}"},
    }
    return {"apiVersion": "aiops/v1", "kind": "RuleSet", "metadata": {"name": "dial"}, "rules": [rule]}


def runbook(mode: str = "auto", *, within: str = "2m") -> dict[str, Any]:
    """The runbook `one-more`: another replica, until the trouble is over."""
    query = 'max(trouble{namespace="{{ target.namespace }}", workload="{{ target.name }}"})'
    return {
        "apiVersion": "aiops/v1", "kind": "Runbook", "metadata": {"name": "one-more"}, "mode": mode,
        "match": '"trouble" in incident.symptoms && target.exists', "needsSight": ["prometheus", "kubernetes"],
        "steps": [{"name": "scale", "action": "scale", "arguments": {"by": "+1"}, "timeout": "90s", "retry": {"limit": 3, "initial": "1s"}}],
        "verify": {"query": query, "passes": "value < 0.5", "after": "1s", "within": within, "every": "1s", "for": "1s"},
        "guards": {"cooldown": "10m"},
    }


class Case:
    """One hard time: its namespace, its account, its daemon."""

    def __init__(self, name: str, stand: Stand, dial: Dial, *, act: bool = True) -> None:
        self.name, self.stand, self.dial = name, stand, dial
        self.namespace = f"hard-{name}"
        self.token, self.user = account(stand, name, act=act)
        self.folder = stand.folder / f"case-{name}"
        self.rules, self.runbooks = self.folder / "rules" / "trouble.yaml", self.folder / "runbooks" / "one-more.yaml"
        stand.plane.namespace(self.namespace)

    def deployments(self, *names: str, namespace: str = "") -> None:
        """Two replicas each, all of them ready when this returns."""
        where = namespace or self.namespace
        self.stand.plane.namespace(where)
        self.stand.plane.apply(*(_deployment(where, name) for name in names))
        for name in names:
            self.stand.plane.wait_rollout(where, name)
            self.dial.set(self.name, where, name, WELL)

    def daemon(
        self, *, act: bool = True, mode: str = "auto", above: float = 1.5, within: str = "2m", change: Callable[[dict[str, Any]], None] | None = None,
    ) -> Daemon:
        """A daemon with the one rule and the one runbook; not started."""
        for path, document in ((self.rules, ruleset(self.name, above=above)), (self.runbooks, runbook(mode, within=within))):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(yaml.safe_dump(document))

        def own(settings: dict[str, Any]) -> None:
            settings |= {"rules": [str(self.rules.parent)], "runbooks": [str(self.runbooks.parent)], "incidents": {"resolveAfter": "3s"}}
            settings["sources"].pop("elasticsearch")
            if change is not None:
                change(settings)

        return self.stand.daemon(f"case-{self.name}", act=act, token=self.token, change=own)

    def trouble(self, *names: str, level: float = FOUND, namespace: str = "") -> None:
        """Turn the dial for these workloads."""
        for name in names:
            self.dial.set(self.name, namespace or self.namespace, name, level)

    def writes(self, name: str = "") -> list[Write]:
        """What this case's account asked the API server to write, refused and rehearsed included; of one object if `name` is given."""
        return [w for w in self.stand.plane.audit_events(users=[self.user]) if not name or w.name == name]

    def effects(self, name: str = "") -> list[Write]:
        """Those that changed a workload."""
        return [w for w in self.writes(name) if w.response_code < 300 and not w.dry_run and w.resource == "deployments"]

    def replicas(self, name: str, namespace: str = "") -> int:
        """As the API server has it."""
        found = self.stand.plane.must("GET", f"/apis/apps/v1/namespaces/{namespace or self.namespace}/deployments/{name}")
        return int(found["spec"]["replicas"])

    def wait_effect(self, name: str) -> None:
        """Until the API server carried out a write on it."""
        eventually(lambda: bool(self.effects(name)), deadline_s=PATIENCE_S, what=f"a write on {name}")


def incidents(daemon: Daemon) -> list[dict[str, Any]]:
    """All of them, newest first."""
    found: list[dict[str, Any]] = daemon.json("/api/v1/incidents?limit=1000")
    return found


def incident_of(daemon: Daemon, target: str) -> list[dict[str, Any]]:
    """Those about the object of this name."""
    return [i for i in incidents(daemon) if i["target"] and i["target"]["name"] == target]


def runs(daemon: Daemon, target: str = "") -> list[dict[str, Any]]:
    """All runs, or those on the object of this name."""
    every = [run for i in incidents(daemon) for run in daemon.json(f"/api/v1/incidents/{i['id']}")["executions"]]
    return [run for run in every if not target or run["plan"]["target"]["name"] == target]


def ended(daemon: Daemon, target: str) -> list[str]:
    """`outcome reason` of each run on it that ended, newest first."""
    return [f"{run['result']['outcome']} {run['result']['reason']}" for run in runs(daemon, target) if run["state"] == "done"]


def done(daemon: Daemon, target: str) -> str:
    """`outcome reason` of the one run on it, empty while there is none that ended, or more than one."""
    found = ended(daemon, target)
    return found[0] if len(found) == len(runs(daemon, target)) == 1 else ""


def rows(daemon: Daemon, query: str) -> list[tuple[Any, ...]]:
    """Read from its store, without a way to write."""
    with closing(sqlite3.connect(f"file:{daemon.folder / 'state' / 'aiops.db'}?mode=ro", uri=True)) as database:
        return database.execute(query).fetchall()


@contextmanager
def held_store(daemon: Daemon) -> Iterator[None]:
    """Another program holds the store's write lock, as a careless backup would."""
    with closing(sqlite3.connect(daemon.folder / "state" / "aiops.db", isolation_level=None, timeout=60)) as database:
        database.execute("BEGIN IMMEDIATE")
        yield
        database.execute("ROLLBACK")


def leased(daemon: Daemon) -> list[str]:
    """Targets that somebody holds; of a lease that was given back the row stays, without an owner."""
    return [str(name) for (name,) in rows(daemon, "select name from leases where name like 'target/%' and owner != ''")]


def untold(daemon: Daemon) -> list[tuple[Any, ...]]:
    """Messages that wait, or were given up."""
    return rows(daemon, "select state, reason from outbox where state not in ('delivered', 'superseded')")


def _deployment(namespace: str, name: str) -> dict[str, Any]:
    return {
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"namespace": namespace, "name": name},
        "spec": {
            "replicas": 2, "selector": {"matchLabels": {"app": name}},
            "template": {"metadata": {"labels": {"app": name}}, "spec": {"containers": [{"name": "main", "image": "registry.example/x:1"}]}},
        },
    }


def settled(path: Path) -> str:
    """What SQLite says of a database file that nobody has open."""
    with closing(sqlite3.connect(path)) as database:
        return str(database.execute("PRAGMA integrity_check").fetchone()[0])
