"""`aiops autonomy`: how far runbooks go by themselves, and why; a person's promotion and demotion. Neighbours: `app.desk`."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.table import Table

from aiops.cli.common import ConfigOption, Output, OutputOption, desk, err, exit_codes, out, print_json, safe, when
from aiops.domain.command import CommandKind

app = typer.Typer(help="The ladder observe, suggest, approve, auto: what each runbook has earned, and what it lost.", no_args_is_help=True)


@app.command("list")
def list_(config: ConfigOption = None, output: OutputOption = Output.TEXT) -> None:
    """Each runbook's mode by its file, what it has earned, and what the next rung needs."""
    from aiops.app.check import load_or_raise
    from aiops.app.compose import autonomy_policy
    from aiops.app.config import read_settings

    with exit_codes():
        settings = read_settings(config)
        runbooks = load_or_raise(settings).runbooks
    with desk(config) as d:
        found = d.autonomy(runbooks, autonomy_policy(settings))
    if output is Output.JSON:
        print_json([{"mode": s.mode, **_plain(s)} for s in found])
        return
    table = Table("runbook", "file", "now", "since", "runs", "helped", "failed", "wrong", "right", "next", box=None)
    for s in found:
        r = s.record
        following = f"{s.suggests.value}: aiops autonomy promote {s.runbook}" if s.suggests else s.missing
        numbers = (str(n) for n in (r.runs, r.helped, r.failed, r.wrong + r.wrong_marks, r.right_marks))
        table.add_row(safe(s.runbook), s.file.value, s.mode.value, when(s.level.at or None), *numbers, safe(following))
    out.print(table)
    for s in found:
        if s.level.reason:
            out.print(safe(f"{s.runbook}: {s.level.mode.value} since {when(s.level.at)} by {s.level.by}: {s.level.reason}"))


def _plain(standing: object) -> dict[str, object]:
    from aiops.app.desk import plain

    return dict(plain(standing))


@app.command()
def promote(
    runbook: str,
    anyway: Annotated[bool, typer.Option("--anyway", help="although it has not earned it yet")] = False,
    reason: Annotated[str, typer.Option()] = "",
    config: ConfigOption = None,
) -> None:
    """One rung up, at most to the mode of its file. The daemon refuses what was not earned."""
    _ask(CommandKind.PROMOTE, runbook, config, reason=reason, anyway=anyway)


@app.command()
def demote(runbook: str, reason: Annotated[str, typer.Option()] = "", config: ConfigOption = None) -> None:
    """One rung down."""
    _ask(CommandKind.DEMOTE, runbook, config, reason=reason)


def _ask(kind: CommandKind, runbook: str, config: ConfigOption, **arguments: object) -> None:
    with desk(config) as d:
        command = d.ask(kind, runbook, arguments)
    err.print(f"asked: {command.id}; `aiops autonomy list` tells what came of it")
