"""How long to wait before trying again. Pure: randomness is a number that the caller gives.

Neighbours: `execution` for steps, `guards.history` for cooldowns after runs that did not succeed, notifiers for messages.
"""

from __future__ import annotations

import math

from aiops.domain.runbook import Retry


def wait(retry: Retry, failures: int, jitter: float = 1.0) -> float:
    """Seconds to wait after the `failures`-th failure in a row (1 is the first): initial · factor^(failures-1), at most `maximum`.

    `jitter` in 0..1 takes the wait from half of that to all of it, so that many waiters do not come back at once. Raises ValueError if
    `failures` is below 1 or `jitter` is out of bounds.
    """
    if failures < 1:
        raise ValueError(f"there is nothing to wait for after {failures} failures")
    if not 0.0 <= jitter <= 1.0:
        raise ValueError(f"jitter must be from 0 to 1, not {jitter}")
    full = min(grown(retry.initial, retry.factor, failures - 1), retry.maximum)
    return full * (0.5 + 0.5 * jitter)


def grown(initial: float, factor: float, times: int) -> float:
    """Initial · factor^times; infinite rather than an OverflowError."""
    if initial == 0:
        return 0.0
    try:
        return initial * factor**times
    except OverflowError:
        return math.inf
