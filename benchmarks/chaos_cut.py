"""The network to the API server cut in the middle of a run of the whole daemon: connections stand, nothing moves, then all that was under way arrives.

Neighbour: `chaos` plays it after its kills and counts the writes.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from datetime import datetime

from aiops.adapters.clock import SystemClock
from tests.integration.hard_kit import Case, runs
from tests.testbed.daemon import Daemon
from tests.testbed.errors import TestbedError
from tests.testbed.process import eventually, pause
from tests.testbed.relay import RelayProcess

CLOCK = SystemClock()
SOURCE = "cluster/default"
"""The first cluster of the settings, as the daemon calls it."""
LOOK_EVERY_S = 1.0
BEGUN_S = 1.5
"""The cut comes within so long after a run was seen to be under way: before, during or after its request."""


@dataclass
class Told:
    """What was seen of one cut."""

    wrong: list[str] = field(default_factory=list)
    words: str = ""


def cut(case: Case, daemon: Daemon, relay: RelayProcess, chance: random.Random, *, seconds: float) -> Told:
    """Cut while a run is under way; meanwhile the daemon must answer, say that it is blind, and begin nothing once it said so."""
    told = Told()
    amid: list[str] = []
    while not amid:  # a short one may be over by then
        eventually(lambda: daemon.json("/api/v1/status")["unfinished"] > 0, deadline_s=120, what="a run to cut")
        pause(chance.uniform(0, BEGUN_S))
        relay.freeze()
        amid = under_way(daemon)
        if not amid:
            relay.thaw()
    began, blind_at = CLOCK.now(), 0.0
    while CLOCK.now() < began + seconds:
        pause(LOOK_EVERY_S)
        if daemon.get("/livez")[0] != 200 or daemon.get("/readyz")[0] != 200:
            told.wrong.append(f"does not answer {CLOCK.now() - began:.0f} s after the network went")
        if not blind_at and blind(daemon):
            blind_at = CLOCK.now()
    ended = CLOCK.now()
    if not blind_at:
        told.wrong.append(f"did not say within {seconds:g} s that it is blind")
    begun = [r["id"] for r in runs(daemon) if blind_at and r["created_at"] > blind_at]
    told.wrong += [f"run {run} was begun blind" for run in begun]
    received = [datetime.fromisoformat(w.received).timestamp() for w in case.writes()]
    if any(began + 1 < at < ended for at in received):
        told.wrong.append("a write came through the cut network: the bench is wrong")
    relay.thaw()
    back = CLOCK.now()
    try:
        eventually(lambda: sees(daemon), deadline_s=120, what="the cluster to be seen again")
        seen_s = CLOCK.now() - back
        eventually(lambda: all(r["state"] == "done" for r in runs(daemon) if r["id"] in amid), deadline_s=240, what="the runs that were cut to end")
    except TestbedError as error:
        told.wrong.append(str(error))
        seen_s = float("nan")
    result = {r["id"]: r["result"] for r in runs(daemon)}
    ways = sorted(f"{r['outcome']} {r['reason']}" if (r := result.get(run)) else "left" for run in amid)
    told.words = (
        f"{len(amid)} runs under way, blind after {blind_at - began:.0f} s, sees {seen_s:.0f} s after the network is back; they ended: {', '.join(ways)}"
    )
    return told


def under_way(daemon: Daemon) -> list[str]:
    """Runs that are not done, by their incidents; asking for each incident that ever was takes too long here."""
    active = daemon.json("/api/v1/incidents?active=true")
    return [r["id"] for i in active for r in daemon.json(f"/api/v1/incidents/{i['id']}")["executions"] if r["state"] != "done"]


def blind(daemon: Daemon) -> bool:
    """The status names the cluster as dark, and an incident tells of it."""
    active = daemon.json("/api/v1/incidents?active=true")
    firing = {(s["rule"], s["labels"]["source"]) for i in active for s in i["signals"].values() if s["state"] == "firing" and s["rule"] == "SourceDark"}
    return _state(daemon) == "dark" and ("SourceDark", SOURCE) in firing


def sees(daemon: Daemon) -> bool:
    """It is in sight again."""
    return _state(daemon) == "ok"


def _state(daemon: Daemon) -> str:
    return str(next(s["state"] for s in daemon.json("/api/v1/status")["sources"] if s["name"] == SOURCE))
