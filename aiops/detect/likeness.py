"""Is an alarm like one that a person called none? By what can be explained in a line: kind, side, size, onset, length, and perhaps the time of day.

Alike is the same code of the same detector, no more severe, on the same side, within a factor of two as far from what was expected when it began, and as
sudden or as gradual. It stays alike while it does not go twice as far as that one did at its worst, does not last twice as long, and does not turn to the other
side. All is read off the evidence that a signal has anyway. Pure. Neighbours: `pipeline.damping` asks, `domain.feedback` has the nouns.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Iterator

from aiops.domain.feedback import Feedback, Pattern
from aiops.domain.signal import RANK, Evidence, Severity

FACTOR = 2.0
"""Departures within this factor of each other are of one size."""
GRACE = 10
"""Polls that one may last longer, however short the other was."""
AROUND = 3600.0
USUAL, THERE, SUDDEN = 0.25, 0.75, 2
"""Shares of a departure that are still usual, and that count as there; samples between the two within which it came suddenly."""
CLEAR, MAD_TO_SIGMA = 1 / 8, 1.4826
"""The noise must be at most this share of a departure, for its onset to count as sudden."""
_DAY = 86400.0


def pattern_of(began: Evidence, reason: str, severity: Severity, *, later: Iterable[Evidence] = (), at: float = 0.0, lasted: float | None = None) -> Pattern:
    """`began`: the evidence when the alarm began, at `at` (Unix seconds); `later`: what was seen after that, for how far it went."""
    reference = _reference(began)
    if began.value is None or reference is None or reason == "SeriesAbsent":
        return Pattern(reason, severity, lasted=lasted)
    away = began.value - reference
    side = math.copysign(1.0, away)
    seen = [side * (v - reference) for e in later for t, v in zip(e.times, e.values, strict=True) if v is not None and t >= at]
    seen += [side * (e.value - reference) for e in later if e.value is not None]
    return Pattern(reason, severity, _side(away), abs(away), max([abs(away), *seen]), _sudden(began, reference, away), lasted)


def unlike(feedback: Feedback, began: Evidence, reason: str, severity: Severity, at: float) -> str:
    """Why an alarm that begins at `at` is another one, in words; empty if it is alike."""
    return next(_differences(feedback, pattern_of(began, reason, severity), at), "")


def _differences(feedback: Feedback, new: Pattern, at: float) -> Iterator[str]:
    old = feedback.pattern
    if new.reason != old.reason:
        yield f"{new.reason}, not {old.reason}"
    if RANK[new.severity] > RANK[old.severity]:
        yield f"{new.severity.value}, not {old.severity.value}"
    if feedback.around is not None and abs((at - feedback.around + _DAY / 2) % _DAY - _DAY / 2) > AROUND:
        yield "at another time of the day"
    if new.direction != old.direction:
        yield f"{new.direction or 'no number'}, not {old.direction or 'no number'}"
    if not old.departure / FACTOR <= new.departure <= old.departure * FACTOR:
        yield f"{new.departure:.4g} from what is expected, not {old.departure:.4g}"
    if new.sudden is not None and old.sudden is not None and new.sudden is not old.sudden:
        yield "sudden, not gradual" if new.sudden else "gradual, not sudden"


def outgrown(feedback: Feedback, now: Evidence, severity: Severity, at: float, every: float) -> str:
    """Why an alarm that began alike (at `feedback.since`) is another one by now, in words; empty while it is alike. `every`: seconds between polls."""
    old, began = feedback.pattern, feedback.since if feedback.since is not None else at
    if RANK[severity] > RANK[old.severity]:
        return f"{severity.value}, not {old.severity.value}"
    # One that was not over when it was marked may last; how long it did is written down when it ends.
    if old.lasted is not None and at - began > max(FACTOR * old.lasted, old.lasted + GRACE * every):
        return f"lasts {at - began:.0f} s, not {old.lasted:.0f} s"
    reference = _reference(now)
    if now.value is None or reference is None or not old.direction:
        return ""
    away = now.value - reference
    if now.score is not None and now.score > 1.0 and _side(away) != old.direction:
        return f"{_side(away)}, not {old.direction}"
    if _side(away) == old.direction and abs(away) > FACTOR * old.peak:
        return f"{abs(away):.4g} from what is expected, not {old.peak:.4g}"
    return ""


def usual_until(evidence: Evidence) -> float | None:
    """When (Unix seconds) the last sample was seen that was still usual: less than a quarter of the way to the newest. None if there is none."""
    reference = _reference(evidence)
    if evidence.value is None or reference is None or evidence.value == reference:
        return None
    away = evidence.value - reference
    return max((t for t, v in zip(evidence.times, evidence.values, strict=True) if v is not None and (v - reference) / away < USUAL), default=None)


def _reference(evidence: Evidence) -> float | None:
    """What was expected, or, where a detector does not say, the middle of what was seen."""
    if evidence.expected is not None:
        return evidence.expected
    known = [v for v in evidence.values if v is not None]
    return statistics.median(known) if known else None


def _side(away: float) -> str:
    return "up" if away >= 0.0 else "down"


def _sudden(began: Evidence, reference: float, away: float) -> bool | None:
    """From the last sample that was still usual to the first that was there. Where the noise is not far below the departure, a quick rise may be the noise's."""
    shares = [(v - reference) / away for v in began.values if v is not None] if away else []
    usual = max((i for i, share in enumerate(shares) if share < USUAL), default=None)
    there = next((i for i, share in enumerate(shares) if share >= THERE and usual is not None and i > usual), None)
    if usual is None or there is None:
        return None
    if there - usual > SUDDEN:
        return False
    middle = statistics.median(shares[: usual + 1])
    noise = MAD_TO_SIGMA * statistics.median(abs(share - middle) for share in shares[: usual + 1])
    return True if noise <= CLEAR else None
