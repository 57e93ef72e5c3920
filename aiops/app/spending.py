"""`aiops cost`: use and prices to a month's cost, budgets and recommendations.

Neighbours: `usage_files` and `usage_live` bring the use, `cost` computes, `app.monthly` puts it into the report.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from aiops.adapters.clock import SystemClock
from aiops.app.kept_source import reading
from aiops.app.sources import build_sources
from aiops.app.usage_files import read_usage
from aiops.app.usage_live import default_queries, live_usage
from aiops.app.usage_table import Table, table_of
from aiops.cost.advice import Advice, ranked
from aiops.cost.allocation import Costs, Row, costs_of, labelled, namespace, rows_of, workload
from aiops.cost.fleet_advice import fleet_advice
from aiops.cost.month import BudgetState, Month, Outlook, budget_state, month_named, month_of, outlook
from aiops.cost.usage import Consumer
from aiops.cost.workload_advice import volume_advice, workload_advice
from aiops.definitions.schema_prices import read_prices
from aiops.domain.errors import CommandError
from aiops.domain.prices import PriceList
from aiops.settings import Settings
from aiops.settings.cost import CostSettings


@dataclass(frozen=True, slots=True)
class Spending:
    """A month's cost. `splits` has rows by namespace, workload and each label asked for; money in `currency`."""

    month: Month
    currency: str
    prices: str
    outlook: Outlook
    splits: Mapping[str, tuple[Row, ...]]
    budgets: tuple[BudgetState, ...]
    advice: tuple[Advice, ...]
    notes: tuple[str, ...]


def prices_of(settings: Settings, given: Path | None) -> PriceList:
    """The file given, or that of the settings. Raises CommandError if there is none, DefinitionError, OSError."""
    path = given or (Path(settings.cost.prices) if settings.cost.prices else None)
    if path is None:
        raise CommandError("no prices: give a file with --prices or cost.prices in the settings (`aiops schema prices` shows what it holds)")
    return read_prices(path)


def table_for(settings: Settings, source: Path | None, month: Month | None) -> Table:
    """Use from a CSV file, or asked of the settings' Prometheus: the month with `cost.history` before it. Raises DefinitionError, SourceError, CommandError."""
    cost = settings.cost
    if source is not None:
        return table_of(read_usage(source), cost.step)
    clock = SystemClock()
    built = build_sources(settings, clock)
    try:
        metrics = built.metrics.get(cost.source) or next(iter(built.metrics.values()), None)
        if metrics is None:
            raise CommandError("no use: give a file with --input, or a source of type prometheus in the settings")
        now = clock.now()
        wanted = month or month_of(now)
        end = min(now, wanted.end)
        if end <= wanted.start:
            raise CommandError(f"{wanted.name} has not begun")
        queries = {**default_queries(cost.labels), **cost.queries}
        kept = reading(metrics, Path(settings.state_dir) / "history", filter(None, queries.values()), cost.step, clock, settings.retention.history)
        return live_usage(kept, cost, wanted.start - cost.history, end)
    finally:
        for close in built.closers:
            close()


def spending(table: Table, prices: PriceList, cost: CostSettings, month: Month | None = None, *, labels: tuple[str, ...] = (), budget: float = 0.0) -> Spending:
    """All of it; without a month the last that the use reaches into. `budget` instead of that of the settings. Raises CommandError."""
    usage = table.usage
    wanted = month or month_of(max(usage.start, usage.end - 1.0))
    costs = costs_of(usage, prices)
    seen = outlook(costs.start, costs.step, costs.total, costs.seen, wanted)
    keys: dict[str, Callable[[Consumer], str]] = {"namespace": namespace, "workload": workload} | {f"label:{name}": labelled(name) for name in labels}
    splits = {name: rows_of(costs, prices, key, since=wanted.start) for name, key in keys.items()}
    budgets = [state for state, _ in budgets_of(costs, cost, wanted, budget=budget)]
    advice = [
        *workload_advice(usage, prices, table.replicas, target=cost.utilisation), *volume_advice(table.volumes, prices),
        *fleet_advice(usage, prices, table.plan, cost.utilisation, cost.tolerance),
    ]  # fmt: skip
    notes = list(usage.notes)
    if seen.observed < 0.99:
        notes.append(f"{1 - seen.observed:.0%} of the month so far was not seen: within, its cost is taken from the hours around it; before the first hour known, it is not in the cost")
    if seen.low is None:
        notes.append("there is too little past for an interval: the forecast is the pace so far")
    notes += [
        f"what a node {pool.node_type or 'without a type'} costs is not known: its idle capacity is not in the cost"
        for pool in usage.pools
        if prices.cloud(pool.cloud).node_hour(pool.node_type, pool.purchase) is None and not pool.cpu
    ]
    if not table.replicas:
        notes.append("how many pods each workload had is not known: nothing is said about their sizes")
    return Spending(wanted, prices.currency, prices.name, seen, splits, tuple(budgets), ranked(advice), tuple(notes))


def budgets_of(costs: Costs, cost: CostSettings, month: Month, *, budget: float = 0.0) -> list[tuple[BudgetState, Outlook]]:
    """Each budget of the settings, and `budget` instead of the whole one's if given. Raises CommandError if nothing of the month is known."""
    whole = budget or cost.budget
    parts = [("all", whole, costs.total)] if whole > 0 else []
    for name, monthly in cost.budgets.items():
        mine = [i for i, c in enumerate(costs.consumers) if c.namespace == name]
        parts.append((name, monthly, np.asarray(sum(p[mine].sum(axis=0) for p in costs.parts.values()))))
    found = [(name, monthly, outlook(costs.start, costs.step, totals, costs.seen, month)) for name, monthly, totals in parts]
    return [(budget_state(name, monthly, seen), seen) for name, monthly, seen in found]


def cost_of(
    settings: Settings, *, source: Path | None, prices: Path | None, month: str = "", labels: tuple[str, ...] = (), budget: float = 0.0,
) -> Spending:  # fmt: skip
    """What `aiops cost` shows. Raises DefinitionError, CommandError, SourceError, OSError."""
    wanted = month_named(month) if month else None
    told = prices_of(settings, prices)
    return spending(table_for(settings, source, wanted), told, settings.cost, wanted, labels=labels, budget=budget)


def told(found: Spending) -> dict[str, Any]:
    """As JSON has it: figures, not arrays of every step."""
    o = found.outlook
    return {
        "month": found.month.name, "currency": found.currency, "prices": found.prices, "until": o.now, "spent": o.spent, "observed": o.observed,
        "forecast": {"mean": o.mean, "low90": o.low, "high90": o.high}, "daily": [round(float(v), 4) for v in o.daily],
        "by": {
            name: [{"name": r.name, "total": r.total, **{k.value: v for k, v in r.own.items()}, "idle": r.idle, "shared": r.shared, "efficiency": r.efficiency} for r in rows]
            for name, rows in found.splits.items()
        },
        "budgets": found.budgets, "recommendations": found.advice, "notes": found.notes,
    }  # fmt: skip


