"""Log templates online: Drain, a tree of fixed depth over a line's first words, with the most alike template at its leaf.

Bounded for any stream: so many words of so many characters a line, so many children a node, so many templates; beyond them the one that was not seen for longest
goes. Source: He, Zhu, Zheng, Lyu, "Drain: An Online Log Parsing Approach with Fixed Depth Tree" (ICWS 2017). Neighbour: `log_templates` counts.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

ANY = "<*>"
DEPTH, CHILDREN, TEMPLATES = 3, 50, 500
"""Words that choose the leaf; children a node; templates kept."""
WORDS, CHARACTERS = 40, 40
_DIGITS = re.compile(r"\d+")
SIMILAR = 0.5
"""A line belongs to a template if this share of its words is the same, of those that do not vary in both."""
FEW_DIGITS = 4
"""A word of which less than one character in so many is a digit varies in its digits alone, as the line of code in `Client#37`; others vary wholly."""


class Drain:
    """Templates by number, the last seen last."""

    def __init__(self) -> None:
        self._templates: dict[int, list[str]] = {}
        self._leaves: dict[tuple[str, ...], list[int]] = {}
        self._children: dict[tuple[str, ...], set[str]] = {}
        self._path: dict[int, tuple[str, ...]] = {}
        self._next = 0

    def __len__(self) -> int:
        """Templates known."""
        return len(self._templates)

    def add(self, line: str) -> tuple[int, bool, int | None]:
        """The line's template, whether it is new, and which one had to go for it."""
        words = masked(line)
        path = self._walk(words)
        best, most = None, -1.0
        for number in self._leaves.get(path, ()):
            template = self._templates[number]
            same = varying = 0
            for a, b in zip(template, words, strict=True):
                varying += a == b == ANY
                same += a == b
            # What varies on both sides says nothing about how alike they are.
            alike = (same - varying) / (len(words) - varying) if len(words) > varying else 1.0
            if alike > most:
                best, most = number, alike
        if best is not None and (most >= SIMILAR or not words):
            template = self._templates.pop(best)
            self._templates[best] = [a if a == b else ANY for a, b in zip(template, words, strict=True)]
            return best, False, None
        gone = next(iter(self._templates)) if len(self._templates) >= TEMPLATES else None
        if gone is not None:
            self._remove(gone)
            path = self._walk(words)
        number, self._next = self._next, self._next + 1
        self._templates[number], self._path[number] = words, path
        self._leaves.setdefault(path, []).append(number)
        for depth in range(1, len(path)):
            self._children.setdefault(path[:depth], set()).add(path[depth])
        return number, True, gone

    def text(self, number: int) -> str:
        """As it is known now."""
        return " ".join(self._templates.get(number, ()))

    def _walk(self, words: list[str]) -> tuple[str, ...]:
        path: tuple[str, ...] = (str(len(words)),)
        for word in words[:DEPTH]:
            known = self._children.get(path, set())
            # Where a node is full, what is not known goes to the child for anything; that one is always free.
            path = (*path, word if word in known or len(known) < CHILDREN else ANY)
        return path

    def _remove(self, number: int) -> None:
        del self._templates[number]
        path = self._path.pop(number)
        self._leaves[path].remove(number)
        if self._leaves[path]:
            return
        del self._leaves[path]
        for depth in range(len(path) - 1, 0, -1):
            if path[: depth + 1] in self._children:
                return
            children = self._children[path[:depth]]
            children.discard(path[depth])
            if children:
                return
            del self._children[path[:depth]]

    def dump(self) -> dict[str, Any]:
        """JSON-ready, in the order of last sight."""
        return {"next": self._next, "templates": [[n, words, list(self._path[n])] for n, words in self._templates.items()], "leaves": list(self._leaves.values())}

    @staticmethod
    def load(dumped: Mapping[str, Any]) -> Drain:
        """What `dump` gave; KeyError, TypeError or ValueError if it is something else."""
        made = Drain()
        made._next = int(dumped["next"])
        for number, words, path in dumped["templates"]:
            made._templates[int(number)], made._path[int(number)] = list(map(str, words)), tuple(map(str, path))
        for numbers in dumped["leaves"]:
            made._leaves[made._path[numbers[0]]] = [int(n) for n in numbers]
        for path in made._leaves:
            for depth in range(1, len(path)):
                made._children.setdefault(path[:depth], set()).add(path[depth])
        return made


def masked(line: str) -> list[str]:
    """Its first words; numbers, and words that are numbers for a good part, vary."""
    return [_masked(word) for word in line[: WORDS * CHARACTERS].split()[:WORDS]]


def _masked(word: str) -> str:
    digits = sum(c.isdigit() for c in word)
    if not digits:
        return word[:CHARACTERS]
    return ANY if digits * FEW_DIGITS > len(word) else _DIGITS.sub(ANY, word)[:CHARACTERS]
