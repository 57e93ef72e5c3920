"""The daemon's look at budgets: use of the month asked of Prometheus, priced, judged. Neighbours: `pipeline.budgets` makes claims of it; `app.live` starts it."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path

import structlog

from aiops.app.compose import Core
from aiops.app.kept_source import KeptSource
from aiops.app.spending import budgets_of
from aiops.app.usage_live import live_usage
from aiops.cost.allocation import costs_of
from aiops.cost.month import month_of
from aiops.definitions.schema_prices import read_prices
from aiops.domain.errors import CommandError
from aiops.pipeline.budgets import Budgets, Judged
from aiops.pipeline.gathering import Gathering
from aiops.ports.sources import MetricSource
from aiops.settings import Settings

log = structlog.get_logger(__name__)
PAID = ("cpuRequest", "cpuUsed", "memoryRequest", "memoryUsed", "gpuRequest", "storage", "egress", "nodes", "nodeCpu", "nodeMemory")
"""The queries that cost is made of: the others are for recommendations."""
FIRST_AFTER = 30.0


def watch_budgets(core: Core, settings: Settings, metrics: Mapping[str, MetricSource]) -> None:
    """Look each `cost.every`, where there are prices, a budget and a source; else nothing is scheduled."""
    cost = settings.cost
    if not cost.prices or not (cost.budget or cost.budgets):
        return
    source = metrics.get(cost.source)
    if source is None:
        log.warning("budgets are not watched: no source of type prometheus has the name of cost.source", source=cost.source)
        return
    parts = core.flow.parts
    kept = KeptSource(source, Gathering(core.outside.history, parts.clock, parts.telemetry, settings.retention.history))
    budgets = Budgets(partial(judge, settings, kept), core.flow.take, parts.board, parts.clock, parts.telemetry)
    parts.schedule.every("budgets", cost.every, budgets.look, first_after=min(FIRST_AFTER, cost.every))


def judge(settings: Settings, source: MetricSource, now: float) -> Judged:
    """Every budget of the settings with the outlook it was judged by. The price list is read each time: a mistake in it is told, and mended without a restart.

    Raises DefinitionError, OSError, SourceError, and CommandError where a query that cost is made of failed: half a bill is no bill.
    """
    month = month_of(now)
    prices = read_prices(Path(settings.cost.prices))
    usage = live_usage(source, settings.cost, month.start - settings.cost.history, now, only=PAID).usage
    if failed := [n for n in usage.notes if "could not be asked for" in n]:
        raise CommandError(failed[0])
    return budgets_of(costs_of(usage, prices), settings.cost, month)
