"""`aiops review`: what dry-run would have done, and people's marks on it. Neighbours: `app.desk`."""

from __future__ import annotations

from collections import Counter
from typing import Annotated

import typer
from rich.table import Table

from aiops.cli.common import ConfigOption, Output, OutputOption, desk, err, out, print_json, safe, when
from aiops.cli.incidents import print_run
from aiops.domain.execution import ReviewVerdict

app = typer.Typer(help="What dry-run would have done: evidence, diff, verdicts; mark each right, wrong or needless.", no_args_is_help=True)


@app.command("list")
def list_(
    config: ConfigOption = None,
    output: OutputOption = Output.TEXT,
    unmarked: Annotated[bool, typer.Option("--unmarked", help="only those without a mark")] = False,
    limit: Annotated[int, typer.Option(min=1, max=1000)] = 50,
) -> None:
    """Newest first."""
    with desk(config) as d:
        found = d.reviews(unmarked=unmarked, limit=limit)
    if output is Output.JSON:
        print_json([{"execution": e, "review": r} for e, r in found])
        return
    table = Table("execution", "at", "runbook", "target", "incident", "guards that refused", "mark", box=None)
    for e, r in found:
        refused = ", ".join(v.reason for v in e.plan.verdicts if not v.allowed)
        mark = f"{r.verdict.value} (by {r.by})" if r else ""
        table.add_row(e.id, when(e.created_at), safe(e.plan.runbook), safe(e.target), e.plan.incident, safe(refused), safe(mark))
    out.print(table)
    marks = Counter(r.verdict.value for _, r in found if r)
    out.print(f"{len(found)} in all, {sum(marks.values())} marked" + "".join(f", {n} {v}" for v, n in sorted(marks.items())))


@app.command()
def show(execution: str, config: ConfigOption = None, output: OutputOption = Output.TEXT) -> None:
    """One of them, with its diff."""
    with desk(config) as d:
        found = d.execution(execution)
    if output is Output.JSON:
        print_json(found)
    else:
        print_run(found)


@app.command()
def verdict(
    execution: str,
    mark: ReviewVerdict,
    note: Annotated[str, typer.Option()] = "",
    config: ConfigOption = None,
) -> None:
    """Mark one: right, wrong or needless."""
    with desk(config) as d:
        review = d.mark(execution, mark, note)
    err.print(f"{review.execution} marked {review.verdict.value}")
