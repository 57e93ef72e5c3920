"""`aiops report`: what acting came to, or all of a calendar month. Neighbours: `app.desk`, `app.monthly`; `remediate.outcomes` counts."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from aiops.cli.common import ConfigOption, Output, OutputOption, desk, err, exit_codes, out, print_json, safe, when
from aiops.cli.plots import bar, spark
from aiops.domain.duration import format_duration, parse_duration


def report(
    since: Annotated[str, typer.Option(help="how far back, such as 24h or 30d; without it report.window of the settings")] = "",
    month: Annotated[str, typer.Option(help="YYYY-MM: the whole of this month instead, with cost, availability, capacity, recommendations and performance")] = "",
    html: Annotated[Path | None, typer.Option(help="with --month: write it as one HTML file too")] = None,
    source: Annotated[Path | None, typer.Option("--input", help="with --month: use from a CSV, as `aiops cost` takes it")] = None,
    services: Annotated[Path | None, typer.Option(help="with --month: CSV `timestamp,service` and any of `load,p50,p95,p99,success`")] = None,
    prices: Annotated[Path | None, typer.Option(help="with --month: price list; without it cost.prices of the settings")] = None,
    demo: Annotated[bool, typer.Option("--demo", help="with --month: made-up use, prices and services")] = False,
    config: ConfigOption = None,
    output: OutputOption = Output.TEXT,
) -> None:
    """What acting came to, for each runbook: time to detect and to resolve, resolved without a person, wrong actions, time saved, escalations.

    With --month all of a calendar month: incidents, availability, cost, savings and return, capacity, recommendations, performance.
    """
    if month:
        if since:
            raise typer.BadParameter("--since and --month exclude each other")
        _monthly(config, output, html, month=month, usage=source, services=services, prices=prices, demo=demo)
        return
    if html or source or services or prices or demo:
        raise typer.BadParameter("--html, --input, --services, --prices and --demo go with --month")
    _acted(since, config, output)


def _acted(since: str, config: Path | None, output: Output) -> None:
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


def _monthly(config: Path | None, output: Output, html: Path | None, **asked: Any) -> None:
    from aiops.app.config import read_settings
    from aiops.app.monthly import Asked, monthly, write_page

    with exit_codes(), err.status("reading the month"):
        document = monthly(read_settings(config), Asked(**asked))
        if html is not None:
            write_page(document, html)
    if output is Output.JSON:
        print_json(document)
        return
    print_month(document)
    if html is not None:
        out.print(safe(f"\n{html}: {html.stat().st_size // 1024} KiB, open it in a browser"))


def print_month(d: dict[str, Any]) -> None:
    """The document as tables and plots, in the order of the page."""
    out.print(f"[bold]{d['month']}[/bold] until {when(d['until'])}" + ("; use, prices and services are made up" if d["demo"] else ""))
    acted = d["incidents"]
    daily = [float(sum(day.values())) for day in acted["daily"]]
    out.print(f"\nincidents     {acted['total']} ({acted['open']} open)  {spark(daily)}")
    for name, count in acted["bySeverity"].items():
        out.print(f"  {name:<10}  {count}")
    if acted["all"] is not None:
        a = acted["all"]
        out.print(f"  resolved without a person: {_rate(a['automated'], a['incidents'], a['automated_rate'])}; mean time to resolve {_span(a['resolve']['mean'])}")
    if acted["simulated"]:
        out.print(f"  simulated runs: {acted['simulated']}")
    for a in d["availability"]:
        kept = "[green]kept[/green]" if a["met"] else "[red]broken[/red]"
        out.print(safe(f"availability  {a['name']}: {a['share']:.3%} of {a['promised']:.2%}, lost {_span(a['lost'])} of {_span(a['budget'])} "), end="")
        out.print(kept)
    _cost(d["cost"])
    r = d["returns"]
    ratio = "not known: no cost of the automation is set" if r["ratio"] is None else f"{r['ratio']:.2f}, aim {r['target']:g}"
    out.print(f"\nreturn        {ratio}")
    for line in r["lines"]:
        out.print(safe(f"  {line['name']:<28} {line['amount']:>10,.2f}  {line['how']}"))
    for name, value in r["inputs"]:
        out.print(safe(f"  assumed: {name}: {value}"))
    for row in d["capacity"]:
        used = "" if row["used"] is None else f"{row['used']:.0%} used; "
        days = " / ".join((when(row[q])[:10] or "later") for q in ("p10", "p50", "p90"))
        out.print(safe(f"capacity      {row['name']}: {used}met {days} (10, 50, 90 of 100)"))
    for s in d["services"]:
        _service(s)
    for note in d["notes"]:
        out.print(safe(f"note: {note}"))


def _cost(cost: dict[str, Any] | None) -> None:
    if cost is None:
        return
    from aiops.cli.cost import print_advice

    low, high = cost["forecast"]["low90"], cost["forecast"]["high90"]
    interval = "" if low is None else f" ({low:,.0f} to {high:,.0f})"
    out.print(f"\ncost          {cost['spent']:,.2f} {cost['currency']} so far, {cost['forecast']['mean']:,.0f}{interval} to the month's end  {spark(cost['daily'])}")
    for b in cost["budgets"]:
        out.print(safe(f"  budget {b.name}: {b.burn.value}, {b.share:.0%} of {b.monthly:,.0f} spent {bar(b.share)}  {b.reason}"))
    for row in cost["by"]["namespace"][:8]:
        out.print(safe(f"  {row['name']:<24} {row['total']:>10,.2f}"))
    print_advice(cost["recommendations"], cost["currency"])


def _service(s: dict[str, Any]) -> None:
    out.print(safe(f"\nservice       {s['service']}"))
    for name, t in s["trends"].items():
        if t is not None:
            aim = "" if t["breaks"] is None else ", objective broken" if t["breaks"] == 0 else f", objective broken in about {t['breaks']:.0f} days"
            drawn = [v if v is not None else float("nan") for v in s["series"][name]]
            out.print(f"  {name:<8} {t['level']:.4g}, {t['heading']} ({t['slope']:+.2g} a day){aim}  {spark(drawn[:: max(1, len(drawn) // 40)])}")
    if (k := s["knee"]) is not None:
        bent = f"capacity {k['capacity']:.4g}/s ({k['capacity_low']:.4g} to {k['capacity_high']:.4g})" if k["bent"] else "latency has hardly risen with load: capacity not known"
        room = ""
        if k["bent"] and k["room"] is not None:
            room = f"; the objective breaks at {k['breaks']:.4g}/s, {abs(k['room']):.0%} {'above' if k['room'] >= 0 else 'below'} the highest load seen"
        out.print(f"  load     {bent}{room}")
    for r in s["releases"]:
        change = "" if r["ratio"] is None else f", P95 {r['ratio'] - 1:+.0%}"
        out.print(f"  release  {when(r['at'])}: {r['verdict']}{change}")


def _span(seconds: float | None) -> str:
    return "–" if seconds is None else format_duration(round(seconds))  # noqa: RUF001 (a dash for nothing)


def _rate(part: int, whole: int, rate: float | None) -> str:
    return "–" if rate is None else f"{part} of {whole} ({rate:.0%})"  # noqa: RUF001 (as above)
