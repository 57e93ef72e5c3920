"""Files in, rules and runbooks out; and every problem of a run as file, line, key, what is wrong and what is allowed."""

from __future__ import annotations

import os
import textwrap
from pathlib import Path

import pytest

from aiops.definitions.loader import Definitions, load_definitions
from aiops.domain.outcome import GuardMode
from aiops.domain.rule import Direction, LogQuery, MetricKind, MissingData, ObjectQuery, PromQuery
from aiops.domain.runbook import Mode, OnFailure, Retry
from aiops.domain.signal import Severity
from tests.unit.definitions.specs import ACTIONS, SOURCES

RULES_HEAD = "apiVersion: aiops/v1\nkind: RuleSet\nmetadata: {name: pack}\nrules:\n"
RUNBOOK_HEAD = "apiVersion: aiops/v1\nkind: Runbook\nmetadata: {name: fix}\n"
GOOD_RULE = "  - {name: up, query: up, severity: info, detector: {type: threshold, below: 1}}\n"
GOOD_STEPS = 'match: target.exists\nsteps: [{name: a, action: scale, arguments: {by: "+1"}}]\n'


def load(folder: Path, *, rules: str = "", runbooks: str = "", sources: dict[str, str] | None = None, guards: list[str] | None = None) -> Definitions:
    for name, text in (("rules", rules), ("runbooks", runbooks)):
        (folder / name).mkdir(exist_ok=True)
        if text:
            (folder / name / "a.yaml").write_text(text)
    return load_definitions([folder / "rules"], [folder / "runbooks"], actions=ACTIONS, sources=sources, guards=guards)


def found(definitions: Definitions) -> list[str]:
    """`line: key: message` without the file's folder."""
    return [f"{p.line}: {p.key}: {p.message}" for p in definitions.problems]


def test_a_whole_rule(tmp_path: Path) -> None:
    text = RULES_HEAD + textwrap.indent(
        textwrap.dedent("""\
        - name: latency
          description: slow
          query: x{a="b"}
          every: 10s
          for: 1m30s
          keepFiringFor: 20s
          staleAfter: 2m
          severity: warning
          kind: ratio
          direction: up
          deadBand: {absolute: 0.1, relative: 0.5}
          minimumVolume: {query: y, value: 5}
          missingData: signal
          detector: {type: threshold, above: 1, clear: 0.5, critical: 3}
          target: {kind: Deployment, namespace: "{{ labels.namespace }}", name: "{{ labels.workload }}", owner: true}
          labels: {symptom: latency}
          summary: "{{ value | duration }}"
          inhibits: [{symptom: errors}]
        """),
        "  ",
    )
    definitions = load(tmp_path, rules=text, sources=SOURCES)
    assert not definitions.problems
    (rule,) = definitions.rules
    assert (rule.name, rule.source, rule.query, rule.every, rule.hold, rule.clear_hold, rule.stale_after) == (
        "latency", "prometheus", PromQuery('x{a="b"}'), 10.0, 90.0, 20.0, 120.0,
    )  # fmt: skip
    assert (rule.severity, rule.kind, rule.direction, rule.missing_data) == (Severity.WARNING, MetricKind.RATIO, Direction.UP, MissingData.SIGNAL)
    assert (rule.dead_band_absolute, rule.dead_band_relative, rule.volume_query, rule.minimum_volume) == (0.1, 0.5, "y", 5.0)
    assert rule.detector.type == "threshold"
    assert rule.detector.parameters == {"above": 1.0, "clear": 0.5, "critical": 3.0}
    assert rule.target is not None
    assert (rule.target.kind, rule.target.owner) == ("Deployment", True)
    assert rule.inhibits == ({"symptom": "errors"},)
    assert (rule.file, rule.line) == (str(tmp_path / "rules" / "a.yaml"), 5)


