"""Steps as authors write them: what is taken, and each mistake as line, key, what is wrong and what is allowed."""

from __future__ import annotations

from pathlib import Path

import pytest

from aiops.definitions.loader import Definitions, load_definitions
from aiops.domain.runbook import Runbook, TargetSpec, UndoMode
from aiops.domain.templated import PromqlText
from aiops.execution.actions.registry import SPECS
from tests.unit.definitions.specs import ACTIONS

HEAD = "apiVersion: aiops/v1\nkind: Runbook\nmetadata: {name: fix}\nmatch: target.exists\nsteps:\n"


def load(folder: Path, steps: str, rest: str = "") -> Definitions:
    (folder / "a.yaml").write_text(HEAD + steps + rest)
    return load_definitions([], [folder], actions=SPECS)


def runbook(folder: Path, steps: str, rest: str = "") -> Runbook:
    definitions = load(folder, steps, rest)
    assert not definitions.problems
    (found,) = definitions.runbooks
    return found


def wrong(folder: Path, steps: str, rest: str = "") -> list[str]:
    """`line: key: message` for each problem."""
    definitions = load(folder, steps, rest)
    assert not definitions.runbooks
    return [f"{p.line}: {p.key}: {p.message}" for p in definitions.problems]


def load_every(folder: Path, arguments: str) -> Definitions:
    step = f"- {{name: a, action: every, arguments: {{text: x, {arguments}}}}}\n"
    (folder / "a.yaml").write_text(HEAD + step)
    return load_definitions([], [folder], actions=ACTIONS)


def test_queries_and_expressions_as_arguments(tmp_path: Path) -> None:
    given = """query: 'up{n="{{ target.name }}"} > 0', passes: 'value < 0.5', condition: 'object.status.phase == "Active"'"""
    (made,) = load_every(tmp_path, given).runbooks
    assert isinstance(made.steps[0].arguments["query"], PromqlText)
    assert made.steps[0].arguments["passes"] == "value < 0.5"


@pytest.mark.parametrize(
    ("arguments", "key", "words"),
    [
        ("query: 'rate(up'", "query", "PromQL does not parse"),
        ("query: '{{ target.name }}'", "query", "double quotes"),
        ("query: 'up[5m]'", "query", "range"),
        ("query: ''", "query", "PromQL"),
        ("query: 5", "query", "PromQL"),
        ("passes: 'value'", "passes", "bool"),
        ("passes: 'level < 1.0'", "passes", "value"),
        ("passes: '{{ target.name }} < 1.0'", "passes", "template"),
        ("condition: 'thing.x'", "condition", "object"),
    ],
)
def test_queries_and_expressions_that_are_none(tmp_path: Path, arguments: str, key: str, words: str) -> None:
    found = [f"{p.key}: {p.message}" for p in load_every(tmp_path, arguments).problems]
    assert len(found) == 1
    assert found[0].startswith(f"steps[0].arguments.{key}:")
    assert words in found[0]


def test_a_target_of_its_own(tmp_path: Path) -> None:
    made = runbook(tmp_path, '- {name: a, action: restart, target: {name: "{{ target.name }}-cache", kind: StatefulSet}}\n- {name: b, action: restart}\n')
    assert made.steps[0].target == TargetSpec(kind="StatefulSet", name="{{ target.name }}-cache")
    assert made.steps[1].target is None


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("{}", "6: steps[0].target: is empty; allowed: kind, namespace, name, context"),
        ("{kind: Deploymnt}", "6: steps[0].target.kind: no kind 'Deploymnt'; did you mean 'Deployment'? allowed: ConfigMap"),
        ("{kind: Node}", "6: steps[0].target.kind: the action restart takes Deployment, StatefulSet, DaemonSet, not Node"),
        ("{name: Cart_1}", "6: steps[0].target.name: no object can have this name: 'Cart_1'; allowed: lower-case letters, digits, - and ."),
        ('{name: "{{ targt.name }}"}', "6: steps[0].target.name: unknown name 'targt' in the template; allowed: cluster, incident, parameters, target"),
        ('{namespace: "{{ target.name"}', "6: steps[0].target.namespace: line 1 of the template: unexpected end of template"),
        ("{nmae: x}", "6: steps[0].target.nmae: unknown key 'nmae'; did you mean 'name'? allowed: kind, namespace, name, context"),
    ],
)  # fmt: skip
def test_a_target_that_cannot_be(tmp_path: Path, target: str, message: str) -> None:
    (line,) = wrong(tmp_path, f"- {{name: a, action: restart, target: {target}}}\n")
    assert line.startswith(message)


