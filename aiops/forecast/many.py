"""The same done to many series, each by itself: through joblib, so that an existing engine takes it where there is one.

With `joblib.parallel_config(backend="dask")` (Ray, Spark, threading …) around the call, that backend is used as it was configured; without, loky on all cores, for so many
series that starting processes pays. Neighbours: `fleet` and `exhaustion` are what is done.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from itertools import starmap
from typing import Any, TypeVar

Answer = TypeVar("Answer")
PAYS = 1.5
"""Seconds of work, as estimated by the caller, from which on processes of our own are started."""
DEFAULT = "LokyBackend"


def each(do: Callable[..., Answer], arguments: Sequence[tuple[Any, ...]], *, seconds: float = 0.0, jobs: int | None = None) -> list[Answer]:
    """`do(*one)` for each of `arguments`, in order. `seconds`: what one takes, about; `jobs`: processes at most (None: one for each core)."""
    import joblib  # deferred: who forecasts one series needs none of it
    from joblib.parallel import get_active_backend

    backend, configured = get_active_backend()
    own = configured is None and type(backend).__name__ == DEFAULT
    cores = configured if configured is not None else jobs or os.cpu_count() or 1
    if cores == 1 or (own and len(arguments) * seconds < PAYS):
        return list(starmap(do, arguments))
    pieces = max(1, min(len(arguments), 4 * abs(cores)))
    parts = [arguments[i::pieces] for i in range(pieces)]
    found: list[Any] = [None] * len(arguments)
    for i, part in enumerate(joblib.Parallel(n_jobs=cores)(joblib.delayed(_all)(do, part) for part in parts)):
        found[i::pieces] = part
    return found


def _all(do: Callable[..., Answer], part: Sequence[tuple[Any, ...]]) -> list[Answer]:
    return list(starmap(do, part))
