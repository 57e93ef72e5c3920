"""`aiops report --month`: everything of one calendar month as one JSON-ready document; the page and the terminal show what stands in it, and nothing else.

Neighbours: `app.spending` brings the cost, `app.performance` the services, the store the incidents; `web.month_page` draws.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from aiops import __version__
from aiops.adapters.clock import SystemClock
from aiops.adapters.store import open_store
from aiops.app.capacity import capacity
from aiops.app.demo_month import BUDGET, PRICES, RELEASED, demo_capacity, demo_services, demo_table
from aiops.app.desk import plain
from aiops.app.performance import performance, services_for
from aiops.app.realised import realised
from aiops.app.spending import Spending, prices_of, spending, table_for, told
from aiops.app.usage_files import ServiceSeries
from aiops.app.usage_table import Table
from aiops.cost.month import DAY, Month, month_named
from aiops.cost.returns import Assumptions, returns
from aiops.domain.errors import AiopsError, CommandError, StoreError
from aiops.domain.execution import Execution
from aiops.domain.incident import Incident
from aiops.domain.prices import PriceList
from aiops.domain.signal import Severity
from aiops.forecast.performance import Availability, availability
from aiops.pipeline.autonomy import reverted_runs
from aiops.remediate.outcomes import ALL, Outcomes, outcomes
from aiops.settings import Settings
from aiops.web.month_page import render

MOST = 100_000
LONGEST = 10
MOST_CAPACITY = 30
DEMO_OBJECTIVE = 0.4


@dataclass(frozen=True, slots=True)
class Asked:
    """Where things come from; what is None is asked of the settings' sources. `demo`: made-up use and services."""

    month: str
    usage: Path | None = None
    services: Path | None = None
    prices: Path | None = None
    demo: bool = False


def monthly(settings: Settings, asked: Asked) -> dict[str, Any]:
    """The document. A part that cannot be had says why and does not spoil the others; raises CommandError for a month that is none or has not begun."""
    month, now = month_named(asked.month), SystemClock().now()
    if month.start >= now:
        raise CommandError(f"{month.name} has not begun")
    until = min(now, month.end)
    notes: list[str] = []
    try:
        store = open_store(settings.database_url, create=False, password_file=settings.store_password_file)
    except StoreError as error:
        if not asked.demo:
            raise
        notes.append(f"no incidents: {error}")
        acted: dict[str, Any] = _acted((), (), month, until) | {"simulated": 0}
        rows: tuple[Outcomes, ...] = ()
        runs: Sequence[Execution] = ()
        reverted: Collection[str] = ()
        ended: Sequence[Incident] = ()
    else:
        try:
            ended = [i for i in store.incidents(limit=MOST, since=month.start) if i.opened_at < until]
            runs = [r for r in store.executions(since=month.start, limit=MOST) if r.created_at < until]
            reverted = reverted_runs(store, month.start)
            rows = outcomes(ended, runs, store.reviews(), reverted, settings.report.manual_fix)
            acted = _acted(ended, rows, month, until) | {"simulated": sum(r.simulated for r in runs)}
        finally:
            store.close()
    cost, saved = _cost(settings, asked, month, until, notes, lambda table, prices: realised(runs, reverted, table, prices, until))
    services = _services(settings, asked, month, until, notes, ended)
    promised = settings.cost.services.availability
    return {
        "month": month.name, "start": month.start, "end": month.end, "until": until, "madeAt": now, "name": settings.name, "demo": asked.demo,
        "incidents": acted,
        "availability": [*_promise("all incidents that were critical", ended, month, until, promised), *(p["availability"] for p in services if p["availability"])],
        "cost": told(cost) | {"ahead": _ahead(cost)} if cost is not None else None,
        "returns": asdict(_returns(settings, rows, ended, month, until, saved)),
        "capacity": _capacity(settings, asked, now, notes),
        "services": services,
        "notes": notes,
    }  # fmt: skip


