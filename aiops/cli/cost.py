"""`aiops cost`. Neighbours: `app.spending`."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from aiops.cli.common import ConfigOption, Output, OutputOption, err, exit_codes, out, print_json, safe, when
from aiops.cli.plots import bar, spark

if TYPE_CHECKING:
    from collections.abc import Sequence

    from aiops.app.spending import Spending


class Fail(StrEnum):
    """From which state of a budget on the exit code is 1."""

    NEVER = "never"
    FAST = "fast"
    LIKELY = "likely"
    CERTAIN = "certain"
    OVER = "over"


def cost(
    source: Annotated[Path | None, typer.Option("--input", help="CSV: `timestamp,resource,value` and whose it is; without it Prometheus is asked")] = None,
    prices: Annotated[Path | None, typer.Option(help="price list (YAML, `aiops schema prices`); without it cost.prices of the settings")] = None,
    month: Annotated[str, typer.Option(help="YYYY-MM; without it the last month that there is use of")] = "",
    by: Annotated[list[str] | None, typer.Option(help="namespace, workload, or label:NAME; as often as need be")] = None,
    budget: Annotated[float, typer.Option(min=0, help="for the month, instead of cost.budget")] = 0.0,
    fail: Annotated[Fail, typer.Option(help="exit 1 when a budget stands so or worse")] = Fail.NEVER,
    config: ConfigOption = None,
    output: OutputOption = Output.TEXT,
) -> None:
    """What a month costs: by whom, so far, to its end with an interval, against budgets, and what could be saved. Reads only."""
    from aiops.app.config import read_settings
    from aiops.app.spending import cost_of, told

    splits = tuple(by or ("namespace",))
    if wrong := [s for s in splits if s not in ("namespace", "workload") and not s.startswith("label:")]:
        raise typer.BadParameter(f"{wrong[0]!r} is not allowed; allowed: namespace, workload, label:NAME")
    labels = tuple(s.removeprefix("label:") for s in splits if s.startswith("label:"))
    with exit_codes(), err.status("counting"):
        settings = read_settings(config)
        found = cost_of(settings, source=source, prices=prices, month=month, labels=labels, budget=budget)
    if output is Output.JSON:
        print_json(told(found))
    else:
        print_spending(found, splits)
    order = [f.value for f in Fail]
    if fail is not Fail.NEVER and any(s.burn.value in order and order.index(s.burn.value) >= order.index(fail.value) for s in found.budgets):
        raise typer.Exit(1)


def print_spending(found: Spending, splits: Sequence[str]) -> None:
    """Tables and plots."""
    o, money = found.outlook, found.currency
    out.print(f"{found.month.name}: {o.spent:,.2f} {money} until {when(o.now)}; to the month's end {_interval(found)}")
    out.print(f"a day  {spark([float(v) for v in o.daily])}  at most {max(float(v) for v in o.daily):,.2f}")
    for state in found.budgets:
        colour = {"fine": "green", "possible": "green", "fast": "yellow", "likely": "yellow"}.get(state.burn.value, "red")
        out.print(safe(f"budget {state.name} {state.monthly:,.0f}: "), end="")
        out.print(f"[{colour}]{state.burn.value}[/{colour}] {bar(state.share)} {state.share:.0%} spent; burning {state.burn_day:.1f} x the even pace today; {state.reason}")
    for split in splits:
        table = Table(split, "cost", "", "CPU", "memory", "GPU", "storage", "egress", "idle", "shared", "used of paid", box=None)
        rows = found.splits[split]
        top = max((r.total for r in rows), default=1.0) or 1.0
        for r in rows[:30]:
            parts = [f"{v:,.2f}" if v else "" for v in (*r.own.values(), r.idle, r.shared)]
            table.add_row(safe(r.name), f"{r.total:,.2f}", bar(r.total / top, 12), *parts, "" if r.efficiency is None else f"{r.efficiency:.0%}")
        out.print()
        out.print(table)
        if len(rows) > 30:
            out.print(f"and {len(rows) - 30} more that cost less")
    print_advice(found.advice, money)
    for note in found.notes:
        out.print(safe(f"note: {note}"))


def print_advice(advice: Sequence[Any], money: str) -> None:
    """Recommendations, what protects first."""
    if not advice:
        return
    table = Table("recommended", "for", "now", "then", f"{money} a month", "risk", "runbook", box=None)
    for a in advice[:30]:
        table.add_row(a.kind.value, safe(a.subject), safe(a.now), safe(a.then), f"{a.saving:,.2f}" if a.saving else "", a.risk.value, a.runbook or "by hand")
    out.print()
    out.print(table)
    if len(advice) > 30:
        out.print(f"and {len(advice) - 30} more")


def _interval(found: Spending) -> str:
    o = found.outlook
    if o.low is None or o.high is None:
        return f"{o.mean:,.2f} at the pace so far"
    return f"{o.mean:,.2f}, in 90 of 100 cases {o.low:,.2f} to {o.high:,.2f}"