def test_logs_objects_and_detectors(tmp_path: Path) -> None:
    text = RULES_HEAD + textwrap.indent(
        textwrap.dedent("""\
        - name: errors-logged
          logs: {index: logs-*, window: 1m, where: {level: [ERROR]}, exclude: {app: [x]}, phrase: "time out", groupBy: [k.ns], maxGroups: 5}
          severity: info
          detector: {type: logErrorRate, minimumCount: 5, ratio: 3}
        - name: nodes
          objects: {kind: Node, value: "size(object.status.conditions)"}
          severity: info
          detector: {type: threshold, below: 1}
        - name: seasonal
          query: up
          severity: info
          detector: {type: seasonalZ, z: 4, season: 7d, bucket: 1h, minimumSamples: 5, window: 10, scaleFloor: 0.1}
        - name: forest
          query: up
          severity: info
          detector: {type: isolationForest}
        - name: unlike-itself
          query: up
          severity: info
          detector: {type: fleet, falseAlarms: 2/week}
        - name: unlike-its-peers
          query: up
          severity: info
          detector: {type: peers, by: [namespace, workload], falseAlarms: 1/day}
        - name: drifting
          query: up
          severity: info
          detector: {type: drift, of: histogram, feature: name, psiWarning: 0.2, psiCritical: 0.4, reference: 1h, window: 5m, bins: 20}
        """),
        "  ",
    )
    definitions = load(tmp_path, rules=text, sources=SOURCES)
    assert not definitions.problems
    logs, nodes, seasonal, forest, fleet, peers, drifting = definitions.rules
    assert peers.detector.parameters == {"by": ["namespace", "workload"], "z": 6.0, "scale_floor": 0.05, "false_alarms": 86_400.0}
    assert (fleet.detector.type, fleet.detector.parameters) == ("fleet", {"false_alarms": 302_400.0})
    assert logs.source == "logs"  # the only source of that type, whatever its name
    assert logs.query == LogQuery("logs-*", 60.0, {"level": ("ERROR",)}, {"app": ("x",)}, "time out", ("k.ns",), max_groups=5)
    assert logs.detector.parameters == {"minimum_count": 5, "ratio": 3.0}
    assert nodes.source == "kubernetes"
    assert isinstance(nodes.query, ObjectQuery)
    assert nodes.query.value.evaluate({"object": {"status": {"conditions": [1, 2]}}, "now": 0.0}) == 2.0
    assert nodes.direction is Direction.DOWN
    assert seasonal.detector.parameters == {
        "z": 4.0, "season": 604800.0, "bucket": 3600.0, "minimum_samples": 5, "window": 10, "scale_floor": 0.1,
    }  # fmt: skip
    assert forest.detector.parameters == {"trees": 100, "window": 256, "score": 0.65}
    assert drifting.detector.parameters == {
        "of": "histogram", "over": [], "feature": "name", "about": "input", "reference_mode": "rolling", "reference": 3600.0, "window": 300.0, "bins": 20,
        "psi_warning": 0.2, "psi_critical": 0.4, "kl_warning": 0.05, "kl_critical": 0.15, "chance": 0.0001,
    }  # fmt: skip


