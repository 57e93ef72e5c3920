"""A runbook's own limits under those of the daemon: it may only be stricter, save in guards for which the settings let it be looser.

Neighbours: `guardrails.judge` binds them before any guard is asked.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TypeVar

from aiops.domain.outcome import GuardMode
from aiops.domain.runbook import GuardSpec
from aiops.remediate.guards.contract import GuardLimits

N = TypeVar("N", int, float)

_STRICTNESS = (GuardMode.OFF, GuardMode.SHADOW, GuardMode.ENFORCE)


def bounded(own: GuardSpec, limits: GuardLimits) -> GuardSpec:
    """The limits and modes that hold for a runbook; None and missing modes stay what they are: the daemon's."""
    loose = limits.may_loosen
    modes = {
        name: mode if name in loose else max(mode, limits.modes.get(name, GuardMode.ENFORCE), key=_STRICTNESS.index) for name, mode in own.modes.items()
    }
    own = replace(own, modes=modes)
    if "replicas" not in loose:
        own = replace(
            own, minimum_replicas=_stricter(own.minimum_replicas, limits.minimum_replicas, most=False),
            maximum_replicas=_stricter(own.maximum_replicas, limits.maximum_replicas, most=True),
        )  # fmt: skip
    if "blast-radius" not in loose:
        own = replace(
            own, maximum_pods=_stricter(own.maximum_pods, limits.maximum_pods, most=True),
            maximum_share=_stricter(own.maximum_share, limits.maximum_share, most=True),
        )  # fmt: skip
    return own


def _stricter(own: N | None, limit: N, *, most: bool) -> N | None:
    """`most`: the limit is the most that is allowed, otherwise the least."""
    if own is None:
        return None
    return min(own, limit) if most else max(own, limit)
