"""Days of the world in which nothing is wrong: people come and go by the clocks on the wall, which are changed one night, and each day two releases are
rolled out. Whatever the daemon says or does on such a day is noise.

Neighbours: `arena` plays episodes in which something is wrong; `benchmarks.quiet_day` plays whole days of these, `test_quiet_day` hours.
"""

from __future__ import annotations

import random
import tempfile
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import yaml

from aiops.app.config import read_settings
from aiops.definitions.loader import Definitions
from aiops.domain.decision import Stage
from tests.scenarios.arena import OURS, quietly
from tests.scenarios.story import Story

ZONE = "Europe/Berlin"
CLOCKS: Mapping[str, datetime] = {"forward": datetime(2026, 3, 29), "back": datetime(2026, 10, 25), "unchanged": datetime(2026, 6, 14)}  # noqa: DTZ001 (local days)
"""The last day, a Sunday: with the hour that is left out, the one that comes twice, or neither."""
STEP, KEEP = 5.0, 3 * 3600.0
"""Seconds from one scrape to the next, and for which samples are kept: no shipped rule asks for more than half an hour."""
OLDER = 1800.0
"""Seconds that the world is older than the daemon."""
DEPLOYS = {"release": 10.5, "configuration": 15.25}
"""What is rolled out each day, and about when by the clocks on the wall, in hours."""
Document = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Noise:
    """What was said and done. `incidents`: one line each. `signals`: claims that began, by rule; `messages` to people; `writes` of ours on the cluster."""

    seed: int
    clocks: str
    hours: float
    incidents: tuple[str, ...]
    signals: Mapping[str, int]
    messages: int
    writes: tuple[str, ...]


def services(draw: random.Random) -> list[Document]:
    """A shop whose customers live in one time zone; two of its services have hours, one of them has much to do at night."""

    def service(name: str, *, busy: float, time: float, replicas: int, workers: int, daily: bool = True, **more: Any) -> Document:
        rate = busy * replicas * workers / time
        wave = {"daily": {"amplitude": round(draw.uniform(0.25, 0.5), 2), "peak": f"{draw.randint(11, 20)}h"}} if daily else {}
        load = {"rate": round(rate, 1), "noise": round(draw.uniform(0.02, 0.06), 3), "timezone": ZONE, **wave, **more.pop("hours", {})}
        base = draw.randint(80, 300)
        return {
            "apiVersion": "aiops-testbed/v1", "kind": "Service", "name": name, "namespace": "shop", "replicas": replicas, "workers": workers,
            "serviceTime": time, "load": load, "memory": {"base": f"{base}Mi", "limit": f"{3 * base}Mi"}, "startup": f"{draw.randint(5, 40)}s", **more,
        }  # fmt: skip

    by_day = {"hours": {"from": "8h", "until": "20h", "closed": 0.2}}
    by_night = {"hours": {"from": "2h15m", "until": "4h", "closed": 0.3}}
    return [
        service("front", busy=0.3, time=0.03, replicas=3, workers=16, env={"TABLE": "7"}, dependencies=[{"name": "catalog", "calls": 1, "latency": "2ms"}]),
        service("catalog", busy=0.1, time=0.012, replicas=4, workers=16, caches=[{"name": "catalog", "hitRatio": 0.9}]),
        service("checkout", busy=0.3, time=0.04, replicas=3, workers=6, dependencies=[{"name": "bank", "external": True, "latency": "30ms", "calls": 0.5}]),
        service("office", busy=0.35, time=0.05, replicas=3, workers=6, daily=False, hours=by_day),
        service("reports", busy=0.5, time=0.2, replicas=2, workers=8, daily=False, hours=by_night, volume={"size": "10Gi", "used": 0.4}),
        service("mailer", busy=0.35, time=0.08, replicas=3, workers=3, queue="mails"),
    ]


def changes(draw: random.Random) -> list[Document]:
    """What people roll out: a release of one service and a configuration of another. Both are well."""
    common = {"apiVersion": "aiops-testbed/v1", "kind": "Fault", "cures": "never", "act": "wrong"}
    release = {"what": "release", "by": "person", "startup": f"{draw.randint(10, 60)}s"}
    configuration = {"what": "configuration", "env": "TABLE", "value": "8"}
    return [
        {**common, "name": "release", "service": draw.choice(["catalog", "checkout"]), "effects": [release]},
        {**common, "name": "configuration", "service": "front", "effects": [configuration]},
    ]


def local(day: datetime, hour: float) -> float:
    """Unix time at which the clocks on the wall show an hour of a day."""
    return (day + timedelta(hours=hour)).replace(tzinfo=ZoneInfo(ZONE)).timestamp()


def deploy_hour(name: str, seed: int, back: int = 0) -> float:
    """When it is rolled out, `back` days before the last one."""
    return DEPLOYS[name] + random.Random(f"{seed}/{back}/{name}").uniform(-0.25, 0.25)


def quiet_days(
    seed: int, *, clocks: str = "forward", days: int = 1, begin: float = 0.0, until: float = 24.0,
    define: Callable[[Definitions], Definitions] = lambda definitions: definitions, each_hour: Callable[[Story], None] = lambda _: None,
) -> Noise:  # fmt: skip
    """Live `days` of them, the last one `CLOCKS[clocks]`, from hour `begin` of the first to hour `until` of the last."""
    with quietly():
        story = _story(seed, clocks, days, begin, define)
        last = CLOCKS[clocks]
        start, end = story.time.now(), local(last, until)
        for back in range(days):
            for name in DEPLOYS:
                at = local(last - timedelta(days=back), deploy_hour(name, seed, back))
                if start <= at < end:
                    # One that was rolled out the day before is gone back to first: what comes each day is one change.
                    story.time.at(at - 1.0, name, partial(story.world.switch_off, name))
                    story.time.at(at, name, partial(story.world.switch_on, name))
        while story.time.now() < end:
            story.run(min(3600.0, end - story.time.now()))
            each_hour(story)
        found = _noise(story, seed, clocks, (end - start) / 3600.0)
        story.store.close()
        return found


def _story(seed: int, clocks: str, days: int, begin: float, define: Callable[[Definitions], Definitions]) -> Story:
    draw = random.Random(f"quiet/{seed}")
    start = local(CLOCKS[clocks] - timedelta(days=days - 1), begin)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "day.yaml"
        path.write_text(yaml.safe_dump_all([*services(draw), *changes(draw)]))
        return Story(
            services=path, faults=path, settings=read_settings(None), seed=seed, nodes=6, started=start - OLDER, alone=OLDER, step=STEP, keep=KEEP, define=define,
        )  # fmt: skip


def _noise(story: Story, seed: int, clocks: str, hours: float) -> Noise:
    signals: Counter[str] = Counter()
    for decision in story.store.decisions(limit=1_000_000):
        if decision.stage is Stage.OBSERVE and decision.passed and decision.reason not in ("Recovered", "RegimeChanged", "NoLongerSeen", "AbsentIsRecovered"):
            signals[decision.subject] += 1
    incidents = []
    for incident in reversed(story.store.incidents(limit=100_000)):
        at = datetime.fromtimestamp(incident.opened_at, ZoneInfo(ZONE))
        rules = ", ".join(sorted({signal.rule for signal in incident.signals.values()}))
        incidents.append(f"{at:%a %H:%M:%S} {incident.severity.value} {incident.title} ({rules})")
    writes = tuple(str(write) for write in story.world.writes() if write.user in OURS and write.user)
    return Noise(seed, clocks, hours, tuple(incidents), dict(signals), len(story.notifier.posts), writes)
