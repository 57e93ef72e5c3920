"""Runbooks that ask a person, tested as authors do: answers are given, refused and expected; and what an answer comes to is judged by the guards."""

from __future__ import annotations

from pathlib import Path

import pytest

from aiops.app.cases import CaseResult
from tests.unit.app.test_cases import run

SHRINK = """
apiVersion: aiops/v1
kind: Runbook
metadata: {name: shrink}
mode: auto
match: '"saturation" in incident.symptoms'
steps:
  - {name: ask, action: suspend, arguments: {question: How many?, type: int, minimum: 1, maximum: 60, for: 60s}}
  - {name: set, action: scale, needs: [ask], ON_FAILURE arguments: {to: "{{ steps.ask.output.answer }}"}}
  - {name: tell, action: notify, needs: [set], arguments: {message: "it is {{ steps.set.outcome }}"}}
guards: {cooldown: 10m}
"""
HEAD = """
apiVersion: aiops/v1
kind: Test
tests:
  - name: one
    act: true
    series: [{series: 'load{namespace="shop",workload="checkout"}', values: '40x23 95x65'}]
"""


def played(folder: Path, text: str, *, book: str = SHRINK, on_failure: str = "", head: str = HEAD) -> CaseResult:
    return run(folder, text.replace("ANSWER", "answer: shrink, step: ask"), runbook=book.replace("ON_FAILURE", on_failure), head=head)


def test_a_person_answers_and_the_answer_is_an_argument(tmp_path: Path) -> None:
    result = played(tmp_path, """
    changes:
      - {at: 140s, ANSWER, value: ten, refused: "'ten' is no answer; allowed: a whole number from 1 up to 60"}
      - {at: 145s, answer: shrink, value: 61, refused: out of bounds}
      - {at: 150s, ANSWER, value: 3, by: ada}
    expect:
      - {at: 130s, answers: [{runbook: shrink, step: ask, state: waiting}], objects: [{target: shop/deployment/checkout, fields: {spec: {replicas: 2}}}]}
      - at: 180s
        answers: [{runbook: shrink, step: ask, state: answered, value: 3, by: ada}]
        actions: [{runbook: shrink, action: scale, arguments: {to: 3}}]
        objects: [{target: shop/deployment/checkout, fields: {spec: {replicas: 3}}}]
        told: ["it is succeeded"]
    """)
    assert result.failures == ()


def test_answers_that_are_not_as_expected_are_told(tmp_path: Path) -> None:
    result = played(tmp_path, """
    changes:
      - {at: 20s, ANSWER, value: 3}
      - {at: 140s, ANSWER, value: 99}
      - {at: 145s, ANSWER, value: 2, refused: out of bounds}
    expect:
      - {at: 180s, answers: [{runbook: shrink, step: ask, state: answered, value: 3, by: ada}]}
    """)
    assert [line for failure in result.failures for line in failure.splitlines()] == [
        "at 180 s: answers: - expected, + seen",
        "        - runbook: shrink",
        "          step: ask",
        "          state: answered",
        "      -   value: 3",
        "      +   value: 2",
        "      -   by: ada",
        "      +   by: a-person",
        "at 20 s: changes: no run of shrink waits for an answer",
        "at 140 s: changes: answer shrink: refused: '99' is out of bounds; allowed: a whole number from 1 up to 60",
        "at 145 s: changes: answer shrink: it was taken, and was to be refused: out of bounds",
    ]


@pytest.mark.parametrize(("default", "state", "outcome"), [("", "unanswered", "failed"), (", default: '2'", "defaulted", "skipped")])
def test_nobody_answers(tmp_path: Path, default: str, state: str, outcome: str) -> None:
    result = played(tmp_path, f"""
    expect:
      - at: 210s
        answers: [{{runbook: shrink, state: {state}}}]
        objects: [{{target: shop/deployment/checkout, fields: {{spec: {{replicas: 2}}}}}}]
    """, book=SHRINK.replace("for: 60s", "for: 60s" + default))
    assert result.failures == ()


@pytest.mark.parametrize(
    ("value", "guard", "reason"),
    [(1, "blast-radius", "TooLargeShare"), (55, "replicas", "AboveMaximum")],
)
@pytest.mark.parametrize(("on_failure", "outcome", "told"), [("", "error", 0), ("onFailure: continue,", "succeeded", 1)])
def test_what_a_person_answers_is_judged_and_a_refusal_writes_nothing(
    tmp_path: Path, value: int, guard: str, reason: str, on_failure: str, outcome: str, told: int,
) -> None:
    # One of two is half: so much may go, but not of three.
    result = played(tmp_path, f"""
    changes:
      - {{at: 10s, patch: {{spec: {{replicas: 3}}}}, target: shop/deployment/checkout, by: kubectl}}
      - {{at: 140s, ANSWER, value: {value}}}
    expect:
      - {{at: 130s, refusals: []}}
      - at: 180s
        refusals: [{{runbook: shrink, guard: {guard}, reason: {reason}}}]
        runs: [{{runbook: shrink, outcome: {outcome}}}]
        objects: [{{target: shop/deployment/checkout, fields: {{spec: {{replicas: 3}}}}}}]
        {"told: [it is error]" if told else ""}
    """, on_failure=on_failure)
    assert result.failures == ()


