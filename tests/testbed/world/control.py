"""The client of the switches: `python -m tests.testbed fault NAME on|off`, `faults`, `episodes`. Neighbour: `exporter` is the server.

A running world leaves its address in a file of the user's runtime folder, so that these commands find it.
"""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path
from typing import Any

from tests.testbed import web
from tests.testbed.errors import TestbedError


def address_file() -> Path:
    """Where the address of the world that was started last stands; one for each user."""
    base = os.environ.get("XDG_RUNTIME_DIR") or tempfile.gettempdir()
    return Path(base) / f"aiops-testbed-world-{os.getuid()}"


def announce(url: str) -> None:
    """Leave the address."""
    path = address_file()
    fresh = path.with_name(f"{path.name}.{os.getpid()}")
    fresh.write_text(url)
    fresh.replace(path)


def withdraw(url: str) -> None:
    """Take the address back, if it is still this one."""
    path = address_file()
    if path.exists() and path.read_text() == url:
        path.unlink()


def ask(method: str, path: str, url: str | None = None) -> Any:
    """The answer of the world at `url`, or of the one that was started last. TestbedError when there is none, or it says no."""
    where = url or (address_file().read_text().strip() if address_file().exists() else "")
    if not where:
        raise TestbedError("no world is running: start it by python -m tests.testbed, or give --world-url")
    try:
        answer = web.call(method, f"{where}{path}", body=b"" if method == "POST" else None)
    except OSError as error:
        raise TestbedError(f"the world at {where} does not answer: {error}") from error
    content = json.loads(answer.body)
    if answer.status >= 400:
        raise TestbedError(content.get("error", f"{path} answered {answer.status}"))
    return content
