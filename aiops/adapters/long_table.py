"""Many series in one CSV, a row for each sample: `unique_id,ds,y`; and forecasts as `unique_id,ds,mean,lo-90,hi-90`.

Neighbours: `app.forecast_files`; `tables` reads the times.
"""

from __future__ import annotations

import csv
import math
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from aiops.adapters.tables import Column, column_of, csv_of
from aiops.adapters.timed_tables import is_time, times_of
from aiops.domain.errors import DefinitionError, Problem, trimmed
from aiops.domain.series import Floats

COLUMNS = ("unique_id", "ds", "y")


@dataclass(frozen=True, slots=True)
class Style:
    """How times are written: `kind` is integer, number, date or time."""

    kind: str
    between: str = " "
    zone: str = ""

    def write(self, at: float) -> str:
        """Raises ValueError for a time beyond the calendar."""
        if self.kind == "integer" and float(at).is_integer():
            return str(int(at))
        if self.kind in ("integer", "number"):
            return repr(float(at))
        try:
            moment = datetime.fromtimestamp(at, UTC)
        except (OverflowError, ValueError, OSError) as error:
            raise ValueError("the forecast would reach beyond the year 9999") from error
        if self.kind == "date" and (moment.hour, moment.minute, moment.second, moment.microsecond) == (0, 0, 0, 0):
            return moment.strftime("%Y-%m-%d")
        return moment.replace(tzinfo=None).isoformat(sep=self.between, timespec="auto") + self.zone


@dataclass(frozen=True, slots=True)
class LongTable:
    """All rows, and for each series which are its own, in the order of first mention. `wrong`: series with a cell that cannot be read, which are not among these."""

    times: Floats
    values: Floats
    series: dict[str, np.ndarray]
    style: Style
    wrong: tuple[Problem, ...] = ()


@dataclass(frozen=True, slots=True)
class Predicted:
    """One series' forecast."""

    name: str
    stamps: list[str]
    mean: Floats
    low: Floats
    high: Floats


def read_long(path: Path) -> LongTable:
    """`ds` integers, numbers or ISO 8601 times, all alike; a cell that is none of these takes its series out, no other.

    Raises DefinitionError naming file and line, if there is no series left or the file is no table; OSError.
    """
    import pyarrow as pa  # deferred: only commands over files need it

    table = csv_of(path, texts=("unique_id", "ds"), missing=("", "NA", "NaN", "nan", "null", "None"))
    if missing := [name for name in COLUMNS if name not in table.column_names]:
        raise DefinitionError((Problem(str(path), 1, "header", f"needs {', '.join(COLUMNS)}; missing: {', '.join(missing)}"),))
    if not table.num_rows:
        raise DefinitionError((Problem(str(path), 1, "table", "it has no rows; at least three are needed below the header"),))
    names = table.column("unique_id").to_pylist()
    if None in names:
        raise DefinitionError((Problem(str(path), names.index(None) + 2, "unique_id", "a series needs a name"),))
    values, wrong = _values(column_of(pa, "y", table.column("y")), str(path), names)
    stamps = table.column("ds")
    try:
        times = times_of(path, stamps, name="ds")
    except DefinitionError:
        stamps, times = _times(pa, path, stamps, names, wrong)
    found: dict[str, list[int]] = {}
    for row, name in enumerate(names):
        if name not in wrong:
            found.setdefault(name, []).append(row)
    problems = tuple(sorted(wrong.values(), key=lambda p: p.line))
    if not found:
        raise DefinitionError(problems)
    first = next(iter(found.values()))[0]
    usable = np.concatenate([times[rows] for rows in found.values()])
    return LongTable(times, values, {name: np.asarray(rows) for name, rows in found.items()}, _style(stamps[first].as_py(), usable), problems)


def _values(column: Column, path: str, names: list[str]) -> tuple[Floats, dict[str, Problem]]:
    """Numbers, NaN for what is missing; by series the first cell that is no number."""
    wrong: dict[str, Problem] = {}
    if column.numbers is not None:
        return column.numbers, wrong
    values = np.full(len(names), np.nan)
    if column.names is None:
        raise DefinitionError((Problem(path, 1, "y", "a column of numbers is needed here"),))
    for row, text in enumerate(column.names):
        try:
            values[row] = math.nan if text is None else float(text)
        except ValueError:
            wrong.setdefault(names[row], Problem(path, row + 2, names[row], f"{trimmed(text or '', 40)!r} is no number; y is a column of numbers"))
    return values, wrong


def _times(pa: Any, path: Path, stamps: Any, names: list[str], wrong: dict[str, Problem]) -> tuple[Any, Floats]:
    """Where some cell is no time: the series of such cells are `wrong`, the others' times are read without them. Raises DefinitionError if those are not alike."""
    texts = stamps.to_pylist()
    known: dict[str | None, bool] = {}
    for row, text in enumerate(texts):
        if text not in known:
            known[text] = text is not None and is_time(pa, text)
        if not known[text]:
            message = f"{trimmed(text or '', 40)!r} is no time; write 2026-01-31 23:59:00 (UTC) or Unix seconds"
            wrong.setdefault(names[row], Problem(str(path), row + 2, names[row], message))
    usable = [row for row, name in enumerate(names) if name not in wrong]
    if not usable:
        raise DefinitionError(tuple(sorted(wrong.values(), key=lambda p: p.line)))
    times = np.full(len(names), np.nan)
    times[usable] = times_of(path, pa.chunked_array([[texts[row] for row in usable]], pa.string()), name="ds")
    return stamps, times


def _style(first: str, times: Floats) -> Style:
    try:
        float(first)
    except ValueError:
        pass
    else:
        return Style("integer" if (times == np.rint(times)).all() else "number")
    if len(first) == len("2026-01-31"):
        return Style("date")
    zone = "Z" if first.endswith("Z") else "+00:00" if "+" in first[10:] or "-" in first[10:] else ""
    return Style("time", "T" if "T" in first else " ", zone)


def write_forecast(path: Path, forecasts: list[Predicted]) -> None:
    """Whole or not at all. Raises OSError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.part")
    try:
        with part.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(("unique_id", "ds", "mean", "lo-90", "hi-90"))
            for each in forecasts:
                for stamp, *numbers in zip(each.stamps, each.mean.tolist(), each.low.tolist(), each.high.tolist(), strict=True):
                    writer.writerow((each.name, stamp, *("" if math.isnan(v) else repr(v) for v in numbers)))
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
