"""Series to row numbers, once: labels are hashed the first time they are seen, afterwards a poll costs one dictionary look-up a series.

Neighbours: `known` owns one for each rule, `admission` says who is added.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from aiops.detect.arrays import Rows
from aiops.domain.series import Labels, label_key, series_id

REFUSED = -1
_NO_ROWS: Rows = np.empty(0, dtype=np.int64)


class SeriesTable:
    """Rows are reused after `release`."""

    def __init__(self) -> None:
        self._labels: list[Labels | None] = []
        self._ids: list[str] = []
        self._keys: list[tuple[tuple[str, str], ...]] = []
        self._free: list[int] = []
        self._by_key: dict[tuple[tuple[str, str], ...], int] = {}
        # A source that interns labels hands out the same object at each poll; the object is held here, so its id cannot pass to another.
        self._by_object: dict[int, int] = {}
        self._used: Rows | None = None

    def __len__(self) -> int:
        return len(self._by_key)

    @property
    def rows(self) -> int:
        """Row numbers are below this."""
        return len(self._labels)

    def find(self, labels: Sequence[Labels]) -> Rows:
        """Row of each label set, REFUSED where it is not known."""
        rows = np.empty(len(labels), dtype=np.int64)
        by_object, held = self._by_object, self._labels
        for position, one in enumerate(labels):
            row = by_object.get(id(one))
            if row is None or held[row] is not one:
                row = self._slow(one)
            rows[position] = row
        return rows

    def _slow(self, labels: Labels) -> int:
        row = self._by_key.get(label_key(labels), REFUSED)
        if row != REFUSED:
            self._by_object.pop(id(self._labels[row]), None)
            self._labels[row] = labels
            self._by_object[id(labels)] = row
        return row

    def add(self, labels: Labels, series: str) -> int:
        """The row of a series that is not known yet; `series` is its `series_id`."""
        key = label_key(labels)
        if self._free:
            row = self._free.pop()
            self._labels[row], self._ids[row], self._keys[row] = labels, series, key
        else:
            row = len(self._labels)
            self._labels.append(labels)
            self._ids.append(series)
            self._keys.append(key)
        self._by_key[key], self._by_object[id(labels)] = row, row
        self._used = None
        return row

    def release(self, rows: Rows) -> None:
        """Forget these series."""
        self._used = None
        for row in rows.tolist():
            self._by_object.pop(id(self._labels[row]), None)
            del self._by_key[self._keys[row]]
            self._labels[row], self._ids[row], self._keys[row] = None, "", ()
            self._free.append(row)

    def labels(self, row: int) -> Labels:
        """Labels of a row in use."""
        found = self._labels[row]
        if found is None:
            raise KeyError(row)
        return found

    def series(self, row: int) -> str:
        """`series_id` of a row in use."""
        return self._ids[row]

    def in_use(self) -> Rows:
        """All rows in use, rising; read only, since the same array is given until a series comes or goes."""
        if self._used is None:
            self._used = np.array([row for row, labels in enumerate(self._labels) if labels is not None], dtype=np.int64)
            self._used.flags.writeable = False
        return self._used

    def less(self, rows: Rows) -> Rows:
        """All rows in use but these, which are distinct and in use."""
        used = self.in_use()
        if len(rows) == len(used):
            return _NO_ROWS
        rest = np.ones(self.rows, dtype=np.bool_)
        rest[rows] = False
        return np.asarray(used[rest[used]])

    def dump(self) -> list[dict[str, str] | None]:
        """By row, JSON-ready."""
        return [None if labels is None else dict(labels) for labels in self._labels]

    def load(self, dumped: Sequence[dict[str, str] | None]) -> None:
        """Take over what `dump` gave."""
        self._used = None
        self._labels = list(dumped)
        self._keys = [() if one is None else label_key(one) for one in dumped]
        self._ids = ["" if one is None else series_id(one) for one in dumped]
        self._free = [row for row, one in reversed(list(enumerate(dumped))) if one is None]
        self._by_key = {self._keys[row]: row for row, _ in self._items()}
        self._by_object = {id(one): row for row, one in self._items()}

    def _items(self) -> Iterator[tuple[int, Labels]]:
        for row, labels in enumerate(self._labels):
            if labels is not None:
                yield row, labels