@pytest.mark.parametrize(("times", "guard", "reason"), [(20, "replicas", "AboveMaximum"), (1, "", "")])
def test_a_simulated_run_is_judged_in_the_same_way(tmp_path: Path, times: int, guard: str, reason: str) -> None:
    book = f"""
apiVersion: aiops/v1
kind: Runbook
metadata: {{name: shrink}}
mode: auto
match: '"saturation" in incident.symptoms'
steps:
  - {{name: first, action: scale, arguments: {{by: "+1"}}}}
  - {{name: set, action: scale, needs: [first], arguments: {{to: "{{{{ steps.first.output.to * {times} }}}}"}}}}
"""
    result = played(tmp_path, f"""
    expect:
      - at: 150s
        refusals: {f"[{{runbook: shrink, guard: {guard}, reason: {reason}}}]" if guard else "[]"}
        runs: [{{runbook: shrink, outcome: {"error" if guard else "simulated"}}}]
    """, book=book, head=HEAD.replace("act: true", "act: false"))
    assert result.failures == ()


def test_two_answers_in_a_row_are_judged_together(tmp_path: Path) -> None:
    # 4 → 3 → 2 is half of four, 4 → 3 → 1 is more, though it is less than half of what the second step finds... which is two of three.
    book = SHRINK.replace("  - {name: tell", """  - {name: more, action: suspend, needs: [set], arguments: {question: And now?, type: int, minimum: 1, maximum: 9, for: 60s}}
  - {name: again, action: scale, needs: [more], arguments: {to: "{{ steps.more.output.answer }}"}}
  - {name: tell""").replace("needs: [set], arguments: {message", "needs: [again], arguments: {message")
    result = played(tmp_path, """
    changes:
      - {at: 10s, patch: {spec: {replicas: 6}}, target: shop/deployment/checkout, by: kubectl}
      - {at: 140s, answer: shrink, value: 4}
      - {at: 160s, answer: shrink, value: 2}
    expect:
      - {at: 155s, objects: [{target: shop/deployment/checkout, fields: {spec: {replicas: 4}}}]}
      - at: 190s
        refusals: [{runbook: shrink, guard: blast-radius, reason: TooLargeShare}]
        runs: [{runbook: shrink, outcome: error}]
        objects: [{target: shop/deployment/checkout, fields: {spec: {replicas: 4}}}]
    """, book=book)
    assert result.failures == ()


SWITCHED = """
apiVersion: aiops/v1
kind: Runbook
metadata: {name: tune}
mode: auto
match: '"saturation" in incident.symptoms'
steps:
  - {name: which, action: suspend, arguments: {question: Which?, type: string, choices: [flags, others], for: 60s, default: flags}}
  - {name: set, action: set-config, needs: [which], arguments: {configMap: NAME, key: mode, value: slow}}
guards: {cooldown: 10m}
"""
FLAGS = """
      - {kind: ConfigMap, metadata: {name: flags, namespace: shop, MARK}, data: {mode: fast}}
"""


@pytest.mark.parametrize("name", ["flags", '"{{ steps.which.output.answer }}"'])
@pytest.mark.parametrize(
    ("mark", "guard", "reason"),
    [
        ("labels: {aiops/automation: disabled}", "opt-out", "OptedOut"),
        ("annotations: {argocd.argoproj.io/tracking-id: 'app:/ConfigMap:shop/flags'}", "ownership", "OwnedByArgoCD"),
        ("labels: {}", "", ""),
    ],
)
def test_a_config_map_that_a_step_names_is_judged_like_any_target(tmp_path: Path, name: str, mark: str, guard: str, reason: str) -> None:
    if guard == "ownership" and name != "flags":
        guard, reason = "", "late"  # what is named late is judged by what is asked before an effect; its owner the action itself asks for
    expected = f"""refusals: [{{runbook: tune, guard: {guard}, reason: {reason}}}]""" if guard else "actions: [{runbook: tune, action: set-config}]"
    result = played(tmp_path, f"""
    expect:
      - at: 210s
        {expected}
        objects: [{{target: shop/configmap/flags, fields: {{data: {{mode: {"fast" if reason else "slow"}}}}}}}]
    """.replace("    expect", FLAGS.replace("MARK", mark) + "    expect", 1), book=SWITCHED.replace("NAME", name))
    assert result.failures == ()


PODS = """
apiVersion: aiops/v1
kind: Runbook
metadata: {name: renew}
mode: auto
match: '"saturation" in incident.symptoms'
steps:
  - name: one
    forEach: {in: [web-0, web-1, web-2], concurrency: 2}
    action: restart-pod
    target: {kind: Pod, name: "{{ item }}"}
guards: {cooldown: 10m}
"""
WEB = """
      - kind: StatefulSet
        metadata: {name: web, namespace: shop}
        spec:
          replicas: 12
          serviceName: web
          selector: {matchLabels: {app: web}}
          template:
            metadata: {labels: {app: web}, annotations: {testbed.aiops/ready-after: 3s}}
            spec: {containers: [{name: app, image: "web:1"}]}
"""


def test_items_that_go_side_by_side_are_not_stopped_by_each_others_being_gone(tmp_path: Path) -> None:
    result = played(tmp_path, WEB + """
    expect:
      - at: 4m
        runs: [{runbook: renew, outcome: succeeded}]
    """, book=PODS)
    assert result.failures == ()