def test_a_whole_runbook(tmp_path: Path) -> None:
    text = textwrap.dedent("""\
        apiVersion: aiops/v1
        kind: Runbook
        metadata: {name: fix, labels: {team: a}}
        description: mends
        mode: approve
        priority: 5
        match: target.exists && "errors" in incident.symptoms
        needsSight: [prometheus, elasticsearch, kubernetes]
        steps:
          - name: first
            action: scale
            arguments: {by: "+50%"}
            timeout: 1m
            retry: {limit: 2, initial: 1s, factor: 3, maximum: 9s}
            onFailure: undo
          - name: second
            action: every
            arguments: {text: "{{ target.name }}", for: 1m, names: [a, "{{ target.kind }}"], share: 1, flag: true, level: high}
            needs: [first]
            when: steps.first.outcome == "succeeded"
        verify: {query: 'up{x="{{ target.name }}"}', passes: value < baseline, after: 5s, within: 1m, every: 2s, for: 4s, worst: min}
        undoOnFailure: false
        guards: {cooldown: 5m, minimumReplicas: 1, maximumReplicas: 9, maximumPods: 3, maximumShare: 0.5, maximumPerHour: 2,
                 maximumPerIncident: 1, modes: {cooldown: shadow}}
        """)
    definitions = load(tmp_path, runbooks=text, sources=SOURCES, guards=["cooldown"])
    assert not definitions.problems
    (runbook,) = definitions.runbooks
    assert (runbook.name, runbook.mode, runbook.priority, runbook.needs_sight) == ("fix", Mode.APPROVE, 5, ("prometheus", "logs", "kubernetes"))
    first, second = runbook.steps
    assert first.arguments == {"by": "+50%", "limit": 50}
    assert (first.timeout, first.retry, first.on_failure) == (60.0, Retry(2, 1.0, 3.0, 9.0), OnFailure.UNDO)
    assert second.arguments == {
        "text": "{{ target.name }}", "for": 60.0, "names": ("a", "{{ target.kind }}"), "share": 1.0, "flag": True, "level": "high",
    }  # fmt: skip
    assert second.needs == ("first",)
    assert second.when is not None
    assert runbook.verify is not None
    assert (runbook.verify.source, runbook.verify.after, runbook.verify.within, runbook.verify.every, runbook.verify.hold, runbook.verify.worst) == (
        "prometheus", 5.0, 60.0, 2.0, 4.0, "min",
    )  # fmt: skip
    assert runbook.undo_on_failure is False
    assert (runbook.guards.cooldown, runbook.guards.maximum_share, runbook.guards.modes) == (300.0, 0.5, {"cooldown": GuardMode.SHADOW})


RULE_PROBLEMS = [
    ("name: A b", "5: rules[0].name: 'A b' is not allowed; it must match"),
    ("severty: info", "5: rules[0].severty: unknown key 'severty'; did you mean 'severity'? allowed: name, description, source, query"),
    ("severity: bad", "5: rules[0].severity: 'bad' is not allowed; allowed: info, warning, critical"),
    ("every: 30", "5: rules[0].every: 30 has no unit: write a duration such as 30s"),
    ("every: 0s", "5: rules[0].every: must be greater than 0"),
    ("for: 5x", "5: rules[0].for: '5x' is no duration"),
    ("for: 1m1h", "5: rules[0].for: '1m1h' is no duration"),
    ("for: true", "5: rules[0].for: write a duration such as 30s"),
    ("query: sum(up", "5: rules[0].query: PromQL does not parse at 1:4: unclosed left parenthesis"),
    ("query: 5", "5: rules[0].query: must be text; put it in quotes, not 5"),
    ("logs: {index: x, window: 1m}", "5: rules[0]: give exactly one of query, logs, objects, declared, objective, capacity (now: query, logs)"),
    ("query: ~", "5: rules[0]: give exactly one of query, logs, objects, declared, objective, capacity (now: none)"),
    ("detector: {type: threshhold}", "5: rules[0].detector.type: no detector type 'threshhold'; did you mean 'threshold'?"),
    ("detector: {above: 1}", "5: rules[0].detector.type: is missing; allowed: threshold, seasonalZ"),
    ("detector: {type: threshold, abvoe: 1}", "5: rules[0].detector.abvoe: unknown key 'abvoe'; did you mean 'above'? allowed: type, above"),
    ("detector: {type: threshold, above: 1, below: 2}", "5: rules[0].detector: give exactly one of above, below"),
    ("detector: {type: threshold, above: 1, clear: 2}", "5: rules[0].detector: clear must lie on the good side of the level 1"),
    ("detector: {type: threshold, below: 1, critical: 2}", "5: rules[0].detector: critical must lie beyond the level 1"),
    ("detector: {type: threshold, above: .nan}", "5: rules[0].detector.above: must be a finite number"),
    ("detector: {type: threshold, above: '1'}", "5: rules[0].detector.above: must be a number, not '1'"),
    ("detector: {type: peers, z: 5, falseAlarms: 1/day}", "5: rules[0].detector: give z or falseAlarms, not both"),
    ("detector: {type: fleet, falseAlarms: 1 a week}", "5: rules[0].detector.falseAlarms: '1 a week' is no rate: write a whole number and one of /hour"),
    ("detector: {type: fleet, falseAlarms: 0/week}", "5: rules[0].detector.falseAlarms: '0/week' is no rate: write a whole number and one of /hour"),
    ("detector: {type: seasonalZ, window: 1.5}", "5: rules[0].detector.window: must be a whole number, not 1.5"),
    ("detector: {type: seasonalZ, bucket: 2d}", "5: rules[0].detector: bucket must not be longer than season"),
    ("detector: {type: seasonalZ, window: 10}", "5: rules[0].detector: minimumSamples must not be greater than window"),
    ("detector: {type: drift, psiWarning: 0.5}", "5: rules[0].detector: critical must not be below warning"),
    ("detector: {type: drift, of: pods}", "5: rules[0].detector.of: 'pods' is not allowed; allowed: values, histogram, buckets, categories"),
    ("direction: down", "5: rules[0]: direction contradicts the threshold"),
    ("target: {kind: Deploymnt, name: x}", "5: rules[0].target.kind: no kind 'Deploymnt'; allowed: ConfigMap"),
    ("target: {kind: Pod, name: '{{ value }}'}", "5: rules[0].target.name: unknown name 'value' in the template; allowed: labels"),
    ("target: {kind: Pod}", "5: rules[0].target.name: is missing and must be given"),
    ("summary: '{{ labels'", "5: rules[0].summary: line 1 of the template: unexpected end"),
    ("labels: {a: 5}", "5: rules[0].labels.a: must be text; put it in quotes, not 5"),
    ("labels: {'a b': x}", "5: rules[0].labels.a b: 'a b' is not allowed; it must match"),
    ("missingData: [hold]", "5: rules[0].missingData: a list is not allowed; allowed: hold, clear, signal"),
    ("minimumVolume: 5", "5: rules[0].minimumVolume: must be a map, not 5"),
    ("inhibits: [{}]", "5: rules[0].inhibits[0]: "),
    ("source: prometeus", "5: rules[0].source: no source 'prometeus' in the settings; did you mean 'prometheus'? allowed: logs, prometheus"),
    ("source: logs", "5: rules[0].source: the source 'logs' is of type elasticsearch; one of type prometheus is needed (prometheus)"),
]


