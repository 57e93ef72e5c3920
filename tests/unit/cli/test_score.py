"""`aiops score`: folders of CSV in and out."""

from __future__ import annotations

import csv
import gzip
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner, Result

from aiops.cli.main import app


def score(source: Path, target: Path) -> Result:
    return CliRunner().invoke(app, ["score", "--input", str(source), "--output", str(target)])


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_folders_are_kept_and_each_row_has_a_score(tmp_path: Path) -> None:
    source = tmp_path / "in"
    (source / "web").mkdir(parents=True)
    values = np.random.default_rng(1).normal(10.0, 1.0, 400)
    values[300] = 99.0
    lines = ["timestamp,value", *(f"2026-01-{1 + i // 24:02d} {i % 24:02d}:00:00,{v:.4f}" for i, v in enumerate(values))]
    (source / "web" / "latency.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    table = ["timestamp,a,b", *(f"{1_700_000_000 + 60 * i},{v:.4f}," for i, v in enumerate(values))]
    with gzip.open(source / "machine.csv.gz", "wt", encoding="utf-8") as file:
        file.write("\n".join(table) + "\n")
    result = score(source, tmp_path / "out")
    assert result.exit_code == 0, result.output
    assert "2 files, 800 rows" in result.stdout
    single, joint = rows(tmp_path / "out" / "web" / "latency.csv"), rows(tmp_path / "out" / "machine.csv")
    assert [r["timestamp"] for r in single] == [line.split(",")[0] for line in lines[1:]]
    assert max(range(400), key=lambda i: float(single[i]["anomaly_score"])) == 300
    assert max(range(400), key=lambda i: float(joint[i]["anomaly_score"])) in (300, 301)
    assert joint[5]["b"] == ""


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("time,value\n1,2\n", "1: header: needs `timestamp`"),
        ("timestamp\n1\n", "1: header: needs `timestamp` and at least one column"),
        ("timestamp,value\n1,2\nnoon,3\n", "3: timestamp: 'noon' is no time"),
        ("timestamp,value\n1,2\n2,x\n", "1: value: a column of numbers"),
        ("timestamp,value\n1,2\n3\n", "3: table: cannot be read"),
    ],
)
def test_a_bad_file_is_named_and_the_good_ones_are_scored(tmp_path: Path, text: str, says: str) -> None:
    source = tmp_path / "in"
    source.mkdir()
    (source / "bad.csv").write_text(text, encoding="utf-8")
    (source / "good.csv").write_text("timestamp,value\n2026-01-01T00:00:00Z,1\n2026-01-01T00:05:00Z,2\n", encoding="utf-8")
    result = score(source, tmp_path / "out")
    assert result.exit_code == 1
    assert f"bad.csv:{says}" in result.stderr
    assert [r["anomaly_score"] for r in rows(tmp_path / "out" / "good.csv")] == ["0", "0"]
    assert not (tmp_path / "out" / "bad.csv").exists()


def test_folders_that_cannot_be_used(tmp_path: Path) -> None:
    assert "no such folder" in score(tmp_path / "none", tmp_path / "out").stderr
    (tmp_path / "in").mkdir()
    assert "no *.csv file" in score(tmp_path / "in", tmp_path / "out").stderr
    assert "another folder" in score(tmp_path / "in", tmp_path / "in").stderr
