"""`aiops report`. Neighbours: `app.desk`; `remediate.outcomes` counts."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.table import Table

from aiops.cli.common import ConfigOption, Output, OutputOption, desk, exit_codes, out, print_json, safe
from aiops.domain.duration import format_duration, parse_duration


def report(
    since: Annotated[str, typer.Option(help="how far back, such as 24h or 30d; without it report.window of the settings")] = "",
    config: ConfigOption = None,
    output: OutputOption = Output.TEXT,
) -> None:
    """What acting came to, for each runbook: time to detect and to resolve, resolved without a person, wrong actions, time saved, escalations."""
    from aiops.app.config import read_settings

    try:
        given = parse_duration(since) if since else 0.0
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error
    with exit_codes():
        settings = read_settings(config)
    span = given or settings.report.window
    with desk(config) as d:
        rows = d.report(span, settings.report.manual_fix)
    if output is Output.JSON:
        print_json({"seconds": span, "manualFix": settings.report.manual_fix, "rows": rows})
        return
    table = Table("runbook", "runs", "outcomes", "MTTD", "MTTR mean", "P50", "P95", "automated", "wrong", "saved", "escalated", "to a person", box=None)
    for r in rows:
        outcomes = ", ".join(f"{n} {outcome}" for outcome, n in r.by_outcome.items())
        times = (_span(r.detect.mean), _span(r.resolve.mean), _span(r.resolve.p50), _span(r.resolve.p95))
        rates = (_rate(r.automated, r.incidents, r.automated_rate), _rate(r.wrong, r.runs, r.wrong_rate))
        table.add_row(safe(r.runbook), str(r.runs), safe(outcomes), *times, *rates, _span(r.saved), str(r.escalations), str(r.people))
    out.print(table)
    out.print(f"the last {format_duration(span)}; a fix by hand is taken to need {format_duration(settings.report.manual_fix)}")


def _span(seconds: float | None) -> str:
    return "–" if seconds is None else format_duration(round(seconds))  # noqa: RUF001 (a dash for nothing)


def _rate(part: int, whole: int, rate: float | None) -> str:
    return "–" if rate is None else f"{part} of {whole} ({rate:.0%})"  # noqa: RUF001 (as above)
