"""Label sets, decoded once a series and shared across polls.

A poll of 100,000 series brings 40 MB of label text that is the same at the next poll. So the text itself is the key of a table,
and a label set is decoded only when somebody looks into it. Neighbour: `decode`, which proves that a text can be decoded before it enters.
"A label set" here is the JSON object after `"metric":`.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import overload

import msgspec
import numpy as np
from numpy.typing import NDArray

Offsets = NDArray[np.int64]
_decode = msgspec.json.Decoder(dict[str, str]).decode


class SharedLabels(Mapping[str, str]):
    """One label set, equal to any mapping with the same pairs. Immutable: it is shared by every batch that holds the series."""

    __slots__ = ("_pairs", "_raw")

    def __init__(self, raw: bytes) -> None:
        """`raw` is a JSON object of texts."""
        self._raw = raw
        self._pairs: dict[str, str] | None = None

    def pairs(self) -> dict[str, str]:
        """The decoded pairs; not to be changed. Raises msgspec.DecodeError if `raw` is no object of texts."""
        pairs = self._pairs
        if pairs is None:
            pairs = self._pairs = _decode(self._raw)
        return pairs

    def __getitem__(self, name: str) -> str:
        return self.pairs()[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.pairs())

    def __len__(self) -> int:
        return len(self.pairs())

    def __eq__(self, other: object) -> bool:
        if isinstance(other, SharedLabels):
            return self._raw == other._raw or self.pairs() == other.pairs()
        return isinstance(other, Mapping) and self.pairs() == dict(other)

    __hash__ = None  # type: ignore[assignment]  # like a dict: `label_key` and `series_id` are for that

    def __repr__(self) -> str:
        return repr(self.pairs())

    def __reduce__(self) -> tuple[type[SharedLabels], tuple[bytes]]:
        return (SharedLabels, (self._raw,))


class _Table(dict[bytes, SharedLabels]):
    """Makes what is not there, or brings it over from the former generation."""

    def __init__(self, former: Mapping[bytes, SharedLabels]) -> None:
        super().__init__()
        self.former = former

    def __missing__(self, raw: bytes) -> SharedLabels:
        # `or` would ask for the length, which decodes.
        labels = self.former.get(raw)
        if labels is None:
            labels = SharedLabels(raw)
        self[raw] = labels
        return labels


class LabelTable:
    """The label sets of one source by their text: at most two generations of `limit` sets each, the older dropped when the younger is full."""

    def __init__(self, limit: int = 200_000) -> None:
        self.limit = limit
        self._lock = threading.Lock()
        self._table = _Table({})

    @property
    def size(self) -> int:
        """Label sets held."""
        return len(self._table) + len(self._table.former)

    def shared(self, texts: Iterable[bytes]) -> list[SharedLabels]:
        """The label sets of texts that are known to be objects of texts; the same text gives the same object."""
        with self._lock:
            self._turn()
            return list(map(self._table.__getitem__, texts))

    def checked(self, texts: Iterable[bytes]) -> list[SharedLabels]:
        """The same for texts of which nothing is known: new ones are decoded now. Raises msgspec.DecodeError (a ValueError)."""
        found: list[SharedLabels] = []
        with self._lock:
            self._turn()
            for raw in texts:
                if raw not in self._table and raw not in self._table.former:
                    _decode(raw)
                found.append(self._table[raw])
        return found

    def _turn(self) -> None:
        if len(self._table) > self.limit:
            self._table = _Table(dict(self._table))


class LabelColumn(Sequence[Mapping[str, str]]):
    """The label sets of one answer, in its order. They are looked up when the first is looked at, and then stay.

    Until then it holds the answer's own text and where each label set stands in it: this is all that a poll costs whose labels nobody reads.
    """

    __slots__ = ("_found", "_parts", "_size", "_table")

    def __init__(self, table: LabelTable) -> None:
        self._table = table
        self._parts: list[tuple[bytearray, Offsets, Offsets] | list[SharedLabels]] = []
        self._found: list[SharedLabels] | None = None
        self._size = 0

    def add_text(self, text: bytearray, starts: Offsets, ends: Offsets) -> None:
        """Label sets that stand at these places of `text`, each surely an object of texts. `text` must not change any more."""
        self._parts.append((text, starts, ends))
        self._size += len(starts)

    def add(self, labels: list[SharedLabels]) -> None:
        """Label sets that are looked up already."""
        self._parts.append(labels)
        self._size += len(labels)

    def _all(self) -> list[SharedLabels]:
        if self._found is None:
            found: list[SharedLabels] = []
            for part in self._parts:
                if isinstance(part, list):
                    found += part
                else:
                    text, starts, ends = bytes(part[0]), part[1].tolist(), part[2].tolist()
                    found += self._table.shared([text[start:end] for start, end in zip(starts, ends, strict=True)])
            self._found, self._parts = found, []
        return self._found

    def __len__(self) -> int:
        return self._size

    @overload
    def __getitem__(self, index: int) -> SharedLabels: ...

    @overload
    def __getitem__(self, index: slice) -> list[SharedLabels]: ...

    def __getitem__(self, index: int | slice) -> SharedLabels | list[SharedLabels]:
        return self._all()[index]

    def __iter__(self) -> Iterator[SharedLabels]:
        return iter(self._all())

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and len(self) == len(other) and all(a == b for a, b in zip(self, other, strict=True))

    __hash__ = None  # type: ignore[assignment]  # as label sets have none

    def __repr__(self) -> str:
        return repr(self._all())
