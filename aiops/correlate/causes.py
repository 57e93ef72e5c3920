"""What else changed when an incident began, near its target: candidates for its cause, the likeliest first. A hint for people, never a ground for acting.

Each series is measured against its own past before the incident: how far it went, in robust deviations (median absolute deviation, as in Iglewicz and Hoaglin,
"How to Detect and Handle Outliers", ASQC 1993), and since when. Rank = log of that, times how near it stands (the target itself and the node under it before
what it calls, the namespace, what shares a node, and other workloads beside it), times how early it changed: what changed before the incident's first sign counts more than what
changed with it, and what changed after it is rather a consequence. Pure. Neighbours: `topology` says what is near, `pipeline.explaining` brings the series.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from aiops.correlate.topology import Placement
from aiops.domain.incident import Cause
from aiops.domain.target import TargetRef

NEAR = {"itself": 1.0, "node": 1.0, "called": 0.9, "namespace": 0.8, "same node": 0.7, "neighbour": 0.6}
AFTER, LATEST = 0.25, 0.5
"""Factors of what changed after the first sign, and of what changed with it; what changed as early as is looked counts whole."""
LEAD, FEWEST = 120.0, 8
"""Seconds before the first sign that are not taken for usual any more (a cause comes first), and samples that must be usual."""
LEAST, MOST = 6.0, 1e6
"""Deviations below which nothing changed, and above which more says no more."""
FLOOR = 0.02
"""Share of the usual value that a deviation is never below."""
MAD_TO_SIGMA = 1.4826
SHOWN = 5


@dataclass(frozen=True, slots=True)
class Suspect:
    """A series of some rule: whom it is about, and its samples, oldest first (Unix seconds; None: not finite)."""

    rule: str
    target: TargetRef
    times: Sequence[float]
    values: Sequence[float | None]


def candidates(
    target: TargetRef, began: float, suspects: Iterable[Suspect], placement: Placement, calls: Collection[str] = ()
) -> tuple[Cause, ...]:
    """The first `SHOWN`, one for each rule and target. `began`: the first sign of the incident; `calls`: names of what the target is known to call."""
    best: dict[tuple[str, TargetRef], Cause] = {}
    for suspect in suspects:
        relation = related(target, suspect.target, placement, calls)
        cause = measured(suspect, relation, began) if relation else None
        key = (suspect.rule, suspect.target)
        if cause is not None and (key not in best or cause.score > best[key].score):
            best[key] = cause
    return tuple(sorted(best.values(), key=lambda c: (-c.score, c.at, c.rule, c.about))[:SHOWN])


def related(target: TargetRef, other: TargetRef, placement: Placement, calls: Collection[str] = ()) -> str:
    """A key of `NEAR`; empty if they have nothing to do with each other."""
    if other.context != target.context:
        return ""
    beside = target.namespace != "" and target.namespace == other.namespace
    shared = placement.nodes_of.get(target, frozenset()) & placement.nodes_of.get(other, frozenset())
    relations = {
        "itself": other == target,
        "node" if other.kind == "Node" else "namespace": placement.below(other, target),
        "called": beside and other.name in calls,
        "same node": bool(shared),
        # What stands on this node or in this namespace is near it too.
        "neighbour": beside or placement.below(target, other),
    }
    return next((relation for relation, holds in relations.items() if holds), "")


def measured(suspect: Suspect, relation: str, began: float) -> Cause | None:
    """How it changed; None if it did not, or its past is too short to say."""
    seen = [(t, v) for t, v in zip(suspect.times, suspect.values, strict=True) if v is not None]
    usual = [v for t, v in seen if t < began - LEAD]
    after = [(t, v) for t, v in seen if t >= began - LEAD]
    if len(usual) < FEWEST or not after:
        return None
    middle = statistics.median(usual)
    spread = MAD_TO_SIGMA * statistics.median(abs(v - middle) for v in usual)
    scale = max(spread, FLOOR * abs(middle), 1e-12)
    z = [(v - middle) / scale for _, v in after]
    # Two samples in a row must agree: one wild sample is no change, unless there is no second yet.
    pairs = [min(a, b, key=abs) if a * b > 0.0 else 0.0 for a, b in pairwise(z)] or z
    peak = max(pairs, key=abs)
    if abs(peak) < LEAST:
        return None
    first = next(i for i, one in enumerate(z) if one * peak > 0.0 and abs(one) >= LEAST)
    at = after[first][0]
    early = min(max((began - at) / LEAD, 0.0), 1.0)
    score = math.log1p(min(abs(peak), MOST)) * NEAR[relation] * (AFTER if at > began else LATEST + (1.0 - LATEST) * early)
    return Cause(suspect.rule, str(suspect.target), relation, max(-MOST, min(peak, MOST)), at, middle, middle + peak * scale, score)
