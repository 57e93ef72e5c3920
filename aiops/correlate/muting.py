"""Silences: a person's expiring mute of acting and telling, never of recording. Neighbour: `pipeline.triage` stores it in `Incident.silenced_by`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from aiops.domain.incident import Incident, Silence


def matchable(incident: Incident) -> dict[str, str]:
    """What a silence may match: the incident's labels, and `target`, `kind`, `namespace`, `name`, `severity` where no label has that name."""
    extra = {"severity": incident.severity.value}
    if incident.target is not None:
        target = incident.target
        extra |= {"target": str(target), "kind": target.kind, "namespace": target.namespace, "name": target.name}
    return {**{k: v for k, v in extra.items() if v}, **incident.labels}


def covers(silence: Silence, labels: Mapping[str, str], now: float) -> bool:
    """True if the silence is in force and every matcher equals. One without matchers covers nothing."""
    if not silence.matchers or not silence.starts_at <= now < silence.ends_at:
        return False
    return all(labels.get(name) == value for name, value in silence.matchers.items())


def silencing(incident: Incident, silences: Iterable[Silence], now: float) -> Silence | None:
    """The silence that covers an incident; of several the one that ends last."""
    labels = matchable(incident)
    return max((s for s in silences if covers(s, labels, now)), key=lambda s: (s.ends_at, s.id), default=None)
