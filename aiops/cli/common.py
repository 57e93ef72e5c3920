"""What every command shares: output formats, the settings option, errors to exit codes.

Neighbours: each file of this folder; `__main__` runs `cli.main.app`. What commands call of `app` they import when they run: it stands on the
store and all adapters, and `--help` and a mistyped option must not wait seconds for these.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.text import Text

from aiops.domain.errors import AiopsError, ClusterError, CommandError, DefinitionError, SourceError, StoreError

if TYPE_CHECKING:
    from aiops.app.desk import Desk

OK, FAILED, USAGE, UNKNOWN, UNREACHABLE = 0, 1, 2, 3, 4
PIPE_WIDTH = 240
"""Columns of what is read by another program: nothing is cut short for a window that is not there."""
out = Console(highlight=False, soft_wrap=True, width=None if sys.stdout.isatty() or "COLUMNS" in os.environ else PIPE_WIDTH)
err = Console(stderr=True, highlight=False, soft_wrap=True)


class Output(StrEnum):
    """How to print."""

    TEXT = "text"
    JSON = "json"


OutputOption = Annotated[Output, typer.Option("--output", "-o", help="text for people, json for scripts")]
ConfigOption = Annotated[Path | None, typer.Option("--config", "-c", help="settings file; without it defaults and AIOPS_ variables", envvar="AIOPS_CONFIG")]


def print_json(value: Any) -> None:
    """One JSON document on standard output."""
    from aiops.app.desk import plain

    text = json.dumps(plain(value), indent=2, ensure_ascii=False, default=str)
    # What is not printable stands within strings only (but for line ends), where an escape means the same.
    typer.echo("".join(c if c.isprintable() or c == "\n" else json.dumps(c)[1:-1] for c in text))


def safe(text: object) -> Text:
    """Text as it is: label values may hold markup and control characters, which must not reach the terminal as such."""
    return Text("".join(c if c.isprintable() or c == "\n" else "�" for c in str(text)))


def when(at: float | None) -> str:
    """UTC, to the second."""
    return "" if at is None else datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M:%SZ")


@contextmanager
def exit_codes() -> Iterator[None]:
    """Our errors as one message on standard error and the documented exit code."""
    try:
        yield
    except DefinitionError as error:
        for problem in error.problems:
            err.print(safe(problem))
        raise typer.Exit(FAILED) from error
    except CommandError as error:
        err.print(safe(error))
        raise typer.Exit(UNKNOWN) from error
    except (StoreError, SourceError, ClusterError) as error:
        err.print(safe(error))
        raise typer.Exit(UNREACHABLE) from error
    except (AiopsError, OSError) as error:  # OSError: a file or a port that cannot be used; its text names it
        err.print(safe(error))
        raise typer.Exit(FAILED) from error


@contextmanager
def desk(config: Path | None) -> Iterator[Desk]:
    """The reading desk of the settings' store, closed at the end."""
    from aiops.app.config import read_settings
    from aiops.app.desk import open_desk

    with exit_codes():
        opened = open_desk(read_settings(config))
        try:
            yield opened
        finally:
            opened.close()
