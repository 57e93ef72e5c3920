"""Logging for commands that are not the daemon. Neighbour: `adapters.logs`."""

from __future__ import annotations

from aiops.adapters.logs import configure


def quiet() -> None:
    """Only errors, for people: the command itself prints what happens."""
    configure("error", "console")


def daemon_logs(level: str, style: str) -> None:
    """As the settings say."""
    configure(level, style)
