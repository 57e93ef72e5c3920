"""Series that were seen once: what costs memory before it can say anything is taken in only when it is there a second time.

A pod that lives shorter than two polls, or a label that is different each time, thus costs 80 bytes for a while and no place. Neighbour: `admission`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

ANSWERS = 10
"""Within so many answers the second time must come."""


class Waiting:
    """By `series_id` the answer in which a series was seen first; at most `most` of them, the oldest go."""

    def __init__(self, most: int) -> None:
        self._most, self._answer = most, 0
        self._first: dict[str, int] = {}

    def __len__(self) -> int:
        return len(self._first)

    def turn(self) -> None:
        """An answer has come."""
        self._answer += 1
        if self._first:
            self._first = {series: first for series, first in self._first.items() if self._answer - first <= ANSWERS}

    def twice(self, series: Iterable[str]) -> list[str]:
        """Those that were there in an answer before this one, sorted; the others wait from now on."""
        seen = [one for one in sorted(series) if self._first.setdefault(one, self._answer) < self._answer]
        while len(self._first) > self._most:
            del self._first[next(iter(self._first))]
        return seen

    def admit(self, series: Iterable[str]) -> None:
        """These have a place and wait no longer."""
        for one in series:
            self._first.pop(one, None)

    def dump(self) -> dict[str, Any]:
        """JSON-ready."""
        return {"answer": self._answer, "first": [[series, first] for series, first in self._first.items()]}

    def load(self, dumped: Mapping[str, Any]) -> None:
        """Take over what `dump` gave."""
        self._answer = int(dumped.get("answer", 0))
        self._first = {str(series): int(first) for series, first in dumped.get("first", ())}
