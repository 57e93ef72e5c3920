"""Runbooks that are given parameters, do a step for each item, and call each other; and every way in which that can be wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

from aiops.definitions.loader import Definitions, load_definitions
from aiops.domain.runbook import Runbook
from aiops.execution.actions.registry import SPECS

CHILD = """apiVersion: aiops/v1
kind: Runbook
metadata: {name: drain-one}
match: "false"
needsSight: [kubernetes]
parameters:
  node: {type: string, required: true, description: its name}
  wait: {type: duration, default: 30s, minimum: 1s, maximum: 10m}
  loud: {type: bool, default: false}
steps:
  - {name: tell, action: notify, arguments: {message: "{{ parameters.node }}"}, when: parameters.loud}
  - {name: rest, action: wait, arguments: {for: "{{ parameters.wait }}"}, needs: [tell]}
guards: {maximumPods: 3, minimumReplicas: 2}
---
"""
PARENT = """apiVersion: aiops/v1
kind: Runbook
metadata: {name: parent}
match: "true"
guards: {maximumPods: 5, maximumShare: 0.5}
"""


def load(folder: Path, text: str) -> Definitions:
    (folder / "a.yaml").write_text(text)
    return load_definitions([], [folder], actions=SPECS)


def good(folder: Path, text: str) -> dict[str, Runbook]:
    definitions = load(folder, text)
    assert not definitions.problems
    return {runbook.name: runbook for runbook in definitions.runbooks}


def wrong(folder: Path, text: str) -> list[str]:
    return [f"{p.key}: {p.message}" for p in load(folder, text).problems]


def test_a_step_may_call_a_runbook(tmp_path: Path) -> None:
    text = PARENT + "steps:\n- {name: a, runbook: drain-one, with: {node: '{{ target.name }}', wait: 1m}, needs: [b]}\n- {name: b, action: restart}\n"
    found = good(tmp_path, text + "---\n" + CHILD.removesuffix("---\n"))
    parent, child = found["parent"], found["drain-one"]
    assert parent.steps[0].runbook == child
    assert parent.steps[0].given == {"node": "{{ target.name }}", "wait": 60.0}
    assert (parent.guards.maximum_pods, parent.guards.maximum_share, parent.guards.minimum_replicas) == (3, 0.5, 2)
    assert parent.needs_sight == ("kubernetes",)
    assert {name: p.spec.default for name, p in child.parameters.items()} == {"node": None, "wait": 30.0, "loud": False}
    assert child.parameters["wait"].convert("90") == 90.0
    changed = good(tmp_path, text + "---\n" + CHILD.removesuffix("---\n").replace("30s", "31s"))
    assert changed["parent"].hash != parent.hash


@pytest.mark.parametrize(
    ("step", "messages"),
    [
        ("runbook: drain-on", ["steps[0].runbook: no runbook 'drain-on'; did you mean 'drain-one'? allowed: drain-one, parent"]),
        ("runbook: drain-one", ["steps[0].with.node: the runbook drain-one needs it: its name (text)"]),
        ("runbook: drain-one, with: {node: x, nod: y}", ["steps[0].with.nod: the runbook drain-one takes no 'nod'; did you mean 'node'? allowed: loud, node, wait"]),
        ("runbook: drain-one, with: {node: x, wait: 1h}", ["steps[0].with.wait: '1h' is out of bounds; it must be a duration such as 30s from 1 s up to 600 s"]),
        ("runbook: drain-one, with: {node: '{{ nobody.x }}'}", ["steps[0].with.node: unknown name 'nobody' in the template; allowed: cluster, incident, parameters, target"]),
        ("runbook: drain-one, with: {node: '{{ item }}'}", ["steps[0].with.node: unknown name 'item' in the template; allowed: cluster, incident, parameters, target"]),
        ("runbook: drain-one, action: restart, with: {node: x}", ["steps[0].action: a step has an action or a runbook, not both"]),
        ("runbook: drain-one, with: {node: x}, undo: none", ["steps[0].undo: is for a step with an action; the steps of the runbook have their own"]),
        (
            "runbook: drain-one, with: {node: '{{ steps.b.output.x }}'}, needs: [b]",
            ["steps[0].with.node: speaks of other steps; what a runbook is given must be known before the run begins"],
        ),
        ("runbook: parent", ["steps[0].runbook: the runbooks call each other: parent → parent; break the circle"]),
        ("action: restart, with: {node: x}", ["steps[0].with: gives a runbook its parameters; an action has arguments"]),
        ("needs: []", ["steps[0].action: is missing and must be given, or a runbook"]),
    ],
)  # fmt: skip
def test_calls_that_cannot_be(tmp_path: Path, step: str, messages: list[str]) -> None:
    assert wrong(tmp_path, CHILD + PARENT + f"steps:\n- {{name: a, {step}}}\n- {{name: b, action: restart}}\n") == messages


def runbook(name: str, *calls: str) -> str:
    steps = "".join(f"- {{name: s{i}, runbook: {call}}}\n" for i, call in enumerate(calls)) or "- {name: a, action: restart}\n"
    return f"---\napiVersion: aiops/v1\nkind: Runbook\nmetadata: {{name: {name}}}\nmatch: 'false'\nsteps:\n{steps}"


def test_circles_and_depth(tmp_path: Path) -> None:
    assert wrong(tmp_path, runbook("a", "b") + runbook("b", "c") + runbook("c", "a") + runbook("d")) == [
        "steps[0].runbook: the runbooks call each other: a → b → c → a; break the circle",
        "steps[0].runbook: the runbooks call each other: b → c → a → b; break the circle",
        "steps[0].runbook: the runbooks call each other: c → a → b → c; break the circle",
    ]
    deep = "".join(runbook(f"r{n}", f"r{n + 1}") for n in range(5)) + runbook("r5")
    assert wrong(tmp_path, deep) == ["steps[0].runbook: more than 5 runbooks stand within each other here"]
    assert set(good(tmp_path, "".join(runbook(f"r{n}", f"r{n + 1}") for n in range(4)) + runbook("r4"))) == {"r0", "r1", "r2", "r3", "r4"}


def test_a_runbook_with_mistakes_is_not_called(tmp_path: Path) -> None:
    definitions = load(tmp_path, runbook("good", "bad") + runbook("bad").replace("restart", "rstart"))
    assert [p.key for p in definitions.problems] == ["steps[0].runbook", "steps[0].action"]
    assert definitions.problems[0].message == "the runbook bad has mistakes of its own"
    assert not definitions.runbooks


PARAMETERS = PARENT.replace('"true"', '"false"') + "steps: [{name: a, action: restart}]\nparameters:\n"


@pytest.mark.parametrize(
    ("parameter", "messages"),
    [
        ("x: {type: text, default: a}", ["parameters.x.type: 'text' is not allowed; allowed: string, int, float, bool, duration, strings"]),
        ("x: {type: int, default: many}", ["parameters.x.default: must be a whole number, not 'many'"]),
        ("x: {type: int, default: 9, maximum: 5}", ["parameters.x.default: 9 is out of bounds; it must be a whole number up to 5"]),
        ("x: {type: int, minimum: 9, maximum: 5, required: true}", ["parameters.x.minimum: is above maximum"]),
        ("x: {type: duration, minimum: 9, default: 9s}", ["parameters.x.minimum: must be a duration such as 5m, not '9.0'"]),
        ("x: {type: string, maximum: 5, default: a}", ["parameters.x.maximum: a string has no bounds; int, float and duration have"]),
        ("x: {type: string, choices: [a, b], default: c}", ["parameters.x.default: 'c' is not allowed; allowed: a, b"]),
        ("x: {type: string}", ["parameters.x: needs a default, or required: true"]),
        ("x: {type: string, required: true, default: a}", ["parameters.x: is required, so its default is never used; leave one out"]),
        ("X-y: {type: string, default: a}", ["parameters.X-y: 'X-y' is not allowed; it must match ^[a-z][A-Za-z0-9]{0,62}$"]),
        ("x: {type: strings, default: [a, b]}", []),
    ],
)  # fmt: skip
def test_parameters_that_cannot_be(tmp_path: Path, parameter: str, messages: list[str]) -> None:
    assert [line.replace(".[key]", "") for line in wrong(tmp_path, PARAMETERS + f"  {parameter}\n")] == messages


def test_incidents_give_no_parameters(tmp_path: Path) -> None:
    (line,) = wrong(tmp_path, PARENT + "steps: [{name: a, action: restart}]\nparameters: {x: {type: int, required: true}}\n")
    assert line.startswith("parameters.x.required: incidents give no parameters: give it a default, or make the runbook one that is only called")


@pytest.mark.parametrize(
    ("step", "message"),
    [
        ("action: notify, arguments: {message: '{{ parameters.y }}'}", "steps[0].arguments.message: the runbook has no parameter 'y'; allowed: x"),
        ("action: notify, arguments: {message: '{{ parameters | join }}'}", "steps[0].arguments.message: a parameter is named as parameters.NAME"),
        ("action: restart, when: parameters.y > 1", "steps[0].when: the runbook has no parameter 'y'; allowed: x"),
        ("action: restart, target: {name: '{{ parameters.y }}'}", "steps[0].target.name: the runbook has no parameter 'y'; allowed: x"),
        ("action: restart, when: item == 'a'", "steps[0].when: speaks of item, but there is none here: item is what a step with forEach is done for"),
        ("action: restart, forEach: {in: '[item]'}", "steps[0].forEach.in: speaks of item, but there is none here: item is what a step with forEach is done for"),
        ("action: restart, forEach: {in: [a, b, c], limit: 2}", "steps[0].forEach.in: 3 items; at most 2 are allowed by its limit"),
        ("action: restart, forEach: {in: 'true'}", "steps[0].forEach.in: 1:1: the expression gives bool; it must give a list"),
        ("action: restart, forEach: {in: [1]}", "steps[0].forEach.in[0]: must be text; put it in quotes, not 1"),
        ("action: restart, forEach: {in: [a], concurrency: 0}", "steps[0].forEach.concurrency: must be greater than or equal to 1, not 0"),
        ("action: restart, forEach: {in: steps.b.output.x}", "steps[0].forEach.in: the step 'a' does not wait for 'b', so there may be no output yet; add it to needs"),
        (
            "action: restart, forEach: {in: steps.b.output.x}, needs: [b], target: {name: '{{ item }}'}",
            "steps[0].target.name: the items are known only when the step begins, and targets must be known before",
        ),
        (
            "runbook: drain-one, forEach: {in: steps.b.output.x}, needs: [b], with: {node: '{{ item }}'}",
            "steps[0].forEach.in: speaks of other steps; the items for a runbook must be known before the run begins",
        ),
    ],
)  # fmt: skip
def test_items_and_names_that_cannot_be(tmp_path: Path, step: str, message: str) -> None:
    text = PARENT + f"parameters: {{x: {{type: int, default: 1}}}}\nsteps:\n- {{name: a, {step}}}\n- {{name: b, action: wait, arguments: {{for: 1s}}}}\n"
    assert wrong(tmp_path, CHILD + text) == [message]


def test_a_parameter_in_the_query(tmp_path: Path) -> None:
    verify = 'verify: {query: ''up{a="{{ parameters.y }}"}'', passes: value > 0.0}\n'.replace("query: up", "query: 'up").replace('"},', '"}\',')
    assert wrong(tmp_path, PARENT + "steps: [{name: a, action: restart}]\n" + verify) == ["verify.query: the runbook has no parameter 'y'; allowed: none"]


def test_one_mistake_hides_no_other(tmp_path: Path) -> None:
    text = PARENT + "parameters: {n: {type: int, default: many}}\nsteps:\n- {name: a, runbook: nobody}\n- {name: b, action: restart, colour: red}\n"
    assert [line.partition(":")[0] for line in wrong(tmp_path, text)] == ["parameters.n.default", "steps[0].runbook", "steps[1].colour"]