@pytest.mark.parametrize(("change", "expected"), RULE_PROBLEMS, ids=[c for c, _ in RULE_PROBLEMS])
def test_what_is_wrong_with_a_rule(tmp_path: Path, change: str, expected: str) -> None:
    entries = {"name": "one", "query": "up", "severity": "info", "detector": "{type: threshold, above: 1}"}
    key, _, value = change.partition(": ")
    entries[key] = value
    body = ", ".join(f"{k}: {v}" for k, v in entries.items())
    definitions = load(tmp_path, rules=f"{RULES_HEAD}  - {{{body}}}\n", sources=SOURCES)
    assert not definitions.rules
    assert [line[: len(expected)] for line in found(definitions)] == [expected]


RUNBOOK_PROBLEMS = [
    ("match: incident.severty == 'x'", "4: match: 1:9: undeclared reference to 'incident.severty'; allowed: incident.severity"),
    ("mode: autoo", "4: mode: 'autoo' is not allowed; did you mean 'auto'? allowed: observe, suggest, approve, auto"),
    ("steps: []", "4: steps: "),
    ("steps: [{name: a, action: scal, arguments: {}}]", "4: steps[0].action: no action 'scal'; did you mean 'scale'? allowed: every, scale"),
    ("steps: [{name: a, action: scale}]", "4: steps[0].arguments.by: the action scale needs exactly one of by, to (now: none)"),
    (
        "steps: [{name: a, action: scale, arguments: {to: 3, by: '+1'}}]",
        "4: steps[0].arguments.by: the action scale needs exactly one of by, to (now: by, to)",
    ),
    ("steps: [{name: a, action: scale, arguments: {to: 101}}]", "4: steps[0].arguments.to: 101 is out of bounds; it must be a whole number from 0 up to 100"),
    (
        "steps: [{name: a, action: every, arguments: {text: x, names: '{{ target.name }}'}}]",
        "4: steps[0].arguments.names: a template stands only in place of a text or number; this must be a list of texts",
    ),
    ("steps: [{name: a, action: scale, arguments: {by: 50}}]", "4: steps[0].arguments.by: must be a change such as"),
    ("steps: [{name: a, action: scale, arguments: {to: true}}]", "4: steps[0].arguments.to: must be a whole number from 0 up to 100, not 'True'"),
    ("steps: [{name: a, action: scale, arguments: {by: '+1', limt: 1}}]", "4: steps[0].arguments.limt: the action scale takes no 'limt'; did you mean 'limit'?"),
    ("steps: [{name: a, action: every}]", "4: steps[0].arguments.text: the action every needs it: a text (text)"),
    ("steps: [{name: a, action: every, arguments: {text: x, level: hgh}}]", "4: steps[0].arguments.level: 'hgh' is not allowed; did you mean 'high'?"),
    ("steps: [{name: a, action: every, arguments: {text: '{{ labels.x }}'}}]", "4: steps[0].arguments.text: unknown name 'labels' in the template"),
    ("steps: [{name: a, action: every, arguments: {text: x, for: 2h}}]", "4: steps[0].arguments.for: '2h' is out of bounds"),
    ("steps: [{name: a, action: every, arguments: {text: x, for: 60}}]", "4: steps[0].arguments.for: must be a duration such as 30s"),
    ("steps: [{name: a, action: every, arguments: {text: x, names: b}}]", "4: steps[0].arguments.names: must be a list of texts"),
    ("steps: [{name: a, action: every, arguments: {text: x}, when: steps.b, needs: [b]}, {name: b, action: every, arguments: {text: x}}]", ""),
    ("steps: [{name: a, action: every, arguments: {text: x}, when: value < 1.0}]", "4: steps[0].when: 1:1: undeclared reference to 'value'"),
    ("steps: [{name: a, action: every, arguments: {text: x}, needs: [b]}]", "4: steps[0].needs[0]: no step 'b' in this runbook; allowed: a"),
    ("steps: [{name: a, action: every, arguments: {text: x}, needs: [a]}]", "4: steps[0].needs: the steps wait for each other: a → a"),
    ("verify: {query: up, passes: value < 1}", "4: verify.passes: 1:7: found no matching overload for '_<_' applied to '(double, int)'"),
    ("verify: {query: 'up{x={{ target.name }}}', passes: value < 1.0}", "4: verify.query: line 1 of the template: in PromQL an output stands only"),
    ("verify: {query: 'up{{{', passes: value < 1.0}", "4: verify.query: line 1 of the template"),
    ("verify: {query: 'sum(up', passes: value < 1.0}", "4: verify.query: PromQL does not parse at 1:4"),
    ("verify: {query: up, passes: value < 1.0, within: 20s, for: 10s}", "4: verify: within must be longer than after and for together"),
    ("verify: {query: up, passes: value < 1.0, source: logs}", "4: verify.source: the source 'logs' is of type elasticsearch"),
    ("needsSight: [nobody]", "4: needsSight[0]: no source 'nobody' in the settings; allowed: logs, prometheus, kubernetes"),
    ("guards: {modes: {cooldwn: off}}", "4: guards.modes.cooldwn: no guard 'cooldwn'; did you mean 'cooldown'? allowed: cooldown"),
    ("guards: {minimumReplicas: 5, maximumReplicas: 3}", "4: guards: minimumReplicas is greater than maximumReplicas"),
    ("guards: {maximumShare: 50}", "4: guards.maximumShare: must be less than or equal to 1"),
]


