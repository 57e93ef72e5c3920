"""Growable arrays whose first axis is a row number, and their exact form as bytes.

Every detector, the alarms and the bank keep their state in these, so that a poll is a few vector operations and a snapshot is a copy.
"""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from aiops.domain.series import Floats

Rows = NDArray[np.int64]
Flags = NDArray[np.bool_]
FORMAT = 1
_SMALLEST = 16
_HEADER = "header"


@dataclass(frozen=True, slots=True)
class Column:
    """One state variable: what a fresh row holds, the type, and the shape of one row's entry (empty: a number)."""

    fill: float | bool
    dtype: DTypeLike = np.float64
    shape: tuple[int, ...] = ()


class RowArrays:
    """Named arrays of equal length. `size` rows are in use; capacity doubles, so growing is amortised."""

    def __init__(self, **columns: Column) -> None:
        self._columns = columns
        self.size = 0
        self._arrays: dict[str, NDArray[Any]] = {name: np.full((0, *c.shape), c.fill, dtype=c.dtype) for name, c in columns.items()}

    def __getitem__(self, name: str) -> NDArray[Any]:
        """The whole array, capacity included: index it by rows. A reference taken before `reserve` may be outdated."""
        return self._arrays[name]

    def reserve(self, size: int) -> None:
        """Make rows 0..size-1 usable; new ones hold the fill values."""
        if size <= self.size:
            return
        self.size = size
        capacity = len(next(iter(self._arrays.values()))) if self._arrays else size
        if size <= capacity:
            return
        wanted = max(_SMALLEST, size, capacity * 2)
        for name, column in self._columns.items():
            grown = np.full((wanted, *column.shape), column.fill, dtype=column.dtype)
            grown[:capacity] = self._arrays[name]
            self._arrays[name] = grown

    def cover(self, rows: Rows) -> None:
        """Make all of `rows` usable."""
        if len(rows):
            self.reserve(int(rows.max()) + 1)

    def reset(self, rows: Rows) -> None:
        """Give rows their fill values back (a series is gone, its row will be reused)."""
        self.cover(rows)
        self.reset_some(self._columns, rows)

    def reset_some(self, names: Iterable[str], rows: Rows) -> None:
        """As `reset`, of these columns only."""
        for name in names:
            self._arrays[name][rows] = self._columns[name].fill

    @property
    def bytes_each(self) -> int:
        """Memory of one row."""
        return sum(np.dtype(c.dtype).itemsize * int(np.prod(c.shape)) for c in self._columns.values())

    def used(self) -> dict[str, NDArray[Any]]:
        """Copies of the rows in use, by name."""
        return {name: array[: self.size].copy() for name, array in self._arrays.items()}

    def replace(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Take over what `used` gave. Raises ValueError if names, types or shapes differ: another version or another parameter made it."""
        sizes = {len(a) for a in arrays.values()}
        if set(arrays) != set(self._columns) or len(sizes) > 1:
            raise ValueError(f"snapshot holds the columns {sorted(arrays)}, not {sorted(self._columns)}")
        for name, column in self._columns.items():
            array = arrays[name]
            if array.dtype != np.dtype(column.dtype) or array.shape[1:] != column.shape:
                raise ValueError(f"snapshot column {name} is {array.dtype}{array.shape[1:]}, not {np.dtype(column.dtype)}{column.shape}")
        self.size = sizes.pop() if sizes else 0
        self._arrays = {name: np.array(arrays[name]) for name in self._columns}


class Kept:
    """What keeps all it knows in one `RowArrays`: rows are forgotten, copied and restored as a whole."""

    _state: RowArrays

    @property
    def bytes_each(self) -> int:
        """Memory of one row."""
        return self._state.bytes_each

    def forget(self, rows: Rows) -> None:
        """These rows will stand for other series: nothing is known of them, and nothing is told of it."""
        self._state.reset(rows)

    def used(self) -> dict[str, NDArray[Any]]:
        """State for a snapshot."""
        return self._state.used()

    def replace(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        """State of a snapshot; raises ValueError if it does not fit."""
        self._state.replace(arrays)


def pack(arrays: Mapping[str, NDArray[Any]], header: Mapping[str, Any]) -> bytes:
    """Arrays and a JSON header as bytes (numpy's own uncompressed archive; never pickled objects)."""
    text = json.dumps({"format": FORMAT, **header}, ensure_ascii=True, sort_keys=True).encode()
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, **{_HEADER: np.frombuffer(text, dtype=np.uint8), **{f"a_{k}": v for k, v in arrays.items()}})
    return buffer.getvalue()


def unpack(data: bytes) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
    """What `pack` was given. Raises ValueError if the bytes are damaged or of another format."""
    try:
        with np.load(io.BytesIO(data), allow_pickle=False) as archive:
            header = json.loads(archive[_HEADER].tobytes().decode())
            arrays = {name[2:]: archive[name] for name in archive.files if name != _HEADER}
    except (OSError, KeyError, EOFError, ValueError, RuntimeError, zipfile.BadZipFile) as error:
        raise ValueError(f"snapshot cannot be read: {error}") from error
    if not isinstance(header, dict) or header.get("format") != FORMAT:
        raise ValueError("snapshot has another format")
    return arrays, header


def part(arrays: Mapping[str, NDArray[Any]], prefix: str) -> dict[str, NDArray[Any]]:
    """Those arrays whose name is `prefix.name`, by name."""
    return {name.partition(".")[2]: array for name, array in arrays.items() if name.startswith(f"{prefix}.")}


def packed(state: RowArrays, header: Mapping[str, Any]) -> bytes:
    """A detector whose whole state is one `RowArrays`, as bytes."""
    return pack({f"state.{name}": array for name, array in state.used().items()}, header)


def restored(data: bytes, fresh: RowArrays) -> tuple[RowArrays, dict[str, Any]]:
    """`fresh` filled with what `packed` was given, and the header. Raises ValueError if the bytes are damaged or of other parameters."""
    arrays, header = unpack(data)
    fresh.replace(part(arrays, "state"))
    return fresh, header


def nan(size: int) -> Floats:
    """`size` unknowns."""
    return np.full(size, np.nan)
