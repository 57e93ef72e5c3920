"""Two daemons on one PostgreSQL and one API server: no effect twice, whichever of them dies or stands still in the middle.

What counts is the API server's audit log. Neighbours: `hard_kit` (rule, runbook, dial), `tests/testbed/postgres.py`.
"""

from __future__ import annotations

import json
import signal
import threading
from collections.abc import Iterator
from contextlib import suppress
from typing import Any, cast

import psycopg
import pytest

from tests.integration.hard_kit import PATIENCE_S, WELL, Case, Dial, done, incident_of, incidents, runs
from tests.integration.pair_kit import SmallStand
from tests.testbed import web
from tests.testbed.daemon import Daemon
from tests.testbed.errors import TestbedError
from tests.testbed.plane import KubernetesPlane
from tests.testbed.postgres import Postgres
from tests.testbed.process import eventually
from tests.testbed.prometheus import Prometheus

pytestmark = pytest.mark.timeout(900)
TAKEOVER_S = 180.0
"""A lease of 15 s and one of 30 s run out one after the other; the rest is for slow machines."""


class Pair:
    """Two daemons of one case; whichever leads."""

    def __init__(self, stand: SmallStand, postgres: Postgres, dial: Dial) -> None:
        self.stand, self.postgres, self.dial = stand, postgres, dial
        self.case = Case("pair", cast("Any", stand), dial)
        self.url = postgres.url(postgres.database())
        self.one, self.other = self._daemon("one"), self._daemon("other")
        self._healed = threading.Event()
        self._healer = threading.Thread(target=self._heal, name="healer", daemon=True)

    def _daemon(self, name: str) -> Daemon:
        def own(settings: dict[str, Any]) -> None:
            settings |= {"storeUrl": self.url, "storePasswordFile": str(self.postgres.password_file), "incidents": {"resolveAfter": "3s"}}
            settings["guards"] = {"maximumPerHour": 1000, "runbookBurst": 1000, "clusterBurst": 1000, "stormTargets": 1000, "stormIncidents": 1000}

        made = self.case.daemon(change=own)
        # Each has a folder of its own: the case names but one.
        document = made.config.read_text().replace(str(made.folder / "state"), str(made.folder / name))
        twin = Daemon(self.stand.folder / name, {}, act=True)
        twin.config.write_text(document.replace(f"port: {made.port}", f"port: {twin.port}"))
        self.stand.stack.callback(twin.kill)
        return twin

    def start(self) -> None:
        self.one.start(deadline_s=90)
        self.other.start(deadline_s=90)
        self._healer.start()

    def stop(self) -> None:
        self._healed.set()
        if self._healer.ident is not None:
            self._healer.join(30)
        for daemon in (self.one, self.other):
            with suppress(ProcessLookupError):
                daemon.signal(signal.SIGCONT)
            daemon.stop(deadline_s=60)

    def _heal(self) -> None:
        """Each write on a workload ends its trouble, as another replica would."""
        seen = 0
        while not self._healed.wait(0.3):
            effects = self.case.effects()
            for write in effects[seen:]:
                self.dial.set(self.case.name, self.case.namespace, write.name, WELL)
            seen = len(effects)

    def leads(self, daemon: Daemon) -> bool:
        return daemon.metric("aiops_leading") == 1.0

    def all_well(self, daemon: Daemon, names: list[str]) -> None:
        """Until each has exactly one run, which is through and verified."""
        def ended() -> bool:
            with suppress(TestbedError):
                return all(done(daemon, name) == "succeeded Verified" for name in names)
            return False

        try:
            eventually(ended, deadline_s=TAKEOVER_S, what="every run to be through")
        except TestbedError as error:
            found = {name: [(r["state"], r["result"]) for r in runs(daemon, name)] for name in names}
            raise TestbedError(f"{error}: {found}\n{daemon.tail(60)}") from error

    def exactly_once(self, daemon: Daemon, names: list[str]) -> None:
        for name in names:
            assert len(self.case.effects(name)) == 1, (name, self.case.effects(name))
            assert self.case.replicas(name) == 3
            assert len(incident_of(daemon, name)) == 1

    def held(self) -> list[tuple[Any, ...]]:
        with psycopg.connect(self.url, password=self.postgres.password) as connection:
            return connection.execute("SELECT name, owner FROM leases WHERE owner <> '' AND name LIKE 'target/%'").fetchall()


