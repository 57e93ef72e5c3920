"""`aiops check` and `aiops schema`. Neighbours: `app.check`, `app.schemas`."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from aiops.cli.common import FAILED, ConfigOption, Output, OutputOption, err, exit_codes, out, print_json, safe


class Document(StrEnum):
    """What a schema is for."""

    RULES = "rules"
    RUNBOOK = "runbook"
    TEST = "test"
    PRICES = "prices"
    CONFIG = "config"


def check(
    paths: Annotated[list[Path] | None, typer.Argument(help="files or folders; without them rules/ and runbooks/")] = None,
    config: ConfigOption = None,
    output: OutputOption = Output.TEXT,
) -> None:
    """Read settings, rules and runbooks and list every problem as file:line: key: what is wrong, what is allowed. Exit 1 if there is one."""
    from aiops.app.check import check as run_check

    with exit_codes():
        result = run_check(config, tuple(paths or ()))
    if output is Output.JSON:
        print_json(result)
    else:
        for problem in result.problems:
            out.print(safe(problem))
        tally = f"{result.rules} rules, {result.runbooks} runbooks"
        (err if result.problems else out).print(f"{tally}: {len(result.problems)} problems" if result.problems else f"{tally}: no problems")
    if result.problems:
        raise typer.Exit(FAILED)


def schema(document: Document) -> None:
    """Print the JSON schema of rules, runbooks, their tests, price lists or the settings file, for editors."""
    from aiops.app.schemas import schema_of

    print_json(schema_of(document.value))