@pytest.mark.parametrize(("change", "expected"), RUNBOOK_PROBLEMS, ids=[c for c, _ in RUNBOOK_PROBLEMS])
def test_what_is_wrong_with_a_runbook(tmp_path: Path, change: str, expected: str) -> None:
    entries = {"match": "target.exists", "steps": "[{name: z, action: every, arguments: {text: x}}]"}
    key, _, value = change.partition(": ")
    entries.pop(key, None)
    body = f"{key}: {value if value[0] in '[{' else repr(value)}\n" + "".join(f"{k}: {v}\n" for k, v in entries.items())
    definitions = load(tmp_path, runbooks=RUNBOOK_HEAD + body, sources=SOURCES, guards=["cooldown"])
    if expected:
        assert [line[: len(expected)] for line in found(definitions)] == [expected]
        assert not definitions.runbooks
    else:
        assert not definitions.problems


def test_all_problems_of_a_run_are_listed(tmp_path: Path) -> None:
    rules = RULES_HEAD + "  - {name: a, query: sum(, severity: bad, detector: {type: threshold, x: 1}}\n" + GOOD_RULE + GOOD_RULE
    runbooks = RUNBOOK_HEAD + (
        "mode: x\nmatch: 1 +\nsteps:\n  - {name: a, action: nope, needs: [b]}\n  - {name: b, action: scale, needs: [a, c], when: nope}\n  - {name: b}\n"
    )
    (tmp_path / "rules").mkdir()
    (tmp_path / "rules" / "b.yaml").write_text("a: [")
    definitions = load(tmp_path, rules=rules, runbooks=runbooks)
    assert [line.split(": ")[:2] for line in found(definitions)] == [
        ["5", "rules[0].query"],
        ["5", "rules[0].severity"],
        ["5", "rules[0].detector.x"],
        ["7", "rules[2].name"],
        ["1", "yaml"],
        ["4", "mode"],
        ["5", "match"],
        ["7", "steps[0].action"],
        ["7", "steps[0].needs"],
        ["8", "steps[1].when"],
        ["8", "steps[1].needs[1]"],
        ["8", "steps[1].arguments.by"],
        ["9", "steps[2].name"],
        ["9", "steps[2].action"],
    ]
    assert [rule.name for rule in definitions.rules] == ["up"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("- a", "1: document: must be a map with apiVersion: aiops/v1 and kind: RuleSet or Runbook"),
        ("a: 1", "1: kind: kind is missing; allowed: RuleSet, Runbook"),
        ("\nkind: Runbok", "2: kind: kind 'Runbok' is not allowed here; did you mean 'Runbook'? allowed: RuleSet, Runbook"),
        ("kind: [Runbook]", "1: kind: kind \"['Runbook']\" is not allowed here; allowed: RuleSet, Runbook"),
        ("kind: RuleSet\napiVersion: v2\nmetadata: {name: x}\nrules: [1]", "2: apiVersion: 'v2' is not allowed"),
        ("kind: RuleSet\napiVersion: aiops/v1\nmetadata: {name: x}\nrules: {}", "4: rules: must be a list"),
        ("kind: RuleSet\napiVersion: aiops/v1\nmetadata: {nam: x}\nrules: []\n", "3: metadata.name: is missing"),
    ],
)
def test_files_of_another_shape(tmp_path: Path, text: str, expected: str) -> None:
    lines = found(load(tmp_path, rules=text))
    assert any(line.startswith(expected) for line in lines)


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "bytes.yaml").write_bytes(b"a: \xff\xfe")
    definitions = load_definitions([tmp_path / "bytes.yaml", tmp_path / "nowhere"], [], actions=ACTIONS)
    assert [(p.file, p.message) for p in definitions.problems] == [
        (str(tmp_path / "bytes.yaml"), "is no UTF-8 (byte 3)"),
        (str(tmp_path / "nowhere"), "no such file or folder"),
    ]