@pytest.fixture(scope="module")
def pair(plane: KubernetesPlane, prometheus_server: Prometheus, postgres: Postgres) -> Iterator[Pair]:
    stand = SmallStand(plane, prometheus_server)
    with Dial() as dial, stand.stack:
        prometheus_server.scrape(dial.target)
        made = Pair(stand, postgres, dial)
        made.case.deployments(*(f"{wave}{n}" for wave in ("calm", "kill", "stop", "late") for n in range(4)))
        prometheus_server.wait_up("dial")
        try:
            yield made
        finally:
            made.stop()


def test_two_daemons_make_each_effect_once(pair: Pair) -> None:
    """In one story, since each part needs what came of the one before."""
    waves = {wave: [f"{wave}{n}" for n in range(4)] for wave in ("calm", "kill", "stop", "late")}
    one, other, case = pair.one, pair.other, pair.case
    pair.start()
    assert pair.leads(one)
    assert not pair.leads(other)

    # Who stands by takes no alert: Alertmanager sends it again, and then the service may lead it elsewhere.
    told = json.dumps({"version": "4", "alerts": [{"status": "firing", "labels": {"alertname": "Told"}, "startsAt": "2026-01-01T00:00:00Z"}]}).encode()
    for daemon, code in ((other, 503), (one, 200), (other, 503)):
        answer = web.call("POST", f"http://127.0.0.1:{daemon.port}/api/v1/alerts", body=told, headers={"Content-Type": "application/json"}, timeout_s=60)
        assert answer.status == code, answer.body
    assert [i["title"] for i in incidents(one)] == ["Told"]

    # Both are well: one decides, the other looks on.
    case.trouble(*waves["calm"])
    pair.all_well(other, waves["calm"])
    pair.exactly_once(other, waves["calm"])

    # The leader dies in the middle of its runs: the other takes its place, and its runs once their leases ran out.
    case.trouble(*waves["kill"])
    eventually(lambda: any(case.effects(name) for name in waves["kill"]), deadline_s=PATIENCE_S, what="a first effect")
    one.kill()
    eventually(lambda: pair.leads(other), deadline_s=TAKEOVER_S, what="the other to lead")
    one.start(deadline_s=90)
    assert not pair.leads(one)
    pair.all_well(other, waves["kill"])

    # The leader stands still in the middle, longer than its leases last, and then goes on.
    case.trouble(*waves["stop"])
    eventually(lambda: any(case.effects(name) for name in waves["stop"]), deadline_s=PATIENCE_S, what="a first effect")
    other.signal(signal.SIGSTOP)
    eventually(lambda: pair.leads(one), deadline_s=TAKEOVER_S, what="the first to lead again")
    pair.all_well(one, waves["stop"])
    other.signal(signal.SIGCONT)
    eventually(lambda: other.get("/readyz")[0] == 200 and "beginning anew" in other.log.read_text() and not pair.leads(other), deadline_s=TAKEOVER_S, what="the one that stood still to stand by")

    # And an orderly end hands over at once.
    one.stop(deadline_s=60)
    eventually(lambda: pair.leads(other), deadline_s=TAKEOVER_S, what="the other to lead after an orderly end")
    case.trouble(*waves["late"])
    pair.all_well(other, waves["late"])
    for names in waves.values():
        pair.exactly_once(other, names)
    eventually(lambda: pair.held() == [], deadline_s=PATIENCE_S, what="every lease to be given back")
