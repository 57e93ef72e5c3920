"""`aiops feedback`: what people called no anomaly, and what that damps. Neighbours: `app.desk`; the running daemon carries the commands out."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.table import Table

from aiops.cli.common import ConfigOption, Output, OutputOption, desk, err, out, print_json, safe, when
from aiops.domain.command import CommandKind
from aiops.domain.feedback import Feedback, Pattern

app = typer.Typer(help="Say that an alarm was none: the next one like it, of that rule and series, is damped. List and take back.", no_args_is_help=True)


@app.command()
def add(
    incident: str,
    rule: Annotated[str, typer.Option(help="only what this rule claimed")] = "",
    why: Annotated[str, typer.Option(help="for those who read it later")] = "",
    days: Annotated[float, typer.Option("--for", min=0.01, max=365, help="days that it counts")] = 30,
    same_time: Annotated[bool, typer.Option("--same-time", help="only within an hour of the same time of the day (UTC)")] = False,
    config: ConfigOption = None,
) -> None:
    """It was not an anomaly: what is like it is damped from now on, and what of it fires now is over. Levels, objectives and alerts are not damped."""
    with desk(config) as d:
        command = d.ask(CommandKind.NOT_AN_ANOMALY, incident, {"rule": rule, "why": why, "days": days, "sameTime": same_time})
    err.print(f"asked: {command.id}; `aiops feedback list` tells what came of it")


@app.command("list")
def list_(
    config: ConfigOption = None,
    output: OutputOption = Output.TEXT,
    everything: Annotated[bool, typer.Option("--all", help="what was taken back or is too old too")] = False,
) -> None:
    """What counts now: of which rule and series, what it looked like, who said so, and how often such a pattern was damped."""
    with desk(config) as d:
        found = d.feedback(everything=everything)
    if output is Output.JSON:
        print_json(found)
        return
    table = Table("feedback", "rule", "about", "like", "by", "at", "until", "damped", "why", box=None)
    for f in found:
        about = f.target or ", ".join(f"{k}={v}" for k, v in sorted(f.labels.items()))
        until = f"taken back by {f.undone_by}" if f.undone_at is not None else when(f.expires_at)
        damped = f"{f.count} times, last {when(f.last_at)}" if f.last_at is not None else "never"
        table.add_row(f.id, safe(f.rule), safe(about), safe(likeness(f)), safe(f.by), when(f.at), safe(until), damped + (", now" if f.since is not None else ""), safe(f.why))
    out.print(table if found else "no feedback")


@app.command()
def remove(feedback: str, config: ConfigOption = None) -> None:
    """Take it back: what it damps now is told with the next look."""
    with desk(config) as d:
        command = d.ask(CommandKind.FORGET_FEEDBACK, feedback)
    err.print(f"asked: {command.id}; `aiops feedback list --all` tells what came of it")


def likeness(feedback: Feedback) -> str:
    """What is alike, in words."""
    p: Pattern = feedback.pattern
    words = [p.reason]
    if p.direction:
        words.append(f"{p.departure:.4g} {p.direction}")
    if p.sudden is not None:
        words.append("sudden" if p.sudden else "gradual")
    words.append("not over yet" if p.lasted is None else f"for {p.lasted:.0f} s")
    if feedback.around is not None:
        words.append(f"about {int(feedback.around // 3600):02d}:{int(feedback.around % 3600 // 60):02d} UTC")
    return ", ".join(words)
