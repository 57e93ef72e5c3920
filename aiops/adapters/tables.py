"""Tables from files, CSV or Parquet, as columns of numbers or of names, in the order of their rows.

Neighbours: `app.drift_files` compares two of them. pyarrow reads both formats and is loaded only here.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from aiops.domain.errors import DefinitionError, Problem, trimmed
from aiops.domain.series import Floats

PARQUET = (".parquet", ".pq")


@dataclass(frozen=True, slots=True)
class Column:
    """`numbers` (NaN for what is missing) or `names` (None for what is missing); neither for a column of times."""

    name: str
    numbers: Floats | None = None
    names: tuple[str | None, ...] | None = None

    def as_names(self) -> Sequence[str | None]:
        """The values as text."""
        if self.names is not None:
            return self.names
        numbers = self.numbers if self.numbers is not None else np.empty(0)
        return [None if np.isnan(v) else f"{v:g}" for v in numbers]


@dataclass(frozen=True, slots=True)
class Table:
    """Columns by name, all of `rows` values."""

    path: str
    rows: int
    columns: dict[str, Column]


def read_table(path: Path) -> Table:
    """CSV (first line: names) or Parquet, by the file's ending. Raises DefinitionError naming file and line, OSError if it cannot be opened."""
    import pyarrow as pa  # deferred: only commands over files need it

    try:
        table = _parquet(path) if path.suffix.lower() in PARQUET else _csv(path)
        if len(set(table.column_names)) != len(table.column_names):
            raise DefinitionError((Problem(str(path), 1, "header", "a column's name stands there twice; names must differ"),))
        columns = {name: column_of(pa, name, table.column(name)) for name in table.column_names}
    except (pa.ArrowException, UnicodeDecodeError) as error:
        raise DefinitionError((Problem(str(path), _line(str(error)), "table", f"cannot be read: {trimmed(str(error), 200)}"),)) from error
    if not table.num_rows:
        raise DefinitionError((Problem(str(path), 1, "table", "it has no rows; at least one is needed below the header"),))
    return Table(str(path), table.num_rows, columns)


def _csv(path: Path) -> Any:
    from pyarrow import csv  # deferred, see above

    # What the usual writers put for "nothing"; a text "nan" in a column of names is such a one too.
    missing = ["", "NA", "N/A", "NaN", "nan", "null", "NULL", "None", "#N/A"]
    options = csv.ConvertOptions(null_values=missing, strings_can_be_null=True)
    # One thread: only then does the reader say in which row a mistake is.
    read = csv.ReadOptions(use_threads=False)
    return csv.read_csv(path, read_options=read, convert_options=options, parse_options=csv.ParseOptions(newlines_in_values=True))


def _parquet(path: Path) -> Any:
    from pyarrow import parquet  # deferred, see above

    return parquet.read_table(path)


def column_of(pa: Any, name: str, values: Any) -> Column:
    """Numbers, names or neither, by the type that was read."""
    kind = values.type
    if pa.types.is_temporal(kind):
        return Column(name)
    if pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        return Column(name, numbers=np.asarray(values.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False), dtype=np.float64))
    if pa.types.is_null(kind):
        return Column(name, numbers=np.full(len(values), np.nan))
    if pa.types.is_dictionary(kind):
        values = values.cast(kind.value_type)
    return Column(name, names=tuple(None if v is None else str(v) for v in values.to_pylist()))


def _line(text: str) -> int:
    """The line that the reader's message names (`Row #7`), else 1."""
    _, found, rest = text.partition("Row #")
    digits = rest[: len(rest) - len(rest.lstrip("0123456789"))]
    return int(digits) if found and digits else 1


