"""A folder of CSV files scored. Neighbours: `adapters.timed_tables` reads and writes, `detect.scoring` scores."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from aiops.adapters.timed_tables import TimedTable, read_timed, write_scored
from aiops.detect.scoring import Profile, score_series, score_table
from aiops.domain.errors import DefinitionError, Problem
from aiops.domain.series import Floats

TOGETHER = 512
"""Series that are scored side by side; a table of several columns is read, scored and written alone, so no more than that is held in memory."""
PACKED = ("", ".gz", ".xz")


@dataclass(frozen=True, slots=True)
class Scored:
    """What was done."""

    files: int
    rows: int
    unusable: tuple[Problem, ...]


class _Work:
    """What is done so far, and how far that is, by the bytes of the files."""

    def __init__(self, target: Path, sizes: dict[Path, int], profile: Profile, tick: Callable[[float], None]) -> None:
        self._target, self._sizes, self._profile, self._tick = target, sizes, profile, tick
        self._done, self._total = 0, max(sum(sizes.values()), 1)
        self.files, self.rows = 0, 0
        self.unusable: list[Problem] = []
        self._single: list[tuple[Path, TimedTable]] = []

    def take(self, source: Path, path: Path) -> None:
        """One file more: scored at once, or with others like it."""
        try:
            table = read_timed(source)
        except DefinitionError as error:
            self.unusable += error.problems
        except OSError as error:
            self.unusable.append(Problem(str(source), 1, "file", f"cannot be read: {error.strerror or error}"))
        else:
            if table.values.shape[1] == 1:
                self._single.append((path, table))
                if len(self._single) >= TOGETHER:
                    self.flush()
                return
            part = self._sizes[path]
            scores = score_table(table.values, lambda share: self._tick((self._done + share * part) / self._total), profile=self._profile)
            self._write(path, table, scores)
        self._done += self._sizes[path]

    def flush(self) -> None:
        """Score what is waiting for company."""
        part, self._single = self._single, []
        size = sum(self._sizes[path] for path, _ in part)
        times, values = [t.times for _, t in part], [t.values[:, 0] for _, t in part]
        found = score_series(times, values, lambda share: self._tick((self._done + share * size) / self._total), profile=self._profile)
        for (path, table), scores in zip(part, found, strict=True):
            self._write(path, table, scores)
        self._done += size

    def _write(self, path: Path, table: TimedTable, scores: Floats) -> None:
        write_scored(self._target / path, table, scores)
        self.files += 1
        self.rows += len(scores)


def score_folder(source: Path, target: Path, tick: Callable[[float], None] = lambda _share: None, *, profile: str = Profile.FLEET) -> Scored:
    """Every `*.csv`, `*.csv.gz` and `*.csv.xz` below `source`, to the same place below `target`, unpacked.

    A file that cannot be used is named and left out. Raises DefinitionError if there is none to use or no such profile.
    """
    if profile not in set(Profile):
        raise DefinitionError((Problem(str(source), 1, "profile", f"no profile {profile!r}; allowed: {', '.join(Profile)}"),))
    files, unusable = _found(source, target)
    work = _Work(target, {path: one.stat().st_size for path, one in files.items()}, Profile(profile), tick)
    work.unusable += unusable
    for path, one in files.items():
        work.take(one, path)
    work.flush()
    if not work.files:
        raise DefinitionError(tuple(work.unusable) or (Problem(str(source), 1, "input", "no *.csv file in it"),))
    return Scored(work.files, work.rows, tuple(work.unusable))


def _found(source: Path, target: Path) -> tuple[dict[Path, Path], list[Problem]]:
    """Files by their place below the target, and those whose place is taken."""
    if not source.is_dir():
        raise DefinitionError((Problem(str(source), 1, "input", "no such folder"),))
    if target.resolve() == source.resolve():
        raise DefinitionError((Problem(str(target), 1, "output", "the output must be another folder than the input"),))
    if target.exists() and not target.is_dir():
        raise DefinitionError((Problem(str(target), 1, "output", "is a file; a folder is needed"),))
    files: dict[Path, Path] = {}
    unusable: list[Problem] = []
    for one in sorted(p for p in source.rglob("*") if p.is_file()):
        packed = one.suffix.lower() if one.suffix.lower() in PACKED else ""
        path = one.relative_to(source)
        path = path.with_name(path.name[: len(path.name) - len(packed)])
        if path.suffix.lower() != ".csv" or target.resolve() in one.resolve().parents:
            continue
        if path in files:
            unusable.append(Problem(str(one), 1, "file", f"would be written where {files[path].name} is; rename one"))
            continue
        files[path] = one
    return files, unusable
