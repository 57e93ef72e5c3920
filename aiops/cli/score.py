"""`aiops score`. Neighbours: `app.score_files`."""

from __future__ import annotations

from pathlib import Path
from time import monotonic
from typing import Annotated

import typer
from rich.progress import BarColumn, Progress, TextColumn

from aiops.cli.common import FAILED, err, exit_codes, out, safe


def score(
    source: Annotated[Path, typer.Option("--input", help="folder of CSV files, also .gz or .xz: `timestamp,value`, or `timestamp` and several columns")],
    target: Annotated[Path, typer.Option("--output", help="folder for the same files with a column anomaly_score, 0 to 1; sub-folders are kept")],
    profile: Annotated[str, typer.Option(help="fleet, or focus: adds a random cut forest, at some times the cost")] = "fleet",
) -> None:
    """Score recorded series as they would have been live: one causal pass, one setting for all.

    One column: an alarm an episode, 0 in between. Several columns: how unusual the whole is, at each row. Rows are taken in the order of the file and all come
    out; times are ISO 8601 (UTC) or Unix time in seconds or smaller units. A file that cannot be used is named, the others are scored, and the exit status is 1.
    """
    from aiops.app.score_files import score_folder

    began = monotonic()
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.percentage:>3.0f} %"))
    with exit_codes(), Progress(*columns, console=err, transient=True, disable=not err.is_terminal) as progress:
        task = progress.add_task("scoring", total=1.0)
        done = score_folder(source, target, lambda share: progress.update(task, completed=share), profile=profile)
    out.print(safe(f"{done.files} files, {done.rows} rows scored into {target} in {monotonic() - began:.1f} s"))
    for problem in done.unusable:
        err.print(safe(problem))
    if done.unusable:
        raise typer.Exit(FAILED)
