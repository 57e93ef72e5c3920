"""What is to be said of one subject's features together, and the words for it. Neighbours: `drift` asks, `feature_drift` judges each feature."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from aiops.detect.feature_drift import Drifted, Levels, judge, overall
from aiops.detect.population import Measured

SHOWN = 5
"""Features that evidence shows."""
RECOVERED_SHARE = 0.8


@dataclass(frozen=True, slots=True)
class Verdict:
    """Of the last look, at `looked_at`. `value`: the greatest PSI. `score`: size in units of the warning level, below 1 unless it is significant too."""

    ready: bool = False
    drifted: bool = False
    critical: bool = False
    recovered: bool = False
    value: float = float("nan")
    score: float = float("nan")
    lines: tuple[str, ...] = ()
    looked_at: float = float("-inf")

    def dump(self) -> dict[str, Any]:
        """JSON-ready."""
        return asdict(self)

    @staticmethod
    def load(dumped: Mapping[str, Any]) -> Verdict:
        """What `dump` gave; TypeError if it is something else."""
        return replace(Verdict(**dumped), lines=tuple(dumped["lines"]))


NOTHING = Verdict()


def settled(at: float) -> Verdict:
    """The model was trained anew: nothing stands against it."""
    return Verdict(ready=True, recovered=True, value=0.0, score=0.0, looked_at=at)


def verdict_of(features: Mapping[str, Measured], levels: Levels, at: float) -> Verdict:
    """One verdict for all features of a subject; not ready while none has rows enough."""
    judged = judge(features, levels)
    known = {name: features[name] for name, j in judged.items() if j.verdict is not Drifted.TOO_FEW}
    worst = overall([j.verdict for j in judged.values()])
    if worst is Drifted.TOO_FEW:
        return replace(NOTHING, looked_at=at)
    size = {name: max(m.psi / levels.psi_warning, m.kl / levels.kl_warning) for name, m in known.items()}
    bad = sorted((n for n in known if judged[n].verdict in (Drifted.WARNING, Drifted.CRITICAL)), key=lambda n: (-known[n].psi, n))
    drifted = worst is not Drifted.NONE
    # What is large but may well be chance stays below the threshold; of what is significant and small the size decides.
    mild = [size[n] if judged[n].reason == "TooSmallToMatter" else min(size[n], RECOVERED_SHARE) for n in known if n not in bad]
    score = max([max(size[n], 1.0) for n in bad] or mild)
    return Verdict(
        ready=True, drifted=drifted, critical=worst is Drifted.CRITICAL, recovered=not drifted and score <= RECOVERED_SHARE,
        value=max(m.psi for m in known.values()), score=score, lines=tuple(_line(n, known[n]) for n in bad[:SHOWN]), looked_at=at,
    )


def _line(feature: str, m: Measured) -> str:
    words = f"{feature[:100]}: " if feature else ""
    bins, before, now = " | ".join(m.bins[:20]), " | ".join(map(_share(m.reference_size), m.reference[:20])), " | ".join(map(_share(m.size), m.current[:20]))
    more = f" (of {len(m.bins)} bins)" if len(m.bins) > 20 else ""
    return f"{words}PSI {m.psi:.3g}, KL {m.kl:.3g}, JS {m.js:.3g}, by chance {m.p:.1g}; {m.size} rows against {m.reference_size}; bins{more} {bins}; reference % {before}; now % {now}"


def _share(total: int) -> Any:
    return lambda count: f"{100.0 * count / max(total, 1):.3g}"
