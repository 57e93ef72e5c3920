"""Geometry of the pages' drawings: numbers to coordinates, no markup. Pure.

Neighbours: `pages` hands these to the templates, which draw SVG from them. Coordinates are SVG user units; times Unix seconds.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from aiops.domain.execution import Execution, ExecutionState, JournalEntry
from aiops.domain.incident import Incident, IncidentState
from aiops.domain.signal import Signal, SignalState

WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 640.0, 190.0, 62.0, 10.0, 12.0, 24.0
LANE, LANE_LEFT, LANE_WIDTH = 26.0, 210.0, 960.0
MOST_LANES = 14
LARGEST = 1e300


@dataclass(frozen=True, slots=True)
class Tick:
    """A grid line with its words."""

    at: float
    text: str


@dataclass(frozen=True, slots=True)
class Level:
    """A horizontal line: `kind` is limit, expected or baseline. `text_y` keeps the words inside the drawing."""

    y: float
    text: str
    kind: str
    text_y: float


@dataclass(frozen=True, slots=True)
class Plot:
    """Samples over time. `lines` are SVG point lists, broken where a sample was not finite; `dots` samples that stand alone."""

    title: str
    lines: tuple[str, ...]
    dots: tuple[tuple[float, float], ...]
    last: tuple[float, float] | None
    levels: tuple[Level, ...]
    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]


@dataclass(frozen=True, slots=True)
class Bar:
    """A stretch of a lane; `kind` chooses the colour."""

    x: float
    width: float
    kind: str
    text: str


MakeBar = Callable[[float, float, str, str], Bar]


@dataclass(frozen=True, slots=True)
class Lane:
    """One row of the timeline."""

    y: float
    label: str
    bars: tuple[Bar, ...]
    marks: tuple[Bar, ...] = ()


@dataclass(frozen=True, slots=True)
class Timeline:
    """Signals, states and runs under each other. `more`: lanes that were left out."""

    lanes: tuple[Lane, ...]
    ticks: tuple[Tick, ...]
    height: float
    more: int


def number(value: float | None) -> str:
    """Four digits, as in the messages."""
    return "none" if value is None else f"{value:.4g}"


def clock_time(at: float) -> str:
    """UTC time of day; a time that no calendar holds is shown as its number."""
    try:
        return datetime.fromtimestamp(at, UTC).strftime("%H:%M:%S")
    except (ValueError, OverflowError, OSError):
        return f"{at:g} s"


def nice_ticks(low: float, high: float, count: int = 4) -> list[float]:
    """At most `count` + 2 round numbers within [low, high]."""
    span = high - low
    if not math.isfinite(span) or span <= 0:
        return [low]
    rough = span / count
    power = 10.0 ** math.floor(math.log10(rough))
    step = next((m * power for m in (1.0, 2.0, 2.5, 5.0, 10.0) if m * power >= rough), 10.0 * power)
    first = math.ceil(low / step)
    return [n * step for n in range(first, first + count + 2) if n * step <= high + step * 1e-9]


def plot(
    title: str, times: Sequence[float], values: Sequence[float | None], levels: Iterable[tuple[str, str, float | None]] = ()
) -> Plot | None:
    """None if there are fewer than two finite samples. `levels`: kind, words, value."""
    pairs = [(t, v if v is not None and math.isfinite(v) else None) for t, v in zip(times, values, strict=False) if math.isfinite(t)]
    points = sorted(pairs, key=lambda pair: pair[0])
    finite = [v for _, v in points if v is not None]
    if len(finite) < 2 or points[-1][0] <= points[0][0]:
        return None
    drawn = [(kind, text, value) for kind, text, value in levels if value is not None and math.isfinite(value)]
    low, high = min([*finite, *(v for *_, v in drawn)]), max([*finite, *(v for *_, v in drawn)])
    pad = (high - low) * 0.08 or abs(high) * 0.1 or 1.0
    low, high = (low - pad if low < 0 or low - pad > 0 else min(low, 0.0)), high + pad
    if not 0 < high - low < LARGEST:  # as large as floats go: nothing that a drawing would tell
        return None
    start, end = points[0][0], points[-1][0]

    def x(t: float) -> float:
        return round(LEFT + (t - start) / (end - start) * (WIDTH - LEFT - RIGHT), 1)

    def y(v: float) -> float:
        return round(TOP + (high - v) / (high - low) * (HEIGHT - TOP - BOTTOM), 1)

    runs = _runs(points)
    return Plot(
        title=title,
        lines=tuple(" ".join(f"{x(t)},{y(v)}" for t, v in run) for run in runs if len(run) > 1),
        dots=tuple((x(run[0][0]), y(run[0][1])) for run in runs if len(run) == 1),
        last=next(((x(t), y(v)) for t, v in reversed(points) if v is not None), None),
        levels=tuple(_level(kind, f"{text} {number(v)}", y(v)) for kind, text, v in drawn),
        x_ticks=tuple(Tick(x(t), clock_time(t)) for t in (start + (end - start) * part for part in (0.0, 0.33, 0.66, 1.0))),
        y_ticks=tuple(Tick(y(v), number(v)) for v in nice_ticks(low, high)),
    )


def _level(kind: str, text: str, y: float) -> Level:
    return Level(y, text, kind, y - 4 if y > TOP + 12 else y + 12)


def _runs(points: Sequence[tuple[float, float | None]]) -> list[list[tuple[float, float]]]:
    runs: list[list[tuple[float, float]]] = [[]]
    for t, v in points:
        if v is None:
            runs.append([])
        else:
            runs[-1].append((t, v))
    return [run for run in runs if run]


def evidence_plot(signal: Signal) -> Plot | None:
    """What the detector saw, with what it expected and its limits."""
    e = signal.evidence
    levels = (("limit", "upper", e.upper), ("limit", "lower", e.lower), ("expected", "expected", e.expected))
    return plot(signal.summary, e.times, e.values, levels)


def verification_plot(run: Execution) -> Plot | None:
    """The level after acting against the one before."""
    v = run.verification
    return None if v is None else plot("level after acting", v.times, v.values, (("expected", "before", v.baseline),))


def timeline(
    incident: Incident, signals: Sequence[Signal], runs: Sequence[Execution], journals: Mapping[str, Sequence[JournalEntry]], now: float
) -> Timeline:
    """From the first claim to now, or to the last thing that happened."""
    known = [incident.opened_at, incident.updated_at, *(t.at for t in incident.transitions), *(s.at for s in signals)]
    known += [t for r in runs for t in (r.created_at, r.updated_at)]
    known = [t for t in known if math.isfinite(t)] or [now]
    start, end = min(known), max(now if incident.active else max(known), *known)
    slack = max((end - start) * 0.02, 1.0)
    start, end = start - slack, end + slack

    def x(t: float) -> float:
        return round(LANE_LEFT + (min(max(t, start), end) - start) / (end - start) * (LANE_WIDTH - LANE_LEFT - 10), 1)

    def bar(a: float, b: float, kind: str, text: str) -> Bar:
        return Bar(x(a), max(4.0, round(x(b) - x(a), 1)), kind, text)

    rows: list[tuple[str, tuple[Bar, ...], tuple[Bar, ...]]] = [("incident", _states(incident, end - slack, bar), ())]
    rows += [(name, bars, ()) for name, bars in _claims(signals, end - slack, bar)]
    for run in sorted(runs, key=lambda r: r.created_at):
        over = run.updated_at if run.state is ExecutionState.DONE else end - slack
        outcome = run.result.outcome.value if run.result else run.state.value
        marks = tuple(bar(e.at, e.at, e.kind.value, f"{clock_time(e.at)} {e.kind.value} {e.step}".rstrip()) for e in journals.get(run.id, ()))
        rows.append((run.plan.runbook, (bar(run.created_at, over, f"run-{outcome}", f"{run.plan.runbook}: {outcome}"),), marks))
    lanes = tuple(Lane(24.0 + LANE * n, name, bars, marks) for n, (name, bars, marks) in enumerate(rows[:MOST_LANES]))
    ticks = tuple(Tick(x(t), clock_time(t)) for t in (start + (end - start) * part for part in (0.0, 0.25, 0.5, 0.75, 1.0)))
    return Timeline(lanes, ticks, 24.0 + LANE * len(lanes) + 6, max(0, len(rows) - MOST_LANES))


def _states(incident: Incident, end: float, bar: MakeBar) -> tuple[Bar, ...]:
    changes = sorted(incident.transitions, key=lambda t: t.at)
    bars = []
    for n, change in enumerate(changes):
        until = changes[n + 1].at if n + 1 < len(changes) else end
        over = change.at if change.state is IncidentState.RESOLVED else until
        bars.append(bar(change.at, over, f"state-{change.state.value}", f"{clock_time(change.at)} {change.state.value}: {change.reason} by {change.by}"))
    return tuple(bars)


def _claims(signals: Sequence[Signal], end: float, bar: MakeBar) -> list[tuple[str, tuple[Bar, ...]]]:
    by_key: dict[str, list[Signal]] = {}
    for signal in sorted(signals, key=lambda s: s.at):
        by_key.setdefault(signal.key, []).append(signal)
    rows = []
    for claims in by_key.values():
        bars, since = [], None
        for claim in claims:
            if claim.state is SignalState.FIRING:
                since = since or claim
            elif since is not None:
                bars.append(bar(since.at, claim.at, f"claim-{since.severity.value}", f"{since.summary} ({claim.state.value} {clock_time(claim.at)})"))
                since = None
        if since is not None:
            bars.append(bar(since.at, end, f"claim-{since.severity.value}", since.summary))
        rows.append((claims[0].rule, tuple(bars)))
    return rows
