"""`aiops capacity`: of a CSV, and of the rules over a source."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from aiops.adapters.history import ParquetHistory
from aiops.adapters.memory_prometheus import MemoryPrometheus
from aiops.adapters.memory_prometheus.store import MemorySeriesStore
from aiops.app.capacity import capacity
from aiops.cli.main import app
from aiops.domain.errors import CommandError
from aiops.domain.series import SeriesRange
from aiops.ports.history import Track
from aiops.settings import Settings

NOW = 1_767_260_000.0 // 3600 * 3600 + 120.0
RULE = """
apiVersion: aiops/v1
kind: RuleSet
metadata: {name: capacity}
rules:
  - name: runs-out
    capacity: {use: used, limit: size, leadTime: 2d}
    severity: warning
    source: prometheus
    detector: {type: exhaustion}
"""


def run(tmp_path: Path, rows: list[str], *options: str) -> tuple[int, str, str]:
    path = tmp_path / "in.csv"
    path.write_text("\n".join(("unique_id,ds,y", *rows)) + "\n", encoding="utf-8")
    result = CliRunner(env={"COLUMNS": "240"}).invoke(app, ["capacity", "--input", str(path), *options])
    return result.exit_code, result.stdout, result.stderr


def disk(name: str = "disk", count: int = 480) -> list[str]:
    return [f"{name},{i},{50 + i / 24:.3f}" for i in range(count)]


def test_a_disk_of_a_csv_shows_when_it_is_full(tmp_path: Path) -> None:
    code, out, err = run(tmp_path, disk(), "--limit", "80", "--output", "json")
    assert (code, err) == (0, "")
    (line,) = json.loads(out)["lines"]
    assert line["p50"] / 86400 == pytest.approx(10.0, abs=0.3)
    assert line["p10"] <= line["p50"] <= line["p90"]
    assert line["probability"]["30d"] == 1.0
    assert line["probability"]["2d"] == 0.0
    assert line["used"] == pytest.approx(0.87, abs=0.01)
    code, out, _ = run(tmp_path, disk(), "--limit", "80")
    assert "unique_id=disk" in out
    assert "10d" in out


def test_what_is_free_runs_down_to_its_limit(tmp_path: Path) -> None:
    rows = [f"free,{i},{50 - i / 24:.3f}" for i in range(480)]
    _, out, _ = run(tmp_path, rows, "--limit", "20", "--falling", "-o", "json")
    assert json.loads(out)["lines"][0]["p50"] / 86400 == pytest.approx(10.0, abs=0.3)


def test_bad_series_are_named_and_spoil_no_other(tmp_path: Path) -> None:
    bad = [
        *(f"short,{i},1" for i in range(4)), *(f"hollow,{i},NaN" for i in range(30)), *(f"constant,{i},5" for i in range(30)),
        *(f"huge,{i},{(-1) ** i}e308" for i in range(30)), *(f"sparse,{i * i * i},{i}" for i in range(30)), *(f"twice,{i // 2},{i}" for i in range(60)),
    ]  # fmt: skip
    code, out, err = run(tmp_path, [*bad, *disk()], "--limit", "80", "-o", "json")
    lines = {line["labels"]["unique_id"]: line for line in json.loads(out)["lines"]}
    assert code == 1  # something was not usable
    assert lines["disk"]["p50"] is not None
    assert "at least 12" in lines["short"]["reason"]
    assert "finite" in lines["hollow"]["reason"]
    assert lines["constant"]["model"] == "constant"
    assert all(lines[name]["reason"] == "" for name in ("huge", "twice"))
    assert err == ""
    code, _, err = run(tmp_path, bad[:34], "--limit", "80")
    assert code == 1
    assert "in.csv:2: short: 4 samples" in err


def test_wrong_options_are_said(tmp_path: Path) -> None:
    assert "go together" in CliRunner().invoke(app, ["capacity", "--limit", "5"]).output
    assert run(tmp_path, disk(), "--limit", "80", "--horizon", "soon")[0] == 2


def settings(tmp_path: Path) -> Settings:
    (tmp_path / "rules.yaml").write_text(RULE, encoding="utf-8")
    return Settings.model_validate({"rules": [str(tmp_path / "rules.yaml")], "runbooks": [], "stateDir": str(tmp_path / "state")})


def series(name: str, values: np.ndarray) -> SeriesRange:
    return SeriesRange({"__name__": name, "disk": "a"}, NOW - 120.0 - 3600.0 * np.arange(len(values), dtype=np.float64)[::-1], values)


def test_rules_are_answered_by_the_source_and_what_a_daemon_has_kept(tmp_path: Path) -> None:
    kept = ParquetHistory(tmp_path / "state" / "history")
    growing = 50.0 + np.arange(480) / 24.0
    for name, values in (("used", growing), ("size", np.full(480, 80.0))):
        kept.add(Track("prometheus", name, 3600.0), [series(name, values)], NOW - 120.0)
    source = MemoryPrometheus("prometheus", MemorySeriesStore())  # its retention is over
    found = capacity(settings(tmp_path), sources={"prometheus": source}, now=NOW)
    (line,) = found.lines
    assert (line.rule, line.labels, line.p50 and round(line.p50 / 86400)) == ("runs-out", {"disk": "a"}, 10)
    assert len(line.past) == 32


def test_a_rule_without_series_and_one_that_is_not_there(tmp_path: Path) -> None:
    source = MemoryPrometheus("prometheus", MemorySeriesStore())
    assert capacity(settings(tmp_path), sources={"prometheus": source}, now=NOW).silent == {"runs-out": "no series"}
    assert "not in the settings" in capacity(settings(tmp_path), sources={}, now=NOW).silent["runs-out"]
    with pytest.raises(CommandError, match="there are: runs-out"):
        capacity(settings(tmp_path), ("nope",), sources={}, now=NOW)
