"""What is behind a claim: the parts of a sum and what else changed, stored with the incident, told with it; and what fails leaves the incident as it was."""

from __future__ import annotations

from pathlib import Path

import pytest

from aiops.domain.errors import SourceUnavailableError
from aiops.domain.series import SampleBatch
from aiops.pipeline import explaining
from tests.scenarios.stage import RULES, RUNBOOK, Stage

WATCHING = RUNBOOK.replace("mode: auto", "mode: observe")
SUMMED = RULES.replace("query: load", "query: sum by (namespace, workload) (used)").replace("above: 80", "above: 60") + """
  - name: memory
    query: memory
    every: 5s
    severity: info
    detector: {type: threshold, above: 1000000}
    target: {kind: Deployment, namespace: "{{ labels.namespace }}", name: "{{ labels.workload }}"}
"""


class Pods:
    """Twenty pods of checkout at 1 each, and memory of search at 100."""

    def __init__(self, stage: Stage) -> None:
        self.stage, self.used, self.memory, self.asked = stage, {f"checkout-{n}": 1.0 for n in range(20)}, 100.0, list[str]()
        stage.time.every("pods", 1.0, self._second)

    def _second(self) -> None:
        now = self.stage.time.now()
        for pod, value in self.used.items():
            self.stage.samples.append({"__name__": "used", "namespace": "shop", "workload": "checkout", "pod": pod, "node": "n1"}, now, value)
        self.stage.samples.append({"__name__": "memory", "namespace": "shop", "workload": "search"}, now, self.memory)


@pytest.fixture
def pods(tmp_path: Path) -> Pods:
    pods = Pods(Stage(tmp_path, rules=SUMMED, runbooks=(WATCHING,)))
    pods.stage.run(200)
    return pods


def test_the_pods_that_stand_out_are_stored_and_told(pods: Pods) -> None:
    pods.used |= {"checkout-3": 30.0, "checkout-8": 25.0}
    pods.stage.run(30)
    (incident,) = pods.stage.incidents
    (claim,) = incident.signals.values()
    assert [str(c) for c in claim.evidence.contributors] == ["2 of 20 pods: checkout-3 30 (before 1), checkout-8 25 (before 1)"]
    root = pods.stage.notifier.posts[0].message.view
    assert root is not None
    assert "2 of 20 pods: checkout-3 30 (before 1), checkout-8 25 (before 1)" in root.contributors
    # When it is over, who it was is still known.
    pods.used = dict.fromkeys(pods.used, 1.0)
    pods.stage.run(100)
    (incident,) = pods.stage.incidents
    (over,) = incident.signals.values()
    assert (incident.state.value, over.state.value, over.evidence.contributors) == ("resolved", "cleared", claim.evidence.contributors)


def test_what_changed_beside_it_is_a_candidate(pods: Pods) -> None:
    pods.memory = 900.0
    pods.stage.run(10)
    pods.used |= {"checkout-3": 80.0}
    pods.stage.run(20)
    (incident,) = pods.stage.incidents
    assert [(c.rule, c.about, c.relation, c.before, c.now) for c in incident.causes] == [("memory", "shop/deployment/search", "same node", 100.0, 900.0)]
    assert pods.stage.notifier.posts[0].message.view.causes == (str(incident.causes[0]),)  # type: ignore[union-attr]


def test_a_source_that_refuses_leaves_the_incident_without(pods: Pods, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = pods.stage.metrics.instant

    asked: list[str] = []

    def refuses(query: str, at: float) -> SampleBatch:
        if "pod" in query:
            asked.append(query)
            raise SourceUnavailableError("prometheus", "Timeout", "no answer")
        return plain(query, at)

    monkeypatch.setattr(pods.stage.metrics, "instant", refuses)
    pods.used |= {"checkout-3": 80.0}
    pods.stage.run(30)
    (incident,) = pods.stage.incidents
    assert [s.evidence.contributors for s in incident.signals.values()] == [()]
    # It is asked nothing more of this kind for a while, whatever is claimed.
    pods.used |= {"checkout-3": 1.0}
    pods.stage.run(20)
    pods.used |= {"checkout-3": 80.0}
    pods.stage.run(20)
    assert len(asked) == 1


def test_asking_is_bounded_and_not_repeated(pods: Pods, monkeypatch: pytest.MonkeyPatch) -> None:
    plain, asked = pods.stage.metrics.instant, list[str]()

    def counted(query: str, at: float) -> SampleBatch:
        asked.append(query)
        return plain(query, at)

    monkeypatch.setattr(pods.stage.metrics, "instant", counted)
    for _ in range(3):
        pods.used |= {"checkout-3": 80.0}
        pods.stage.run(20)
        pods.used |= {"checkout-3": 1.0}
        pods.stage.run(20)
    extra = [q for q in asked if "pod" in q]
    assert 0 < len(extra) <= 1 + 2 * explaining.LABELS


def test_a_store_that_fails_loses_the_explanation_and_nothing_else(pods: Pods) -> None:
    pods.used |= {"checkout-3": 80.0}
    pods.stage.store.broken = "write"
    pods.stage.run(15, errors=True)
    pods.stage.store.broken = ""
    pods.stage.errors.clear()
    pods.stage.run(30)
    assert [i.state.value for i in pods.stage.incidents] == ["open"]
