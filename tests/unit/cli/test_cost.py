"""`aiops cost` as it is called."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from aiops.cli.main import app

PRICES = """apiVersion: aiops/v1
kind: PriceList
metadata: {name: house}
clouds: {house: {cpuHour: 0.03, memoryGibHour: 0.004, nodeTypes: {big: {cpu: 4, memoryGib: 16, hour: 0.2}}}}
"""


@pytest.fixture
def files(tmp_path: Path) -> list[str]:
    rows = ["timestamp,resource,value,namespace,workload,team"]
    for hour in range(24 * 12):
        at = 1_793_491_200 + 3600 * hour
        rows += [f"{at},cpu_request,2,shop,Deployment/web,a", f"{at},memory_request,4,shop,Deployment/web,a", f"{at},cpu_request,1,data,Deployment/db,b", f"{at},nodes,2,,,"]
    (tmp_path / "use.csv").write_text("\n".join(rows).replace("nodes,2,,,", "nodes,2,,,") + "\n")
    (tmp_path / "prices.yaml").write_text(PRICES)
    return ["cost", "--input", str(tmp_path / "use.csv"), "--prices", str(tmp_path / "prices.yaml")]


def test_json(files: list[str]) -> None:
    answer = CliRunner().invoke(app, [*files, "--by", "label:team", "--by", "namespace", "--budget", "50", "-o", "json"])
    assert answer.exit_code == 0, answer.output
    found = json.loads(answer.stdout)
    assert found["month"] == "2026-11"
    hours = 24 * 12
    assert found["spent"] == pytest.approx(hours * (3 * 0.03 + 4 * 0.004))
    assert found["forecast"]["mean"] == pytest.approx(found["spent"] * 30 / 12)
    assert {r["name"] for r in found["by"]["label:team"]} == {"a", "b"}
    assert sum(r["total"] for r in found["by"]["namespace"]) == pytest.approx(found["spent"])
    assert found["budgets"][0]["burn"] in ("likely", "certain")


def test_text_and_exit_code(files: list[str]) -> None:
    answer = CliRunner().invoke(app, [*files, "--budget", "50", "--fail", "likely"])
    assert answer.exit_code == 1, answer.output
    assert "budget all 50" in answer.output
    assert "shop" in answer.output
    calm = CliRunner().invoke(app, [*files, "--budget", "5000", "--fail", "likely"])
    assert calm.exit_code == 0, calm.output


@pytest.mark.parametrize(
    ("more", "code", "said"),
    [(["--month", "2026-13"], 3, "is no month"), (["--month", "2025-01"], 3, "nothing is known of the cost of 2025-01"), (["--by", "colour"], 2, "allowed: namespace")],
)
def test_what_cannot_be_answered(files: list[str], more: list[str], code: int, said: str) -> None:
    answer = CliRunner().invoke(app, [*files, *more])
    assert answer.exit_code == code, answer.output
    assert said in answer.output


def test_no_prices_and_no_use(files: list[str]) -> None:
    assert "give a file with --prices" in CliRunner().invoke(app, files[:3]).output
    answer = CliRunner().invoke(app, ["cost", *files[3:]])
    assert (answer.exit_code, "give a file with --input" in answer.output) == (3, True)
