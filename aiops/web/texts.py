"""Words and small shapes for the templates: times, spans, diffs, counts. Pure; nothing here makes markup.

Neighbours: `pages` registers these as filters.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from aiops.domain.decision import Decision, Stage
from aiops.domain.execution import Execution

MAX_DIFF_LINES = 600


def clean(value: object) -> object:
    """Control characters and marks that turn the direction of writing become spaces, in everything a template prints."""
    if isinstance(value, str) and not hasattr(value, "__html__") and not value.isprintable():
        return "".join(c if c.isprintable() or c in "\n\t" else " " for c in value)
    return value


def span(seconds: float) -> str:
    """Two units at most: `3 d 4 h`, `2 min 5 s`, `0.4 s`."""
    if seconds < 0:
        return f"-{span(-seconds)}"
    if seconds < 1:
        return f"{seconds:.1f} s" if seconds else "0 s"
    whole = round(seconds)
    units = (("d", 86400), ("h", 3600), ("min", 60), ("s", 1))
    for n, (name, size) in enumerate(units):
        if whole >= size:
            rest = units[n + 1] if n + 1 < len(units) else None
            over = (whole % size) // rest[1] if rest else 0
            return f"{whole // size} {name}" + (f" {over} {rest[0]}" if rest and over else "")
    return f"{whole} s"


def moment(at: float | None) -> str:
    """UTC date and time."""
    if at is None:
        return "never"
    try:
        return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    except (ValueError, OverflowError, OSError):
        return f"{at:g} s"


def ago(at: float | None, now: float) -> str:
    """How long before `now`."""
    if at is None:
        return "never"
    return "now" if abs(now - at) < 1 else f"{span(now - at)} ago" if now > at else f"in {span(at - now)}"


@dataclass(frozen=True, slots=True)
class DiffLine:
    """`kind`: add, drop, hunk, head or same."""

    kind: str
    text: str


def diff_lines(diff: str) -> tuple[DiffLine, ...]:
    """A unified diff with the kind of each line, bounded."""
    lines = diff.splitlines()
    shown = [DiffLine(_kind(line), line) for line in lines[:MAX_DIFF_LINES]]
    if len(lines) > MAX_DIFF_LINES:
        shown.append(DiffLine("hunk", f"… {len(lines) - MAX_DIFF_LINES} more lines"))
    return tuple(shown)


def _kind(line: str) -> str:
    if line.startswith(("+++", "---")):
        return "head"
    return {"+": "add", "-": "drop", "@": "hunk"}.get(line[:1], "same")


@dataclass(frozen=True, slots=True)
class StageCount:
    """One stage of the flow: what went on, what did not, and the most frequent reasons for that."""

    stage: str
    passed: int
    dropped: int
    reasons: tuple[tuple[str, int], ...]
    words: str = "on"
    not_words: str = "dropped"


def stage_counts(
    decisions: Sequence[Decision], sources: Sequence[str], runs: Sequence[Execution], deliveries: Sequence[str]
) -> tuple[StageCount, ...]:
    """In the order of the flow; repetitions count.

    The stages in the middle record their decisions. At the ends the state itself says more: `sources` are the sights of the sources,
    `runs` those whose verification counts, `deliveries` the states of messages as `Reading.messages` gives them.
    """
    counts = {stage: _count(stage.value, [d for d in decisions if d.stage is stage]) for stage in Stage}
    judged = [r.verification.judgement.value for r in runs if r.verification and r.verification.judgement]
    told = [d.split(":")[0] for d in deliveries if d != "superseded"]
    counts[Stage.POLL] = _of(Stage.POLL, sources, "ok", "in sight", "not")
    counts[Stage.VERIFY] = _of(Stage.VERIFY, judged, "helped", "helped", "not")
    counts[Stage.ANNOUNCE] = _of(Stage.ANNOUNCE, told, "delivered", "told", "not")
    return tuple(counts.values())


def _of(stage: Stage, states: Sequence[str], good: str, words: str, not_words: str) -> StageCount:
    others = Counter(s for s in states if s != good)
    return StageCount(stage.value, len(states) - sum(others.values()), sum(others.values()), tuple(others.most_common(3)), words, not_words)


def _count(stage: str, decisions: Iterable[Decision]) -> StageCount:
    passed, reasons = 0, Counter[str]()
    for d in decisions:
        if d.passed:
            passed += d.count
        else:
            reasons[d.reason] += d.count
    return StageCount(stage, passed, sum(reasons.values()), tuple(reasons.most_common(3)))
