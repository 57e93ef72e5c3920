"""A person's word that an alarm was none: what it looked like, of which rule and series, who said so, and until when it counts.

Neighbours: `detect.likeness` says what is alike, `pipeline.damping` drops what is, the store keeps them in one document.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from aiops.domain.signal import Severity

DAMPED = frozenset({"seasonalZ", "fleet", "focus", "peers", "isolationForest", "logErrorRate", "logTemplates"})
"""Detectors that learn by themselves what is usual. What people set (levels, objectives, references, alerts) is changed where it was set, never damped."""


@dataclass(frozen=True, slots=True)
class Pattern:
    """What an alarm looked like. `reason` is the detector's code; `direction` `up`, `down` or empty (no number).

    `departure`: distance from what was expected when it began, `peak`: the greatest while it lasted, both in the value's unit. `sudden`: it was there
    within two samples (None: cannot be told). `lasted`: seconds until it was over, None if it was not yet.
    """

    reason: str
    severity: Severity
    direction: str = ""
    departure: float = 0.0
    peak: float = 0.0
    sudden: bool | None = None
    lasted: float | None = None


@dataclass(frozen=True, slots=True)
class Feedback:
    """One word of a person. `series` is `series_id`; times Unix seconds. `around`: only within an hour of this second of the (UTC) day; None: at any time.

    `since`: such a pattern is being damped since then. `count`, `last_at`: how many were, and when the last began.
    """

    id: str
    rule: str
    series: str
    labels: Mapping[str, str]
    target: str
    incident: str
    pattern: Pattern
    by: str
    at: float
    expires_at: float
    why: str = ""
    around: float | None = None
    since: float | None = None
    count: int = 0
    last_at: float | None = None
    undone_at: float | None = None
    undone_by: str = ""

    @property
    def key(self) -> tuple[str, str]:
        """What it is about: one rule on one series."""
        return self.rule, self.series

    def in_force(self, now: float) -> bool:
        """Neither taken back nor too old."""
        return self.undone_at is None and now < self.expires_at
