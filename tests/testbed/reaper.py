"""Ends servers whose owner died without stopping them (kill -9 of a test run); used by `process`.

One small child process for each owner. The owner writes `+PID` and `-PID` lines to its standard input; when the pipe
closes, every process group still on the list is killed. Only ids that the owner started are ever on it.
"""

from __future__ import annotations

import atexit
import subprocess
import sys
import threading

_PROGRAM = """
import os, signal, sys
signal.signal(signal.SIGINT, signal.SIG_IGN)
signal.signal(signal.SIGTERM, signal.SIG_IGN)
groups = set()
for line in sys.stdin:
    (groups.add if line[0] == "+" else groups.discard)(int(line[1:]))
for group in groups:
    try:
        os.killpg(group, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        pass
"""

_lock = threading.Lock()
_child: subprocess.Popen[str] | None = None


def watch(group: int) -> None:
    """Kill the process group `group` should this process die."""
    _tell(f"+{group}\n")


def forget(group: int) -> None:
    """The process group ended; its number may come to belong to somebody else."""
    _tell(f"-{group}\n")


def _tell(line: str) -> None:
    global _child  # noqa: PLW0603 - one reaper for each process, made when the first server starts
    with _lock:
        if _child is None:
            _child = subprocess.Popen(
                [sys.executable, "-S", "-E", "-c", _PROGRAM],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                text=True,
                start_new_session=True,
            )
            atexit.register(_dismiss, _child)
        assert _child.stdin is not None
        _child.stdin.write(line)
        _child.stdin.flush()


def _dismiss(child: subprocess.Popen[str]) -> None:
    """At an orderly end the pipe is closed, and the child, which then ends what is left, is waited for."""
    assert child.stdin is not None
    child.stdin.close()
    child.wait()
