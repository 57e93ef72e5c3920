"""The command line put together. Neighbours: each file of this folder is one command group."""

from __future__ import annotations

from typing import Annotated

import typer

from aiops import __version__
from aiops.cli import (
    ask,
    autonomy,
    capacity,
    cases,
    cost,
    definitions,
    drift,
    feedback,
    forecast,
    incidents,
    replay,
    report,
    review,
    run,
    runbook,
    score,
)

app = typer.Typer(
    name="aiops",
    help="Keeps Kubernetes platforms healthy: detects, plans, acts under guardrails, verifies, tells. Nothing is written without `run --act`.",
    epilog="Exit codes: 0 done, 1 problems found or failed, 2 wrong usage, 3 no such thing, 4 a server or the store could not be reached.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_show_locals=False,
)


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"aiops {__version__}")
        raise typer.Exit


@app.callback()
def _options(version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="print the version and exit")] = False) -> None:
    """See `help` above."""
    del version


app.command()(run.run)
app.command()(replay.demo)
app.command()(replay.replay)
app.command()(replay.record)
app.add_typer(incidents.app, name="incidents")
app.add_typer(feedback.app, name="feedback")
app.add_typer(review.app, name="review")
app.add_typer(autonomy.app, name="autonomy")
app.command()(report.report)
app.add_typer(runbook.app, name="runbook")
app.command()(definitions.check)
app.command("test")(cases.run_tests)
app.command()(definitions.schema)
app.command()(drift.drift)
app.command()(score.score)
app.command()(forecast.forecast)
app.command()(capacity.capacity)
app.command()(cost.cost)
app.command()(ask.why)
app.command()(ask.approve)
app.command()(ask.reject)
app.command()(ask.undo)
app.command()(ask.answer)
app.command()(ask.pause)
app.command()(ask.resume)
