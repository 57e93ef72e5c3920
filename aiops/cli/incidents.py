"""`aiops incidents`: list, show, ack, resolve, silence. Neighbours: `app.desk`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from aiops.cli.common import ConfigOption, Output, OutputOption, desk, err, out, print_json, safe, when
from aiops.domain.command import CommandKind
from aiops.domain.execution import Execution
from aiops.domain.signal import Signal

if TYPE_CHECKING:
    from aiops.app.desk import IncidentFile

LINES = 10
"""Of what stands behind a claim."""
app = typer.Typer(help="What is wrong, what was claimed, planned and done about it.", no_args_is_help=True)


@app.command("list")
def list_(
    config: ConfigOption = None,
    output: OutputOption = Output.TEXT,
    everything: Annotated[bool, typer.Option("--all", help="resolved ones too")] = False,
    limit: Annotated[int, typer.Option(min=1, max=1000)] = 50,
) -> None:
    """Active incidents, or the latest of all."""
    with desk(config) as d:
        found = d.incidents(everything=everything, limit=limit)
    if output is Output.JSON:
        print_json(found)
        return
    if not found:
        out.print("no active incidents" if not everything else "no incidents")
        return
    table = Table("incident", "state", "severity", "opened", "target", "title", box=None)
    for i in found:
        table.add_row(i.id, i.state.value, i.severity.value, when(i.opened_at), safe(i.target or ""), safe(i.title))
    out.print(table)


@app.command()
def episodes(
    config: ConfigOption = None,
    output: OutputOption = Output.TEXT,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="latest incidents that are looked at")] = 200,
) -> None:
    """Incidents that began near and soon after one another, likely one fault: the likeliest origin first."""
    with desk(config) as d:
        found = tuple(reversed(d.episodes(limit)))
    if output is Output.JSON:
        print_json([{"at": e.at, "origins": [str(o) for o in e.origins], "incidents": [b.incident.id for b in e.beginnings]} for e in found])
        return
    table = Table("began", "incidents", "likeliest origin", "title", "then", box=None)
    for e in found:
        first, *others = e.beginnings
        then = ", ".join(str(o) for o in e.origins if o != first.incident.target)
        table.add_row(when(e.at), str(1 + len(others)), safe(first.incident.target or "none"), safe(first.incident.title), safe(then))
    out.print(table)


@app.command()
def show(incident: str, config: ConfigOption = None, output: OutputOption = Output.TEXT) -> None:
    """One incident with its signals, decisions, runs and their journals."""
    with desk(config) as d:
        found = d.incident(incident)
    if output is Output.JSON:
        print_json(found)
        return
    _print(found)


def _print(found: IncidentFile) -> None:
    i = found.incident
    out.print(safe(f"{i.id}  {i.state.value}  {i.severity.value}  {i.title}"))
    out.print(safe(f"target {i.target or 'none'}  opened {when(i.opened_at)}  resolved {when(i.resolved_at) or 'not yet'}  flaps {i.flaps}"))
    out.print("\ntransitions")
    for t in i.transitions:
        out.print(safe(f"  {when(t.at)}  {t.state.value:<12} {t.reason} (by {t.by})"))
    out.print("\nsignals, newest first, and what they rest on")
    for s in found.signals:
        out.print(safe(f"  {when(s.at)}  {s.state.value:<8} {s.severity.value:<8} {s.rule}: {s.summary}"))
    _behind(found)
    for run in found.executions:
        print_run(run)
        for entry in found.journals[run.id]:
            out.print(safe(f"    {when(entry.at)}  {entry.kind.value:<12} {entry.step} {entry.attempt or ''}"))
    out.print("\ndecisions, newest first")
    for decision in found.decisions:
        mark = "passed " if decision.passed else "dropped"
        out.print(safe(f"  {when(decision.at)}  {decision.stage.value:<8} {mark} {decision.subject}: {decision.reason} {decision.detail}"))


def _behind(found: IncidentFile) -> None:
    """What the claims rest on, what a person said of them, and what else changed."""
    i = found.incident
    for claim in i.signals.values():
        for line in (seen(claim), *map(str, claim.evidence.contributors), *claim.evidence.lines[:LINES]):
            out.print(safe(f"  {line}"))
    for word in found.feedback:
        taken = f", taken back by {word.undone_by}" if word.undone_at is not None else ""
        out.print(safe(f"  {word.rule}: no anomaly, says {word.by} {when(word.at)}{taken} ({word.id}) {word.why}"))
    if i.causes:
        out.print("\nwhat else changed, the likeliest cause first")
    for cause in i.causes:
        out.print(safe(f"  {when(cause.at)}  {cause}"))


def seen(claim: Signal) -> str:
    """What was seen against what was expected."""
    e = claim.evidence
    numbers = (("value", e.value), ("expected", e.expected), ("at least", e.lower), ("at most", e.upper), ("score", e.score))
    return f"{claim.rule}: " + (", ".join(f"{name} {number:.4g}" for name, number in numbers if number is not None) or "no numbers")


def print_run(run: Execution) -> None:
    """One execution with what it sent or would send."""
    kind = "simulated run" if run.simulated else "run"
    outcome = f"{run.result.outcome.value}: {run.result.reason} {run.result.detail}" if run.result else run.state.value
    out.print(safe(f"\n{kind} {run.id}  {run.plan.runbook} ({run.plan.mode.value}) on {run.target}  {when(run.created_at)}  {outcome}"))
    for verdict in run.plan.verdicts:
        if not verdict.allowed:
            out.print(safe(f"  guard {verdict.guard} ({verdict.mode.value}): {verdict.reason} {verdict.detail}"))
    for change in run.plan.changes:
        out.print(safe(f"  step {change.step}: {change.action} on {change.target}; diff by {change.origin} {change.note}"))
        out.print(safe(change.diff))


@app.command()
def ack(incident: str, config: ConfigOption = None) -> None:
    """Say that you look after it: everybody sees that; telling and acting go on as before."""
    with desk(config) as d:
        command = d.ask(CommandKind.ACKNOWLEDGE, incident)
    err.print(f"asked: {command.id}")


@app.command()
def resolve(incident: str, config: ConfigOption = None) -> None:
    """Close it by hand."""
    with desk(config) as d:
        command = d.ask(CommandKind.RESOLVE, incident)
    err.print(f"asked: {command.id}")


@app.command()
def silence(
    matchers: Annotated[list[str], typer.Argument(help="label=value, all must hold; `target` stands for the target's text")],
    minutes: Annotated[float, typer.Option("--for", min=1, max=7 * 24 * 60, help="minutes")] = 60,
    comment: Annotated[str, typer.Option()] = "",
    config: ConfigOption = None,
) -> None:
    """Mute acting and telling for a while; recording goes on."""
    pairs = dict(m.split("=", 1) for m in matchers if "=" in m)
    if len(pairs) != len(matchers) or not all(pairs):
        raise typer.BadParameter("write label=value, each label once")
    with desk(config) as d:
        command = d.ask(CommandKind.SILENCE, "", {"matchers": pairs, "seconds": minutes * 60, "comment": comment})
    err.print(f"asked: {command.id}")