def test_which_files_are_read(tmp_path: Path) -> None:
    """As a mounted ConfigMap lays them out: names link into a hidden folder. Test files and others are left alone."""
    hidden = tmp_path / "..2026_11_23"
    hidden.mkdir()
    (hidden / "a.yaml").write_text(RULES_HEAD + GOOD_RULE)
    (tmp_path / "..data").symlink_to(hidden)
    (tmp_path / "a.yaml").symlink_to(tmp_path / "..data" / "a.yaml")
    (tmp_path / "a.test.yaml").write_text("- [")
    (tmp_path / "notes.txt").write_text("- [")
    (tmp_path / "deep" / "er").mkdir(parents=True)
    (tmp_path / "deep" / "er" / "b.yml").write_text((RULES_HEAD + GOOD_RULE).replace("name: up", "name: other"))
    definitions = load_definitions([tmp_path, tmp_path / "a.yaml"], [], actions=ACTIONS)
    assert not definitions.problems
    assert [rule.name for rule in definitions.rules] == ["up", "other"]


def test_several_documents_in_a_file(tmp_path: Path) -> None:
    text = RUNBOOK_HEAD + GOOD_STEPS + "---\n" + (RUNBOOK_HEAD + GOOD_STEPS).replace("fix", "mend") + "---\n" + RUNBOOK_HEAD + GOOD_STEPS
    definitions = load(tmp_path, runbooks=text)
    assert [r.name for r in definitions.runbooks] == ["fix", "mend"]
    assert found(definitions) == [f"15: metadata.name: a runbook 'fix' stands at {tmp_path / 'runbooks' / 'a.yaml'}:3 already; names must differ"]


