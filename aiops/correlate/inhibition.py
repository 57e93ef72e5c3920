"""One incident mutes another: a cause that is known makes its symptoms unworthy of action and telling, never of recording.

A rule's `inhibits` is a list of matchers; a firing signal of that rule mutes claims whose labels hold every pair of one matcher, where the
two are related: the same target; what stands on the muting node or in the muting namespace; or a caller, by its `dependency` label, of the muting workload.
Neighbours: `topology.Placement` gives relations, `pipeline.triage` stores the answer in `Incident.inhibited_by`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from aiops.correlate.topology import Placement
from aiops.domain.incident import Incident
from aiops.domain.signal import Signal

Inhibits = Mapping[str, tuple[Mapping[str, str], ...]]
"""Rule name → matchers, as the rules have them."""


@dataclass(frozen=True, slots=True)
class Inhibition:
    """Who mutes: incident id and rule. `relation` is a CamelCase code: SameTarget, Placement or Dependency."""

    by: str
    rule: str
    relation: str


def inhibited(incidents: Iterable[Incident], inhibits: Inhibits, placement: Placement | None = None) -> dict[str, Inhibition]:
    """Which of the active incidents are muted and by whom, by incident id.

    An incident is muted if each of its firing claims is muted by other incidents. One that is muted still mutes what is below it, but two
    never mute each other: of such a pair the older stays.
    """
    active = sorted((i for i in incidents if i.active and i.firing), key=lambda i: (i.opened_at, i.id))
    found: dict[str, Inhibition] = {}
    # Few rules mute anything: in a storm of incidents only theirs are compared with all.
    sources = [i for i in active if any(s.rule in inhibits for s in i.firing)]
    for incident in active:
        for source in sources:
            if source.id == incident.id or _leads_to(source.id, incident.id, found):
                continue
            answer = _mutes(source, incident, inhibits, placement or Placement())
            if answer is not None and not _mutual(incident, source, inhibits, placement or Placement()):
                found[incident.id] = answer
                break
    return found


def _leads_to(start: str, end: str, found: Mapping[str, Inhibition]) -> bool:
    """True if `start` is, through others, muted by `end`: a ring would mute everybody in it."""
    while start in found:
        start = found[start].by
        if start == end:
            return True
    return False


def _mutual(incident: Incident, source: Incident, inhibits: Inhibits, placement: Placement) -> bool:
    older = (incident.opened_at, incident.id) < (source.opened_at, source.id)
    return older and _mutes(incident, source, inhibits, placement) is not None


def _mutes(source: Incident, other: Incident, inhibits: Inhibits, placement: Placement) -> Inhibition | None:
    first: Inhibition | None = None
    for claim in other.firing:
        muted = next((m for s in source.firing if (m := _mutes_claim(source, s, other, claim, inhibits, placement)) is not None), None)
        if muted is None:
            return None
        first = first or muted
    return first


def _mutes_claim(source: Incident, signal: Signal, other: Incident, claim: Signal, inhibits: Inhibits, placement: Placement) -> Inhibition | None:
    if not any(_matches(matcher, claim) for matcher in inhibits.get(signal.rule, ())):
        return None
    relation = _relation(source, signal, other, claim, placement)
    return None if relation is None else Inhibition(source.id, signal.rule, relation)


def _matches(matcher: Mapping[str, str], claim: Signal) -> bool:
    """Every pair must be a label of the claim; an empty matcher matches nothing, so that a slip does not mute the world."""
    return bool(matcher) and all(claim.labels.get(name) == value for name, value in matcher.items())


def _relation(source: Incident, signal: Signal, other: Incident, claim: Signal, placement: Placement) -> str | None:
    upper, lower = source.target, other.target
    if upper is None or lower is None:
        return None
    if upper == lower:
        return "SameTarget"
    if placement.below(upper, lower):
        return "Placement"
    if upper.context != lower.context:
        return None
    # The caller names whom it depends on; or both name the same dependency, and the one that mutes is the one about it.
    dependency = claim.labels.get("dependency", "")
    if dependency and (dependency == upper.name or dependency == signal.labels.get("dependency")):
        return "Dependency"
    return None


def muted_claims(incident: Incident, inhibits: Inhibits) -> dict[str, str]:
    """Within one incident: firing claims that another firing claim of it mutes, as key → key of the muting one.

    A dependency that fails explains the errors of its caller: both are claims about the same target, hence of one incident. A claim that is
    muted mutes nothing.
    """
    muted: dict[str, str] = {}
    ordered = sorted(incident.firing, key=lambda s: (s.at, s.key))
    for cause in ordered:
        if cause.key in muted:
            continue
        matchers = inhibits.get(cause.rule, ())
        for claim in ordered:
            if claim.key not in (cause.key, *muted, *muted.values()) and any(_matches(m, claim) for m in matchers):
                muted[claim.key] = cause.key
    return muted
