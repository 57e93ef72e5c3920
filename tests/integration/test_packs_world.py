"""The shipped packs over the simulated world in virtual time: every fault of its files, and faults of services with other names.

What may act is what cures; where acting is wrong, nothing that acts matches at any moment. Nothing is carried out here: a fault lasts.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from aiops.adapters.history import MemoryHistory
from aiops.adapters.objects import CachedObjectSource
from aiops.adapters.schedule_virtual import VirtualTime
from aiops.correlate.grouping import group
from aiops.correlate.incident_flow import FlowPolicy, absorb, tick
from aiops.correlate.inhibition import muted_claims
from aiops.definitions.loader import Definitions, load_definitions
from aiops.definitions.templates import render
from aiops.detect.bank import RuleBank
from aiops.domain.incident import Incident
from aiops.domain.rule import CapacityQuery, LogQuery, ObjectQuery, PromQuery, Rule
from aiops.domain.series import SampleBatch
from aiops.domain.signal import Signal, SignalKind
from aiops.domain.target import TargetRef
from aiops.execution.actions.registry import SPECS
from aiops.pipeline.capacity import Capacity
from aiops.pipeline.gathering import Gathering
from aiops.pipeline.poller import match_volume
from aiops.pipeline.releases import Releases
from aiops.ports.telemetry import NullTelemetry
from aiops.remediate.facts import target_facts
from aiops.remediate.matching import candidates
from aiops.remediate.objects import gather
from tests.testbed.world.faults import read_faults
from tests.testbed.world.services import read_services
from tests.testbed.world.virtual import VirtualWorld

ROOT = Path(__file__).parents[2]
WORLD = ROOT / "tests" / "testbed" / "world"
START = 1_800_000_000.0
TELLING = {"page-a-person"}


@pytest.fixture(scope="module")
def packs() -> Definitions:
    definitions = load_definitions(
        [ROOT / "rules"], [ROOT / "runbooks"], actions=SPECS, sources={"prometheus": "prometheus", "elasticsearch": "elasticsearch"}
    )
    assert [str(p) for p in definitions.problems] == []
    return definitions


@dataclass
class Eye:
    """Sees the world as the daemon does, each rule at its own pace, and notes what first showed and what first matched, by target."""

    packs: Definitions
    world: VirtualWorld
    symptoms: dict[str, list[str]] = field(default_factory=dict)
    matched: dict[str, list[str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.view = self.world.cluster.view()
        self.releases = Releases({"default": self.view})
        self.objects = CachedObjectSource(self.view, self.world.time)
        self.capacity = Capacity(Gathering(MemoryHistory(), self.world.time, NullTelemetry(), 400 * 86400.0))
        self.banks = {rule.name: RuleBank(rule) for rule in self.packs.rules}
        self.due = dict.fromkeys(self.banks, 0.0)
        self.inhibits = {rule.name: rule.inhibits for rule in self.packs.rules}
        self.incidents: dict[str, Incident] = {}
        self.world.time.every("eye", 5.0, self.look, first_after=5.0)

    def look(self) -> None:
        now = self.world.time.now()
        signals = [signal for rule in self.packs.rules if now >= self.due[rule.name] for signal in self.ask(rule, now)]
        for fingerprint, members in group(signals).items():
            known = self.incidents.get(fingerprint)
            active = known if known and known.active else None
            flow = absorb(active, None if active else known, members, now, FlowPolicy())
            if flow.incident is not None:
                self.incidents[fingerprint] = flow.incident
        for fingerprint, incident in self.incidents.items():
            self.incidents[fingerprint] = tick(incident, now, FlowPolicy()).incident or incident
            if incident.active and incident.firing:
                self.decide(incident, now)

    def ask(self, rule: Rule, now: float) -> list[Signal]:
        self.due[rule.name] = now + rule.every
        volume = None
        if isinstance(rule.query, PromQuery):
            batch = self.world.metrics.instant(rule.query.text, now)
            volume = match_volume(batch.labels, self.world.metrics.instant(rule.volume_query, now)) if rule.volume_query else None
        elif isinstance(rule.query, LogQuery):
            batch = self.world.logs.counts(rule.query, now)
        elif isinstance(rule.query, CapacityQuery):
            batch = self.capacity.answer(rule, rule.query, self.world.metrics, now)
        else:
            assert isinstance(rule.query, ObjectQuery)
            batch = self.objects.values(rule.query, now)
            assert not batch.warnings
        return self.signals(rule, batch, volume, now)

    def signals(self, rule: Rule, batch: SampleBatch, volume: dict[str, float] | None, now: float) -> list[Signal]:
        found = []
        bank = self.banks[rule.name]
        if bank.compares:
            about = {series: self.target(rule, labels) for series, labels in bank.subjects()}
            bank.released({series: self.releases.of(target, now) for series, target in about.items() if target is not None})
        for finding in bank.observe(batch, volume).findings:
            labels = {**finding.labels, **rule.labels}
            target = self.target(rule, finding.labels)
            found.append(
                Signal(
                    f"{rule.name}{now}", rule.name, rule.detector.type, SignalKind.METRIC, finding.state, finding.severity, now, finding.series,
                    labels, target, rule.name, finding.evidence,
                )
            )  # fmt: skip
        return found

    @staticmethod
    def target(rule: Rule, labels: Mapping[str, str]) -> TargetRef | None:
        if rule.target is None:
            return None
        namespace = render(rule.target.namespace, {"labels": labels}) if rule.target.namespace else ""
        return TargetRef(rule.target.kind, namespace, render(rule.target.name, {"labels": labels}))

    def decide(self, incident: Incident, now: float) -> None:
        name = incident.target.name if incident.target else ""
        seen = self.symptoms.setdefault(name, [])
        seen += [symptom for symptom in incident.symptoms if symptom not in seen]
        if incident.target is None:
            return
        muted = muted_claims(incident, self.inhibits)
        effective = replace(incident, signals={k: s for k, s in incident.signals.items() if k not in muted})
        facts = target_facts(incident.target, gather(incident.target, self.view.find, self.view.objects), effective, now)
        known = self.matched.setdefault(name, [])
        known += [r.name for r in candidates(effective, facts, self.packs.runbooks, now).matched[:1] if r.name not in known]


def seen_in(packs: Definitions, folders: list[Path], fault: str, *, lasts: float = 240.0, warm: float = 240.0, seed: int = 3) -> Eye:
    services = read_services(folders)
    world = VirtualWorld(VirtualTime(START), services, read_faults(folders, services), seed=seed)
    eye = Eye(packs, world)
    world.start()
    world.time.run_until(START + warm)
    assert eye.symptoms == {}, "signals before the fault"
    if fault:
        world.switch_on(fault)
    world.time.run_until(START + warm + lasts)
    return eye


def acting(eye: Eye) -> set[tuple[str, str]]:
    return {(target, name) for target, names in eye.matched.items() for name in names if name not in TELLING}


SHIPPED = [
    ("traffic-surge", {("checkout", "scale-out")}),
    ("memory-leak", {("recommender", "restart-leaking")}),
    ("bad-release", {("storefront", "rollback-release")}),
    ("stale-cache", {("catalog", "flush-stale-cache")}),
    ("dependency-outage", set()),
    ("dark-telemetry", set()),
]


@pytest.mark.parametrize(("fault", "right"), SHIPPED, ids=[name for name, _ in SHIPPED])
def test_faults_of_the_world(packs: Definitions, fault: str, right: set[tuple[str, str]]) -> None:
    eye = seen_in(packs, [WORLD / "services", WORLD / "faults"], fault)
    assert acting(eye) == right
    assert eye.symptoms, "the fault shows"


def test_quiet_world(packs: Definitions) -> None:
    assert seen_in(packs, [WORLD / "services", WORLD / "faults"], "", lasts=480).symptoms == {}


OTHER_SERVICES = """\
apiVersion: aiops-testbed/v1
kind: Service
name: zz-9
namespace: plural
replicas: 4
workers: 6
serviceTime: 80ms
load: {rate: 120, noise: 0.1}
memory: {base: 300Mi, limit: 1Gi}
dependencies: [{name: alpha, calls: 0.3}]
caches: [{name: improbable, entries: 50, hitRatio: 0.8}]
---
apiVersion: aiops-testbed/v1
kind: Service
name: alpha
namespace: plural
replicas: 2
workers: 8
serviceTime: 15ms
load: {rate: 15, noise: 0.1}
memory: {base: 64Mi, limit: 128Mi}
dependencies: [{name: vogon, external: true, latency: 40ms}]
"""
OTHER_FAULTS = """\
apiVersion: aiops-testbed/v1
kind: Fault
name: slow
service: zz-9
effects: [{what: release, serviceTime: 2.6}]
cures: releasePods == 0 and rolledOut
---
apiVersion: aiops-testbed/v1
kind: Fault
name: crashing
service: alpha
effects: [{what: release, crashes: true}]
cures: releasePods == 0 and rolledOut
---
apiVersion: aiops-testbed/v1
kind: Fault
name: few-errors
service: alpha
effects: [{what: release, errors: 0.12}]
cures: releasePods == 0 and rolledOut
---
apiVersion: aiops-testbed/v1
kind: Fault
name: slow-surge
service: zz-9
effects: [{what: load, curve: {shape: ramp, to: 2.6, over: 90s}}]
cures: readyReplicas >= 8
---
apiVersion: aiops-testbed/v1
kind: Fault
name: leaking
service: alpha
effects: [{what: memory-leak, pods: startedBefore, curve: {shape: step, to: 300Ki}}]
cures: podsStartedAfterFault
---
apiVersion: aiops-testbed/v1
kind: Fault
name: old-entries
service: zz-9
effects: [{what: stale-cache, curve: {to: 0.4}}]
cures: staleKeys == 0
---
apiVersion: aiops-testbed/v1
kind: Fault
name: refused
service: alpha
effects: [{what: dependency, dependency: vogon, mode: refuse, curve: {shape: step, to: 0.5}}]
cures: never
act: wrong
---
apiVersion: aiops-testbed/v1
kind: Fault
name: waiting
service: alpha
effects: [{what: dependency, dependency: vogon, mode: slow, curve: {shape: step, to: 40}}]
cures: never
act: wrong
---
apiVersion: aiops-testbed/v1
kind: Fault
name: all-dark
service: alpha
effects: [{what: telemetry, of: all}]
cures: never
act: wrong
"""
OTHER = [
    ("slow", {("zz-9", "rollback-slow-release"), ("zz-9", "rollback-release")}),  # nobody acts here, so it comes to errors too
    ("crashing", {("alpha", "rollback-release")}),
    ("few-errors", {("alpha", "rollback-release")}),
    ("slow-surge", {("zz-9", "scale-out")}),
    ("leaking", {("alpha", "restart-leaking")}),
    ("old-entries", {("zz-9", "flush-stale-cache")}),
    ("refused", set()),
    ("waiting", set()),
    ("all-dark", set()),
]


@pytest.mark.parametrize(("fault", "right"), OTHER, ids=[name for name, _ in OTHER])
def test_faults_of_services_never_seen_before(packs: Definitions, tmp_path: Path, fault: str, right: set[tuple[str, str]]) -> None:
    (tmp_path / "services.yaml").write_text(OTHER_SERVICES)
    (tmp_path / "faults.yaml").write_text(OTHER_FAULTS)
    eye = seen_in(packs, [tmp_path], fault)
    assert acting(eye) == right, (eye.symptoms, eye.matched)
    assert eye.symptoms, "the fault shows"
