"""While a workload is rolled out, what a learned detector says of it is kept and told to nobody, until the roll-out and a grace are over."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.scenarios.stage import CHECKOUT, RULES, Stage

LEARNED = """
  - name: unusual
    query: load
    every: 5s
    for: 5s
    severity: warning
    detector: {type: seasonalZ, minimumSamples: 10, window: 60}
    target: {kind: Deployment, namespace: "{{ labels.namespace }}", name: "{{ labels.workload }}"}
    labels: {symptom: unusual}
"""


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    """Ten minutes in which nothing is wrong."""
    stage = Stage(tmp_path, rules=RULES + LEARNED)
    return stage.run(600)


def release(stage: Stage, startup: str = "40s") -> None:
    """A new image, of which a pod takes so long to be ready."""
    stage.cluster.writer("ann", "ci").patch(CHECKOUT, [
        {"op": "replace", "path": "/spec/template/spec/containers/0/image", "value": "checkout:2"},
        {"op": "add", "path": "/spec/template/metadata/annotations", "value": {"testbed.aiops/ready-after": startup}},
    ])


def words(stage: Stage) -> list[str]:
    return [p.message.text for p in stage.notifier.posts if p.reference == p.root]


def test_what_is_over_with_the_roll_out_is_kept_and_never_told(stage: Stage) -> None:
    release(stage)
    stage.load["checkout"] = 60.0
    stage.run(60)
    (incident,) = stage.incidents
    assert incident.held == "deployment/shop/checkout is being rolled out"
    assert incident.firing[0].evidence.score > 1.0
    stage.load["checkout"] = 40.0
    stage.run(300)
    assert [i.state.value for i in stage.incidents] == ["resolved"]
    assert words(stage) == []
    assert stage.reasons() >= {"Held"}


def test_what_outlasts_it_is_told_with_what_was_changed(stage: Stage) -> None:
    release(stage)
    stage.load["checkout"] = 60.0
    stage.run(100)
    assert words(stage) == []
    stage.run(120)
    assert words(stage) == ["WARNING open: shop/deployment/checkout: unusual"], stage.told()
    (incident,) = stage.incidents
    assert incident.held == ""
    assert [(c.kind, c.words, c.by) for c in incident.changes] == [("release", "revision 2: image of app from checkout:1 to checkout:2", "ci")]
    root = next(p.message.view for p in stage.notifier.posts if p.message.view is not None)
    assert root.context[0].startswith("release: revision 2: image of app from checkout:1 to checkout:2 by ci, ")


def test_a_threshold_is_told_at_once_and_takes_the_rest_with_it(stage: Stage) -> None:
    release(stage)
    stage.load["checkout"] = 60.0
    stage.run(20)
    assert words(stage) == []
    stage.load["checkout"] = 95.0
    stage.run(15)
    assert len(words(stage)) == 1
    assert all(i.held == "" for i in stage.incidents)


def test_a_roll_out_that_never_ends_silences_nobody(stage: Stage) -> None:
    release(stage, startup="100h")
    stage.load["checkout"] = 60.0
    stage.run(60)
    assert words(stage) == []
    # The progress deadline of a Deployment is ten minutes by default; the hold itself ends after fifteen.
    stage.run(640)
    assert len(words(stage)) == 1, stage.told()


def test_trouble_that_was_there_before_the_release_is_not_held(stage: Stage) -> None:
    stage.load["checkout"] = 60.0
    stage.run(15)
    assert len(words(stage)) == 1
    release(stage)
    stage.run(30)
    assert [i.held for i in stage.incidents] == [""]
