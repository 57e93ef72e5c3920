"""A folder of CSV files scored. Neighbours: `adapters.tables` reads and writes, `detect.scoring` scores."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from aiops.adapters.tables import TimedTable, read_timed, write_scored
from aiops.detect.scoring import Profile, score_series, score_table
from aiops.domain.errors import DefinitionError, Problem
from aiops.domain.series import Floats

TOGETHER = 512
"""Series that are scored side by side."""


@dataclass(frozen=True, slots=True)
class Scored:
    """What was done."""

    files: int
    rows: int
    unusable: tuple[Problem, ...]


class _Work:
    """How far it is, over all rows of all files."""

    def __init__(self, total: int, tick: Callable[[float], None]) -> None:
        self._done, self._total, self._size, self._tick = 0, total, 0, tick

    def begin(self, size: int) -> None:
        """The next so many rows are worked on; those before are done."""
        self._done, self._size = self._done + self._size, size

    def share(self, share: float) -> None:
        """Of the rows that are worked on."""
        self._tick((self._done + share * self._size) / self._total)


def score_folder(source: Path, target: Path, tick: Callable[[float], None] = lambda _share: None, *, profile: str = Profile.FLEET) -> Scored:
    """Every `*.csv` and `*.csv.gz` below `source`, to the same place below `target`.

    A file that cannot be used is named and left out. Raises DefinitionError if there is none to use or no such profile.
    """
    if profile not in set(Profile):
        raise DefinitionError((Problem(str(source), 1, "profile", f"no profile {profile!r}; allowed: {', '.join(Profile)}"),))
    how = Profile(profile)
    tables, unusable = _read(source, target)
    single = [(p, t) for p, t in tables if t.values.shape[1] == 1]
    work = _Work(sum(len(t.times) for _, t in tables), tick)
    for start in range(0, len(single), TOGETHER):
        part = single[start : start + TOGETHER]
        work.begin(sum(len(t.times) for _, t in part))
        found = score_series([t.times for _, t in part], [t.values[:, 0] for _, t in part], work.share, profile=how)
        for (path, table), scores in zip(part, found, strict=True):
            _write(path, source, target, table, scores)
    for path, table in tables:
        if table.values.shape[1] > 1:
            work.begin(len(table.times))
            _write(path, source, target, table, score_table(table.values, work.share, profile=how))
    return Scored(len(tables), sum(len(t.times) for _, t in tables), tuple(unusable))


def _read(source: Path, target: Path) -> tuple[list[tuple[Path, TimedTable]], list[Problem]]:
    if not source.is_dir():
        raise DefinitionError((Problem(str(source), 1, "input", "no such folder"),))
    if target.resolve() == source.resolve():
        raise DefinitionError((Problem(str(target), 1, "output", "the output must be another folder than the input"),))
    tables: list[tuple[Path, TimedTable]] = []
    unusable: list[Problem] = []
    for path in sorted(p for p in source.rglob("*") if p.is_file() and p.name.endswith((".csv", ".csv.gz"))):
        if target.resolve() in path.resolve().parents:
            continue
        try:
            tables.append((path, read_timed(path)))
        except DefinitionError as error:
            unusable += error.problems
    if not tables:
        raise DefinitionError(tuple(unusable) or (Problem(str(source), 1, "input", "no *.csv file in it"),))
    return tables, unusable


def _write(path: Path, source: Path, target: Path, table: TimedTable, scores: Floats) -> None:
    relative = path.relative_to(source)
    write_scored(target / relative.with_name(relative.name.removesuffix(".gz")), table, scores)
