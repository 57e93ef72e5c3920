"""`aiops forecast`: a CSV in and out."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner, Result

from aiops.cli.main import app


def run(tmp_path: Path, text: str, *options: str) -> tuple[Result, list[dict[str, str]]]:
    source, target = tmp_path / "in.csv", tmp_path / "out" / "forecast.csv"
    source.write_text(text, encoding="utf-8")
    result = CliRunner().invoke(app, ["forecast", "--input", str(source), "--output", str(target), *options])
    if not target.exists():
        return result, []
    with target.open(encoding="utf-8", newline="") as file:
        return result, list(csv.DictReader(file))


def lines(*rows: str) -> str:
    return "\n".join(("unique_id,ds,y", *rows)) + "\n"


def test_each_series_goes_on_in_its_own_steps(tmp_path: Path) -> None:
    day = [f"a,{i},{10 + 5 * np.sin(2 * np.pi * i / 24):.6f}" for i in range(240)]
    other = [f"b,2026-01-{1 + i // 24:02d}T{i % 24:02d}:00:00Z,{i % 24}" for i in range(240)]
    result, rows = run(tmp_path, lines(*day), "--horizon", "24")
    assert result.exit_code == 0, result.output
    assert [r["ds"] for r in rows] == [str(i) for i in range(240, 264)]
    assert list(rows[0]) == ["unique_id", "ds", "mean", "lo-90", "hi-90"]
    assert [float(r["mean"]) for r in rows] == pytest.approx([10 + 5 * np.sin(2 * np.pi * i / 24) for i in range(240, 264)], abs=0.01)
    result, rows = run(tmp_path, lines(*other), "--horizon", "25", "--season", "24")
    assert result.exit_code == 0, result.output
    assert (rows[0]["ds"], rows[24]["ds"]) == ("2026-01-11T00:00:00Z", "2026-01-12T00:00:00Z")
    assert float(rows[5]["mean"]) == pytest.approx(5.0, abs=0.01)


def test_disorder_doubles_and_gaps_are_mended_and_said(tmp_path: Path) -> None:
    rows = [f"a,2026-02-{d:02d},{d}" for d in (3, 1, 2, 4, 4, 6, 7, 8, 9)]
    result, found = run(tmp_path, lines(*rows), "--horizon", "2")
    assert result.exit_code == 0, result.output
    assert "1 missing points filled, 1 samples" in result.stdout
    assert [r["ds"] for r in found] == ["2026-02-10", "2026-02-11"]


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        ([f"bad,{i},nan" for i in range(5)], "2: bad: no value is a finite number"),
        (["bad,0,1", "bad,1,2"], "2: bad: 2 different times with a finite value; at least 3"),
        (["bad,0,1", "bad,0,2", "bad,0,3"], "2: bad: 1 different times"),
        (["bad,0,1", "bad,1,2", "bad,2,2", "bad,9999999,3"], "too few to fill the gaps"),
        (["bad,0,inf", "bad,1,inf", "bad,2,-inf"], "no value is a finite number"),
        (["bad,0,1", "bad,1,much", "bad,2,3"], "3: bad: 'much' is no number"),
        (["bad,0,1", "bad,soon,2", "bad,2,3"], "3: bad: 'soon' is no time"),
        (["bad,0,1", "bad,,2", "bad,2,3"], "3: bad: '' is no time"),
    ],
)
def test_a_bad_series_is_named_and_the_good_are_forecast(tmp_path: Path, rows: list[str], says: str) -> None:
    result, found = run(tmp_path, lines(*rows, *(f"good,{i},{i}" for i in range(30))), "--horizon", "3")
    assert result.exit_code == 1
    assert says in result.stderr
    assert {r["unique_id"] for r in found} == {"good"}


@pytest.mark.parametrize(
    ("rows", "first"),
    [
        ([f"odd,{i},7" for i in range(40)], 40),  # constant
        ([f"odd,{i},{(-1) ** i}e308" for i in range(40)], 40),  # as large as numbers are
        ([f"odd,{i},{i % 5 - 9}" for i in range(40)], 40),  # negative throughout
        ([f"odd,{(i * 7) % 40},{(i * 7) % 40}" for i in range(40)], 40),  # unordered
        ([f"odd,{i // 2},{i}" for i in range(40)], 20),  # each stamp twice
        ([f"odd,{400 * i},{i}" for i in range(40)], 16_000),  # wide steps
        ([f"odd,{i + (i % 3 == 0)},{i}" for i in range(40)], 41),  # uneven ones
        ([f"odd,{i},{i % 4}e-320" for i in range(40)], 40),  # as small as numbers are
    ],
)
def test_odd_series_are_forecast_in_finite_numbers_and_in_order(tmp_path: Path, rows: list[str], first: int) -> None:
    result, found = run(tmp_path, lines(*rows, *(f"good,{i},{i}" for i in range(30))), "--horizon", "3")
    assert result.exit_code == 0, result.output
    odd = [r for r in found if r["unique_id"] == "odd"]
    assert abs(float(odd[0]["ds"]) - first) <= 1
    for row in odd:
        low, mean, high = (float(row[name]) for name in ("lo-90", "mean", "hi-90"))
        assert np.isfinite([low, mean, high]).all()
        assert low <= mean <= high
    assert len(found) == 6


def test_each_by_itself_gives_the_same_file_where_nothing_is_shared(tmp_path: Path) -> None:
    rows = lines(*(f"a,{i},{i % 6}" for i in range(60)))
    assert run(tmp_path, rows, "--horizon", "6", "--alone")[1] == run(tmp_path, rows, "--horizon", "6")[1]


def test_steps_beyond_the_calendar_are_an_error_of_that_series(tmp_path: Path) -> None:
    rows = ["far,2020-01-01,1", "far,2021-02-04,2", "far,2022-03-11,3", "far,2023-04-15,4"]
    result, found = run(tmp_path, lines(*rows), "--horizon", "3")
    assert (result.exit_code, len(found)) == (0, 3)
    result, found = run(tmp_path, lines(*rows), "--horizon", "99999")
    assert result.exit_code == 1
    assert "far: the forecast would reach beyond the year 9999" in result.stderr


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("id,ds,y\na,1,1\n", "1: header: needs unique_id, ds, y; missing: unique_id"),
        ("unique_id,ds,y\n", "1: table: it has no rows"),
        ("unique_id,ds,y\na,1,x\n", "2: a: 'x' is no number"),
        ("unique_id,ds,y\na,1,1\na,noon,2\n", "3: a: 'noon' is no time"),
        ("unique_id,ds,y\n,1,1\n", "2: unique_id: a series needs a name"),
    ],
)
def test_a_bad_file_is_one_clear_error(tmp_path: Path, text: str, says: str) -> None:
    result, found = run(tmp_path, text, "--horizon", "3")
    assert result.exit_code == 1
    assert says in result.stderr
    assert found == []