def csv_of(path: Path, *, texts: Sequence[str], missing: Sequence[str] | None = None) -> Any:
    """A CSV as pyarrow reads it: the columns `texts` as they are written, `missing` the words for nothing (None: pyarrow's). Raises DefinitionError, OSError."""
    import pyarrow as pa  # deferred, see above
    from pyarrow import csv

    options = csv.ConvertOptions(column_types=dict.fromkeys(texts, pa.string()), null_values=missing, strings_can_be_null=True)
    try:
        return csv.read_csv(path, read_options=csv.ReadOptions(use_threads=False), convert_options=options)
    except (pa.ArrowException, UnicodeDecodeError) as error:
        raise DefinitionError((Problem(str(path), _line(str(error)), "table", f"cannot be read: {trimmed(str(error), 200)}"),)) from error


@dataclass(frozen=True, slots=True)
class TimedTable:
    """`stamps` as they were written, `times` in Unix seconds, `values` (rows, columns) with NaN for what is missing."""

    path: str
    header: tuple[str, ...]
    stamps: tuple[str, ...]
    times: Floats
    values: Floats


def read_timed(path: Path) -> TimedTable:
    """A CSV whose column `timestamp` (ISO 8601, taken for UTC, or Unix seconds) stands beside columns of numbers. Raises DefinitionError, OSError."""
    import pyarrow as pa  # deferred, see above

    table = csv_of(path, texts=("timestamp",))
    names = tuple(n for n in table.column_names if n != "timestamp")
    if "timestamp" not in table.column_names or not names:
        raise DefinitionError((Problem(str(path), 1, "header", f"needs `timestamp` and at least one column of numbers; it has: {', '.join(table.column_names)}"),))
    columns = [column_of(pa, name, table.column(name)) for name in names]
    if wrong := [c.name for c in columns if c.numbers is None]:
        raise DefinitionError(tuple(Problem(str(path), 1, name, "a column of numbers is needed here; leave out what is none") for name in wrong))
    stamps = table.column("timestamp").to_pylist()
    values = np.stack([c.numbers for c in columns if c.numbers is not None], axis=1)
    return TimedTable(str(path), names, tuple(str(s) for s in stamps), times_of(path, table.column("timestamp")), values)


def times_of(path: Path, stamps: Any, name: str = "timestamp") -> Floats:
    """Unix seconds of a column of text, all numbers or all ISO 8601. Raises DefinitionError naming the line."""
    import pyarrow as pa  # deferred, see above

    if (found := _seconds(pa, stamps)) is not None:
        return found
    for line, stamp in enumerate(stamps.to_pylist(), start=2):
        if stamp is None or _seconds(pa, pa.chunked_array([[stamp]], pa.string())) is None:
            message = f"{trimmed(str(stamp), 40)!r} is no time; write 2026-01-31 23:59:00 (UTC) or Unix seconds"
            raise DefinitionError((Problem(str(path), line, name, message),))
    raise DefinitionError((Problem(str(path), 2, name, "times of one file must be written alike"),))


def _seconds(pa: Any, stamps: Any) -> Floats | None:
    """None if not all are times of one kind."""
    kinds = (pa.float64(), pa.timestamp("us"), pa.timestamp("us", tz="UTC"))
    for kind in kinds:
        try:
            read = stamps.cast(kind)
            numbers = read if kind == kinds[0] else read.cast(pa.int64())
        except pa.ArrowException:
            continue
        found = np.asarray(numbers.cast(pa.float64()).to_numpy(zero_copy_only=False), dtype=np.float64)
        if np.isfinite(found).all():
            return found if kind == kinds[0] else found / 1e6
    return None


def write_scored(path: Path, table: TimedTable, scores: Floats) -> None:
    """The table with a column `anomaly_score` more; folders are made. Raises OSError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = [",".join(_quoted(name) for name in ("timestamp", *table.header, "anomaly_score"))]
    for stamp, row, score in zip(table.stamps, table.values.tolist(), scores.tolist(), strict=True):
        lines.append(",".join([_quoted(stamp), *("" if math.isnan(v) else repr(v) for v in row), f"{score:.6g}"]))
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _quoted(text: str) -> str:
    return '"' + text.replace('"', '""') + '"' if any(c in text for c in ',"\n') else text