def test_what_stands_in_no_namespace_takes_none(tmp_path: Path) -> None:
    (line,) = wrong(tmp_path, "- {name: a, action: wait, arguments: {for: 1s}, target: {kind: Node, namespace: shop}}\n")
    assert line == "6: steps[0].target.namespace: a Node stands in no namespace; leave it out"


TWO = "- {name: tell-them, action: notify, arguments: {message: x}}\n"


def test_arguments_and_conditions_speak_of_steps_that_are_done(tmp_path: Path) -> None:
    text = "{{ steps.tell-them.output.channels | join }}"
    made = runbook(
        tmp_path,
        TWO + f"- {{name: b, action: wait, arguments: {{for: '{{{{ steps.tell-them.output.seconds }}}}'}}, needs: [tell-them]}}\n"
        f"- {{name: c, action: notify, arguments: {{message: '{text}'}}, needs: [b], when: steps.tell-them.outcome == 'succeeded'}}\n",
    )
    assert made.steps[1].arguments["for"] == "{{ steps.tell-them.output.seconds }}"
    assert made.steps[2].arguments["message"] == text
    assert made.steps[2].when is not None
    assert made.steps[2].when.evaluate({"steps": {"tell-them": {"outcome": "succeeded"}}}) is True


@pytest.mark.parametrize(
    ("step", "message"),
    [
        ("arguments: {message: '{{ steps.tel.output.x }}'}", "7: steps[1].arguments.message: no step 'tel' in this runbook; allowed: tell-them, b"),
        (
            "arguments: {message: '{{ steps.tell-them.output.x }}'}",
            "7: steps[1].arguments.message: the step 'b' does not wait for 'tell-them', so there may be no output yet; add it to needs",
        ),
        ("arguments: {message: '{{ steps | join }}'}, needs: [tell-them]", "7: steps[1].arguments.message: a step is named as steps.NAME.output.KEY"),
        (
            "arguments: {message: x}, when: steps.tell-them.outcome == 'failed'",
            "7: steps[1].when: the step 'b' does not wait for 'tell-them', so there may be no output yet; add it to needs",
        ),
        ("arguments: {message: x}, when: size(steps) > 0", "7: steps[1].when: a step is named as steps.NAME.output.KEY"),
    ],
)
def test_what_a_step_cannot_speak_of(tmp_path: Path, step: str, message: str) -> None:
    assert wrong(tmp_path, TWO + f"- {{name: b, action: notify, {step}}}\n") == [message]


def test_retries_undoing_and_a_deadline(tmp_path: Path) -> None:
    made = runbook(
        tmp_path,
        "- {name: a, action: scale, arguments: {by: '+1'}, retry: {limit: {critical: 5, warning: 2, default: 1}, on: [transient, TargetVanished]}, undo: none}\n"
        "- {name: b, action: wait, arguments: {for: 1s}, retry: {limit: 3, on: [timeout]}, needs: [a], target: {name: cart},\n"
        "   undo: {action: scale, arguments: {to: '{{ steps.a.output.from }}'}, target: {name: basket}}}\n"
        "- {name: c, action: wait, arguments: {for: 1s}}\n",
        "deadline: 10m\n",
    )
    a, b, c = made.steps
    assert (a.retry.limits, a.retry.on, a.retry.limit) == ({"critical": 5, "warning": 2, "default": 1}, ("transient", "TargetVanished"), 0)
    assert (a.undo.mode, c.undo.mode, b.undo.mode) == (UndoMode.NONE, UndoMode.AUTO, UndoMode.OWN)
    assert (b.undo.action, b.undo.arguments, b.undo.target) == ("scale", {"to": "{{ steps.a.output.from }}"}, TargetSpec(name="basket"))
    assert (b.retry.limit, c.retry.on, made.deadline) == (3, (), 600.0)


