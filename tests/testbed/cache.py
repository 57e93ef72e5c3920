"""The cache of built things outside the work tree; used by `gobuild`, `maven` and `binaries`.

Layout: `${XDG_CACHE_HOME:-~/.cache}/aiops-testbed/<name>-<version>/`. A folder under its final name is always
complete: it is filled under a temporary name and renamed. A file lock beside it keeps two processes from
building the same thing twice; the one that waits finds it ready.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path


def cache_root() -> Path:
    """The folder of all cached builds, created when it is missing (mode 0755, so that an unprivileged server user may read it)."""
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    root = Path(base) / "aiops-testbed"
    root.mkdir(parents=True, exist_ok=True)
    return root


def say(line: str) -> None:
    """A progress line for whoever waits; standard error, so that it never mixes with a command's own output."""
    print(f"testbed: {line}", file=sys.stderr, flush=True)


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold an exclusive lock on `path` (created when missing); the kernel frees it when the process dies."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say(f"waiting for another process that holds {path.name}")
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def entry(name: str, version: str) -> Path:
    """Where the finished build of `name` at `version` is, or will be."""
    return cache_root() / f"{name}-{version}"


def build_once(name: str, version: str, make: Callable[[Path], None]) -> Path:
    """The folder of `name` at `version`; `make(folder)` fills it when it is not there yet.

    Whatever `make` raises goes through, and what it left is removed.
    """
    final = entry(name, version)
    if final.is_dir():
        return final
    with locked(cache_root() / f"{final.name}.lock"):
        if final.is_dir():
            return final
        scratch = Path(tempfile.mkdtemp(prefix=f".{final.name}.", dir=cache_root()))
        try:
            scratch.chmod(0o755)
            make(scratch)
            scratch.rename(final)
        except BaseException:
            shutil.rmtree(scratch, ignore_errors=True)
            raise
    return final
