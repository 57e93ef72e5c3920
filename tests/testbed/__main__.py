"""`python -m tests.testbed`: leaves the servers running and says how to reach them, until SIGINT or SIGTERM.

python -m tests.testbed [--only plane,prometheus,...] [--nodes N] [--services DIR] [--faults DIR] [--no-world]
python -m tests.testbed faults               what faults the running world has, and which are on
python -m tests.testbed fault NAME on|off    switch one
python -m tests.testbed episodes             what became of each fault: cured by whose write, and which writes were wrong
python -m tests.testbed build                build, fetch and install what is missing, start nothing
python -m tests.testbed doctor               say what is ready and what is missing; exit 1 when something is
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import threading
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from tests.testbed import binaries
from tests.testbed.alertmanager import Alertmanager
from tests.testbed.cache import say
from tests.testbed.elasticsearch import Elasticsearch
from tests.testbed.errors import TestbedError
from tests.testbed.plane import KubernetesPlane
from tests.testbed.postgres import Postgres
from tests.testbed.process import new_folder, remove_folder
from tests.testbed.prometheus import Prometheus, Target
from tests.testbed.redis import Redis
from tests.testbed.world import control
from tests.testbed.world.process import WorldProcess

SERVERS = ("plane", "redis", "postgres", "alertmanager", "prometheus", "elasticsearch")


def main(arguments: list[str] | None = None) -> int:
    """Run one of the commands above; the exit status."""
    options, wanted = _read(arguments)
    try:
        if options.command == "doctor":
            return doctor()
        if options.command == "build":
            binaries.build_all()
            say("everything is built")
            return 0
        if options.command == "fault":
            print(json.dumps(control.ask("POST", f"/faults/{options.words[0]}/{options.words[1]}", options.world_url)))
            return 0
        if options.command in ("faults", "episodes"):
            print(json.dumps(control.ask("GET", f"/{options.command}", options.world_url), indent=2))
            return 0
        return run(wanted, nodes=options.nodes, world=options)
    except TestbedError as error:
        print(f"testbed: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


def _read(arguments: list[str] | None) -> tuple[argparse.Namespace, list[str]]:
    """The options, and which servers are wanted."""
    parser = argparse.ArgumentParser(prog="python -m tests.testbed", description="Real servers on loopback, and a world on them.")
    parser.add_argument("command", nargs="?", choices=("run", "build", "doctor", "fault", "faults", "episodes"), default="run")
    parser.add_argument("words", nargs="*", metavar="NAME on|off", help="for fault")
    parser.add_argument("--only", default=",".join(SERVERS), metavar="NAMES", help=f"comma-separated, of: {', '.join(SERVERS)}")
    parser.add_argument("--nodes", type=int, default=3, help="fake nodes of the cluster (3)")
    parser.add_argument("--no-world", action="store_true", help="servers alone")
    parser.add_argument("--services", type=Path, action="append", help="folder or file of simulated services, instead of those that ship")
    parser.add_argument("--faults", type=Path, action="append", help="folder or file of faults, instead of those that ship")
    parser.add_argument("--script", action="store_true", help="faults begin at the times in their files")
    parser.add_argument("--seed", type=int, default=0, help="of the world's chance (0)")
    parser.add_argument("--world-url", help="the world to talk to, if it is not the one that was started last")
    options = parser.parse_args(arguments)
    wanted = [name.strip() for name in options.only.split(",") if name.strip()]
    unknown = sorted(set(wanted) - set(SERVERS))
    if unknown:
        parser.error(f"--only: unknown {', '.join(unknown)}; allowed: {', '.join(SERVERS)}")
    if options.command == "fault" and (len(options.words) != 2 or options.words[1] not in ("on", "off")):
        parser.error("fault: give a name, then on or off")
    if options.command != "fault" and options.words:
        parser.error(f"{options.command}: takes no {' '.join(options.words)}")
    return options, wanted


def doctor() -> int:
    """Print what is ready and what is missing."""
    findings = binaries.doctor()
    for finding in findings:
        print(f"{'ready  ' if finding.ready else 'MISSING'}  {finding.what:<24} {finding.how}")
    return 0 if all(finding.ready for finding in findings) else 1


def run(wanted: list[str], *, nodes: int, world: argparse.Namespace) -> int:
    """Start the wanted servers and the world, print how to reach them, wait for a signal, stop them."""
    done = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: done.set())
    folder = new_folder("access")
    with ExitStack() as started:
        started.callback(remove_folder, folder)
        lines = _start(wanted, nodes, folder, started, done, world)
        print("\n".join(lines), flush=True)
        print("ready; SIGINT (Ctrl-C) or SIGTERM ends all of it", flush=True)
        done.wait()
        say("stopping")
    return 0


def _start(wanted: list[str], nodes: int, folder: Path, started: ExitStack, done: threading.Event, world: argparse.Namespace) -> list[str]:
    """Start in dependency order; the lines that say how to reach what was started."""
    lines: list[str] = []
    plane: KubernetesPlane | None = None
    redis: Redis | None = None
    prometheus: Prometheus | None = None
    elasticsearch: Elasticsearch | None = None

    def begin(name: str, start: Callable[[], None], stop: Callable[[], None]) -> bool:
        if done.is_set():
            return False
        say(f"starting {name}")
        start()
        started.callback(stop)
        return True

    if "plane" in wanted:
        plane = KubernetesPlane(nodes=nodes)
        if begin("plane", plane.start, plane.stop):
            lines += _reach_plane(plane, folder)
    if "redis" in wanted:
        redis = Redis()
        if begin("redis", redis.start, redis.stop):
            lines.append(f"redis          {redis.url}")
    if "postgres" in wanted:
        postgres = Postgres()
        if begin("postgres", postgres.start, postgres.stop):
            lines += [f"postgres       {postgres.url()}", f"  password     {postgres.password_file}"]
    alertmanager: Alertmanager | None = None
    if "alertmanager" in wanted:
        alertmanager = Alertmanager()
        if begin("alertmanager", alertmanager.start, alertmanager.stop):
            lines.append(f"alertmanager   {alertmanager.url}")
    if "prometheus" in wanted:
        prometheus = Prometheus(alertmanager_url=alertmanager.url if alertmanager else None)
        if plane is not None:
            target = Target("apiserver", f"{plane.url}/metrics", bearer_token=plane.admin_token, ca_file=plane.ca_file)
            prometheus.targets.append(target)
        if begin("prometheus", prometheus.start, prometheus.stop):
            lines.append(f"prometheus     {prometheus.url}")
    if "elasticsearch" in wanted:
        elasticsearch = Elasticsearch()
        if begin("elasticsearch", elasticsearch.start, elasticsearch.stop):
            lines.append(f"elasticsearch  {elasticsearch.url}")
    if plane is not None and not world.no_world:
        process = WorldProcess(
            plane,
            elasticsearch_url=elasticsearch.url if elasticsearch else None,
            redis_url=redis.url if redis else None,
            services=world.services or (),
            faults=world.faults or (),
            seed=world.seed,
            script=world.script,
        )
        if begin("world", process.start, process.stop):
            if prometheus is not None:
                prometheus.scrape(*process.targets())
            lines.append(f"world          {process.url}  (faults: python -m tests.testbed faults)")
    return lines


def _reach_plane(plane: KubernetesPlane, folder: Path) -> list[str]:
    token = folder / "admin.token"
    descriptor = os.open(token, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as sink:
        sink.write(plane.admin_token)
    config = plane.kubeconfig(folder / "admin.kubeconfig")
    return [
        f"kubernetes     {plane.url}  (certificate {plane.ca_file})",
        f"  kubeconfig   {config}",
        f"  token file   {token}",
        f"  audit log    {plane.audit_log}",
    ]


if __name__ == "__main__":
    sys.exit(main())