def _acted(incidents: Sequence[Incident], rows: Sequence[Outcomes], month: Month, until: float) -> dict[str, Any]:
    mine = [i for i in incidents if month.start <= i.opened_at < until]
    days = [dict.fromkeys((s.value for s in Severity), 0) for _ in range(int((until - month.start - 1e-6) // DAY) + 1)]
    for i in mine:
        days[int((i.opened_at - month.start) // DAY)][i.severity.value] += 1
    over = next((r for r in rows if r.runbook == ALL), None)
    longest = sorted(mine, key=lambda i: -_lasted(i, until))[:LONGEST]
    return {
        "total": len(mine), "bySeverity": dict(Counter(i.severity.value for i in mine)), "open": sum(i.active for i in mine), "daily": days,
        "runbooks": [asdict(r) for r in rows if r.runbook != ALL], "all": asdict(over) if over is not None else None,
        "longest": [
            {
                "title": i.title, "target": str(i.target) if i.target else "", "severity": i.severity.value, "opened": i.opened_at, "lasted": _lasted(i, until),
                "state": i.state.value, "by": i.transitions[-1].by if i.transitions else "",
            }
            for i in longest
        ],
    }  # fmt: skip


def _lasted(incident: Incident, until: float) -> float:
    return min(incident.resolved_at if incident.resolved_at is not None else until, until) - incident.opened_at


def _promise(name: str, incidents: Sequence[Incident], month: Month, until: float, promised: float) -> list[dict[str, Any]]:
    """Without a single incident nothing is claimed: the month may not have been watched at all."""
    if not incidents or not 0.0 < promised < 1.0:
        return []
    down = [(i.opened_at, i.resolved_at if i.resolved_at is not None else until) for i in incidents if i.severity is Severity.CRITICAL]
    return [promise(name, availability(down, month.start, until, promised, whole=month.end - month.start), "from incident to its end, overlapping ones once")]


def promise(name: str, found: Availability, how: str) -> dict[str, Any]:
    """One row of the availability report."""
    return {"name": name, **asdict(found), "left": found.left, "how": how}


def _cost(
    settings: Settings, asked: Asked, month: Month, until: float, notes: list[str], saved: Callable[[Table, PriceList], float],
) -> tuple[Spending | None, float]:  # fmt: skip
    try:
        table, prices, budget = _table(settings, asked, month, until)
        found = spending(table, prices, settings.cost, month, labels=("team",) if asked.demo else settings.cost.labels, budget=budget)
        return found, saved(table, prices)
    except (AiopsError, OSError) as error:
        notes.append(f"no cost: {error}")
        return None, 0.0


def _table(settings: Settings, asked: Asked, month: Month, until: float) -> tuple[Table, PriceList, float]:
    if asked.demo:
        return demo_table(month, until), PRICES, settings.cost.budget or BUDGET
    prices = prices_of(settings, asked.prices)
    return table_for(settings, asked.usage, month), prices, 0.0


def _ahead(found: Spending) -> list[dict[str, float | None]]:
    """The forecast's running sum by day."""
    o = found.outlook
    per_day = max(1, round(DAY / (float(o.ahead[1] - o.ahead[0]) if len(o.ahead) > 1 else DAY)))
    take = sorted({*range(per_day - 1, len(o.ahead), per_day), len(o.ahead) - 1} - {-1})
    known = o.low is not None
    return [
        {"at": float(o.ahead[i]), "mean": float(o.mean_path[i]), "low": float(o.low_path[i]) if known else None, "high": float(o.high_path[i]) if known else None}
        for i in take
    ]  # fmt: skip


def _releases(service: str, incidents: Sequence[Incident], month: Month, until: float) -> list[float]:
    """Of the workload of this name, as incidents tell what was changed before them."""
    mine = (i for i in incidents if i.target is not None and i.target.name == service)
    return sorted({c.at for i in mine for c in i.changes if c.kind == "release" and month.start <= c.at < until})


def _services(settings: Settings, asked: Asked, month: Month, until: float, notes: list[str], incidents: Sequence[Incident]) -> list[dict[str, Any]]:
    def released(service: str) -> list[float]:
        if asked.demo and service == "search" and month.start + RELEASED < until:
            return [month.start + RELEASED]
        return _releases(service, incidents, month, until)

    try:
        if asked.demo:
            given: list[ServiceSeries] = demo_services(month, until)
        else:
            given, more = services_for(settings, asked.services, month.start, until)
            notes += more
        aim = DEMO_OBJECTIVE if asked.demo else settings.cost.services.latency_objective
        return [performance(s, settings.cost.services, month, until, objective=aim, releases=released(s.service)) for s in given]
    except (AiopsError, OSError) as error:
        notes.append(f"no performance: {error}")
        return []


def _capacity(settings: Settings, asked: Asked, now: float, notes: list[str]) -> list[dict[str, Any]]:
    """What runs out when, from now on, whatever the month; what cannot be met within the horizon last."""
    try:
        if asked.demo:
            lines, silent = demo_capacity(now), {}
        else:
            found = capacity(settings)
            lines, silent = found.lines, found.silent
    except (AiopsError, OSError) as error:
        notes.append(f"no capacity: {error}")
        return []
    if silent:
        rule, reason = next(iter(silent.items()))
        notes.append(f"no capacity of {len(silent)} rules, for example {rule}: {reason}")
    told = [line for line in lines if not line.reason]
    if unsaid := len(lines) - len(told):
        notes.append(f"no capacity of {unsaid} series, for example: {next(line.reason for line in lines if line.reason)}")
    return [
        {
            "name": " ".join((line.rule, *(v for _, v in sorted(line.labels.items())))), "used": line.used, "limit": line.limit,
            **{q: None if (left := getattr(line, q)) is None else now + left for q in ("p10", "p50", "p90")},
            "within": max(line.chances, default=0.0), "probability": line.chances.get(max(line.chances, default=0.0)),
        }
        for line in told[:MOST_CAPACITY]
    ]  # fmt: skip


def _returns(settings: Settings, rows: Sequence[Outcomes], incidents: Sequence[Incident], month: Month, until: float, saved: float) -> Any:
    c = settings.cost
    a = Assumptions(
        engineer_hour=c.engineer_hour, downtime_hour=c.downtime_hour, manual_fix=settings.report.manual_fix, manual_resolve=c.manual_resolve,
        platform_month=c.platform_month, upkeep_hours=c.upkeep_hours, target=c.roi_target,
    )  # fmt: skip
    over = next((r for r in rows if r.runbook == ALL), None)
    automated = over.automated if over is not None else 0
    critical = sum(i.severity is Severity.CRITICAL and not i.active for i in incidents)
    return returns(
        a, automated=automated, resolve_mean=over.resolve.mean if over is not None else None, downtime=min(automated, critical), realised=saved,
        share_of_month=(until - month.start) / (month.end - month.start),
    )  # fmt: skip




def write_page(document: dict[str, Any], path: Path) -> None:
    """As one HTML file, whole or not at all. Raises OSError."""
    page = render(json.loads(json.dumps(plain(document))), __version__)
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.part")
    try:
        part.write_text(page, encoding="utf-8")
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
