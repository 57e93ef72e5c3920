"""Who of those that a query sums up it is: parts whose own change is at least half of the greatest one, on the side that the claim is about.

Pure. Neighbours: `pipeline.explaining` asks the source for the parts, now and before; `domain.signal` has the nouns.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Mapping
from dataclasses import replace

from aiops.domain.signal import Contributors, Part, Signal

SHARE = 0.5
NAMED = 5


def standing_out(label: str, now: Mapping[str, float], before: Mapping[str, float], side: float) -> Contributors | None:
    """`now` and `before`: value by part, not finite ones are left out; `side`: 1 where too much is the claim, -1 where too little is.

    A part that is new is compared with the middle of the others before. None if there are fewer than two parts, or none moved to that side.
    """
    parts = {name: value for name, value in now.items() if math.isfinite(value)}
    known = {name: value for name, value in before.items() if math.isfinite(value)}
    if len(parts) < 2:
        return None
    middle = statistics.median(known.values()) if known else 0.0
    moved = {name: side * (value - known.get(name, middle)) for name, value in parts.items()}
    most = max(moved.values())
    if most <= 0.0:
        return None
    found = sorted((name for name, change in moved.items() if change >= SHARE * most), key=lambda name: (-moved[name], name))
    named = tuple(Part(name, parts[name], known.get(name)) for name in found[:NAMED])
    return Contributors(label, len(found), len(parts), named)


def with_parts(signal: Signal, before: Signal | None) -> Signal:
    """A claim with the parts that were found of the one before it, until others are found: who it was is still of interest when it is over."""
    if before is None or signal.evidence.contributors or not before.evidence.contributors:
        return signal
    return replace(signal, evidence=replace(signal.evidence, contributors=before.evidence.contributors))


def telling(found: Iterable[Contributors], most: int) -> tuple[Contributors, ...]:
    """Those labels that narrow it down, the narrowest first; where none does, the first, which says that it is all of them."""
    kept = list(found)
    narrow = sorted((c for c in kept if c.count <= SHARE * c.of), key=lambda c: (c.count / c.of, -c.of))
    return tuple(narrow[:most] or kept[:1])
