"""What is to be made of a batch of features: none, warning, critical, or too few rows to say; and why.

Both are asked for: *size* (PSI 0.1 and 0.25, KL 0.05 and 0.15: the levels of the books) and *significance* (the no-drift law, corrected for the
number of features), because in small batches the levels are exceeded by chance. Neighbours: `population` measures.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from aiops.detect.no_drift_law import holm
from aiops.detect.population import Measured


class Drifted(StrEnum):
    """`TOO_FEW` is no verdict: there are not enough rows for one."""

    NONE = "none"
    WARNING = "warning"
    CRITICAL = "critical"
    TOO_FEW = "too-few"


@dataclass(frozen=True, slots=True)
class Levels:
    """Sizes of a divergence that count, in nats; `chance`: how often a batch without drift may be called drifted; `rows`, `reference_rows`: the fewest that are judged."""

    psi_warning: float = 0.1
    psi_critical: float = 0.25
    kl_warning: float = 0.05
    kl_critical: float = 0.15
    chance: float = 0.001
    rows: int = 50
    reference_rows: int = 100


@dataclass(frozen=True, slots=True)
class Judged:
    """One feature's verdict; `reason` is CamelCase."""

    verdict: Drifted
    reason: str


def judge(features: Mapping[str, Measured], levels: Levels) -> dict[str, Judged]:
    """All features of one batch together: the more are looked at, the more often one departs by chance."""
    enough = {name: m for name, m in features.items() if m.size >= levels.rows and m.reference_size >= levels.reference_rows}
    significant = dict(zip(enough, holm(np.array([m.p for m in enough.values()]), levels.chance), strict=True))
    return {name: _one(m, levels, significant=bool(significant[name])) if name in enough else Judged(Drifted.TOO_FEW, "TooFewRows") for name, m in features.items()}


def _one(measured: Measured, levels: Levels, *, significant: bool) -> Judged:
    warning = measured.psi >= levels.psi_warning or measured.kl >= levels.kl_warning
    if not significant:
        return Judged(Drifted.NONE, "ChanceExplainsIt" if warning else "Alike")
    if measured.psi >= levels.psi_critical or measured.kl >= levels.kl_critical:
        return Judged(Drifted.CRITICAL, "Drifted")
    return Judged(Drifted.WARNING, "Drifted") if warning else Judged(Drifted.NONE, "TooSmallToMatter")


def overall(verdicts: Sequence[Drifted]) -> Drifted:
    """The worst of all; TOO_FEW if nothing could be judged."""
    for worst in (Drifted.CRITICAL, Drifted.WARNING, Drifted.NONE):
        if worst in verdicts:
            return worst
    return Drifted.TOO_FEW
