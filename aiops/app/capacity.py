"""What runs out when: of every capacity rule from its source and the history that a daemon keeps, or of a CSV against a limit.

Nothing is written: what the daemon has not gathered yet is asked for and kept in memory only. Neighbours: `pipeline.capacity` has the outlooks, `cli.capacity` shows them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from aiops.adapters.clock import SystemClock
from aiops.adapters.history import MemoryHistory, ParquetHistory
from aiops.adapters.long_table import read_long
from aiops.app.check import load_or_raise
from aiops.app.config import quiet_time
from aiops.app.sources import build_sources
from aiops.domain.errors import CommandError, DefinitionError, Problem, SourceError
from aiops.domain.rule import CapacityQuery, Rule
from aiops.domain.series import Floats, SeriesRange
from aiops.forecast.grid import grid_of
from aiops.pipeline.capacity import Capacity, Outlook, outlooks_of, share_used, tracks
from aiops.pipeline.gathering import Gathering
from aiops.ports.history import History
from aiops.ports.sources import MetricSource
from aiops.ports.telemetry import NullTelemetry
from aiops.settings import Settings

PLOTTED = 32
"""Points of the past that are shown."""


@dataclass(frozen=True, slots=True)
class Line:
    """One series of one rule. Times in seconds from now on, None: not within the horizon. `chances`: by horizon in seconds, the lead time among them; `past`: shares of the limit."""

    rule: str
    labels: dict[str, str]
    used: float | None
    limit: float | None
    p10: float | None
    p50: float | None
    p90: float | None
    lead: float
    chances: dict[float, float]
    past: tuple[float, ...]
    model: str
    reason: str


@dataclass(frozen=True, slots=True)
class Outlooks:
    """`lines`: what is met soonest first; `silent`: rules whose source was not asked or gave nothing, with why."""

    lines: tuple[Line, ...]
    silent: dict[str, str]


def capacity(settings: Settings, names: Sequence[str] = (), sources: dict[str, MetricSource] | None = None, now: float | None = None) -> Outlooks:
    """Of the capacity rules in the settings' folders (only `names`, if any are given). Raises DefinitionError, CommandError for a rule that is not there."""
    rules = {r.name: r for r in load_or_raise(settings).rules if isinstance(r.query, CapacityQuery)}
    if missing := [n for n in names if n not in rules]:
        raise CommandError(f"no capacity rule {missing[0]}; there are: {', '.join(sorted(rules)) or 'none'}")
    clock = SystemClock()
    built = build_sources(settings, clock)
    metrics = sources if sources is not None else built.metrics
    history = _copied(Path(settings.state_dir) / "history", [r for r in rules.values() if not names or r.name in names])
    asked = Capacity(Gathering(history, clock, NullTelemetry(), settings.retention.history), tuple(map(quiet_time, settings.quiet_times)))
    lines: list[Line] = []
    silent: dict[str, str] = {}
    try:
        at = clock.now() if now is None else now
        for name in names or sorted(rules):
            found = _of_rule(asked, rules[name], metrics, at)
            if isinstance(found, str):
                silent[name] = found
            lines += found if not isinstance(found, str) else []
    finally:
        for close in built.closers:
            close()
    return Outlooks(tuple(sorted(lines, key=_soonest)), silent)


def capacity_file(path: Path, limit: float, *, lead: float, horizons: Sequence[float], falling: bool = False, season: float = 0.0, every: float = 3600.0) -> Outlooks:
    """Each series of a CSV (`unique_id,ds,y`) against one limit. `every`: what an integer step of `ds` means, in seconds.

    Each series has its own step. One that cannot be used has its reason. Raises DefinitionError, OSError.
    """
    table = read_long(path)
    unit = every if table.style.kind in ("integer", "number") else 1.0
    lines = [_unusable(p.key, lead, p.message) for p in table.wrong]
    for name, rows in table.series.items():
        try:
            grid = grid_of(table.times[rows], table.values[rows])
            step = grid.step * unit
            query = CapacityQuery(name, limit, lead, step, 0.0, tuple(max(h, step) for h in horizons), "last", falling, season=season)
            times = unit * (grid.start + grid.step * np.arange(len(grid.values), dtype=np.float64))
            (one,) = outlooks_of(query, [SeriesRange({"unique_id": name}, times, grid.values)], limit, float(times[-1]))
            lines.append(line_of("", query, one, float(times[-1]), grid.values))
        except ValueError as error:
            lines.append(_unusable(name, lead, str(error)))
    if all(line.used is None and line.reason for line in lines):
        first = {name: int(rows[0]) + 2 for name, rows in table.series.items()} | {p.key: p.line for p in table.wrong}
        raise DefinitionError(tuple(Problem(str(path), first[line.labels["unique_id"]], line.labels["unique_id"], line.reason) for line in lines))
    return Outlooks(tuple(sorted(lines, key=_soonest)), {})


def _of_rule(asked: Capacity, rule: Rule, metrics: dict[str, MetricSource], now: float) -> list[Line] | str:
    query = rule.query
    assert isinstance(query, CapacityQuery)
    source = metrics.get(rule.source)
    if source is None:
        return f"its source {rule.source} is not in the settings"
    try:
        found = None
        while found is None:
            found = asked.outlooks(rule, query, source, now)
    except SourceError as error:
        return str(error)
    if not found:
        return "no series"
    past = asked.past(rule, query, now)
    return [line_of(rule.name, query, one, now, past.get(tuple(sorted(one.labels.items())))) for one in found]


def _copied(folder: Path, rules: Sequence[Rule]) -> History:
    """What a daemon has kept, in memory: its files are its own."""
    copied = MemoryHistory()
    if folder.is_dir():
        kept = ParquetHistory(folder, owner=False)
        for rule in rules:
            if isinstance(rule.query, CapacityQuery):
                for track in tracks(rule.source, rule.query):
                    through = kept.through(track) if track is not None else None
                    if track is not None and through is not None:
                        copied.add(track, kept.read(track, through - rule.query.history, math.inf), through)
    return copied


def line_of(rule: str, query: CapacityQuery, one: Outlook, now: float, past: Floats | None) -> Line:
    """An outlook as it is shown, `now` after its last sample."""
    labels = {k: v for k, v in one.labels.items() if k != "__name__"}
    used = share_used(query, one.use, one.limit)
    shares = _thinned(past) / one.limit if past is not None and len(past) and one.limit else np.empty(0)
    if one.found is None:
        return Line(rule, labels, _known(used), _known(one.limit), None, None, None, query.lead, {}, tuple(shares.tolist()), "", one.reason)
    passed, found = max(0.0, now - one.at), one.found
    p10, p50, p90 = (None if (at := found.quantile(share)) is None else max(0.0, at - passed) for share in (0.1, 0.5, 0.9))
    chances = {h: found.within(h + passed) for h in sorted({*query.horizons, query.lead})}
    return Line(rule, labels, _known(used), _known(one.limit), p10, p50, p90, query.lead, chances, tuple(shares.tolist()), found.model, "")


def _unusable(name: str, lead: float, reason: str) -> Line:
    return Line("", {"unique_id": name}, None, None, None, None, None, lead, {}, (), "", reason)


def _thinned(values: Floats) -> Floats:
    """The largest of each of at most `PLOTTED` pieces."""
    return np.array([piece.max() for piece in np.array_split(values, min(PLOTTED, len(values)))])


def _known(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _soonest(line: Line) -> tuple[bool, float, float, str]:
    return line.p50 is None, line.p50 if line.p50 is not None else 0.0, -line.chances.get(line.lead, 0.0), line.rule
