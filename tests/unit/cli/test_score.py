"""`aiops score`: folders of CSV in and out."""

from __future__ import annotations

import csv
import gzip
import lzma
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner, Result

from aiops.cli.main import app

PROFILES = ("fleet", "focus")


def score(source: Path, target: Path, profile: str = "fleet") -> Result:
    return CliRunner().invoke(app, ["score", "--input", str(source), "--output", str(target), "--profile", profile])


def scores(path: Path) -> list[str]:
    return [row["anomaly_score"] for row in rows(path)]


def written(path: Path, values: np.ndarray) -> None:
    """Rows each five minutes; (rows,) is a single series, (rows, columns) a table."""
    columns = values[:, None] if values.ndim == 1 else values
    lines = [",".join(["timestamp", *(f"c{j}" for j in range(columns.shape[1]))])]
    for i, row in enumerate(columns.tolist()):
        lines.append(",".join([str(1_700_000_000 + 300 * i), *("" if v != v else repr(v) for v in row)]))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def recorded(seed: int, size: int = 420, columns: int = 0) -> np.ndarray:
    """Noise with steps, spikes, gaps and a stretch of one value."""
    rng = np.random.default_rng(seed)
    values = rng.normal(50.0, 5.0, (size, max(columns, 1))).round(3)
    values[rng.integers(0, size, 12)] *= 10.0
    values[size // 2 : size // 2 + 40] = 7.0
    values[rng.integers(0, size, 9)] = np.nan
    return values if columns else values[:, 0]


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
        ("", "1: table: cannot be read: Empty CSV file"),
        ("timestamp,a,a\n1,2,3\n", "1: header: the column 'a' stands there twice"),
        ("2026-01-01 00:00:00,3\n", "1: header: needs `timestamp`"),
        ("timestamp,value\n1,2\n,3\n", "3: timestamp: '' is no time"),
        ("timestamp,value\n1,true\n2,false\n", "2: value: true and false are no numbers"),
        ("timestamp,value\n1,2\nnoon,3\n", "3: timestamp: 'noon' is no time"),
        ("timestamp,value\n1,2\n2,x\n", "3: value: 'x' is no number; a column of numbers"),
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


@pytest.mark.parametrize(("profile", "seed"), list(zip(PROFILES, (1, 2), strict=True)))
def test_what_comes_later_and_what_lies_beside_changes_nothing(tmp_path: Path, profile: str, seed: int) -> None:
    single, table, cut = recorded(seed), recorded(seed, columns=3), 300 + 17 * seed
    written(tmp_path / "a" / "one.csv", single)
    written(tmp_path / "a" / "deep" / "many.csv", table)
    for values, path in ((single, Path("one.csv")), (table, Path("deep/many.csv"))):
        altered = values.copy()
        altered[cut:] = np.random.default_rng(9).choice([1e300, -1e300, 0.0, np.nan, 5e-324, 3.0], altered[cut:].shape)
        written(tmp_path / "b" / path, altered)
        written(tmp_path / "c" / path, values[:cut])
    written(tmp_path / "b" / "other.csv", recorded(7, 600))
    for name in "abc":
        assert score(tmp_path / name, tmp_path / f"{name}.out", profile).exit_code == 0
    for name in ("one.csv", "deep/many.csv"):
        whole = scores(tmp_path / "a.out" / name)
        assert len(whole) == 420
        assert all(0.0 <= float(s) <= 1.0 for s in whole)
        assert any(float(s) > 0.0 for s in whole)
        assert scores(tmp_path / "b.out" / name)[:cut] == whole[:cut] == scores(tmp_path / "c.out" / name)
    again = score(tmp_path / "a", tmp_path / "again", profile)
    assert again.exit_code == 0
    assert (tmp_path / "again" / "one.csv").read_bytes() == (tmp_path / "a.out" / "one.csv").read_bytes()


@pytest.mark.parametrize("profile", PROFILES)
def test_any_numbers_and_any_order_of_times_have_a_score(tmp_path: Path, profile: str) -> None:
    odd = ["NaN", "", "1e300", "-1e300", "inf", "-inf", "5e-324", "-0.0", "7", "123456789012345678", "+Inf", "NA"]
    stamps = np.random.default_rng(3).integers(1_700_000_000, 1_700_000_900, 240)  # In no order, and many twice.
    (tmp_path / "in").mkdir()
    for name, columns in (("one", 1), ("many", 3)):
        lines = [",".join(["timestamp", *(f"c{j}" for j in range(columns))])]
        lines += [",".join([str(t), *(odd[(i * (j + 1)) % len(odd)] for j in range(columns))]) for i, t in enumerate(stamps)]
        (tmp_path / "in" / f"{name}.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    written(tmp_path / "in" / "constant.csv", np.full(240, 3.5))
    written(tmp_path / "in" / "nothing.csv", np.full((240, 2), np.nan))
    written(tmp_path / "in" / "short.csv", np.array([1.0]))
    result = score(tmp_path / "in", tmp_path / "out", profile)
    assert result.exit_code == 0, result.output
    for name in ("one", "many", "constant", "nothing"):
        read = rows(tmp_path / "out" / f"{name}.csv")
        assert len(read) == 240
        assert all(0.0 <= float(row["anomaly_score"]) <= 1.0 for row in read)
    assert [row["timestamp"] for row in rows(tmp_path / "out" / "one.csv")] == [str(t) for t in stamps]
    assert set(scores(tmp_path / "out" / "constant.csv")) == set(scores(tmp_path / "out" / "nothing.csv")) == {"0"}
    assert scores(tmp_path / "out" / "short.csv") == ["0"]


def test_packed_files_units_of_time_and_scores_that_are_there_already(tmp_path: Path) -> None:
    values = recorded(4)
    written(tmp_path / "plain" / "a.csv", values)
    text = (tmp_path / "plain" / "a.csv").read_text(encoding="utf-8")
    source = tmp_path / "in"
    source.mkdir()
    (source / "x.csv.xz").write_bytes(lzma.compress(text.encode()))
    (source / "y.CSV.gz").write_bytes(gzip.compress(text.encode()))
    head, *lines = text.splitlines()
    (source / "milli.csv").write_text("\n".join([head, *(line.replace(",", "000,", 1) for line in lines)]) + "\n", encoding="utf-8")
    (source / "scored.csv").write_text("\n".join([head + ",anomaly_score", *(line + ",0.9" for line in lines)]) + "\n", encoding="utf-8")
    (source / "damaged.csv.gz").write_text(text, encoding="utf-8")
    (source / "x.csv").write_text(text, encoding="utf-8")
    (source / "latin.csv").write_bytes(b"timestamp,caf\xe9\n1,1\n")
    result = score(source, tmp_path / "out")
    assert result.exit_code == 1
    assert "4 files, 1680 rows" in result.stdout
    for says in ("x.csv.xz:1: file: would be written where x.csv is", "damaged.csv.gz:1: table: cannot be read", "latin.csv:1: header: a name is not UTF-8"):
        assert says in result.stderr.replace("\n", "")
    assert score(tmp_path / "plain", tmp_path / "plain.out").exit_code == 0
    plain = scores(tmp_path / "plain.out" / "a.csv")
    for name in ("x.csv", "y.CSV", "milli.csv", "scored.csv"):
        assert scores(tmp_path / "out" / name) == plain, name
