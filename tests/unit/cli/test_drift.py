"""`aiops drift`: files in, JSON and an exit code out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet
from typer.testing import CliRunner, Result

from aiops.cli.main import app


def drift(*words: object) -> Result:
    return CliRunner().invoke(app, ["drift", *map(str, words)])


def table(seed: int, rows: int, *, shift: float = 0.0, mostly: str = "de", start: int = 0) -> dict[str, list[Any]]:
    generator = np.random.default_rng(seed)
    return {
        "timestamp": list(range(start, start + rows)),
        "latency": [float(v) for v in generator.normal(shift, 1.0, rows)],
        "country": [mostly if v < 0.6 else "fr" for v in generator.random(rows)],
        "user": [f"u{seed}-{i}" for i in range(rows)],
    }


def csv(path: Path, columns: dict[str, list[Any]]) -> Path:
    lines = [",".join(columns), *(",".join(map(str, row)) for row in zip(*columns.values(), strict=True))]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def test_no_drift_is_zero_and_a_shift_is_four(tmp_path: Path) -> None:
    reference = csv(tmp_path / "a.csv", table(1, 3000))
    same = drift("--reference", reference, "--current", csv(tmp_path / "b.csv", table(2, 600, start=5000)))
    assert same.exit_code == 0, same.output
    found = json.loads(same.stdout)
    assert found["verdict"] == "none"
    assert set(found["features"]) == {"latency", "country"}
    assert set(found["skipped"]) == {"timestamp", "user"}
    other = drift("--reference", reference, "--current", csv(tmp_path / "c.csv", table(3, 600, shift=1.0, mostly="us", start=5000)))
    assert other.exit_code == 4
    found = json.loads(other.stdout)
    assert {name: row["verdict"] for name, row in found["features"].items()} == {"latency": "critical", "country": "critical"}
    latency = found["features"]["latency"]
    assert latency["psi"] > 0.25
    assert latency["kl"] > 0.15
    assert 0.0 < latency["js"] < 1.0
    assert latency["p"] < 1e-9
    assert sum(latency["histogram"]["current"]) == 600
    assert "(new)" in found["features"]["country"]["histogram"]["bins"]


def test_between_is_a_warning(tmp_path: Path) -> None:
    reference = csv(tmp_path / "a.csv", table(1, 5000))
    result = drift("--reference", reference, "--current", csv(tmp_path / "b.csv", table(2, 1000, shift=0.4)), "--feature", "latency", "-o", "text")
    assert result.exit_code == 3, result.output
    assert "warning" in result.stdout


def test_parquet_and_csv_say_the_same(tmp_path: Path) -> None:
    reference, current = table(1, 1000), table(2, 300, shift=1.0)
    for name, columns in (("a", reference), ("b", current)):
        csv(tmp_path / f"{name}.csv", columns)
        parquet.write_table(pa.table(columns), tmp_path / f"{name}.parquet")
    first = drift("--reference", tmp_path / "a.csv", "--current", tmp_path / "b.csv")
    second = drift("--reference", tmp_path / "a.parquet", "--current", tmp_path / "b.parquet")
    assert first.exit_code == second.exit_code == 4
    assert json.loads(first.stdout)["features"] == json.loads(second.stdout)["features"]


def test_a_feature_that_vanished_is_critical_and_one_that_came_is_said(tmp_path: Path) -> None:
    reference, current = table(1, 1000), table(2, 300)
    current["extra"] = current.pop("country")
    result = drift("--reference", csv(tmp_path / "a.csv", reference), "--current", csv(tmp_path / "b.csv", current))
    assert result.exit_code == 4
    found = json.loads(result.stdout)
    assert found["features"]["country"]["reason"] == "the current file does not have it"
    assert found["skipped"]["extra"] == "the reference does not have it"


def test_too_few_rows_are_no_answer(tmp_path: Path) -> None:
    result = drift("--reference", csv(tmp_path / "a.csv", table(1, 1000)), "--current", csv(tmp_path / "b.csv", table(2, 20)), "--feature", "latency")
    assert result.exit_code == 1
    assert json.loads(result.stdout)["features"]["latency"]["verdict"] == "too-few"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "cannot be read"),
        ("x,latency\n", "no rows"),
        ("x,latency\n1,2\n3\n", "b.csv:3: table: cannot be read"),
        ("latency,latency\n1,2\n", "twice"),
        ("other\n1\n2\n", "no column of the reference is here"),
    ],
)
def test_a_file_that_cannot_be_used_is_one_line(tmp_path: Path, text: str, says: str) -> None:
    reference = csv(tmp_path / "a.csv", table(1, 200))
    bad = tmp_path / "b.csv"
    bad.write_text(text, encoding="utf-8")
    result = drift("--reference", reference, "--current", bad)
    assert result.exit_code == 1
    assert says in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1


def test_a_missing_file_and_an_unknown_feature_are_named(tmp_path: Path) -> None:
    reference = csv(tmp_path / "a.csv", table(1, 200))
    gone = drift("--reference", reference, "--current", tmp_path / "none.csv")
    assert gone.exit_code == 1
    assert "none.csv" in gone.stderr
    unknown = drift("--reference", reference, "--current", reference, "--feature", "latencz")
    assert unknown.exit_code == 1
    assert "latencz: no such column; there are: timestamp, latency" in unknown.stderr


def test_a_column_that_was_asked_for_and_is_gone_is_named(tmp_path: Path) -> None:
    reference, current = table(1, 1000), table(2, 300)
    del current["country"]
    result = drift("--reference", csv(tmp_path / "a.csv", reference), "--current", csv(tmp_path / "b.csv", current), "--feature", "country")
    assert result.exit_code == 1
    assert "b.csv:1: country: no such column; there are: timestamp, latency, user" in result.stderr


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_words_where_the_reference_has_numbers_are_one_error_with_the_row(tmp_path: Path, kind: str) -> None:
    reference, current = table(1, 1000), table(2, 300)
    current["latency"] = [str(v) for v in current["latency"]]
    current["latency"][5] = "oops"
    for name, columns in (("a", reference), ("b", current)):
        if kind == "csv":
            csv(tmp_path / f"{name}.csv", columns)
        else:
            parquet.write_table(pa.table(columns), tmp_path / f"{name}.parquet")
    result = drift("--reference", tmp_path / f"a.{kind}", "--current", tmp_path / f"b.{kind}")
    assert result.exit_code == 1
    assert f"b.{kind}:7: latency: 'oops' is no number, as the reference has them" in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1


ODD: dict[str, tuple[str, list[Any], int]] = {
    "empty bins": ("latency", [9.0] * 300, 4),
    "ties as they were": ("tie", [0.0, 0.0, 0.0, 1.0, 2.0] * 60, 0),
    "other ties": ("tie", [1.0, 2.0] * 150, 4),
    "many missing": ("latency", [float("nan"), 0.0, -1.0, 1.0] * 75, 4),
    "infinite": ("latency", [float("inf"), float("-inf")] * 150, 4),
    "a new category": ("country", ["br", "de", "de", "fr"] * 75, 4),
}


@pytest.mark.parametrize("case", list(ODD))
def test_what_is_odd_has_an_answer(tmp_path: Path, case: str) -> None:
    feature, column, code = ODD[case]
    reference = table(1, 1000) | {"tie": [float(v) for v in np.random.default_rng(4).choice([0.0, 0.0, 0.0, 1.0, 2.0], 1000)]}
    current: dict[str, list[Any]] = table(2, 300) | {"tie": reference["tie"][:300], feature: column}
    result = drift("--reference", csv(tmp_path / "a.csv", reference), "--current", csv(tmp_path / "b.csv", current), "--feature", feature)
    assert result.exit_code == code, result.output


def test_one_wild_value_is_no_drift_and_infinite_ones_in_the_reference_are_usual(tmp_path: Path) -> None:
    reference, current = table(1, 1000), table(2, 300)
    current["latency"][7] = 1e300
    result = drift("--reference", csv(tmp_path / "a.csv", reference), "--current", csv(tmp_path / "b.csv", current), "--feature", "latency")
    assert result.exit_code == 0, result.output
    reference["latency"][::10] = [float("inf")] * 100
    current["latency"][::10] = [float("inf")] * 30
    result = drift("--reference", csv(tmp_path / "a.csv", reference), "--current", csv(tmp_path / "b.csv", current))
    assert result.exit_code == 0, result.output
