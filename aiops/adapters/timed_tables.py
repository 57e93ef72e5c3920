"""Columns of numbers over time, from CSV files and back. Neighbours: `tables` reads columns of any kind, `app.score_files` scores what is read here."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from aiops.adapters.tables import column_of, csv_of
from aiops.domain.errors import DefinitionError, Problem, trimmed
from aiops.domain.series import Floats

SCORE = "anomaly_score"
MOST_COLUMNS = 10_000
_UNITS = ((1e17, 1e9), (1e14, 1e6), (1e11, 1e3))
"""Numbers beyond the first (the year 5138, were they seconds) are so many to a second: nano-, micro-, milliseconds."""


@dataclass(frozen=True, slots=True)
class TimedTable:
    """`times` in Unix seconds, `values` (rows, columns) with NaN for what is missing, `read`: the rows as pyarrow read them."""

    path: str
    header: tuple[str, ...]
    times: Floats
    values: Floats
    read: Any


def read_timed(path: Path) -> TimedTable:
    """A CSV whose column `timestamp` (ISO 8601, taken for UTC, or Unix time) stands beside columns of numbers; a column `anomaly_score` is left out.

    Raises DefinitionError, OSError.
    """
    import pyarrow as pa  # deferred: only commands over files need it

    table = csv_of(path, texts=("timestamp",))
    if SCORE in table.column_names:
        table = table.drop_columns([SCORE])
    names = tuple(n for n in table.column_names if n != "timestamp")
    if "timestamp" not in table.column_names or not names:
        raise DefinitionError((Problem(str(path), 1, "header", f"needs `timestamp` and at least one column of numbers; it has: {trimmed(', '.join(table.column_names), 200)}"),))
    if len(names) > MOST_COLUMNS:
        raise DefinitionError((Problem(str(path), 1, "header", f"{len(names)} columns; at most {MOST_COLUMNS} are scored together"),))
    columns: list[Floats] = []
    wrong: list[Problem] = []
    for name in names:
        try:
            columns.append(_numbers(pa, path, name, table.column(name)))
        except DefinitionError as error:
            wrong += error.problems
    if wrong:
        raise DefinitionError(tuple(wrong))
    return TimedTable(str(path), names, times_of(path, table.column("timestamp")), np.stack(columns, axis=1), table)


def _numbers(pa: Any, path: Path, name: str, values: Any) -> Floats:
    """As floats; texts that pyarrow takes for none but that are numbers (`+Inf`) count too."""
    column = column_of(pa, name, values)
    if column.numbers is not None:
        return column.numbers
    found = np.full(len(values), np.nan)
    for place, text in enumerate(values.to_pylist()):
        try:
            found[place] = np.nan if text is None or isinstance(text, bool) else float(text)
        except (TypeError, ValueError) as error:
            message = f"{trimmed(str(text), 40)!r} is no number; a column of numbers is needed here, leave out what is none"
            raise DefinitionError((Problem(str(path), place + 2, name, message),)) from error
    if pa.types.is_boolean(values.type):
        raise DefinitionError((Problem(str(path), 2, name, "true and false are no numbers; write 1 and 0"),))
    return found


def times_of(path: Path, stamps: Any, name: str = "timestamp") -> Floats:
    """Unix seconds of a column of text, all numbers or all ISO 8601. Raises DefinitionError naming the line."""
    import pyarrow as pa  # deferred, see above

    if (found := _seconds(pa, stamps)) is not None:
        return found
    for line, stamp in enumerate(stamps.to_pylist(), start=2):
        if stamp is None or _seconds(pa, pa.chunked_array([[stamp]], pa.string())) is None:
            message = f"{trimmed(stamp or '', 40)!r} is no time; write 2026-01-31 23:59:00 (UTC) or Unix seconds"
            raise DefinitionError((Problem(str(path), line, name, message),))
    raise DefinitionError((Problem(str(path), 2, name, "times of one file must be written alike"),))


def is_time(pa: Any, text: str) -> bool:
    """Whether this is one by itself; `pa` is pyarrow."""
    return _seconds(pa, pa.chunked_array([[text]], pa.string())) is not None


def _seconds(pa: Any, stamps: Any) -> Floats | None:
    """None if not all are times of one kind."""
    kinds = (pa.float64(), pa.timestamp("us"), pa.timestamp("us", tz="UTC"), pa.timestamp("ns"), pa.timestamp("ns", tz="UTC"))
    for kind in kinds:
        try:
            read = stamps.cast(kind)
            numbers = read if kind == kinds[0] else read.cast(pa.int64())
        except pa.ArrowException:
            continue
        found = np.asarray(numbers.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False), dtype=np.float64)
        if not np.isfinite(found).all():
            continue
        if kind == kinds[0]:
            # By the first alone: what comes later says nothing about what was before.
            return found / next((unit for limit, unit in _UNITS if len(found) and abs(found[0]) > limit), 1.0)
        return found / (1e6 if kind in kinds[1:3] else 1e9)
    return None


def write_scored(path: Path, table: TimedTable, scores: Floats) -> None:
    """The table as it was read with a column `anomaly_score` more; folders are made. Raises OSError."""
    import pyarrow as pa  # deferred, see above
    from pyarrow import csv

    path.parent.mkdir(parents=True, exist_ok=True)
    ordered = table.read.select(["timestamp", *table.header])
    texts = pa.array([f"{score:.9g}" for score in scores.tolist()], pa.string())
    with path.open("wb") as file:
        file.write((",".join(_quoted(name) for name in (*ordered.column_names, SCORE)) + "\n").encode())
        # Neither times nor numbers have anything in them that would need quotes.
        csv.write_csv(ordered.append_column(SCORE, texts), file, csv.WriteOptions(include_header=False, quoting_style="none"))


def _quoted(text: str) -> str:
    return '"' + text.replace('"', '""') + '"' if any(c in text for c in ',"\r\n') else text
