"""`aiops test`. Neighbour: `app.cases`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from aiops.cli.common import FAILED, ConfigOption, Output, OutputOption, exit_codes, out, print_json, safe


def run_tests(
    paths: Annotated[list[Path] | None, typer.Argument(help="files or folders; without them those of the rules and runbooks")] = None,
    config: ConfigOption = None,
    output: OutputOption = Output.TEXT,
) -> None:
    """Run the unit tests of rules and runbooks (NAME.test.yaml): synthetic series, objects and a virtual clock in; incidents and actions out."""
    from aiops.app.cases import beside, run_cases
    from aiops.app.config import read_settings
    from aiops.app.logs import quiet

    with exit_codes():
        quiet()
        settings = read_settings(config)
        results = run_cases(tuple(paths) if paths else beside(settings), settings)
    failed = [r for r in results if r.failures]
    if output is Output.JSON:
        print_json(results)
    else:
        for result in results:
            out.print(safe(f"{'FAIL' if result.failures else 'ok  '}  {result.file}:{result.line}: {result.name}"))
            for failure in result.failures:
                out.print(safe(f"      {failure}"))
        out.print(f"{len(results) - len(failed)} passed, {len(failed)} failed")
    if failed:
        raise typer.Exit(FAILED)
