"""Which signals are about the same thing. Neighbours: `incident_flow` keeps one incident for each fingerprint, `topology` finds targets."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from aiops.domain.ids import make_id
from aiops.domain.signal import Signal

VOLATILE = frozenset(
    {
        "pod", "pod_name", "pod_ip", "pod_uid", "uid", "ip", "instance", "container_id", "id", "image_id", "endpoint", "endpoint_id",
        "pod_template_hash", "controller_revision_hash", "replicaset", "le", "quantile", "prometheus", "prometheus_replica",
    }
)  # fmt: skip
"""Labels that change while the thing stays the same: a pod that vanished is no new fault."""


def stable_labels(labels: Mapping[str, str]) -> dict[str, str]:
    """The labels that outlive a restart or a rollout."""
    return {name: value for name, value in labels.items() if name not in VOLATILE}


def fingerprint(signal: Signal) -> str:
    """Stable identity of what is wrong: the target if there is one (all its claims are one incident), else rule and stable labels."""
    if signal.target is not None:
        return make_id("fp", "target", str(signal.target))
    return make_id("fp", "rule", signal.rule, *(part for pair in sorted(stable_labels(signal.labels).items()) for part in pair))


def group(signals: Iterable[Signal]) -> dict[str, list[Signal]]:
    """Signals by fingerprint, in the order given."""
    groups: dict[str, list[Signal]] = {}
    for signal in signals:
        groups.setdefault(fingerprint(signal), []).append(signal)
    return groups


def common_labels(signals: Iterable[Signal]) -> dict[str, str]:
    """Labels on which all signals that have them agree; volatile ones only if every signal has them."""
    values: dict[str, set[str]] = {}
    holders: dict[str, int] = {}
    total = 0
    for signal in signals:
        total += 1
        for name, value in signal.labels.items():
            values.setdefault(name, set()).add(value)
            holders[name] = holders.get(name, 0) + 1
    return {name: found.copy().pop() for name, found in sorted(values.items()) if len(found) == 1 and (name not in VOLATILE or holders[name] == total)}
