"""`aiops runbook run` asks every source once before it plans, of logs too."""

from __future__ import annotations

from aiops.adapters.memory_logs import MemoryLogs
from aiops.adapters.memory_prometheus import MemoryPrometheus
from aiops.adapters.schedule_virtual import VirtualTime
from aiops.app.planned import probe
from aiops.correlate.sight import SightPolicy
from aiops.domain.rule import DetectorSpec, LogQuery, Rule
from aiops.domain.signal import Severity
from aiops.pipeline.poller import Sources
from aiops.pipeline.watchfulness import Watchfulness
from aiops.ports.telemetry import NullTelemetry


def rule(name: str, source: str, index: str) -> Rule:
    return Rule(name, source, LogQuery(index, 60.0), 30.0, DetectorSpec("logErrorRate"), Severity.WARNING)


def test_every_source_is_in_sight_or_says_why_not() -> None:
    """A source of logs is asked what its first rule asks, and for any record where no rule asks it anything."""
    time = VirtualTime(1_700_000_000.0)
    names = ("metrics", "logs", "audit", "elsewhere")
    watch = Watchfulness({name: SightPolicy() for name in names}, NullTelemetry(), time.now())
    sources = Sources({"metrics": MemoryPrometheus("metrics")}, {name: MemoryLogs(name) for name in names[1:]}, {})
    probe(sources, watch, [rule("a", "logs", "logs"), rule("b", "logs", "absent"), rule("c", "audit", "absent")], time)
    seen = watch.all()
    assert {name: seen[name].answered_at is not None for name in names} == {"metrics": True, "logs": True, "audit": False, "elsewhere": True}
    assert seen["audit"].reason == "IndexMissing"
