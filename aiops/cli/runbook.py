"""`aiops runbook`: list, show, run. Neighbours: `app.check` loads, `app.graph` draws, `app.planned` plans against the live cluster."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from aiops.cli.common import FAILED, ConfigOption, Output, OutputOption, desk, err, exit_codes, out, print_json, safe
from aiops.domain.errors import CommandError

if TYPE_CHECKING:
    from aiops.domain.plan import Plan
    from aiops.domain.runbook import Runbook

app = typer.Typer(help="The runbooks in force: what there is, how one goes, what one would do now.", no_args_is_help=True)


@app.command("list")
def list_(config: ConfigOption = None, output: OutputOption = Output.TEXT) -> None:
    """All runbooks of the settings, in the order in which they are tried."""
    with exit_codes():
        found = _load(config)
    if output is Output.JSON:
        print_json([_plain(r) for r in found])
        return
    table = Table("runbook", "priority", "mode", "steps", "verified", "escalates to", "file", box=None)
    for r in found:
        steps = " → ".join(s.action or "runbook" for s in r.steps)
        verified = "yes" if r.verify else "no"
        table.add_row(safe(r.name), str(r.priority), r.mode.value, safe(steps), verified, safe(", ".join(r.escalates_to)), safe(f"{r.file}:{r.line}"))
    out.print(table)


@app.command()
def show(
    name: str,
    svg: Annotated[Path | None, typer.Option(help="write the drawing to this file, as a picture")] = None,
    config: ConfigOption = None,
    output: OutputOption = Output.TEXT,
) -> None:
    """One runbook with its steps as a graph: each below what it needs, with its action, condition and undo."""
    from aiops.app.graph import nodes_of
    from aiops.app.graph_svg import svg as picture
    from aiops.app.graph_text import draw

    with exit_codes():
        found = _load(config)
        runbook = next((r for r in found if r.name == name), None)
        if runbook is None:
            raise CommandError(f"no runbook {name!r}; there are: {', '.join(r.name for r in found) or 'none'}")
        if svg is not None:
            svg.write_text(picture(nodes_of(runbook), f"runbook {runbook.name}"), encoding="utf-8")
    if output is Output.JSON:
        print_json(_plain(runbook))
        return
    out.print(safe(f"{runbook.name}  {runbook.mode.value}, priority {runbook.priority}  {runbook.file}:{runbook.line}"))
    if runbook.description:
        out.print(safe(runbook.description.strip()))
    out.print(safe(f"when {' '.join(runbook.match.text.split())}\n"))
    out.print(safe(draw(nodes_of(runbook))))
    if runbook.escalates_to:
        out.print(safe(f"\nif it does not help: {', then '.join(runbook.escalates_to)}, then a person"))


def _load(config: Path | None) -> list[Runbook]:
    from aiops.app.check import load_or_raise
    from aiops.app.config import read_settings

    return sorted(load_or_raise(read_settings(config)).runbooks, key=lambda r: (r.priority, r.name))


def _plain(runbook: Runbook) -> dict[str, object]:
    return {
        "name": runbook.name, "mode": runbook.mode, "priority": runbook.priority, "description": runbook.description, "match": runbook.match.text,
        "steps": [
            {"name": s.name, "action": s.action, "arguments": dict(s.arguments), "needs": s.needs, "when": s.when.text if s.when else "", "undo": s.undo.mode}
            for s in runbook.steps
        ],
        "verify": None if runbook.verify is None else {"query": runbook.verify.query, "passes": runbook.verify.passes.text},
        "escalatesTo": runbook.escalates_to, "file": runbook.file, "line": runbook.line, "hash": runbook.hash,
    }


@app.command("run")
def run_(
    name: str,
    target: Annotated[str, typer.Option(help="[context:][namespace/]kind/name")],
    parameter: Annotated[list[str] | None, typer.Option(help="name=value, as often as need be")] = None,
    act: Annotated[bool, typer.Option("--act", help="ask the daemon for it too: the run waits for `aiops approve`")] = False,
    config: ConfigOption = None,
    output: OutputOption = Output.TEXT,
) -> None:
    """Plan a runbook against the live cluster now: what it would send, with the diff, and what each guard says. Writes nothing by itself. Exit 1 if refused."""
    from aiops.app.config import read_settings
    from aiops.app.logs import quiet
    from aiops.app.planned import planned
    from aiops.domain.target import parse_target

    pairs = dict(p.split("=", 1) for p in parameter or () if "=" in p)
    if len(pairs) != len(parameter or ()) or not all(pairs):
        raise typer.BadParameter("write name=value, each name once")
    try:
        ref = parse_target(target)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error
    with exit_codes():
        quiet()
        plan = planned(read_settings(config), name, ref, pairs)
    refused = [v for v in plan.verdicts if v.refuses]
    if output is Output.JSON:
        print_json(plan)
    else:
        _print_plan(plan)
    if refused:
        raise typer.Exit(FAILED)
    if act:
        with desk(config) as d:
            command, run = d.order(name, ref, pairs)
        err.print(f"asked: {command.id}; once the daemon has planned it: aiops approve {run}")


def _print_plan(plan: Plan) -> None:
    out.print(safe(f"{plan.runbook} on {plan.target}, for {plan.incident}"))
    for change in plan.changes:
        note = f"; {change.note}" if change.note else ""
        out.print(safe(f"\nstep {change.step}: {change.action} on {change.target}; diff by {change.origin}{note}"))
        if change.request:
            out.print(safe(change.request))
        if change.diff:
            out.print(safe(change.diff))
    out.print(f"\n{len(plan.verdicts)} guards were asked")
    for verdict in plan.verdicts:
        mark = "refuses" if verdict.refuses else "allows " if verdict.allowed else "shadow "
        out.print(safe(f"  {mark} {verdict.guard}: {verdict.reason} {verdict.detail}"))
