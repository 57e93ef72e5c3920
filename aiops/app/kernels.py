"""Kernels compiled into the image, made usable where the image is read-only: numba takes a cache folder only if it can write to it.

Neighbours: `detect.kernels` compiles them when the image is built; the daemon calls this before anything imports numba.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import MutableMapping
from pathlib import Path

VARIABLE = "NUMBA_CACHE_DIR"


def usable_kernels(state: Path, environment: MutableMapping[str, str]) -> Path | None:
    """The cache folder in force afterwards: the given one if it can be written, else a copy of it below `state`; None without one.

    The copy is made anew at each start, so that it is always that of this image. Raises OSError if it cannot be made.
    """
    given = environment.get(VARIABLE, "")
    if not given or not Path(given).is_dir():
        return None
    if os.access(given, os.W_OK):
        return Path(given)
    copy = state / "kernels"
    shutil.rmtree(copy, ignore_errors=True)
    # Times of files count: numba compares them with those of the sources it compiled.
    shutil.copytree(given, copy, copy_function=shutil.copy2)
    for folder in (copy, *(p for p in copy.rglob("*") if p.is_dir())):
        folder.chmod(0o700)
    environment[VARIABLE] = str(copy)
    return copy
