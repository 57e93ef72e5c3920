"""`aiops replay`, `aiops demo` and `aiops record`. Neighbours: `app.replays`, `app.recording`."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.panel import Panel
from rich.progress import BarColumn, Progress, TextColumn
from rich.table import Table
from rich.text import Text

from aiops.cli.common import FAILED, ConfigOption, Output, OutputOption, err, exit_codes, out, print_json, safe, when

if TYPE_CHECKING:
    from aiops.app.narrate import Line, Summary
    from aiops.app.replays import Replay

STYLES = {"signal": "yellow", "incident": "bold red", "plan": "cyan", "act": "magenta", "verify": "blue", "outcome": "bold green", "announce": "white"}


def replay(
    bundle: Annotated[Path, typer.Argument(help="folder made by `aiops record`")],
    config: ConfigOption = None,
    output: OutputOption = Output.TEXT,
    store: Annotated[Path | None, typer.Option(help="keep what was decided in this SQLite file; `aiops why` and `review` read it")] = None,
    feedback: Annotated[Path | None, typer.Option(help="what `aiops feedback list -o json` printed: as if it had been said before")] = None,
) -> None:
    """Run recorded history through the live pipeline in virtual time, with the present rules and runbooks and the dry-run writer."""
    from aiops.app.config import read_settings
    from aiops.app.logs import quiet
    from aiops.app.replays import open_replay, read_feedback

    with exit_codes():
        quiet()
        words = read_feedback(feedback) if feedback is not None else ()
        opened = open_replay(bundle, read_settings(config), store_url=f"sqlite:///{store}" if store else "sqlite:///:memory:", feedback=words)
        try:
            summary = _play(opened, show=output is Output.TEXT)
        finally:
            opened.run.close()
    if output is Output.JSON:
        print_json(summary)
    else:
        print_summary(summary)
    if summary.errors:
        raise typer.Exit(FAILED)


def demo(
    keep: Annotated[bool, typer.Option("--keep", help="leave the status page up until Ctrl-C")] = False,
    port: Annotated[int, typer.Option(min=0, max=65535, help="of the status page on loopback; 0 takes a free one")] = 0,
    bundle: Annotated[Path | None, typer.Option(help="another recording than the one that comes along")] = None,
) -> None:
    """The main job on an embedded default: a recorded fault flows through the pipeline that runs live; nothing is written anywhere."""
    from aiops.app.config import read_settings
    from aiops.app.logs import quiet
    from aiops.app.replays import DEMO_BUNDLE, open_replay
    from aiops.app.webapp import replay_page

    with exit_codes():
        quiet()
        opened = open_replay(bundle or DEMO_BUNDLE, read_settings(None))
        page = replay_page(opened.run, port)
        page.start()
        try:
            out.print(Text(f"{opened.manifest.description}", style="bold"))
            out.print(f"recorded {when(opened.manifest.start)}, {opened.manifest.end - opened.manifest.start:.0f} s; status page http://127.0.0.1:{page.port}/\n")
            summary = _play(opened, show=True)
            print_summary(summary)
            if keep:
                out.print(f"\nthe status page stays up at http://127.0.0.1:{page.port}/ until Ctrl-C")
                _wait()
        finally:
            page.stop(2.0)
            opened.run.close()
    if summary.errors:
        raise typer.Exit(FAILED)


def _wait() -> None:
    try:
        threading.Event().wait()
    except KeyboardInterrupt:
        return


def _play(opened: Replay, *, show: bool) -> Summary:
    start = opened.run.start

    def told(line: Line) -> None:
        if show:
            print_line(line, start)

    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.percentage:>3.0f} %"))
    with Progress(*columns, console=err, transient=True, disable=not err.is_terminal) as progress:
        task = progress.add_task("replaying", total=1.0)
        return opened.play(told, lambda _now, share: progress.update(task, completed=share))


def print_line(line: Line, start: float) -> None:
    """One line of the story, with its diff or message below it."""
    head = Text(f"+{line.at - start:6.1f} s  {line.stage:<9} ", style=STYLES.get(line.stage, ""))
    head.append_text(safe(line.text))
    out.print(head)
    if not line.body:
        return
    if line.stage == "act":
        out.print(Panel(diff_text(line.body), expand=False, border_style="magenta"))
    elif line.stage == "announce":
        out.print(Panel(safe(line.body), expand=False, title="as Slack would show it"))
    else:
        for one in line.body.splitlines():
            out.print(Text("                    ").append_text(safe(one)), style="dim")


def diff_text(diff: str) -> Text:
    """A unified diff with its colours."""
    text = Text()
    for line in diff.splitlines():
        style = "green" if line.startswith("+") else "red" if line.startswith("-") else "cyan" if line.startswith("@@") else "dim"
        text.append_text(safe(line)).append("\n")
        text.stylize(style, len(text) - len(line) - 1, len(text))
    return text[:-1] if len(text) else text


def print_summary(summary: Summary) -> None:
    """The table at the end."""
    table = Table("incident", "opened", "stood", "would do", "outcome", "refused", title="summary", title_justify="left")
    for row in summary.rows:
        table.add_row(*(safe(row[name]) for name in ("title", "opened", "stood", "would do", "outcome", "refused")))
    out.print()
    out.print(table)
    out.print(
        f"{summary.seconds:.0f} s replayed: {summary.incidents} incidents ({summary.resolved} resolved), "
        f"{summary.runs} simulated runs, {summary.messages} messages; nothing was written to any cluster"
    )
    for error in summary.errors[:20]:
        err.print(safe(f"error: {error}"))


def record(
    folder: Annotated[Path, typer.Argument(help="new folder for the bundle")],
    config: ConfigOption = None,
    minutes: Annotated[float, typer.Option("--for", min=0.1, max=24 * 60, help="minutes to record from now on; Ctrl-C ends it earlier and keeps what there is")] = 10,
    lookback: Annotated[float, typer.Option(min=0, max=24 * 60, help="minutes of metrics from before the start")] = 10,
    description: Annotated[str, typer.Option()] = "a recording",
) -> None:
    """Record metrics, log rates and cluster changes into a bundle that `aiops replay` runs. Reads only."""
    from aiops.app.config import read_settings
    from aiops.app.recording import record as run_record

    with exit_codes():
        columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.percentage:>3.0f} %"))
        with Progress(*columns, console=err, transient=True, disable=not err.is_terminal) as progress:
            task = progress.add_task("recording", total=1.0)
            manifest = run_record(
                folder, read_settings(config), seconds=minutes * 60, lookback=lookback * 60, description=description,
                tick=lambda share: progress.update(task, completed=share),
            )
    out.print(f"{folder}: {manifest.end - manifest.start:.0f} s, {manifest.series} series, {manifest.samples} samples, {manifest.events} cluster changes")
