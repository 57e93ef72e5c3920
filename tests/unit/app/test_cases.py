"""`aiops test` itself: what a test may assert, what may happen during one, and how a difference reads."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from aiops.app.case_diff import difference
from aiops.app.cases import CaseResult, run_cases
from aiops.app.config import read_settings
from tests.scenarios.stage import RULES, RUNBOOK

OBJECTS = """
    objects:
      - kind: Deployment
        metadata: {name: checkout, namespace: shop}
        spec:
          replicas: 2
          selector: {matchLabels: {app: checkout}}
          template:
            metadata: {labels: {app: checkout}}
            spec: {containers: [{name: app, image: "checkout:1"}]}
"""
# One value each 5 s: busy from the second minute on; `AFTER` is what the level is from two and a half minutes on.
HEAD = """
apiVersion: aiops/v1
kind: Test
tests:
  - name: one
    act: true
    series: [{series: 'load{namespace="shop",workload="checkout"}', values: '40x23 95x5 AFTERx60'}]
"""


def run(folder: Path, expect: str, *, runbook: str = RUNBOOK, after: str = "40", head: str = HEAD) -> CaseResult:
    for name, text in (("rules.yaml", RULES), ("book.yaml", runbook), ("one.test.yaml", head.replace("AFTER", after) + OBJECTS + expect)):
        (folder / name).write_text(text, encoding="utf-8")
    settings = read_settings(None).model_copy(update={"rules": (str(folder / "rules.yaml"),), "runbooks": (str(folder / "book.yaml"),)})
    return run_cases((folder / "one.test.yaml",), settings)[0]


def test_a_run_that_acts_is_verified_and_the_object_is_as_it_was_left(tmp_path: Path) -> None:
    result = run(tmp_path, """
    expect:
      - {at: 90s, incidents: [], runs: [], objects: [{target: shop/deployment/checkout, fields: {spec: {replicas: 2}}}]}
      - at: 4m
        actions: [{runbook: grow, step: scale, action: scale, arguments: {by: "+1"}}]
        approvals: []
        verification: {judgement: helped, reason: Verified}
        runs: [{runbook: grow, target: shop/deployment/checkout, state: done, outcome: succeeded}]
        undone: []
        objects: [{target: shop/deployment/checkout, fields: {spec: {replicas: 3}}}, {target: shop/deployment/other, absent: true}]
        told: ["grow ended: succeeded"]
    """)
    assert result.failures == ()


def test_what_harmed_is_undone(tmp_path: Path) -> None:
    result = run(tmp_path, """
    expect:
      - at: 275s
        verification: [{runbook: grow, judgement: harmed}]
        undone: [scale]
        objects: [{target: shop/deployment/checkout, fields: {spec: {replicas: 2}}}]
    """, after="250")
    assert result.failures == ()


@pytest.mark.parametrize(
    ("answer", "state", "replicas"), [("approve: grow", "approved, by: ada", 3), ("reject: grow", "rejected", 2)],
)
def test_a_person_answers(tmp_path: Path, answer: str, state: str, replicas: int) -> None:
    result = run(tmp_path, f"""
    changes: [{{at: 170s, {answer}, by: ada}}]
    expect:
      - {{at: 165s, approvals: [{{runbook: grow, state: waiting}}], runs: [{{runbook: grow, state: awaiting-approval}}]}}
      - at: 4m
        approvals: [{{runbook: grow, target: shop/deployment/checkout, state: {state}}}]
        objects: [{{target: shop/deployment/checkout, fields: {{spec: {{replicas: {replicas}}}}}}}]
    """, runbook=RUNBOOK.replace("mode: auto", "mode: approve"), after="95")
    assert result.failures == ()


def test_others_change_objects_meanwhile(tmp_path: Path) -> None:
    result = run(tmp_path, """
    changes:
      - {at: 10s, patch: {metadata: {annotations: {aiops/automation: disabled}}}, target: shop/deployment/checkout}
      - {at: 20s, apply: {kind: ConfigMap, metadata: {name: flags, namespace: shop}, data: {a: b}}}
      - {at: 30s, delete: shop/configmap/flags}
    expect:
      - {at: 25s, objects: [{target: shop/configmap/flags, fields: {data: {a: b}}}]}
      - {at: 35s, objects: [{target: shop/configmap/flags, absent: true}]}
      - {at: 4m, runs: [], refusals: [{runbook: grow, guard: opt-out, reason: OptedOut}]}
    """)
    assert result.failures == ()


def test_a_change_that_cannot_be_made_fails_the_test(tmp_path: Path) -> None:
    result = run(tmp_path, """
    changes: [{at: 10s, delete: shop/deployment/nothing}, {at: 20s, approve: grow}]
    expect: [{at: 30s, incidents: []}]
    """)
    assert len(result.failures) == 2
    assert "nothing" in result.failures[0]
    assert "no run of grow waits for approval" in result.failures[1]


def test_every_kind_of_expectation_can_fail(tmp_path: Path) -> None:
    result = run(tmp_path, """
    expect:
      - at: 4m
        incidents: [{severity: critical}]
        actions: [{runbook: grow, action: scale, arguments: {by: "+3"}}]
        refusals: [{runbook: grow, reason: OptedOut}]
        approvals: [{runbook: grow}]
        verification: {judgement: harmed}
        undone: [scale]
        runs: [{runbook: grow, outcome: failed}]
        objects: [{target: shop/deployment/checkout, fields: {spec: {replicas: 7}}}]
        told: ["nobody says this"]
    """)
    said = [failure.splitlines()[0].removeprefix("at 240 s: ").partition(":")[0] for failure in result.failures]
    assert said == ["incidents", "actions", "refusals", "approvals", "verification", "undone", "runs", "objects", "told"]


def test_a_difference_reads_as_a_diff() -> None:
    wanted: list[dict[str, Any]] = [{"runbook": "grow", "arguments": {"by": "+3"}}]
    there: list[dict[str, Any]] = [{"runbook": "other"}, {"runbook": "grow", "arguments": {"by": "+1", "maximum": 5}}]
    text = next(difference("actions", wanted, there))
    assert [line.removeprefix("      ") for line in text.splitlines()] == [
        "actions: - expected, + seen",
        "  - runbook: grow",
        "    arguments:",
        "-     by: '+3'",
        "+     by: '+1'",
        "+ - runbook: other",
    ]


def test_what_fits_is_never_taken_by_another() -> None:
    wanted: list[dict[str, Any]] = [{"a": 1}, {"a": 1, "b": 2}]
    there: list[dict[str, Any]] = [{"a": 1, "b": 2}, {"a": 1, "b": 3}]
    assert list(difference("x", wanted, there)) == []
    assert list(difference("x", [], [])) == []
    assert next(difference("x", [], [{"a": 1}])).splitlines()[1:] == ["      + - a: 1"]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("{at: 1s}", "exactly one of"),
        ("{at: 1s, patch: {}}", "patch and target go together"),
        ("{at: 1s, delete: nonsense}", "is no target"),
        ("{at: 1s, apply: {}, reject: grow}", "exactly one of"),
    ],
)
def test_a_change_is_one_thing(tmp_path: Path, change: str, words: str) -> None:
    with pytest.raises(Exception, match=words):
        run(tmp_path, f"""
    changes: [{change}]
    expect: [{{at: 1m}}]
    """)
