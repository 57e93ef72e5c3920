"""How services performed in a month: trends, the knee of the load-latency curve, availability. Neighbours: `app.monthly`; `forecast.performance` and `forecast.knee` compute."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from aiops.adapters.clock import SystemClock
from aiops.app.sources import build_sources
from aiops.app.usage_files import ServiceSeries, read_services
from aiops.app.usage_live import live_services
from aiops.cost.month import Month
from aiops.domain.series import Floats
from aiops.forecast.knee import knee_of, without_drift
from aiops.forecast.performance import availability, outages_of, regression, trend
from aiops.settings import Settings
from aiops.settings.cost import SERVICE_QUERIES, ServiceSettings

DRAWN = 240
"""Points of a series that a drawing gets, at most."""
LATENCIES = ("p50", "p95", "p99")
STEP = 900.0


def services_for(settings: Settings, source: Path | None, start: float, end: float) -> tuple[list[ServiceSeries], list[str]]:
    """From a CSV, or by the queries of `cost.services`, and what could not be asked for. Raises DefinitionError, OSError."""
    if source is not None:
        return read_services(source), []
    if not any(getattr(settings.cost.services, name) for name in SERVICE_QUERIES):
        return [], ["no performance: cost.services has no queries"]
    built = build_sources(settings, SystemClock())
    try:
        metrics = built.metrics.get(settings.cost.source) or next(iter(built.metrics.values()), None)
        if metrics is None:
            return [], ["no performance: the settings have no source of type prometheus"]
        return live_services(metrics, settings.cost.services, start, end, STEP)
    finally:
        for close in built.closers:
            close()


def performance(
    one: ServiceSeries, settings: ServiceSettings, month: Month, until: float, *, objective: float, releases: Sequence[float] = (),
) -> dict[str, Any]:  # fmt: skip
    """Of one service within the month, JSON-ready. What is not known is None. `releases`: when there were any (Unix seconds)."""
    inside = (one.times >= month.start) & (one.times <= until)
    times, values = one.times[inside], {name: v[inside] for name, v in one.values.items()}
    wanted = objective or None
    trends = {}
    for name in (*LATENCIES, "success"):
        if name in values:
            aim = settings.availability if name == "success" else wanted if name == "p95" else None
            found = trend(times, values[name], aim, rising_is_worse=name != "success")
            trends[name] = asdict(found) if found is not None else None
    load, latency = values.get("load"), values.get("p95", values.get("p50"))
    if load is not None and latency is not None:
        latency = without_drift(times, load, latency)
    knee = knee_of(load, latency, wanted) if load is not None and latency is not None else None
    curve = None
    if knee is not None and load is not None and latency is not None:
        at = np.linspace(0.0, min(knee.capacity * 0.985, knee.highest * 2.5), 60)
        drawn = thinned(np.argsort(load, kind="stable"), DRAWN)
        curve = {"load": _plain(at), "latency": _plain(knee.latency(at)), "seenLoad": _plain(load[drawn]), "seenLatency": _plain(latency[drawn])}
    step = float(np.median(np.diff(times))) if len(times) > 1 else STEP
    down = None
    if "success" in values and len(times) and 0.0 < settings.availability < 1.0:
        gone = outages_of(times, values["success"], settings.least_success, step)
        found_down = availability(gone, month.start, until, settings.availability, whole=month.end - month.start)
        down = {"name": one.service, **asdict(found_down), "left": found_down.left, "how": f"steps whose success rate was below {settings.least_success:.0%}"}
    judged = [asdict(regression(one.times, one.values["p95"], at)) | {"at": at} for at in releases] if "p95" in one.values else []
    return {
        "service": one.service, "objective": wanted, "trends": trends, "knee": {**asdict(knee), "curve": curve} if knee is not None else None, "availability": down,
        "releases": [{name: None if isinstance(v, float) and math.isnan(v) else v for name, v in r.items()} for r in judged],
        "series": {"at": _plain(_bucketed(times, np.median))} | {n: _plain(_bucketed(v, np.nanmin if n == "success" else np.nanmedian)) for n, v in values.items()},
    }  # fmt: skip


def _bucketed(values: Floats, how: Callable[[Floats], Any]) -> Floats:
    """At most `DRAWN` of them, each for a stretch of its own: of success the worst, so that no outage is lost."""
    parts = np.array_split(values, min(len(values), DRAWN)) if len(values) else []
    return np.array([how(p) if np.isfinite(p).any() else np.nan for p in parts], dtype=np.float64)


def thinned(index: np.ndarray, most: int) -> np.ndarray:
    """Evenly, ends kept."""
    return index if len(index) <= most else index[np.linspace(0, len(index) - 1, most).round().astype(np.int64)]


def _plain(values: Floats) -> list[float | None]:
    return [round(float(v), 6) if math.isfinite(v) else None for v in values]
