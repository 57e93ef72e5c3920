"""`python -m tests.testbed.world`: the live world alone, against servers that run already; `python -m tests.testbed` starts it so.

python -m tests.testbed.world --plane-url URL --ca-file FILE --token-file FILE [--audit-log FILE] [--elasticsearch-url URL] [--redis-url URL]
                              [--services DIR]... [--faults DIR]... [--seed N] [--script] [--targets-file FILE]
"""

from __future__ import annotations

import argparse
import json
import logging
import signal
import sys
import threading
from pathlib import Path

from tests.testbed.errors import TestbedError
from tests.testbed.world import FAULTS, SERVICES, control
from tests.testbed.world.faults import read_faults
from tests.testbed.world.files import WorldFileError
from tests.testbed.world.kube import Api
from tests.testbed.world.live import LiveWorld
from tests.testbed.world.services import read_services


def main(arguments: list[str] | None = None) -> int:
    """Run until SIGINT or SIGTERM; the exit status."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    options = _parser().parse_args(arguments)
    done = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: done.set())
    try:
        services = read_services(options.services or [SERVICES])
        faults = read_faults(options.faults or ([] if options.services else [FAULTS]), services)
        api = Api(options.plane_url, options.ca_file, options.token_file.read_text().strip())
        world = LiveWorld(
            services,
            faults,
            api=api,
            audit_log=options.audit_log,
            elasticsearch_url=options.elasticsearch_url,
            redis_url=options.redis_url,
            seed=options.seed,
            script=options.script,
        )
    except (WorldFileError, OSError) as error:
        print(f"world: {error}", file=sys.stderr)
        return 1
    try:
        world.start()
        _tell(world, options.targets_file)
        done.wait()
    except (TestbedError, OSError) as error:
        print(f"world: {error}", file=sys.stderr)
        return 1
    finally:
        control.withdraw(world.url)
        world.stop()
    return 0


def _tell(world: LiveWorld, targets_file: Path | None) -> None:
    if targets_file is not None:
        rows = [{"job": t.job, "url": t.url, "labels": t.labels} for t in world.targets()]
        fresh = targets_file.with_suffix(".new")
        fresh.write_text(json.dumps({"url": world.url, "targets": rows}))
        fresh.replace(targets_file)
    control.announce(world.url)
    print(f"world at {world.url}", flush=True)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.testbed.world", description="Simulated services on real servers.")
    parser.add_argument("--plane-url", required=True, help="the Kubernetes API")
    parser.add_argument("--ca-file", required=True, type=Path, help="certificate to trust for it")
    parser.add_argument("--token-file", required=True, type=Path, help="bearer token of the account world")
    parser.add_argument("--audit-log", type=Path, help="its audit log, to tell who cured what")
    parser.add_argument("--elasticsearch-url", help="where logs go")
    parser.add_argument("--redis-url", help="where caches are")
    parser.add_argument("--services", type=Path, action="append", help="folder or file of services; may be given again")
    parser.add_argument("--faults", type=Path, action="append", help="folder or file of faults; may be given again")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--script", action="store_true", help="faults begin at their own times")
    parser.add_argument("--targets-file", type=Path, help="written once ready: what Prometheus is to scrape")
    return parser


if __name__ == "__main__":
    sys.exit(main())
