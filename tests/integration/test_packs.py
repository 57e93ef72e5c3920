"""The shipped packs together: rules find faults in services whose names they have never seen, stay quiet without, and at no moment does a
runbook match that would be wrong. Real detectors, correlation and matching over a plant in memory, in virtual time.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import promql_parser
import pytest

from aiops.correlate.grouping import group
from aiops.correlate.incident_flow import FlowPolicy, absorb, tick
from aiops.correlate.inhibition import muted_claims
from aiops.definitions.arguments import typed
from aiops.definitions.loader import Definitions, load_definitions
from aiops.definitions.templates import render
from aiops.detect.bank import RuleBank
from aiops.detect.contract import Window
from aiops.detect.findings import Finding
from aiops.domain.incident import Incident
from aiops.domain.rule import ObjectQuery, PromQuery, Rule
from aiops.domain.runbook import Mode
from aiops.domain.signal import Signal, SignalKind
from aiops.domain.target import TargetRef
from aiops.execution.actions.registry import SPECS
from aiops.pipeline.poller import match_volume
from aiops.remediate.matching import candidates
from aiops.remediate.planner import make_plan
from aiops.remediate.storm import began
from tests.integration.pack_plant import Plant, PlantService

ROOT = Path(__file__).parents[2]
SOURCES = {"prometheus": "prometheus", "elasticsearch": "elasticsearch"}
TELLING = {"page-a-person"}
"""Runbooks of the pack that change nothing; every other one acts."""


@pytest.fixture(scope="module")
def packs() -> Definitions:
    definitions = load_definitions([ROOT / "rules"], [ROOT / "runbooks"], actions=SPECS, sources=SOURCES)
    assert [str(p) for p in definitions.problems] == []
    return definitions


@dataclass
class Run:
    """What happened: symptoms by target as they first fired, and runbooks by target as they first matched, in order, with the time since the fault."""

    symptoms: dict[str, dict[str, float]] = field(default_factory=dict)
    matched: dict[str, dict[str, float]] = field(default_factory=dict)
    plans: list[str] = field(default_factory=list)

    def acting(self, service: str) -> list[str]:
        return [name for name in self.matched.get(service, {}) if name not in TELLING]


class Watch:
    """Polls all PromQL rules of the packs over a plant and keeps incidents."""

    def __init__(self, packs: Definitions, plant: Plant, releases: dict[str, tuple[int, float]] | None = None) -> None:
        self.plant, self.runbooks, self.releases = plant, packs.runbooks, releases or {}
        self.rules = [rule for rule in packs.rules if isinstance(rule.query, PromQuery)]
        self.banks = {rule.name: RuleBank(rule) for rule in self.rules}
        self.due = dict.fromkeys(self.banks, 0.0)
        self.inhibits = {rule.name: rule.inhibits for rule in packs.rules}
        self.incidents: dict[str, Incident] = {}
        self.answers: dict[str, Any] = {}

    def run(self, seconds: float, each: Callable[[float], None] = lambda _: None) -> Run:
        """`each` is told the seconds since this run began, before every interval."""
        found, begin = Run(), self.plant.now
        while self.plant.now - begin < seconds:
            each(self.plant.now - begin)
            self.plant.step()
            self.poll(found, begin)
        return found

    def poll(self, found: Run, begin: float) -> None:
        now = self.plant.now
        self.answers.clear()
        signals = [signal for rule in self.rules if now >= self.due[rule.name] for signal in self.ask(rule, now)]
        for fingerprint, members in group(signals).items():
            incident = self.incidents.get(fingerprint)
            active = incident if incident and incident.active else None
            flow = absorb(active, None if active else incident, members, now, FlowPolicy())
            if flow.incident is not None:
                self.incidents[fingerprint] = flow.incident
        for fingerprint, incident in list(self.incidents.items()):
            self.incidents[fingerprint] = tick(incident, now, FlowPolicy()).incident or incident
            self.decide(incident, now, found, begin)

    def ask(self, rule: Rule, now: float) -> list[Signal]:
        self.due[rule.name] = now + rule.every
        assert isinstance(rule.query, PromQuery)
        batch = self.query(rule.query.text)
        volume = match_volume(batch.labels, self.query(rule.volume_query)) if rule.volume_query else None
        bank = self.banks[rule.name]
        if bank.compares:
            since = {series: self.releases.get(labels.get("workload", ""), (0, math.nan))[1] for series, labels in bank.subjects()}
            bank.released({series: Window(at, at) for series, at in since.items()})
        return [self.signal(rule, finding, now) for finding in bank.observe(batch, volume).findings]

    def query(self, text: str) -> Any:
        if text not in self.answers:
            self.answers[text] = self.plant.prometheus.instant(text, self.plant.now)
        return self.answers[text]

    def signal(self, rule: Rule, finding: Finding, now: float) -> Signal:
        labels = {k: v for k, v in finding.labels.items() if k != "__name__"}
        target = None
        if rule.target is not None:
            namespace = render(rule.target.namespace, {"labels": labels}) if rule.target.namespace else ""
            target = TargetRef(rule.target.kind, namespace, render(rule.target.name, {"labels": labels}))
        seen = finding.evidence
        facts = {"labels": {**labels, **rule.labels}, "value": seen.value, "expected": seen.expected, "rule": rule.name, "target": str(target)}
        return Signal(
            f"{rule.name}{now}", rule.name, rule.detector.type, SignalKind.METRIC, finding.state, finding.severity, now, finding.series,
            {**labels, **rule.labels}, target, render(rule.summary, facts), seen,
        )  # fmt: skip

    def decide(self, incident: Incident, now: float, found: Run, begin: float) -> None:
        if not incident.active or not incident.firing:
            return
        name = incident.target.name if incident.target else ""
        muted = muted_claims(incident, self.inhibits)
        effective = replace(incident, signals={k: s for k, s in incident.signals.items() if k not in muted})
        for symptom in incident.symptoms:
            found.symptoms.setdefault(name, {}).setdefault(symptom, now - begin)
        if incident.target is None:
            return
        facts = self.facts(effective, now)
        matched = candidates(effective, facts, self.runbooks, now).matched
        for runbook in matched[:1]:
            if runbook.name not in found.matched.setdefault(name, {}):
                found.matched[name][runbook.name] = now - begin
                plan = make_plan(runbook, effective, incident.target, facts, render, now, 1, convert=lambda a, n, v: typed(SPECS[a].parameters[n], v))
                found.plans.append(f"{runbook.name}: {plan.steps[0].arguments}")
                if plan.verify is not None:
                    promql_parser.parse(plan.verify.query)
                    level = self.plant.prometheus.instant(plan.verify.query, now)
                    assert len(level), f"{runbook.name} measures nothing: {plan.verify.query}"

    def facts(self, incident: Incident, now: float) -> dict[str, Any]:
        target = incident.target
        assert target is not None
        service = next((s for s in self.plant.services if s.name == target.name), None)
        previous, since = self.releases.get(target.name, (0, 0.0))
        replicas = service.replicas if service else 0
        return {
            "incident.severity": incident.severity.value,
            "incident.labels": dict(incident.labels),
            "incident.rules": sorted({s.rule for s in incident.firing}),
            "incident.symptoms": list(incident.symptoms),
            "incident.ageSeconds": now - incident.opened_at,
            "incident.openSeconds": now - began(incident),
            "incident.signals": len(incident.firing),
            "incident.tried": [],
            "incident.summaries": [],
            "incident.forecast": False,
            "target.kind": target.kind,
            "target.namespace": target.namespace,
            "target.name": target.name,
            "target.labels": {},
            "target.replicas": replicas,
            "target.readyReplicas": replicas,
            "target.availableReplicas": replicas,
            "target.revision": previous + 1,
            "target.previousRevision": previous,
            "target.revisionAgeSeconds": now - since,
            "target.settledSeconds": now - since,
            "target.rolling": False,
            "target.ownedBy": "",
            "target.crashes": [],
            "target.crashCauses": [],
            "target.configChanges": [],
            "target.probeChanged": False,
            "target.exists": service is not None,
            "cluster.unreadyNodes": 0,
        }


def services() -> list[PlantService]:
    return [
        PlantService("zebra-7", rate=45, dependency="ledger", cache="stripes"),
        PlantService("q", namespace="other", rate=8, service_time=0.2, dependency="q-db"),
        PlantService("a.b-c", rate=70, service_time=0.02, cache="abc"),
    ]


@pytest.mark.parametrize("interval", [15.0, 30.0])
def test_quiet_without_a_fault(packs: Definitions, interval: float) -> None:
    """Noise and a load that swings by a third: not one signal. Each interval of scraping that is usual."""
    plant = Plant(services(), interval=interval)
    rates = [s.rate for s in plant.services]

    def swing(since: float) -> None:
        for service, rate in zip(plant.services, rates, strict=True):
            service.rate = rate * (1 + 0.3 * math.sin(since / 600))

    found = Watch(packs, plant).run(interval * 90, swing)
    assert found.symptoms == {}


def scenario(
    packs: Definitions, change: Callable[[Plant, float], None], *, interval: float = 5.0, releases: dict[str, tuple[int, float]] | None = None, lasts: float = 360.0
) -> Run:
    """Five minutes of health, then a fault; releases: name → (previous revision, seconds before the fault at which it was rolled out)."""
    plant = Plant(services(), interval=interval)
    watch = Watch(packs, plant)
    assert watch.run(300).symptoms == {}
    watch.releases = {name: (previous, plant.now - before) for name, (previous, before) in (releases or {}).items()}
    return watch.run(lasts, lambda since: change(plant, since))


def test_traffic_surge_soon_after_a_release(packs: Definitions) -> None:
    """The load grew, so it is not the release: it is scaled and nothing is rolled back."""

    def surge(plant: Plant, since: float) -> None:
        plant.services[0].rate = 45 * min(3.0, 1 + since / 10)

    assert scenario(packs, surge, releases={"zebra-7": (3, 600.0)}).acting("zebra-7") == ["scale-out"]


def test_release_that_is_slow(packs: Definitions) -> None:
    def slow(plant: Plant, _: float) -> None:
        plant.services[0].service_time = 0.05 * 2.2

    assert scenario(packs, slow, releases={"zebra-7": (1, 5.0)}).acting("zebra-7") == ["rollback-slow-release"]


def test_release_that_is_so_slow_that_it_saturates(packs: Definitions) -> None:
    def slow(plant: Plant, _: float) -> None:
        plant.services[0].service_time = 0.05 * 6

    assert scenario(packs, slow, releases={"zebra-7": (1, 5.0)}).acting("zebra-7") == ["rollback-slow-release"]


def test_errors_without_a_fresh_release_go_to_a_person(packs: Definitions) -> None:
    def bad(plant: Plant, _: float) -> None:
        plant.services[1].errors = 0.4

    for releases in ({}, {"q": (7, 7200.0)}):
        found = scenario(packs, bad, releases=releases)
        assert found.acting("q") == []
        assert set(found.matched["q"]) == {"page-a-person"}


def test_memory_that_levels_off_is_no_leak(packs: Definitions) -> None:
    def warm(plant: Plant, since: float) -> None:
        plant.services[2].memory = (150 + 190 * (1 - math.exp(-since / 60))) * 2**20

    assert scenario(packs, warm, lasts=900).symptoms == {}


def test_stale_cache(packs: Definitions) -> None:
    def stale(plant: Plant, _: float) -> None:
        plant.services[0].stale = 0.5

    found = scenario(packs, stale)
    assert found.acting("zebra-7") == ["flush-stale-cache"]
    assert "flush-stale-cache: {'limit': 100000, 'cache': 'stripes', 'pattern': 'zebra-7:*'}" in found.plans


@pytest.mark.parametrize("share", [0.06, 1.0])
@pytest.mark.parametrize("release", [None, (3, 5.0)])
def test_outage_of_a_dependency_is_never_acted_on(packs: Definitions, share: float, release: tuple[int, float] | None) -> None:
    """Whatever the service shows, and however fresh its release is: only a person is told."""

    def outage(plant: Plant, _: float) -> None:
        plant.services[0].dependency_errors = share
        plant.services[0].service_time = 0.05 * (1 + 4 * share)

    found = scenario(packs, outage, releases={"zebra-7": release} if release else None, lasts=300)
    assert "dependency" in found.symptoms["zebra-7"]
    assert found.acting("zebra-7") == []
    assert set(found.matched["zebra-7"]) == {"page-a-person"}


def test_telemetry_that_goes_dark_is_never_acted_on(packs: Definitions) -> None:
    """Darkness comes in the middle of a fault, when other signals stand and a release is fresh."""

    def dark(plant: Plant, since: float) -> None:
        plant.services[0].errors = 0.4 if 5 < since < 25 else 0.001
        plant.services[0].dark = since >= 25

    found = scenario(packs, dark, releases={"zebra-7": (3, 5.0)}, lasts=300)
    assert "dark" in found.symptoms["zebra-7"]
    assert found.acting("zebra-7") == []


def test_a_service_that_was_removed_is_not_dark(packs: Definitions) -> None:
    def remove(plant: Plant, _: float) -> None:
        plant.services[:] = [s for s in plant.services if s.name != "q"]

    assert scenario(packs, remove).symptoms == {}


def test_a_scrape_job_that_is_down(packs: Definitions) -> None:
    def down(plant: Plant, _: float) -> None:
        plant.job_up = False

    assert "dark" in scenario(packs, down, lasts=90).symptoms[""]


def test_killed_for_memory_and_restarted(packs: Definitions) -> None:
    def killed(plant: Plant, since: float) -> None:
        plant.services[0].restarts, plant.services[0].oom = int(since // 60), since >= 60

    found = scenario(packs, killed)
    assert {"oom", "crash-loop"} <= set(found.symptoms["zebra-7"])
    assert found.acting("zebra-7") == []


def test_a_disk_that_fills(packs: Definitions) -> None:
    def fill(plant: Plant, since: float) -> None:
        plant.disk = min(0.97, 0.4 + since / 300)

    found = scenario(packs, fill)
    assert set(found.symptoms) == {"node-1"}
    assert set(found.symptoms["node-1"]) == {"disk"}
    assert found.acting("node-1") == []


def crashing(reason: str) -> dict[str, Any]:
    waiting = {"waiting": {"reason": reason}} if reason else {"running": {}}
    return {
        "metadata": {"name": "x-1", "namespace": "prod", "ownerReferences": [{"kind": "ReplicaSet", "name": "x"}]},
        "status": {"containerStatuses": [{"name": "side", "state": {"running": {}}}, {"name": "main", "state": waiting}]},
    }


@pytest.mark.parametrize(
    ("rule", "item", "value"),
    [
        ("crash-looping", crashing("CrashLoopBackOff"), 1.0),
        ("crash-looping", crashing("ImagePullBackOff"), 1.0),
        ("crash-looping", crashing("ContainerCreating"), 0.0),
        ("crash-looping", crashing(""), 0.0),
        ("crash-looping", {"metadata": {"name": "x"}, "status": {"phase": "Pending"}}, 0.0),
        ("crash-looping", {"metadata": {"name": "x", "ownerReferences": [{"kind": "ReplicaSet"}]}}, 0.0),
        ("crash-looping-stateful", crashing("CrashLoopBackOff"), 0.0),
        ("node-not-ready", {"status": {"conditions": [{"type": "Ready", "status": "True"}]}}, 0.0),
        ("node-not-ready", {"status": {"conditions": [{"type": "Ready", "status": "Unknown"}]}}, 1.0),
        ("node-not-ready", {"status": {"conditions": [{"type": "MemoryPressure", "status": "True"}]}}, 1.0),
        ("node-not-ready", {"status": {}}, 1.0),
    ],
)
def test_rules_on_objects(packs: Definitions, rule: str, item: dict[str, Any], value: float) -> None:
    query = next(r for r in packs.rules if r.name == rule).query
    assert isinstance(query, ObjectQuery)
    assert query.value.evaluate({"object": item, "now": 0.0}) == value


def test_every_acting_runbook_measures_and_holds_back(packs: Definitions) -> None:
    for runbook in packs.runbooks:
        acts = any(SPECS[step.action].effect.value != "none" for step in runbook.steps)
        assert (runbook.name not in TELLING) == acts
        if runbook.match.text.strip() == "false":
            # Only a person asks for it, who saw the plan, while the level is good: a measurement that passes beforehand would end the run before it began.
            assert (runbook.mode, runbook.verify, runbook.guards.maximum_per_incident) == (Mode.APPROVE, None, 1)
            continue
        if acts:
            assert runbook.verify is not None
            assert runbook.guards.maximum_per_incident is not None
            assert "prometheus" in runbook.needs_sight
        if acts and 'target.kind == "Node"' not in runbook.match.text:
            assert '"dependency" in incident.symptoms' in runbook.match.text
            assert '"dark" in incident.symptoms' in runbook.match.text


def test_each_rule_can_be_observed(packs: Definitions) -> None:
    for rule in packs.rules:
        RuleBank(rule)
        assert rule.labels.get("symptom"), rule.name
        assert rule.summary, rule.name
        assert rule.description, rule.name
