"""Tables from files, CSV or Parquet, as columns of numbers or of names, in the order of their rows.

Neighbours: `app.drift_files` compares two of them. pyarrow reads both formats and is loaded only here.
"""

from __future__ import annotations

import lzma
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
    """A CSV, plain, gz or xz, as pyarrow reads it: the columns `texts` as they are written, `missing` the words for nothing (None: pyarrow's).

    Raises DefinitionError, OSError if the file cannot be opened.
    """
    import pyarrow as pa  # deferred, see above
    from pyarrow import csv

    options = csv.ConvertOptions(column_types=dict.fromkeys(texts, pa.string()), null_values=missing, strings_can_be_null=True)
    try:
        source = pa.BufferReader(lzma.decompress(path.read_bytes())) if path.suffix.lower() == ".xz" else path
        table = csv.read_csv(source, read_options=csv.ReadOptions(use_threads=False), convert_options=options)
        names = table.column_names
    except UnicodeDecodeError as error:
        raise DefinitionError((Problem(str(path), 1, "header", "a name is not UTF-8; convert the file"),)) from error
    except (pa.ArrowException, lzma.LZMAError) as error:
        raise DefinitionError((Problem(str(path), _line(str(error)), "table", f"cannot be read: {trimmed(str(error), 200)}"),)) from error
    except OSError as error:
        if error.errno is not None:
            raise
        # What is packed is damaged, or not packed at all.
        raise DefinitionError((Problem(str(path), 1, "table", f"cannot be read: {trimmed(str(error), 200)}"),)) from error
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise DefinitionError((Problem(str(path), 1, "header", f"the column {trimmed(twice[0], 40)!r} stands there twice; names must differ"),))
    return table
