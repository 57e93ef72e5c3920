"""`python -m tests.testbed`: leaves the servers running and says how to reach them, until SIGINT or SIGTERM.

python -m tests.testbed [--only plane,prometheus,...] [--nodes N]
python -m tests.testbed build     build, fetch and install what is missing, start nothing
python -m tests.testbed doctor    say what is ready and what is missing; exit 1 when something is
"""

from __future__ import annotations

import argparse
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
from tests.testbed.process import new_folder, remove_folder
from tests.testbed.prometheus import Prometheus, Target
from tests.testbed.redis import Redis

SERVERS = ("plane", "redis", "alertmanager", "prometheus", "elasticsearch")


def main(arguments: list[str] | None = None) -> int:
    """Run one of the commands above; the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.testbed", description="Real servers on loopback.")
    parser.add_argument("command", nargs="?", choices=("run", "build", "doctor"), default="run")
    parser.add_argument("--only", default=",".join(SERVERS), metavar="NAMES", help=f"comma-separated, of: {', '.join(SERVERS)}")
    parser.add_argument("--nodes", type=int, default=3, help="fake nodes of the cluster (3)")
    options = parser.parse_args(arguments)
    wanted = [name.strip() for name in options.only.split(",") if name.strip()]
    unknown = sorted(set(wanted) - set(SERVERS))
    if unknown:
        parser.error(f"--only: unknown {', '.join(unknown)}; allowed: {', '.join(SERVERS)}")
    try:
        if options.command == "doctor":
            return doctor()
        if options.command == "build":
            binaries.build_all()
            say("everything is built")
            return 0
        return run(wanted, nodes=options.nodes)
    except TestbedError as error:
        print(f"testbed: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


def doctor() -> int:
    """Print what is ready and what is missing."""
    findings = binaries.doctor()
    for finding in findings:
        print(f"{'ready  ' if finding.ready else 'MISSING'}  {finding.what:<24} {finding.how}")
    return 0 if all(finding.ready for finding in findings) else 1


def run(wanted: list[str], *, nodes: int) -> int:
    """Start the wanted servers, print how to reach them, wait for a signal, stop them."""
    done = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: done.set())
    folder = new_folder("access")
    with ExitStack() as started:
        started.callback(remove_folder, folder)
        lines = _start(wanted, nodes, folder, started, done)
        print("\n".join(lines), flush=True)
        print("ready; SIGINT (Ctrl-C) or SIGTERM ends all of it", flush=True)
        done.wait()
        say("stopping")
    return 0


def _start(wanted: list[str], nodes: int, folder: Path, started: ExitStack, done: threading.Event) -> list[str]:
    """Start in dependency order; the lines that say how to reach what was started."""
    lines: list[str] = []
    plane: KubernetesPlane | None = None

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
