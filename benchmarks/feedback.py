"""How much of what is like an alarm that a person called none is damped, and how much of what is not is still found: made-up faults through a bank.

Every series has its own level, noise and daily season (one sample a minute). An alarm of one shape comes and is marked; then one that is either like it (the
same shape, size ±15 %, length ±25 %) or another fault of the same series. What the detector itself does not see counts neither way.
Run by `make bench-feedback`.
"""

from __future__ import annotations

import sys
from collections import Counter
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aiops.adapters.store import open_store
from aiops.detect.bank import RuleBank
from aiops.detect.findings import Finding
from aiops.detect.likeness import pattern_of
from aiops.domain.feedback import Feedback
from aiops.domain.rule import DetectorSpec, Direction, PromQuery, Rule
from aiops.domain.series import SampleBatch
from aiops.domain.signal import Severity, SignalState
from aiops.pipeline.damping import Damping

T0, MINUTE = 1_767_225_600.0, 60.0
WARM, GAP, LONG = 400, 180, 300
SHAPES = ("spike", "dip", "plateau", "ramp")
ALIKE = "the same again"
OTHERS = ("the other side", "three times as far", "sudden instead of gradual", "five times as long", "like it, then three times as far")
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Tally:
    """`seen`: alarms of the detector; `told`: those of them that went on."""

    seen: int = 0
    told: int = 0

    def __str__(self) -> str:
        return f"{self.told} of {self.seen} told"


def shape(kind: str, size: float, length: int) -> Floats:
    """A departure in deviations, minute by minute."""
    if kind == "ramp":
        return np.concatenate([np.linspace(0.0, size, 20), np.full(length, size)])
    return np.full(length, -size if kind == "dip" else size)


def pair(kind: str, other: str, random: np.random.Generator) -> tuple[Floats, Floats]:
    """The marked departure, and the one that follows."""
    size, length = random.uniform(12.0, 20.0), int(random.integers(8, 20)) * (3 if kind == "plateau" else 1)
    marked = shape(kind, size, length)
    again = shape(kind, size * random.uniform(0.87, 1.15), max(3, round(length * random.uniform(0.8, 1.25))))
    if other == "the other side":
        again = -again
    elif other == "three times as far":
        again = again * 3.0
    elif other == "sudden instead of gradual":
        # The other way round for what was sudden.
        again = shape("plateau" if kind == "ramp" else "ramp", size, length) * (-1.0 if kind == "dip" else 1.0)
    elif other == "five times as long":
        again = np.concatenate([again, np.full(5 * length, again[-1])])
    elif other == "like it, then three times as far":
        again = np.concatenate([again, again[-1] * np.full(6, 3.0)])
    return marked, again


def measure(detector: str, each: int, seed: int = 7) -> dict[tuple[str, str], Tally]:
    """By shape and by what followed; `each`: series of one cell."""
    random = np.random.default_rng(seed)
    cells = [(kind, other) for kind in SHAPES for other in (ALIKE, *OTHERS) for _ in range(each)]
    values, second = _series(cells, random)
    rule = Rule("r", "s", PromQuery("q"), MINUTE, DetectorSpec(detector), Severity.WARNING, direction=Direction.BOTH)
    bank, damping = RuleBank(rule), Damping(open_store("sqlite:///:memory:"))
    labels = [{"n": str(i)} for i in range(len(cells))]
    first: dict[str, list[Finding]] = {}
    seen: Counter[str] = Counter()
    told: Counter[str] = Counter()
    for step in range(values.shape[1]):
        at = T0 + MINUTE * step
        found = bank.observe(SampleBatch("s", "q", at, labels, np.full(len(labels), at), values[:, step])).findings
        sifted = damping.sift(rule, bank, found, at).findings
        if step < second:
            for finding in sifted:
                if step >= WARM:
                    first.setdefault(finding.series, []).append(finding)
        else:
            seen.update({f.series for f in found if f.state is SignalState.FIRING})
            told.update({f.series for f in sifted if f.state is SignalState.FIRING})
        if step == second - 1:
            damping.add([word for series, episode in first.items() if (word := marked(rule, series, episode, at)) is not None], at)
    by_series = {series: cells[int(dict(one)["n"])] for series, one in bank.subjects()}
    tallies: dict[tuple[str, str], Tally] = {}
    for series in first:
        if seen[series]:
            cell, old = by_series[series], tallies.get(by_series[series], Tally())
            tallies[cell] = Tally(old.seen + 1, old.told + bool(told[series]))
    return tallies


def marked(rule: Rule, series: str, episode: list[Finding], at: float) -> Feedback | None:
    """A person's word about the first alarm of it."""
    begins = next((f for f in episode if f.state is SignalState.FIRING), None)
    over = next((f for f in episode if f.state is not SignalState.FIRING), None)
    if begins is None or over is None:
        return None
    pattern = pattern_of(begins.evidence, begins.reason, begins.severity, later=[over.evidence], at=begins.at, lasted=over.at - begins.at)
    return Feedback(f"fb-{series}", rule.name, series, begins.labels, "", "inc", pattern, "ann", at, at + 30 * 86400.0)


def _series(cells: list[tuple[str, str]], random: np.random.Generator) -> tuple[Floats, int]:
    """(n, minutes), and the minute from which on what follows is looked at."""
    second = WARM + LONG
    size = second + GAP + LONG
    minutes = np.arange(size)
    rows = []
    for kind, other in cells:
        level, noise = 10.0 ** random.uniform(-1.0, 4.0), random.uniform(0.01, 0.05)
        season = 1.0 + random.uniform(0.0, 0.1) * np.sin(2 * np.pi * (minutes / 1440.0 + random.random()))
        row = season + noise * random.standard_normal(size)
        for start, departure in zip((WARM, second + GAP), pair(kind, other, random), strict=True):
            end = min(start + len(departure), size)
            row[start:end] += noise * departure[: end - start]
        rows.append(level * row)
    return np.array(rows), second


def report(detector: str, tallies: dict[tuple[str, str], Tally]) -> tuple[float, float]:
    """Prints the table; shares of the alike that were damped, and of the others that were told."""
    print(f"{detector}: alarms told after one like the first was marked")
    print("\n".join(f"  {kind:8} then {other:34} {tally}" for (kind, other), tally in sorted(tallies.items())))
    alike = [t for (_, other), t in tallies.items() if other == ALIKE]
    others = [t for (_, other), t in tallies.items() if other != ALIKE]
    damped = 1.0 - sum(t.told for t in alike) / max(1, sum(t.seen for t in alike))
    found = sum(t.told for t in others) / max(1, sum(t.seen for t in others))
    print(f"  {damped:.1%} of {sum(t.seen for t in alike)} alike damped, {found:.1%} of {sum(t.seen for t in others)} others told")
    return damped, found


if __name__ == "__main__":
    for name in sys.argv[1:] or ("fleet", "seasonalZ", "focus"):
        report(name, measure(name, 40))
