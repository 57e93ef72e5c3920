"""`aiops approve`, `reject`, `undo`, `answer`, `pause`, `resume`, `why`. Neighbours: `app.desk`; the running daemon carries the commands out."""

from __future__ import annotations

from typing import Annotated

import typer

from aiops.cli.common import ConfigOption, Output, OutputOption, desk, err, exit_codes, out, print_json, safe, when
from aiops.domain.command import CommandKind


def _ask(kind: CommandKind, subject: str, config: ConfigOption, **arguments: str) -> None:
    with desk(config) as d:
        command = d.ask(kind, subject, arguments)
    err.print(f"asked: {command.id}; `aiops incidents show` tells what came of it")


def approve(execution: str, config: ConfigOption = None) -> None:
    """Let a run that waits for approval begin. Bound to the plan as shown: if its target changed meanwhile, the approval is refused."""
    _ask(CommandKind.APPROVE, execution, config)


def reject(execution: str, reason: Annotated[str, typer.Option()] = "", config: ConfigOption = None) -> None:
    """End a run that waits for approval."""
    _ask(CommandKind.REJECT, execution, config, reason=reason)


def undo(execution: str, config: ConfigOption = None) -> None:
    """Put back what a run changed, if the object still stands as the run left it."""
    _ask(CommandKind.UNDO, execution, config)


def answer(execution: str, step: str, value: str, config: ConfigOption = None) -> None:
    """Answer what the STEP of a run asks. The first answer that is of the asked type counts."""
    _ask(CommandKind.ANSWER, execution, config, step=step, value=value)


def pause(reason: Annotated[str, typer.Option()] = "", config: ConfigOption = None) -> None:
    """Stop acting everywhere; detecting and telling go on."""
    _ask(CommandKind.PAUSE, "", config, reason=reason)


def resume(config: ConfigOption = None) -> None:
    """Act again."""
    _ask(CommandKind.RESUME, "", config)


def why(
    target: str,
    since: Annotated[float, typer.Option(min=1, help="hours back")] = 24,
    limit: Annotated[int, typer.Option(min=1, max=5000)] = 100,
    config: ConfigOption = None,
    output: OutputOption = Output.TEXT,
) -> None:
    """Why something was done about TARGET, or why not, and what is missing: namespace/kind/name, for example shop/deployment/checkout; what has no namespace is kind/name."""
    from aiops.app.check import load
    from aiops.app.config import read_settings

    with exit_codes():
        settings = read_settings(config)
        definitions = load(settings)
    with desk(config) as d:
        found = d.explain(target, settings, definitions, since=since * 3600, limit=limit)
    if output is Output.JSON:
        print_json(found)
        return
    sections = (
        ("claims", found.claims), ("matched", found.matched), ("suppressed", found.suppressed), ("refused", found.refused), ("did not fit", found.unfit),
        ("done", found.done),
    )
    if not any(decisions for _, decisions in sections):
        out.print(safe(f"nothing was decided about {target} in the last {since:g} hours: no rule made a claim about it"))
    for name, decisions in sections:
        if decisions:
            out.print(f"{name}, newest first")
        for decision in decisions:
            mark = "passed " if decision.passed else "dropped"
            again = f" ({decision.count} times, last {when(decision.last_at)})" if decision.count > 1 else ""
            out.print(safe(f"  {when(decision.at)}  {decision.stage.value:<8} {mark} {decision.subject}: {decision.reason}  {decision.detail}{again}"))
    if found.missing:
        out.print("missing")
    for words in found.missing:
        out.print(safe(f"  {words}"))
