"""Geometry of the monthly report's drawings: figures of its document to coordinates, no markup. Pure.

Neighbours: `month_page` hands these to its template. Coordinates are SVG user units.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from aiops.web.charts import Tick, nice_ticks, number

WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 680.0, 230.0, 66.0, 14.0, 14.0, 26.0
LARGEST = 1e300
ROW = 26.0

Pair = tuple[float, float]
Maybe = float | None


@dataclass(frozen=True, slots=True)
class Shape:
    """An area, a line (SVG point lists), or a bar; `kind` chooses the colour."""

    points: str
    kind: str


@dataclass(frozen=True, slots=True)
class Box:
    """A bar with the words that tell it."""

    x: float
    y: float
    width: float
    height: float
    kind: str
    text: str


@dataclass(frozen=True, slots=True)
class Level:
    """A horizontal or vertical line with its words."""

    at: float
    text: str
    kind: str
    text_at: float


@dataclass(frozen=True, slots=True)
class Chart:
    """One drawing. `told` is what it shows, in words, for people who cannot see it."""

    title: str
    told: str
    areas: tuple[Shape, ...] = ()
    lines: tuple[Shape, ...] = ()
    boxes: tuple[Box, ...] = ()
    dots: tuple[Pair, ...] = ()
    levels: tuple[Level, ...] = ()
    marks: tuple[Level, ...] = ()
    x_ticks: tuple[Tick, ...] = ()
    y_ticks: tuple[Tick, ...] = ()
    legend: tuple[tuple[str, str], ...] = ()
    words: tuple[tuple[float, float, str], ...] = ()
    """Texts at their places."""
    height: float = HEIGHT


@dataclass(frozen=True, slots=True)
class _Frame:
    """From numbers to the drawing."""

    x_low: float
    x_high: float
    y_high: float
    y_low: float = 0.0

    def x(self, value: float) -> float:
        return round(LEFT + (value - self.x_low) / (self.x_high - self.x_low) * (WIDTH - LEFT - RIGHT), 1)

    def y(self, value: float) -> float:
        return round(TOP + (self.y_high - value) / (self.y_high - self.y_low) * (HEIGHT - TOP - BOTTOM), 1)

    def line(self, pairs: Iterable[Pair]) -> str:
        return " ".join(f"{self.x(a)},{self.y(b)}" for a, b in pairs)

    def y_ticks(self) -> tuple[Tick, ...]:
        return tuple(Tick(self.y(v), number(v)) for v in nice_ticks(self.y_low, self.y_high))


def _frame(x_low: float, x_high: float, values: Iterable[Maybe], *, floor: float | None = 0.0) -> _Frame | None:
    finite = [v for v in values if v is not None and math.isfinite(v)]
    if not finite or not x_high > x_low:
        return None
    low, high = (min(finite) if floor is None else floor), max(finite)
    high = high + (high - low) * 0.1 if high > low else low + abs(low or 1.0)
    return _Frame(x_low, x_high, high, low) if high - low < LARGEST else None


def day_of(at: float) -> str:
    """`3 Nov`, UTC."""
    return datetime.fromtimestamp(at, UTC).strftime("%-d %b")


def _days(frame: _Frame, start: float, end: float) -> tuple[Tick, ...]:
    count = max(1, round((end - start) / 86400.0))
    step = max(1, math.ceil(count / 8))
    return tuple(Tick(frame.x(start + n * 86400.0), day_of(start + n * 86400.0)) for n in range(0, count, step))


def incidents(document: Mapping[str, Any]) -> Chart | None:
    """Opened each day, stacked by severity."""
    daily = document["incidents"]["daily"]
    totals = [sum(day.values()) for day in daily]
    frame = _frame(document["start"], document["end"], [*totals, 1.0])
    if frame is None or not any(totals):
        return None
    boxes = []
    width = (WIDTH - LEFT - RIGHT) / max(1.0, (document["end"] - document["start"]) / 86400.0)
    for n, day in enumerate(daily):
        at, below = document["start"] + n * 86400.0, 0
        for kind in ("critical", "warning", "info"):
            if day.get(kind):
                top, bottom = frame.y(below + day[kind]), frame.y(below)
                boxes.append(Box(round(frame.x(at) + 1.5, 1), top, round(width - 3, 1), round(bottom - top, 1), kind, f"{day_of(at)}: {day[kind]} {kind}"))
                below += day[kind]
    worst = max(range(len(totals)), key=totals.__getitem__)
    told = f"{sum(totals)} incidents; the most on {day_of(document['start'] + worst * 86400.0)}: {totals[worst]}"
    ticks = tuple(t for t in frame.y_ticks() if float(t.text).is_integer())
    return Chart(
        "Incidents opened each day", told, boxes=tuple(boxes), x_ticks=_days(frame, document["start"], document["end"]), y_ticks=ticks,
        legend=(("critical", "critical"), ("warning", "warning"), ("info", "info")),
    )


def daily_cost(document: Mapping[str, Any]) -> Chart | None:
    """What each day cost; the last may be part of one."""
    cost = document["cost"]
    budget = next((b for b in cost["budgets"] if b["name"] == "all"), None)
    pace = budget["monthly"] / round((document["end"] - document["start"]) / 86400.0) if budget else None
    frame = _frame(document["start"], document["end"], [*cost["daily"], pace])
    if frame is None:
        return None
    width = (WIDTH - LEFT - RIGHT) / ((document["end"] - document["start"]) / 86400.0)
    boxes = [
        Box(round(frame.x(document["start"] + n * 86400.0) + 1.5, 1), frame.y(v), round(width - 3, 1), round(frame.y(0.0) - frame.y(v), 1), "cost", f"{day_of(document['start'] + n * 86400.0)}: {v:,.2f}")
        for n, v in enumerate(cost["daily"])
    ]  # fmt: skip
    levels = (_level(frame, pace, "the budget's even pace", "limit"),) if pace else ()
    told = f"from {min(cost['daily']):,.2f} to {max(cost['daily']):,.2f} {cost['currency']} a day"
    return Chart("Cost of each day", told, boxes=tuple(boxes), levels=levels, x_ticks=_days(frame, document["start"], document["end"]), y_ticks=frame.y_ticks())


def cumulative(document: Mapping[str, Any]) -> Chart | None:
    """Spent so far and what is to come, with its interval and the budget."""
    cost, start = document["cost"], document["start"]
    spent: list[Pair] = [(start, 0.0)]
    for n, v in enumerate(cost["daily"]):
        spent.append((min(start + (n + 1) * 86400.0, cost["until"]), spent[-1][1] + v))
    budget = next((b["monthly"] for b in cost["budgets"] if b["name"] == "all"), None)
    ahead = cost["ahead"]
    highest = [a["high"] if a["high"] is not None else a["mean"] for a in ahead]
    frame = _frame(start, document["end"], [*(v for _, v in spent), *highest, budget])
    if frame is None:
        return None
    lines, areas = [Shape(frame.line(spent), "spent")], []
    if ahead:
        lines.append(Shape(frame.line([spent[-1], *((a["at"], a["mean"]) for a in ahead)]), "ahead"))
        if all(a["low"] is not None for a in ahead):
            upper = [spent[-1], *((a["at"], a["high"]) for a in ahead)]
            areas.append(Shape(frame.line([*upper, *((a["at"], a["low"]) for a in reversed(ahead))]), "band"))
    levels = (_level(frame, budget, "budget", "limit"),) if budget else ()
    told = f"{cost['spent']:,.0f} {cost['currency']} spent, {cost['forecast']['mean']:,.0f} expected by the month's end"
    if budget:
        told += f", against a budget of {budget:,.0f}"
    legend = [("spent", "spent")] + ([("ahead", "forecast")] if ahead else []) + ([("band", "90 of 100 cases")] if areas else [])
    return Chart(
        "Month to date and forecast", told, areas=tuple(areas), lines=tuple(lines), levels=levels, x_ticks=_days(frame, start, document["end"]),
        y_ticks=frame.y_ticks(), legend=tuple(legend),
    )


def _level(frame: _Frame, value: float, text: str, kind: str) -> Level:
    y = frame.y(value)
    return Level(y, f"{text} {number(value)}", kind, y - 5 if y > TOP + 14 else y + 14)


def series(service: Mapping[str, Any], names: Sequence[str], title: str, document: Mapping[str, Any], *, floor: float | None = 0.0) -> Chart | None:
    """Some series of a service over the month."""
    given = service["series"]
    present = [n for n in names if n in given and any(v is not None for v in given[n])]
    aim = service["objective"] if "p95" in present else None
    frame = _frame(document["start"], document["end"], [*(v for n in present for v in given[n]), aim], floor=floor)
    if frame is None or not present:
        return None
    lines = [Shape(frame.line(run), name) for name in present for run in _runs(given["at"], given[name])]
    levels = (_level(frame, aim, "objective (P95)", "limit"),) if aim else ()
    told = "; ".join(f"{n} from {number(min(v for v in given[n] if v is not None))} to {number(max(v for v in given[n] if v is not None))}" for n in present)
    legend = tuple((n, n.upper() if n.startswith("p") else n) for n in present) if len(present) > 1 else ()
    return Chart(title, told, lines=tuple(lines), levels=levels, x_ticks=_days(frame, document["start"], document["end"]), y_ticks=frame.y_ticks(), legend=legend)


def _runs(times: Sequence[float], values: Sequence[Maybe]) -> list[list[Pair]]:
    runs: list[list[Pair]] = [[]]
    for at, value in zip(times, values, strict=True):
        if value is None:
            runs.append([])
        else:
            runs[-1].append((at, value))
    return [run for run in runs if len(run) > 1]


def knee(service: Mapping[str, Any]) -> Chart | None:
    """Load against latency as seen, and the fitted curve."""
    found = service["knee"]
    if not found or not found["curve"]:
        return None
    curve = found["curve"]
    seen = [(a, b) for a, b in zip(curve["seenLoad"], curve["seenLatency"], strict=True) if a is not None and b is not None]
    top = max(b for _, b in seen)
    limit = max(1.6 * top, 1.15 * (service["objective"] or 0.0))
    drawn = [(a, b) for a, b in zip(curve["load"], curve["latency"], strict=True) if a is not None and b is not None and b <= limit]
    frame = _frame(0.0, max(a for a, _ in (*seen, *drawn)) * 1.03, [limit])
    if frame is None or len(drawn) < 2:
        return None
    levels = (_level(frame, service["objective"], "objective", "limit"),) if service["objective"] else ()
    marks = []
    # One mark only: where they lie close together their words would.
    if found["bent"] and (place := found["breaks"] or found["capacity"]) <= frame.x_high:
        marks.append(_mark(frame, place, f"{'breaks' if found['breaks'] else 'capacity'} at {number(place)}"))
    told = f"latency grows with load; fitted capacity {number(found['capacity'])} requests a second" if found["bent"] else "latency has hardly risen with load: capacity is not known"
    return Chart(
        "Load and latency", told, lines=(Shape(frame.line(drawn), "ahead"),) if found["bent"] else (), dots=tuple((frame.x(a), frame.y(b)) for a, b in seen), levels=levels, marks=tuple(marks),
        x_ticks=tuple(Tick(frame.x(v), f"{number(v)}/s") for v in nice_ticks(0.0, frame.x_high)), y_ticks=frame.y_ticks(), legend=(("dots", "as seen"), *((("ahead", "fitted"),) if found["bent"] else ())),
    )


def _mark(frame: _Frame, value: float, text: str) -> Level:
    x = frame.x(value)
    return Level(x, text, "limit", x - 5 if x > WIDTH / 2 else x + 5)


def runs_out(rows: Sequence[Mapping[str, Any]], start: float) -> Chart | None:
    """When each thing runs out: from P10 to P90, with P50. Rows have `name`, `p10`, `p50`, `p90` in Unix seconds (None: not in sight)."""
    known = [r for r in rows if r.get("p50") is not None][:12]
    latest = [r["p90"] or r["p50"] for r in known]
    frame = _frame(start, max(latest, default=start) + 86400.0, [float(len(known)), 0.0])
    if frame is None or not known:
        return None
    boxes, lines, words = [], [], []
    for n, row in enumerate(known):
        y = TOP + n * ROW
        first, last = frame.x(row["p10"] or row["p50"]), frame.x(row["p90"] or frame.x_high)
        boxes.append(Box(first, round(y, 1), max(3.0, round(last - first, 1)), 16.0, "band", f"{row['name']}: {day_of(row['p50'])}"))
        lines.append(Shape(f"{frame.x(row['p50'])},{round(y, 1)} {frame.x(row['p50'])},{round(y + 16.0, 1)}", "spent"))
        words.append((LEFT + 4, round(y + 12, 1), str(row["name"])[:60]))
    told = "; ".join(f"{r['name']} about {day_of(r['p50'])}" for r in known)
    return Chart("When it runs out", told, boxes=tuple(boxes), lines=tuple(lines), x_ticks=_days(frame, start, frame.x_high), words=tuple(words), height=TOP + ROW * len(known) + BOTTOM)


def share(part: float, whole: float, width: float = 100.0) -> float:
    """Of a small bar beside a figure."""
    return round(min(1.0, max(0.0, part / whole)) * width, 1) if whole > 0 else 0.0

