"""Scaling ahead of a peak that comes each day (here: each twenty minutes), with the reactive path as the floor."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from tests.scenarios.stage import START, Stage

DAY, PEAK = 1200.0, 300.0
RULES = """
apiVersion: aiops/v1
kind: RuleSet
metadata: {name: peaks}
rules:
  - name: peak-ahead
    capacity: {use: busy, limit: 0.8 * replicas, leadTime: 2m, step: 20s, history: 4h, horizons: [2m, 4m], season: 20m}
    every: 10s
    severity: info
    detector: {type: exhaustion, probability: 0.5, critical: 0.9, gate: 0.1}
    target: {kind: Deployment, namespace: shop, name: "{{ labels.workload }}"}
    labels: {symptom: peak-ahead}
  - name: saturation
    query: busy / on (workload) replicas
    every: 5s
    for: 5s
    severity: warning
    detector: {type: threshold, above: 0.9}
    target: {kind: Deployment, namespace: shop, name: "{{ labels.workload }}"}
    labels: {symptom: saturation}
"""
BOOK = """
apiVersion: aiops/v1
kind: Runbook
metadata: {name: %s}
mode: auto
priority: %d
match: '%s'
steps:
  - {name: scale, action: scale, arguments: {by: "%s", maximum: 12}}
verify: {query: 'busy{workload="checkout"} / on (workload) replicas', passes: value < 0.85, after: 5s, within: 1m, every: 5s}
guards: {cooldown: 30s, maximumPerIncident: 6, maximumReplicas: 12}
"""
AHEAD = BOOK % ("ahead", 60, '"peak-ahead" in incident.symptoms && !("saturation" in incident.symptoms) && !target.rolling', "+100%")
REACT = BOOK % ("react", 40, '"saturation" in incident.symptoms && !target.rolling', "+100%")


class Shop(Stage):
    """`demand` says how many workers would be busy at a time; the queue is not modelled: busy never exceeds the replicas."""

    def open(self, low: float = 1.0, high: float = 3.0, now: float | None = None) -> Shop:
        self.low, self.high, self.now = low, high, now if now is not None else high
        past = np.arange(START - 6 * DAY, START, 10.0)
        for name, values in (("busy", [self.usual(t) for t in past]), ("replicas", [2.0 if self.usual(t) < 1.5 else 5.0 for t in past])):
            self.samples.append_many({"__name__": name, "workload": "checkout"}, past, np.array(values))
        self.time.every("shop", 5.0, self._sample)
        return self

    def usual(self, at: float) -> float:
        """Peaks end each day at its end."""
        return self.high if (at - START) % DAY >= DAY - PEAK else self.low

    def demand(self, at: float) -> float:
        return self.low if self.usual(at) == self.low else self.now

    def _sample(self) -> None:
        at, replicas = self.time.now(), float(self.replicas())
        self.samples.append({"__name__": "busy", "workload": "checkout"}, at, min(self.demand(at), replicas))
        self.samples.append({"__name__": "replicas", "workload": "checkout"}, at, replicas)


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return Shop(tmp_path, rules=RULES, runbooks=(AHEAD, REACT))


def test_replicas_are_there_before_the_peak_and_not_long_before(shop: Shop) -> None:
    shop.open().run(DAY - PEAK - 180.0)
    assert shop.replicas() == 2
    shop.run(170.0)
    assert shop.replicas() >= math.ceil(3.0 / 0.8)
    assert {r.plan.runbook for r in shop.runs} == {"ahead"}
    before = shop.replicas()
    shop.run(PEAK)
    assert shop.replicas() == before
    assert "react" not in {r.plan.runbook for r in shop.runs}


def test_a_peak_that_is_higher_than_foretold_is_met_by_the_reactive_path(shop: Shop) -> None:
    shop.open(now=8.0).run(DAY - PEAK - 10.0)
    ahead = shop.replicas()
    assert ahead < 8
    shop.run(200.0)
    assert shop.replicas() >= 8
    assert "react" in {r.plan.runbook for r in shop.runs}


def test_a_peak_that_does_not_come_leaves_what_was_added_and_the_bound_holds(shop: Shop) -> None:
    shop.open(now=1.0).run(DAY)
    assert 2 < shop.replicas() <= 12
    assert {r.plan.runbook for r in shop.runs} == {"ahead"}


def test_a_peak_that_nobody_foretold_is_met_all_the_same(shop: Shop) -> None:
    shop.open(low=1.0, high=1.0, now=1.0)
    shop.run(60.0)
    shop.low = 2.0
    shop.run(90.0)
    assert shop.replicas() == 4
