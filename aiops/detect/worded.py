"""Detectors that judge each answer by itself: all they keep is what they last said of each subject. Neighbours: `burn_rate`, `exhaustion`; `groups` is the contract."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from aiops.detect.arrays import pack, unpack


class Worded:
    """`name` stands in snapshots; `_lines`: by subject, what people are told."""

    name: ClassVar[str]

    def __init__(self) -> None:
        self._lines: dict[str, tuple[str, ...]] = {}

    def lines(self, subject: str) -> tuple[str, ...]:
        """What was last said of it; nothing of one that is not known."""
        return self._lines.get(subject, ())

    def forget(self, subjects: Sequence[str]) -> None:
        """These are gone."""
        for subject in subjects:
            self._lines.pop(subject, None)

    def snapshot(self) -> bytes:
        """Only words: every answer is judged by itself."""
        return pack({}, {"detector": self.name, "lines": {s: list(lines) for s, lines in self._lines.items()}})

    def restore(self, data: bytes) -> None:
        """As the contract says."""
        _, header = unpack(data)
        try:
            if header["detector"] != self.name:
                raise ValueError("snapshot is of another detector")
            self._lines = {str(s): tuple(map(str, lines)) for s, lines in header["lines"].items()}
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"snapshot is damaged: {error}") from error
