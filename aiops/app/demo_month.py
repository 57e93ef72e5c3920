"""A made-up month of a small shop, for `aiops report --demo` and to see what `aiops cost` shows: the same numbers each time, invented here and nowhere measured.

Neighbours: `app.monthly` takes it in place of real use and services.
"""

from __future__ import annotations

import numpy as np

from aiops.app.capacity import Line, line_of
from aiops.app.usage_files import ServiceSeries
from aiops.app.usage_table import Series, Table, table_of
from aiops.cost.month import DAY, Month
from aiops.domain.prices import CloudPrices, NodeType, PriceList, Purchase
from aiops.domain.rule import CapacityQuery
from aiops.domain.series import Floats, SeriesRange
from aiops.pipeline.capacity import outlooks_of

HISTORY = 60 * DAY
BUDGET = 3000.0
RELEASED = 14 * DAY + 36_000
"""Into the month: a release of search that made it slower."""
PRICES = PriceList(
    "made up", "USD",
    {"demo": CloudPrices(
        "demo", cpu=0.031, memory=0.0042, storage=0.1, egress=0.09, overhead=0.1, discounts={Purchase.SPOT: 0.6, Purchase.RESERVED: 0.35},
        node_types={
            "standard-8": NodeType("standard-8", 8.0, 32.0, 0.0, {Purchase.ON_DEMAND: 0.384}),
            "standard-16": NodeType("standard-16", 16.0, 64.0, 0.0, {Purchase.ON_DEMAND: 0.72}),
        },
    )},
)  # fmt: skip
WORKLOADS = (
    # namespace, workload, team, pods, cores and GiB a pod asks for, share of both that is used, pods bear interruption
    ("shop", "Deployment/web", "storefront", 6, 1.0, 2.0, 0.35, 0.5, False),
    ("shop", "Deployment/checkout", "payments", 5, 2.0, 3.0, 0.6, 0.75, False),
    ("shop", "Deployment/search", "storefront", 4, 4.0, 8.0, 0.18, 0.3, False),
    ("data", "StatefulSet/orders-db", "platform", 3, 2.0, 8.0, 0.5, 0.8, False),
    ("data", "Deployment/reports", "analytics", 6, 1.0, 4.0, 0.4, 0.6, True),
    ("staging", "Deployment/old-web", "storefront", 2, 1.0, 2.0, 0.002, 0.2, False),
    ("kube-system", "Deployment/dns", "platform", 2, 0.2, 0.25, 0.5, 0.6, False),
)


def demo_table(month: Month, end: float) -> Table:
    """Sixty days before the month and what has passed of it until `end`."""
    start = month.start - HISTORY
    times = np.arange(start, end - 3599.0, 3600.0)
    chance = np.random.default_rng(7)
    series: list[Series] = []
    for namespace, workload, team, pods, cores, size, cpu, memory, spot in WORKLOADS:
        labels = {"namespace": namespace, "workload": workload, "team": team, **({"interruptible": "true"} if spot else {})}
        level = _level(times, chance)
        count = np.full(len(times), float(pods)) if workload.startswith("StatefulSet") else np.ceil(pods * (0.75 + 0.35 * level))
        used = count * cores * cpu * level
        held = count * size * memory * (0.9 + 0.1 * level)
        hot = chance.uniform(1.05, 1.25, len(times))
        rows = {"cpu_request": count * cores, "memory_request": count * size, "cpu_used": used, "memory_used": held, "pods": count}
        rows |= {"cpu_hottest": used / count * hot, "memory_hottest": held / count * hot}
        series += [Series(name, labels, times, values) for name, values in rows.items()]
        if workload == "Deployment/checkout":
            series.append(Series("killed_at", labels, times[-3:], np.full(3, size)))
    for claim, gib, mounted in (("orders", 500.0, True), ("old-exports", 400.0, False)):
        labels = {"namespace": "data", "workload": f"PersistentVolumeClaim/{claim}"}
        series.append(Series("storage", labels, times, np.full(len(times), gib)))
        if not mounted:
            series.append(Series("unmounted", labels, times[-24 * 40 :], np.full(min(len(times), 24 * 40), gib)))
    series.append(Series("egress", {"namespace": "shop", "workload": "Deployment/web", "team": "storefront"}, times, 2.0 * _level(times, chance)))
    nodes = np.full(len(times), 9.0) + (times > month.start + 9 * DAY)
    series.append(Series("nodes", {"node_type": "standard-8"}, times, nodes))
    return table_of(series, 3600.0)


def _level(times: Floats, chance: np.random.Generator) -> Floats:
    """A day's and a week's shape around 1, growing by a fifth in ninety days."""
    day = 0.45 * np.sin(2 * np.pi * (times / DAY - 0.3))
    week = 1.0 - 0.2 * (((times // DAY).astype(np.int64) + 3) % 7 >= 5)
    return np.asarray((1.0 + day) * week * (1.0 + 0.2 * (times - times[0]) / (90 * DAY)) * chance.lognormal(0.0, 0.05, len(times)))


def demo_services(month: Month, end: float) -> list[ServiceSeries]:
    """Two services: one whose latency bends with load, one that is becoming slower; each with an outage."""
    times = np.arange(month.start, end - 1.0, 900.0)
    chance = np.random.default_rng(11)
    found = []
    for name, peak, capacity, at_rest, slower, bad, lasting in (("checkout", 350.0, 420.0, 0.08, 0.0, 12.0, 2700.0), ("search", 90.0, 400.0, 0.15, 0.015, 20.0, 900.0)):
        idle = np.full(len(times), at_rest)
        load = peak * 0.6 * _level(times, chance)
        u = np.minimum(load / capacity, 0.97)
        if name == "search":
            idle *= np.where(times >= month.start + RELEASED, 1.2, 1.0)
        base = idle * (1.0 + 0.25 * u**2.2 / (1.0 - u)) * (1.0 + slower * (times - month.start) / DAY)
        success = 1.0 - chance.gamma(1.0, 0.0002, len(times))
        down = (times >= month.start + bad * DAY + 36_000) & (times < month.start + bad * DAY + 36_000 + lasting)
        success[down] = 0.7
        p50 = base * chance.lognormal(0.0, 0.05, len(times))
        found.append(ServiceSeries(name, times, {"load": load, "p50": p50, "p95": p50 * 2.1 * chance.lognormal(0.0, 0.06, len(times)), "p99": p50 * 3.2 * chance.lognormal(0.0, 0.1, len(times)), "success": success}))
    return found


def demo_capacity(now: float) -> tuple[Line, ...]:
    """Two disks, one of which fills, and one node pool."""
    chance = np.random.default_rng(13)
    times = np.asarray(now - 3600.0 * np.arange(40 * 24, 0, -1), dtype=np.float64)
    found = []
    for name, level, rise, wave in (("disk of orders-db", 0.55, 0.3, 0.01), ("disk of search", 0.4, 0.05, 0.01), ("CPU of standard-8", 0.5, 0.08, 0.12)):
        share = level + rise * (times - times[0]) / (40 * DAY) + wave * np.sin(2 * np.pi * times / DAY) + chance.normal(0.0, 0.004, len(times))
        query = CapacityQuery(name, 1.0, 2 * DAY, 3600.0, 0.0, (DAY, 7 * DAY, 30 * DAY), "last")
        (one,) = outlooks_of(query, [SeriesRange({}, times, np.asarray(share, dtype=np.float64))], 1.0, float(times[-1]))
        found.append(line_of(name, query, one, now, share))
    return tuple(found)
