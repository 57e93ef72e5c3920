"""The page that `make bench-detection` prints and writes, and what each of its sections is given. Neighbours: `detection` has the table of sections.

A section is a function of a report and a context, in the file that measures: it says a heading (`## …`), tables, plots and, for each line of the goals, a
`figure`. It says with `context.told` what it is doing, so that a long run shows that it lives. `context.small` asks for a run of seconds that only shows that it works.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.bars import bars

HAND = "<!-- Written by hand from here on. -->"
"""What follows this line in the page is kept when the page is written again."""


@dataclass(frozen=True)
class Context:
    """`data`: folder of labelled recordings (`nab`, `smd`, `nezha`), or None; `peers`: a Python interpreter that has what pins old packages, or None."""

    data: Path | None = None
    peers: str | None = None
    rounds: int = 3
    small: bool = False
    began: float = field(default_factory=time.monotonic)

    def told(self, text: str) -> None:
        """Progress, on the error stream; not part of the page."""
        print(f"… {time.monotonic() - self.began:4.0f} s  {text}", file=sys.stderr, flush=True)

    def folder(self, name: str) -> Path | None:
        """One kind of recordings, None where there is none: its section is left out then."""
        found = self.data / name if self.data is not None else None
        return found if found is not None and found.is_dir() else None


@dataclass(frozen=True)
class _Plot:
    name: str
    title: str
    rows: tuple[tuple[str, float], ...]
    unit: str
    logarithmic: bool


class Report:
    """What is printed, kept as the page that is written."""

    def __init__(self) -> None:
        self._lines: list[str] = []
        self._figures: list[str] = []
        self._plots: list[_Plot] = []

    def say(self, text: str = "") -> None:
        """One line of Markdown."""
        print(text, flush=True)
        self._lines.append(text)

    def paragraph(self, text: str) -> None:
        """Lines and an empty one."""
        self.say(text)
        self.say()

    def table(self, head: str, rows: Sequence[str]) -> None:
        """Cells parted by ` | `, without the outer bars."""
        columns = head.count("|") + 1
        for line in (f"| {head} |", "|" + " --- |" * columns, *(f"| {row} |" for row in rows), ""):
            self.say(line)

    def figure(self, what: str, profile: str, ours: str, peers: str, least: str, aim: str) -> None:
        """One line of the summary: `profile` says who made it (`fleet`, `focus`, or a dash), `least` and `aim` what was wanted."""
        self._figures.append(f"{what} | {profile} | {ours} | {peers} | {least} | {aim}")

    def plot(self, name: str, title: str, rows: Sequence[tuple[str, float]], unit: str, *, logarithmic: bool = False) -> None:
        """Horizontal bars, `name`.svg, shown where this is called. Bars whose names begin with fleet, focus or ours are dark."""
        self._plots.append(_Plot(name, title, tuple(rows), unit, logarithmic))
        self.paragraph(f"![{title}]({name}.svg)")

    def summary(self) -> None:
        """All figures so far as one table."""
        self.paragraph("## Summary")
        self.table("what | profile | ours | peers, in this run | at least | aim", self._figures)

    def write(self, page: Path) -> None:
        """The page and its plots; what was written by hand stays."""
        page.parent.mkdir(parents=True, exist_ok=True)
        for plot in self._plots:
            bars(page.parent / f"{plot.name}.svg", plot.title, plot.rows, plot.unit, logarithmic=plot.logarithmic)
        _, mark, kept = page.read_text(encoding="utf-8").partition(HAND) if page.exists() else ("", "", "")
        page.write_text("\n".join([*self._lines, HAND]) + (kept if mark else "\n"), encoding="utf-8")


Section = Callable[[Report, Context], None]
