"""`aiops runbook run` against a real API server: the server's own diff, every guard's answer, and nothing written."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from aiops.cli.main import app
from tests.testbed.plane import KubernetesPlane

NAMESPACE = "asked-by-name"
RUNBOOK = """
apiVersion: aiops/v1
kind: Runbook
metadata: {name: grow}
mode: observe
match: "false"
parameters: {by: {type: string, default: "+1"}}
steps:
  - {name: scale, action: scale, arguments: {by: "{{ parameters.by }}"}}
  - {name: settle, action: wait, arguments: {for: 5s}, needs: [scale]}
"""


def deployment(name: str, **labels: str) -> dict[str, Any]:
    return {
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name, "labels": labels},
        "spec": {
            "replicas": 2, "selector": {"matchLabels": {"app": name}},
            "template": {"metadata": {"labels": {"app": name}}, "spec": {"containers": [{"name": "app", "image": "app:1"}]}},
        },
    }


@pytest.fixture(scope="module")
def config(plane: KubernetesPlane, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("asked")
    plane.must("POST", "/api/v1/namespaces", {"metadata": {"name": NAMESPACE}})
    for obj in (deployment("pilot"), deployment("left-alone", **{"aiops/automation": "disabled"})):
        plane.must("POST", f"/apis/apps/v1/namespaces/{NAMESPACE}/deployments", obj)
    (folder / "book.yaml").write_text(RUNBOOK)
    settings = {
        "stateDir": str(folder / "state"), "rules": [], "runbooks": [str(folder / "book.yaml")],
        "clusters": [{"name": "here", "kubeconfig": str(plane.kubeconfig(folder / "kubeconfig"))}],
    }
    (folder / "aiops.yaml").write_text(json.dumps(settings))
    return folder / "aiops.yaml"


def asked(config: Path, target: str, *words: str) -> Result:
    return CliRunner().invoke(app, ["runbook", "run", "grow", "--target", f"{NAMESPACE}/deployment/{target}", "-c", str(config), *words])


def spec(plane: KubernetesPlane, name: str) -> Any:
    return plane.must("GET", f"/apis/apps/v1/namespaces/{NAMESPACE}/deployments/{name}")["spec"]


def test_the_diff_is_the_servers_and_nothing_is_written(plane: KubernetesPlane, config: Path) -> None:
    result = asked(config, "pilot", "--parameter", "by=+3")
    assert "-  replicas: 2" in result.output, result.output
    assert "+  replicas: 5" in result.output
    assert "diff by server" in result.output
    assert "allows  protected-namespace" in result.output
    assert spec(plane, "pilot")["replicas"] == 2
    plan = json.loads(asked(config, "pilot", "-o", "json").output)
    assert [(c["step"], c["origin"]) for c in plan["changes"]] == [("scale", "server"), ("settle", "none")]
    assert plan["mode"] == "approve"


def test_a_guard_that_refuses_ends_it_before_anything_is_asked_of_the_daemon(config: Path) -> None:
    result = asked(config, "left-alone", "--act")
    assert result.exit_code == 1, result.output
    assert "refuses opt-out: OptedOut" in result.output
    assert "asked:" not in result.output


def test_what_is_not_there(config: Path) -> None:
    result = asked(config, "nobody")
    assert result.exit_code == 1
    assert "refuses target-present" in result.output
    wrong = asked(config, "pilot", "--parameter", "bye=1")
    assert wrong.exit_code == 3
    assert "takes no such parameter" in wrong.output
