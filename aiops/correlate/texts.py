"""What people read of an incident. Plain text: label values in it are hostile, so notifiers and pages escape it. Neighbour: `incident_flow`."""

from __future__ import annotations

from collections.abc import Iterable

from aiops.domain.errors import trimmed
from aiops.domain.incident import Incident
from aiops.domain.signal import RANK, Signal
from aiops.domain.target import TargetRef

MAX_TITLE = 140
MAX_LINES = 20


def title(target: TargetRef | None, signals: Iterable[Signal]) -> str:
    """One line: the target and its symptoms (rules, where signals name no symptom); without a target the worst signal's own words."""
    ordered = sorted(signals, key=lambda s: (-RANK[s.severity], s.at, s.key))
    if target is not None:
        words = dict.fromkeys(s.labels.get("symptom") or s.rule for s in ordered)
        return trimmed(f"{target}: {', '.join(words)}", MAX_TITLE)
    if not ordered:
        return ""
    return trimmed(ordered[0].summary or ordered[0].rule, MAX_TITLE)


def number(value: float | None) -> str:
    """Four significant digits, or `unknown`."""
    return "unknown" if value is None else f"{value:.4g}"


def claim(signal: Signal) -> str:
    """One line about one signal: what it says, what was measured, what was expected."""
    seen = signal.evidence
    parts = [signal.summary or signal.rule]
    if seen.value is not None:
        parts.append(f"value {number(seen.value)}")
    if seen.expected is not None:
        parts.append(f"expected {number(seen.expected)}")
    limits = [f"{name} {number(limit)}" for name, limit in (("above", seen.upper), ("below", seen.lower)) if limit is not None]
    if limits:
        parts.append(f"wrong {' or '.join(limits)}")
    return trimmed("; ".join(parts))


def summary(incident: Incident) -> str:
    """Several lines: what fires, worst first, then what was claimed and is over."""
    firing = sorted(incident.firing, key=lambda s: (-RANK[s.severity], s.at, s.key))
    lines = [f"{s.severity.value}: {claim(s)}" for s in firing[:MAX_LINES]]
    if len(firing) > MAX_LINES:
        lines.append(f"and {len(firing) - MAX_LINES} more")
    over = len(incident.signals) - len(firing)
    if over:
        lines.append(f"{over} earlier claim{'s' if over > 1 else ''} no longer stand{'' if over > 1 else 's'}")
    return "\n".join(lines)
