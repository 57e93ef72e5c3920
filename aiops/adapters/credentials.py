"""Secrets that stand in files and may be replaced while we run (projected tokens, rotated passwords).

Neighbour: `adapters.http`. A secret is never part of a text that leaves this file, other than as the header it is for.
"""

from __future__ import annotations

import os
import threading
from pathlib import Path

MAX_SECRET_BYTES = 64 * 1024
Stamp = tuple[int, int, int]


def stamp(path: str) -> Stamp:
    """What changes when a file does: inode, time of change (ns), size. Follows links, as the kubelet swaps those. Raises OSError."""
    status = os.stat(path)  # noqa: PTH116 (the cheapest form; asked once a request)
    return (status.st_ino, status.st_mtime_ns, status.st_size)


class SecretFile:
    """The first line of a file, read again when the file changes."""

    def __init__(self, path: str) -> None:
        self.path = path
        self._lock = threading.Lock()
        self._stamp: Stamp | None = None
        self._text = ""

    def read(self) -> str:
        """The secret without surrounding white space. Raises OSError, or ValueError if the file is empty, too large or of several lines."""
        now = stamp(self.path)
        with self._lock:
            if now != self._stamp:
                self._text = self._load()
                self._stamp = now
            return self._text

    def _load(self) -> str:
        with Path(self.path).open("rb") as file:
            raw = file.read(MAX_SECRET_BYTES + 1)
        try:
            text = raw.decode().strip()
        except UnicodeDecodeError:
            raise ValueError("is not text") from None
        if not text or len(raw) > MAX_SECRET_BYTES or not text.isprintable():
            raise ValueError("must hold one line of printable text")
        return text
