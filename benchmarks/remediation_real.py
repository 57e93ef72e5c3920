"""One of each kind of fault on a real API server, Prometheus, Elasticsearch and Redis, by the daemon as it ships; in real time.

    python -m benchmarks.remediation_real [--kinds a,b] [--seed 3] [--at-once 4] [--json FILE]

The scenes are those of `benchmarks.remediation` for the same seed; here all services stand on one cluster of six nodes and one daemon looks after them,
under the shipped account (`deploy/act`, and of `deploy/rights` what the runbooks need), rules, runbooks and guards. Only `maximumPerHour` is raised, for an hour has the faults of a bad year. Faults begin `--at-once`
in a wave, with a rest between two waves; those that take nodes away, or sight, and those that set the daemon otherwise are played alone. Resolved, MTTR and
wrong are as there, read from the API server's audit log and the caches. Exit 1 unless all that can be cured is, and nothing was wrong.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import yaml

from aiops.adapters.clock import SystemClock
from tests.integration.hard_kit import incidents, runs
from tests.scenarios.arena import Played
from tests.scenarios.kinds import CURABLE, KINDS, Scene, scene
from tests.testbed.daemon import DEPLOY, Daemon
from tests.testbed.process import pause
from tests.testbed.stand import Stand
from tests.testbed.world.episodes import Episode

OURS = frozenset({"system:serviceaccount:aiops:aiops", ""})
"""The shipped account; a flush is noticed by keys that are gone, and has no user."""
ALONE = ("sick-node", "zone-loss", "unmeasurable")
NOT_HERE = ("freeze",)
"""It is the daemon's own setting, for all that it looks after."""
RIGHTS = ("pods", "nodes", "jobs", "traffic")
"""Those of `deploy/rights` that runbooks of the shipped pack need beside `deploy/act`."""
WARM_S, REST_S, LOOK_EVERY_S = 330.0, 75.0, 5.0
CLOCK = SystemClock()


def waves(kinds: Sequence[str], at_once: int) -> Iterator[list[str]]:
    """What is played side by side."""
    together = [kind for kind in kinds if kind not in ALONE]
    for first in range(0, len(together), at_once):
        yield together[first : first + at_once]
    for kind in kinds:
        if kind in ALONE:
            yield [kind]


def play(stand: Stand, daemon: Daemon, scenes: dict[str, Scene], wave: Sequence[str], seed: int) -> list[Played]:
    """Begin the faults of one wave and look until each is resolved or its time is over; then end them."""
    for kind in wave:
        stand.world.switch_on(scenes[kind].fault)
    began = CLOCK.now()
    over: set[str] = set()
    while len(over) < len(wave):
        pause(LOOK_EVERY_S)
        for kind in wave:
            late = CLOCK.now() - began >= scenes[kind].lasts
            if kind not in over and (late or (kind in CURABLE and stand.world.episode(scenes[kind].fault).recovered)):
                over.add(kind)
                print(f"  {CLOCK.now() - began:>4.0f} s: {kind} {'is not resolved' if late and kind in CURABLE else 'is over'}", file=sys.stderr, flush=True)
    found = [outcome(daemon, stand.world.episode(scenes[kind].fault), kind, seed) for kind in wave]
    for kind in wave:
        stand.world.switch_off(scenes[kind].fault)
    return found


def outcome(daemon: Daemon, episode: Episode, kind: str, seed: int) -> Played:
    """As `tests.scenarios.arena.outcome`, over the daemon's own page."""
    since = episode.began
    name = episode.service.partition("/")[2]
    wrong = [write for write in episode.wrong if write.user in OURS]
    by_us = episode.cured_by is not None and episode.cured_by.user in OURS
    resolved = episode.recovered is not None and by_us and not wrong
    opened = [i["opened_at"] for i in incidents(daemon) if i["opened_at"] >= since and i["target"] and name in i["target"]["name"]]
    mine = [r for r in runs(daemon) if r["created_at"] >= since and name in str(r["plan"]["target"]["name"])]
    return Played(
        kind=kind, seed=seed, safety="full", resolved=resolved,
        mttr=episode.recovered - since if episode.recovered is not None and resolved else None,
        detected=min(opened) - since if opened else None, cured=episode.cured - since if episode.cured is not None else None,
        wrong=tuple(f"{write.at - since:.0f}s {write}" for write in wrong), right=len(episode.right),
        runs=tuple(f"{r['created_at'] - since:.0f}s {r['plan']['runbook']}: {r['result']['reason'] if r['result'] else r['state']}" for r in reversed(mine)), cpu=0.0,
    )  # fmt: skip


def change(settings: dict[str, Any]) -> None:
    """The one limit that is not the shipped one."""
    settings["guards"] = {"maximumPerHour": 1000}


def table(played: Sequence[Played]) -> bool:
    """Print it, a line for each kind; True if all that is required holds."""
    print("| kind | resolved | found | cured | MTTR | wrong writes | runs |", "| --- | --- | --- | --- | --- | --- | --- |", sep="\n")
    for each in played:
        word = ("yes" if each.resolved else "no") if each.kind in CURABLE else "nothing to cure"
        times = " | ".join(_seconds(value) for value in (each.detected, each.cured, each.mttr))
        print(f"| {each.kind} | {word} | {times} | {len(each.wrong)} | {', '.join(each.runs) or 'none'} |")
    for each in played:
        print(*(f"{each.kind}: wrong: {write}" for write in each.wrong), sep="\n", end="\n" if each.wrong else "", flush=True)
    return all(not each.wrong and (each.resolved or each.kind not in CURABLE) for each in played)


def _seconds(value: float | None) -> str:
    return "-" if value is None else f"{value:.0f} s"


def main() -> int:
    """The exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kinds", default=",".join(kind for kind in KINDS if kind not in NOT_HERE), help="names, separated by commas")
    parser.add_argument("--seed", type=int, default=3)
    parser.add_argument("--at-once", type=int, default=4)
    parser.add_argument("--json", type=Path, help="every episode, for later")
    options = parser.parse_args()
    kinds = options.kinds.split(",")
    if unknown := [kind for kind in kinds if kind not in KINDS or kind in NOT_HERE]:
        parser.error(f"not played here: {', '.join(unknown)}")
    scenes = {kind: scene(kind, options.seed) for kind in kinds}
    played: list[Played] = []
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "scenes.yaml"
        # The second service of a scene has no part in it: so many on one machine would be a load of their own.
        path.write_text(yaml.safe_dump_all([document for one in scenes.values() for document in (one.documents[0], one.documents[-1])]))
        with Stand(services=[path], faults=[path], seed=options.seed, nodes=6) as stand:
            daemon = stand.daemon("real", act=True, change=change)
            for right in RIGHTS:
                stand.plane.kubectl("apply", "-f", str(DEPLOY / "rights" / f"{right}.yaml"))
            daemon.start()
            pause(WARM_S)
            for wave in waves(kinds, options.at_once):
                print(f"{', '.join(wave)}", file=sys.stderr, flush=True)
                played += play(stand, daemon, scenes, wave, options.seed)
                table(played[-len(wave) :])
                pause(REST_S)
            if (status := daemon.stop()) != 0:
                print(f"the daemon ended with {status}")
    if options.json:
        options.json.write_text(json.dumps([asdict(each) for each in played], indent=1))
    return 0 if table(played) else 1


if __name__ == "__main__":
    sys.exit(main())