def test_hashes_follow_content_not_notation(tmp_path: Path) -> None:
    first = load(tmp_path, rules=RULES_HEAD + GOOD_RULE, runbooks=RUNBOOK_HEAD + GOOD_STEPS)
    noted = load(tmp_path, rules="# note\n" + RULES_HEAD + GOOD_RULE, runbooks=RUNBOOK_HEAD + "# note\n" + GOOD_STEPS)
    other = load(tmp_path, rules=RULES_HEAD + GOOD_RULE, runbooks=RUNBOOK_HEAD + GOOD_STEPS.replace("+1", "+2"))
    assert first.hash == noted.hash
    assert first.runbooks[0].hash == noted.runbooks[0].hash
    assert first.hash != other.hash
    assert first.runbooks[0].hash != other.runbooks[0].hash


def test_what_asks_a_source_that_is_not_there_is_left_out_with_a_note(tmp_path: Path) -> None:
    rules = RULES_HEAD + GOOD_RULE + "  - {name: b, logs: {index: x, window: 1m}, severity: info, detector: {type: logErrorRate}}\n"
    runbooks = RUNBOOK_HEAD + GOOD_STEPS + "needsSight: [elasticsearch]\n"
    definitions = load(tmp_path, rules=rules, runbooks=runbooks, sources={"p": "prometheus"})
    assert not definitions.problems
    assert [(rule.name, rule.source) for rule in definitions.rules] == [("up", "p")]
    assert [f"{p.line}: {p.key}: {p.message}" for p in definitions.notes] == [
        "6: rules[1]: the rule b is left out: the settings have no source of type elasticsearch",
        "1: needsSight[0]: the runbook fix is left out: the settings have no source of type elasticsearch",
    ]


def test_documents_say_what_they_are(tmp_path: Path) -> None:
    """One folder may hold both, and may be named twice."""
    (tmp_path / "both.yaml").write_text(RUNBOOK_HEAD + GOOD_STEPS + "---\n" + RULES_HEAD + GOOD_RULE)
    definitions = load_definitions([tmp_path], [tmp_path], actions=ACTIONS)
    assert not definitions.problems
    assert ([r.name for r in definitions.rules], [r.name for r in definitions.runbooks]) == (["up"], ["fix"])


def test_several_sources_of_a_type_must_be_named(tmp_path: Path) -> None:
    definitions = load(tmp_path, rules=RULES_HEAD + GOOD_RULE, sources={"p": "prometheus", "q": "prometheus"})
    assert found(definitions) == ["5: rules[0].source: several sources are of type prometheus; name one of p, q"]


def test_hostile_texts_in_problems_stay_one_line(tmp_path: Path) -> None:
    definitions = load(tmp_path, rules=RULES_HEAD + '  - {"na\\nme\\e[31m": 1, name: "x\\ny", severity: "\\e[2J"}\n')
    assert definitions.problems
    for problem in definitions.problems:
        assert str(problem).isprintable()
        assert len(str(problem)) < 1500


def test_a_pipe_in_the_folder_is_named_and_not_waited_for(tmp_path: Path) -> None:
    (tmp_path / "rules").mkdir()
    os.mkfifo(tmp_path / "rules" / "pipe.yaml")
    definitions = load(tmp_path, rules=RULES_HEAD + GOOD_RULE)
    assert found(definitions) == ["1: path: is no ordinary file"]
    assert len(definitions.rules) == 1
