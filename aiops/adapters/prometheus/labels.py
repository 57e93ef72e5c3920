"""Label sets, decoded once a series and shared across polls.

A poll of 100,000 series brings 40 MB of label text that is the same at the next poll. So the text itself is the key of a table,
and a label set is decoded only when somebody looks into it. Neighbour: `decode`, which proves that a text can be decoded before it enters.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping

import msgspec

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
            if raw[:1] != b"{":
                raise ValueError("a label set must be an object")
            labels = SharedLabels(raw)
        self[raw] = labels
        return labels


class LabelTable:
    """The label sets of one source by their text: at most two generations of `limit` sets each, the older dropped when the younger is full."""

    def __init__(self, limit: int = 200_000) -> None:
        self.limit = limit
        self._lock = threading.Lock()
        self._table = _Table({})

    def __len__(self) -> int:
        return len(self._table) + len(self._table.former)

    def shared(self, texts: Iterator[bytes]) -> list[SharedLabels]:
        """The label sets of texts that are known to be objects of texts. Raises ValueError if one is no object."""
        with self._lock:
            self._turn()
            return list(map(self._table.__getitem__, texts))

    def checked(self, texts: Iterator[bytes]) -> list[SharedLabels]:
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
