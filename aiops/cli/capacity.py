"""`aiops capacity`. Neighbours: `app.capacity`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from aiops.cli.common import FAILED, ConfigOption, Output, OutputOption, err, exit_codes, out, print_json, safe
from aiops.domain.duration import format_duration, parse_duration

if TYPE_CHECKING:
    from aiops.app.capacity import Line, Outlooks

BLOCKS = "▁▂▃▄▅▆▇█"


def capacity(
    rule: Annotated[list[str] | None, typer.Option(help="only this capacity rule; may be given several times")] = None,
    source: Annotated[Path | None, typer.Option("--input", help="CSV instead of rules: `unique_id,ds,y`, as `aiops forecast` takes it; needs --limit")] = None,
    limit: Annotated[float | None, typer.Option(help="what the series of the CSV must not meet")] = None,
    falling: Annotated[bool, typer.Option("--falling", help="the limit is met from above, as by what is free")] = False,
    lead_time: Annotated[str, typer.Option(help="how long the remedy takes; of a CSV")] = "2d",
    horizon: Annotated[list[str] | None, typer.Option(help="of a CSV, may be given several times; default 24h, 7d, 30d")] = None,
    season: Annotated[str, typer.Option(help="of a CSV, after so long the pattern repeats; looked for when not given")] = "0",
    step: Annotated[str, typer.Option(help="of a CSV whose `ds` are integers, what one of them is")] = "1h",
    config: ConfigOption = None,
    output: OutputOption = Output.TEXT,
) -> None:
    """What runs out when: for each series of each capacity rule P10, P50 and P90 of the time to its limit, and how likely that is within each horizon.

    The past comes from what the daemon keeps and from the source; nothing is written. The plot is the past as a share of the limit.
    """
    from aiops.app.capacity import capacity as of_rules
    from aiops.app.capacity import capacity_file
    from aiops.app.config import read_settings

    if (source is None) != (limit is None):
        raise typer.BadParameter("--input and --limit go together")
    spans = [_span(text, "--horizon") for text in horizon or ("24h", "7d", "30d")]
    lead, every, cycle = _span(lead_time, "--lead-time"), _span(step, "--step"), _span(season, "--season", least=0.0)
    with exit_codes(), err.status("asking"):
        if source is not None and limit is not None:
            found = capacity_file(source, limit, lead=lead, horizons=spans, falling=falling, season=cycle, every=every)
        else:
            found = of_rules(read_settings(config), tuple(rule or ()))
    if output is Output.JSON:
        print_json({"lines": [_plain(line) for line in found.lines], "silent": found.silent})
    else:
        _show(found)
    if source is not None and any(line.reason for line in found.lines):
        raise typer.Exit(FAILED)


def _span(text: str, option: str, *, least: float = 1.0) -> float:
    try:
        seconds = parse_duration(text)
    except ValueError as error:
        raise typer.BadParameter(f"{option}: {error}") from error
    if seconds < least:
        raise typer.BadParameter(f"{option}: {text} is too short")
    return seconds


def _plain(line: Line) -> dict[str, object]:
    return {
        "rule": line.rule, "labels": line.labels, "used": line.used, "limit": line.limit, "p10": line.p10, "p50": line.p50, "p90": line.p90,
        "leadTime": line.lead, "probability": {format_duration(h): p for h, p in line.chances.items()}, "model": line.model, "reason": line.reason,
    }  # fmt: skip


def _show(found: Outlooks) -> None:
    table = Table("rule", "series", "past", "used", "P10", "P50", "P90", "probability within", "model", box=None)
    for line in found.lines:
        if not line.reason:
            name = ", ".join(f"{k}={v}" for k, v in sorted(line.labels.items())) or "–"  # noqa: RUF001 (a dash for nothing)
            chances = ", ".join(f"{format_duration(h)} {p:.0%}" for h, p in line.chances.items())
            used = "–" if line.used is None else f"{line.used:.0%}"  # noqa: RUF001 (as above)
            times = (_when(line.p10), _when(line.p50), _when(line.p90))
            table.add_row(safe(line.rule), safe(name), _plot(line.past), used, *times, chances, safe(line.model))
    if table.row_count:
        out.print(table)
    for line in found.lines:
        if line.reason:
            err.print(safe(f"{line.rule or line.labels.get('unique_id', '')}: {line.labels if line.rule else ''}{': ' if line.rule else ''}{line.reason}"))
    for rule, reason in found.silent.items():
        err.print(safe(f"{rule}: {reason}"))


def _when(seconds: float | None) -> str:
    """To about a twentieth."""
    if seconds is None:
        return "later"
    unit = 3600.0 if seconds >= 7200.0 else 60.0
    return format_duration(round(seconds / unit) * unit) if seconds > 0.0 else "now"


def _plot(shares: tuple[float, ...]) -> str:
    """Eight heights from nothing to the limit; what is beyond is as high as it."""
    return "".join(BLOCKS[min(max(int(share * len(BLOCKS)), 0), len(BLOCKS) - 1)] for share in shares)
