"""What recommendations that were carried out have saved: runs of the runbooks that only people ask for, priced from their end on.

A later change by somebody else is not known here, so it is as if each stood until the end of the time looked at. Neighbours: `app.monthly`; `cost.returns` takes the sum.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from aiops.app.usage_table import Table
from aiops.cost.allocation import unit_factor
from aiops.cost.usage import HOUR, Consumer
from aiops.domain.execution import Execution
from aiops.domain.outcome import Outcome
from aiops.domain.prices import PriceList
from aiops.execution.actions import quantities
from aiops.remediate.autonomy import counts_as_run

CARRIED_OUT = frozenset({"right-size", "scale-to"})
"""`consolidate-node` empties a node; whether its machine was taken away is not seen."""
_GIB = 2**30


def realised(runs: Iterable[Execution], reverted: Collection[str], table: Table, prices: PriceList, until: float) -> float:
    """Money saved until then, below zero if they cost more."""
    return sum(
        _hourly(run, table, prices) * max(0.0, until - run.updated_at) / HOUR
        for run in runs
        if run.plan.runbook in CARRIED_OUT and counts_as_run(run) and run.result is not None and run.result.outcome is Outcome.SUCCEEDED and run.id not in reverted
    )


def _hourly(run: Execution, table: Table, prices: PriceList) -> float:
    key = (run.plan.target.namespace, f"{run.plan.target.kind}/{run.plan.target.name}")
    mine = [c for c in table.usage.consumers if (c.namespace, c.workload) == key]
    known = table.replicas.get(key)
    if not mine or known is None:
        return 0.0
    counts = known.counts[known.counts > 0]
    pods = float(counts[-1]) if len(counts) else 0.0
    saved = 0.0
    for step in run.steps:
        gone = {name: step.output.get(name) for name in ("from", "to", "before", "after")}
        if gone["from"] is not None and gone["to"] is not None:
            asked = table.asked_by_pod(key)
            saved += (float(gone["from"]) - float(gone["to"])) * _price(asked[0], asked[1], mine[0], table, prices)
        elif isinstance(gone["before"], Mapping) and isinstance(gone["after"], Mapping):
            (old_cpu, old_memory), (new_cpu, new_memory) = _requests(gone["before"]), _requests(gone["after"])
            saved += pods * _price(old_cpu - new_cpu, old_memory - new_memory, mine[0], table, prices)
    return saved


def _requests(resources: Mapping[str, Any]) -> tuple[float, float]:
    """Cores and GiB."""
    given = resources.get("requests") or {}
    return float(quantities.parse(str(given.get("cpu", "0")))), float(quantities.parse(str(given.get("memory", "0")))) / _GIB


def _price(cpu: float, memory: float, consumer: Consumer, table: Table, prices: PriceList) -> float:
    return prices.cloud(consumer.cloud).listed(cpu, memory, 0.0) * unit_factor(consumer, table.usage, prices)
