"""`aiops drift`. Neighbours: `app.drift_files`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from aiops.cli.common import FAILED, Output, OutputOption, err, exit_codes, out, print_json, safe

if TYPE_CHECKING:
    from aiops.app.drift_files import FileDrift

WARNING, CRITICAL = 3, 4


def drift(
    reference: Annotated[Path, typer.Option(help="what was usual: CSV with a header, or Parquet; rows in order of time")],
    current: Annotated[Path, typer.Option(help="what is compared with it")],
    feature: Annotated[list[str] | None, typer.Option(help="only this column; may be given several times")] = None,
    bins: Annotated[int, typer.Option(min=2, max=100, help="bins at quantiles of the reference, for numbers")] = 10,
    output: OutputOption = Output.JSON,
) -> None:
    """Has the population changed? PSI, KL and JS of each column of two files, and whether chance explains them.

    Exit 0: no; 3: warning; 4: critical; 1: a file cannot be used, or there are too few rows to say.
    """
    from aiops.app.drift_files import compare_files

    with exit_codes():
        found = compare_files(reference, current, features=feature or (), bins=bins)
    if output is Output.JSON:
        print_json(found)
    else:
        _print(found)
    if found.verdict.value == "too-few":
        err.print("too few rows to say anything: 50 are needed, and 100 in the reference")
        raise typer.Exit(FAILED)
    code = {"warning": WARNING, "critical": CRITICAL}.get(found.verdict.value)
    if code is not None:
        raise typer.Exit(code)


def _print(found: FileDrift) -> None:
    table = Table("feature", "kind", "PSI", "KL", "JS", "p", "verdict", "why")
    for name, row in found.features.items():
        figures = [f"{row[key]:.3g}" if key in row else "" for key in ("psi", "kl", "js", "p")]
        table.add_row(safe(name), row["kind"], *figures, row["verdict"], row["reason"])
    out.print(table)
    for name, why in found.skipped.items():
        out.print(safe(f"{name}: left out: {why}"))
    out.print(f"{found.verdict}: {found.current['rows']} rows against {found.reference['rows']}")
