"""The terminal: exit codes that a script can use, JSON that parses, and hostile text that stays text."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from aiops.adapters.store import open_store
from aiops.app.desk import plain
from aiops.cli.main import app
from aiops.domain.decision import Decision, Stage
from aiops.domain.feedback import Feedback, Pattern
from aiops.domain.incident import Incident, IncidentState, Transition
from aiops.domain.signal import Evidence, Severity, Signal, SignalKind, SignalState
from aiops.domain.target import TargetRef
from aiops.ports.storage import Changes
from tests.scenarios.stage import RUNBOOK
from tests.scenarios.stage import Stage as Scene

EVIL = "x\x1b[31m\x9b2J[bold red]\u202e\x00<!channel>\ud800"
TARGET = TargetRef("Deployment", "shop", "checkout")


def aiops(*words: str) -> Result:
    return CliRunner().invoke(app, list(words))


@pytest.fixture
def config(tmp_path: Path) -> str:
    """Settings over a store with one incident whose every text is hostile."""
    file = tmp_path / "aiops.yaml"
    file.write_text("stateDir: state\n", encoding="utf-8")
    (tmp_path / "state").mkdir()
    store = open_store(f"sqlite:///{tmp_path}/state/aiops.db")
    claim = Signal(
        "sig-1", EVIL, "d", SignalKind.ALERT, SignalState.FIRING, Severity.WARNING, 1.0, "s", {"a": EVIL}, TARGET, EVIL, Evidence(lines=(EVIL,), query=EVIL),
    )
    incident = Incident(
        "inc-1", "fp", EVIL, IncidentState.OPEN, Severity.CRITICAL, 1.0, 1.0, TARGET, {"a": EVIL}, {claim.key: claim},
        (Transition(1.0, IncidentState.OPEN, EVIL, EVIL),),
    )
    decision = Decision(4e9, Stage.DECIDE, EVIL, passed=False, reason="Refused", detail=EVIL, target=str(TARGET), incident="inc-1")
    word = Feedback("fb-1", EVIL, "s", {"a": EVIL}, "", "inc-1", Pattern(EVIL, Severity.WARNING, "up", 3.0), EVIL, 1.0, 4e9, EVIL)
    store.write(Changes(incidents=(incident,), signals=(("inc-1", claim),), decisions=(decision,), values={"feedback": [plain(word)]}))
    store.close()
    return str(file)


READING = [
    ["incidents", "list"], ["incidents", "list", "--all"], ["incidents", "episodes"], ["incidents", "show", "inc-1"], ["why", "shop/deployment/checkout"], ["review", "list"],
    ["autonomy", "list"], ["report"], ["report", "--since", "7d"], ["feedback", "list"],
]


@pytest.mark.parametrize("words", READING, ids=" ".join)
def test_hostile_text_reaches_the_terminal_as_text(config: str, words: list[str]) -> None:
    result = aiops(*words, "-c", config)
    assert result.exit_code == 0, result.output
    assert all(c.isprintable() or c == "\n" for c in result.output), [c for c in result.output if not c.isprintable() and c != "\n"]
    if words[0] in ("incidents", "why"):
        assert "[bold red]" in result.output


@pytest.mark.parametrize("words", READING, ids=" ".join)
def test_json_parses_and_holds_no_control_characters(config: str, words: list[str]) -> None:
    result = aiops(*words, "-c", config, "-o", "json")
    assert result.exit_code == 0, result.output
    json.loads(result.output)
    assert all(c.isprintable() or c == "\n" for c in result.output)


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["incidents", "show", "inc-2"], 3),
        (["incidents", "ack", "inc-2"], 3),
        (["incidents", "resolve", "inc-2"], 3),
        (["approve", "run-2"], 3),
        (["reject", "run-2"], 3),
        (["undo", "run-2"], 3),
        (["answer", "run-2", "ask", "5"], 3),
        (["review", "show", "run-2"], 3),
        (["review", "verdict", "run-2", "right"], 3),
        (["why", "not a target"], 3),
        (["incidents", "silence", "nonsense"], 2),
        (["incidents", "silence", "=x"], 2),
        (["incidents", "silence", "a=b", "--for", "0"], 2),
        (["incidents", "list", "--limit", "0"], 2),
        (["review", "verdict", "run-2", "maybe"], 2),
        (["nonsense"], 2),
        (["runbook", "run", "scale-out", "--target", "nonsense"], 2),
        (["runbook", "run", "scale-out", "--target", "shop/deployment/a", "--parameter", "x"], 2),
        (["runbook", "run", "scale-out", "--target", "shop/deployment/a"], 3),
        (["report", "--since", "yesterday"], 2),
        (["feedback", "add", "inc-2"], 3),
        (["feedback", "remove", "fb-2"], 3),
        (["feedback", "add", "inc-1", "--for", "0"], 2),
        (["feedback", "add", "inc-1", "--why", "x", "--for", "7", "--same-time"], 0),
        (["feedback", "remove", "fb-1"], 0),
        (["autonomy", "promote", "scale-out"], 0),
        (["autonomy", "demote", "scale-out", "--reason", "x"], 0),
        (["incidents", "ack", "inc-1"], 0),
        (["incidents", "silence", "a=b", "--for", "5"], 0),
        (["pause", "--reason", "test"], 0),
        (["resume"], 0),
    ],
    ids=lambda v: " ".join(v) if isinstance(v, list) else str(v),
)
def test_exit_codes(config: str, words: list[str], code: int) -> None:
    place = [] if words == ["nonsense"] else ["-c", config]
    result = aiops(*words, *place)
    assert result.exit_code == code, result.output
    assert "Traceback" not in result.output


def test_what_is_asked_waits_in_the_store(config: str, tmp_path: Path) -> None:
    aiops("pause", "-c", config, "--reason", "storm")
    aiops("incidents", "silence", "a=b", "c=d=e", "--for", "5", "-c", config)
    store = open_store(f"sqlite:///{tmp_path}/state/aiops.db")
    pause, silence = store.commands(pending=True)
    assert pause.arguments == {"reason": "storm"}
    assert silence.arguments == {"matchers": {"a": "b", "c": "d=e"}, "seconds": 300.0, "comment": ""}
    store.close()


def test_a_mistyped_place_is_an_error_and_makes_no_database(tmp_path: Path) -> None:
    file = tmp_path / "aiops.yaml"
    file.write_text("stateDir: stat\n", encoding="utf-8")
    result = aiops("incidents", "list", "-c", str(file))
    assert result.exit_code == 4, result.output
    assert not (tmp_path / "stat").exists()


@pytest.mark.parametrize(("text", "code"), [("storeUrl: 'postgres://x'\n", 1), ("storeUrl: 'sqlite:////dev/null/a.db'\n", 4)])
def test_a_store_that_cannot_be_opened(tmp_path: Path, text: str, code: int) -> None:
    """Another database is a mistake in the settings; a file that does not open is a store out of reach."""
    (tmp_path / "a.yaml").write_text(text, encoding="utf-8")
    assert aiops("incidents", "list", "-c", str(tmp_path / "a.yaml")).exit_code == code


def test_a_damaged_store(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("stateDir: .\n", encoding="utf-8")
    (tmp_path / "aiops.db").write_bytes(b"this is no database, and long enough to be looked at" * 100)
    assert aiops("incidents", "list", "-c", str(tmp_path / "a.yaml")).exit_code == 4


@pytest.mark.parametrize("words", [["check"], ["test"], ["incidents", "list"], ["run"], ["why", "shop/deployment/a"]], ids=" ".join)
def test_bad_settings_end_every_command_with_one_and_a_place(tmp_path: Path, words: list[str]) -> None:
    (tmp_path / "a.yaml").write_text("tock: 1\n", encoding="utf-8")
    result = aiops(*words, "-c", str(tmp_path / "a.yaml"))
    assert result.exit_code == 1, result.output
    assert "a.yaml:1: tock: unknown key" in result.output.replace("\n", " ")


def test_check_lists_every_problem_and_counts(tmp_path: Path) -> None:
    (tmp_path / "book.yaml").write_text(RUNBOOK.replace("mode: auto", "mode: atuo").replace("action: scale", "action: scael"), encoding="utf-8")
    result = aiops("check", str(tmp_path / "book.yaml"), "-o", "json")
    assert result.exit_code == 1
    found = json.loads(result.output)["problems"]
    assert {p["key"] for p in found} >= {"mode"}
    assert aiops("check").exit_code == 0


def test_test_says_what_was_expected_and_what_was_there(tmp_path: Path) -> None:
    (tmp_path / "a.test.yaml").write_text(
        "apiVersion: aiops/v1\nkind: Test\ntests:\n  - name: nothing comes of nothing\n    series: []\n    objects: []\n    expect:\n"
        "      - {at: 1m, incidents: [{target: shop/deployment/a}]}\n", encoding="utf-8",
    )
    result = aiops("test", str(tmp_path / "a.test.yaml"))
    assert result.exit_code == 1, result.output
    assert "FAIL" in result.output
    assert "at 60 s: incidents: - expected, + seen" in result.output
    assert "- - target: shop/deployment/a" in result.output
    assert "+ nothing" in result.output
    assert "0 passed, 1 failed" in result.output


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("kind: Test\ntests: 5\n", "tests"),
        ("apiVersion: aiops/v1\nkind: Test\ntests:\n  - {name: a, series: [{series: 'up{', values: '1x3'}], expect: [{at: 1m}]}\n", "series"),
        ("apiVersion: aiops/v1\nkind: Test\ntests:\n  - {name: a, series: [{series: 'up', values: 'one two'}], expect: [{at: 1m}]}\n", "series"),
        ("{", ":1:"),
    ],
)
def test_a_bad_test_file_is_named(tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / "a.test.yaml").write_text(text, encoding="utf-8")
    result = aiops("test", str(tmp_path))
    assert result.exit_code == 1, result.output
    assert "a.test.yaml:" in result.output
    assert words in result.output
    assert "Traceback" not in result.output


def test_a_test_file_that_is_not_there_or_no_text(tmp_path: Path) -> None:
    assert aiops("test", str(tmp_path / "none")).exit_code == 1
    (tmp_path / "b.test.yaml").write_bytes(b"\xff\xfe")
    assert "cannot be read" in aiops("test", str(tmp_path)).output


@pytest.mark.parametrize("document", ["rules", "runbook", "config"])
def test_schemas_are_json(document: str) -> None:
    result = aiops("schema", document)
    assert json.loads(result.output)["$schema"].startswith("https://json-schema.org/")


def test_a_folder_that_is_no_bundle(tmp_path: Path) -> None:
    result = aiops("replay", str(tmp_path))
    assert result.exit_code == 1
    assert "Traceback" not in result.output


def test_a_review_is_marked_and_listed(tmp_path: Path) -> None:
    (tmp_path / "state").mkdir()
    (tmp_path / "aiops.yaml").write_text("stateDir: state\n", encoding="utf-8")
    config = str(tmp_path / "aiops.yaml")
    scene = Scene(tmp_path / "scene", act=False, store_url=f"sqlite:///{tmp_path}/state/aiops.db").run(60)
    scene.load["checkout"] = 95.0
    run = scene.until("done").id
    scene.store.close()
    shown = aiops("review", "show", run, "-c", config)
    assert "replicas" in shown.output, shown.output
    assert aiops("review", "verdict", run, "wrong", "--note", "too early", "-c", config).exit_code == 0
    listed = json.loads(aiops("review", "list", "-c", config, "-o", "json").output)
    assert [(r["execution"]["id"], r["review"]["verdict"]) for r in listed] == [(run, "wrong")]
    assert json.loads(aiops("review", "list", "--unmarked", "-c", config, "-o", "json").output) == []


def test_a_bad_variable_of_the_environment_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIOPS_WEB__PORT", "abc")
    result = aiops("check")
    assert result.exit_code == 1
    assert isinstance(result.exception, SystemExit), result.exception
    assert "environment:1: web.port:" in result.output


def test_the_report_and_the_ladder_of_a_run_that_helped(tmp_path: Path) -> None:
    (tmp_path / "state").mkdir()
    scene = Scene(tmp_path / "scene", store_url=f"sqlite:///{tmp_path}/state/aiops.db", runbooks=(RUNBOOK,)).run(60)
    text = f"stateDir: state\nrules: [{tmp_path}/scene/rules]\nrunbooks: [{tmp_path}/scene/runbooks]\nreport: {{window: 1.0e+10, manualFix: 20m}}\n"
    (tmp_path / "aiops.yaml").write_text(text, encoding="utf-8")
    config = str(tmp_path / "aiops.yaml")
    scene.load["checkout"] = 95.0
    scene.until("verifying")
    scene.load["checkout"] = 40.0
    scene.run(200)
    scene.store.close()
    found = json.loads(aiops("report", "-c", config, "-o", "json").output)
    grow, every = found["rows"]
    assert (grow["runbook"], grow["runs"], grow["by_outcome"], grow["automated_rate"], grow["saved"]) == ("grow", 1, {"succeeded": 1}, 1.0, 1200.0)
    assert (every["runbook"], every["wrong_rate"]) == ("all", 0.0)
    shown = aiops("report", "-c", config).output
    assert "1 of 1 (100%)" in shown
    assert "20m" in shown
    (ladder,) = json.loads(aiops("autonomy", "list", "-c", config, "-o", "json").output)
    assert (ladder["runbook"], ladder["mode"]) == ("grow", "auto")
    assert "it goes as far as its file allows" in aiops("autonomy", "list", "-c", config).output


def test_a_runbook_is_listed_shown_and_drawn(tmp_path: Path) -> None:
    picture = tmp_path / "a.svg"
    shown = aiops("runbook", "show", "scale-out", "--svg", str(picture))
    assert shown.exit_code == 0, shown.output
    assert "│ scale by=+100% maximum=30" in shown.output
    assert "╭" in shown.output
    assert picture.read_text().startswith("<svg ")
    assert "page-a-person" in aiops("runbook", "list").output
    assert json.loads(aiops("runbook", "show", "scale-out", "-o", "json").output)["steps"][0]["action"] == "scale"
    listed = [r["priority"] for r in json.loads(aiops("runbook", "list", "-o", "json").output)]
    assert listed == sorted(listed)
    assert aiops("runbook", "show", "scale-uot").exit_code == 3