@pytest.mark.parametrize(
    ("step", "message"),
    [
        ("retry: {limit: 99}", "6: steps[0].retry.limit: must be less than or equal to 20, not 99"),
        ("retry: {limit: {urgent: 1}}", "6: steps[0].retry.limit.urgent: unknown key 'urgent'; allowed: info, warning, critical, default"),
        ("retry: {on: [sometimes]}", "6: steps[0].retry.on[0]: 'sometimes' is no class of errors; allowed: transient, failed, error, timeout, or a reason such as Conflict"),
        (
            "retry: {on: [timeout]}",
            "6: steps[0].retry.on: restart may have had its effect by then, and a second would add up; timeout is for actions whose effect is none, convergent",
        ),
        ("undo: never", "6: steps[0].undo: 'never' is not allowed; allowed: auto, none"),
        ("undo: {action: rstart}", "6: steps[0].undo.action: no action 'rstart'; did you mean 'restart'? allowed: "),
        ("undo: {action: wait}", "6: steps[0].undo.arguments.for: the action wait needs it: how long (a duration such as 30s from 0 s up to 86400 s)"),
        ("undo: {action: notify, arguments: {message: '{{ steps.b.output.x }}'}}", "6: steps[0].undo.arguments.message: no step 'b' in this runbook; allowed: a"),
        ("undo: {action: restart, target: {kind: Node}}", "6: steps[0].undo.target.kind: the action restart takes Deployment, StatefulSet, DaemonSet, not Node"),
    ],
)  # fmt: skip
def test_how_a_step_cannot_be_repeated_or_taken_back(tmp_path: Path, step: str, message: str) -> None:
    (line,) = wrong(tmp_path, f"- {{name: a, action: restart, {step}}}\n")
    assert line[: len(message)] == message


def test_a_deadline_that_leaves_no_time_to_verify(tmp_path: Path) -> None:
    (line,) = wrong(tmp_path, "- {name: a, action: restart}\n", "deadline: 30s\nverify: {query: up, passes: value > 0.0, after: 20s, for: 10s, within: 1m}\n")
    assert line.endswith("deadline: must be longer than after and for of verify together, otherwise it can never pass")


@pytest.mark.parametrize(
    ("step", "message"),
    [
        ("action: suspend, arguments: {question: q, type: int, minimum: 9, maximum: 1}", "arguments.minimum: is above maximum: there would be no answer"),
        ("action: suspend, arguments: {question: q, type: bool, minimum: 1}", "arguments.minimum: only a number or a duration has bounds"),
        ("action: suspend, arguments: {question: q, type: int, choices: [one]}", "arguments.choices: 'one' is no answer; allowed: a whole number"),
        ("action: suspend, arguments: {question: q, type: int, maximum: 5, default: '7'}", "arguments.default: '7' is out of bounds; allowed: a whole number up to 5"),
        ("action: suspend, arguments: {question: q, type: string, choices: [a, b], default: c}", "arguments.default: 'c' is no answer; allowed: a, b"),
        ("action: scale, arguments: {to: 3, by: '+1'}", "arguments.by: the action scale needs exactly one of by, to (now: by, to)"),
        ("action: scale, arguments: {minimum: 1}", "arguments.by: the action scale needs exactly one of by, to (now: none)"),
        ("action: scale, arguments: {by: '+1', minimum: 5, maximum: 2}", "arguments.minimum: is above maximum"),
        (
            "action: restart, retry: {limit: 2, on: [sometimes]}",
            "retry.on[0]: 'sometimes' is no class of errors; allowed: transient, failed, error, timeout, or a reason such as Conflict",
        ),
    ],
)  # fmt: skip
def test_what_can_never_be_is_told_when_the_file_is_loaded(tmp_path: Path, step: str, message: str) -> None:
    assert wrong(tmp_path, f"- {{name: a, {step}}}\n") == [f"6: steps[0].{message}"]


def test_what_is_a_template_still_is_not_judged_before_it_is_known(tmp_path: Path) -> None:
    assert runbook(tmp_path, "- {name: a, action: suspend, arguments: {question: q, type: int, minimum: 9, maximum: '{{ target.replicas }}'}}\n")
