"""Streams one sample at a time: false alarms where nothing drifts, and how soon a step of half a deviation is found. Ours and river's detectors on the same streams.

Neighbour: `detection_drift` asks for the table.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

SAMPLES, EVERY = 10_000, 15.0
SHIFT_AT, SHIFT, WITHIN = 1_500, 0.5, 720
"""A step at this sample by so many deviations; what is not found within so many samples is missed: by then a rolling reference has become what is new."""
CHAINED = 0.9
KINDS = ("independent", "AR(1) 0.9")
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Row:
    """`alarms`: per 10,000 samples by kind of stream; `delay`: median samples to the first alarm after the step (inf if most miss it); `missed`: share of the streams."""

    name: str
    alarms: dict[str, float]
    delay: float
    missed: float


def streams(kind: str, number: int, length: int, seed: int) -> Floats:
    """(number, length), standard normal, independent or an autoregression."""
    noise = np.random.default_rng(seed).normal(size=(number, length))
    if kind == KINDS[0]:
        return noise
    held = noise[:, 0].copy()
    for i in range(1, length):
        held = CHAINED * held + np.sqrt(1.0 - CHAINED**2) * noise[:, i]
        noise[:, i] = held
    return noise


def ours(values: Floats) -> list[list[int]]:
    """Sample numbers at which an alarm of the detector `drift`, as a rule has it by default, begins."""
    from aiops.detect.drift import Drift
    from aiops.domain.series import SampleBatch

    detector, held = Drift(), np.zeros(len(values), dtype=bool)
    begun: list[list[int]] = [[] for _ in values]
    labels = tuple({"stream": f"{i:03d}"} for i in range(len(values)))
    for i in range(values.shape[1]):
        at = 1.79e9 + EVERY * i
        scores = detector.assess(SampleBatch("bench", "q", at, labels, np.full(len(values), at), values[:, i])).scores
        for row in np.flatnonzero(scores.breach & ~held):
            begun[row].append(i)
        held = (held | scores.breach) & ~scores.recovered
    return begun


def _river(make: Callable[[], Any]) -> Callable[[Floats], list[list[int]]]:
    def alarms(values: Floats) -> list[list[int]]:
        begun: list[list[int]] = []
        for line in values.tolist():
            detector = make()
            begun.append([])
            for i, value in enumerate(line):
                detector.update(value)
                if detector.drift_detected:
                    begun[-1].append(i)
        return begun

    return alarms


def sides() -> dict[str, Callable[[Floats], list[list[int]]]]:
    """By name; river's as they are by default, which is what the detectors `adwin` and `pageHinkley` find too."""
    from river import drift

    return {"ours, drift": ours, "river ADWIN": _river(drift.ADWIN), "river Page-Hinkley": _river(drift.PageHinkley)}


def measured(number: int, samples: int, told: Callable[[str], None]) -> Sequence[Row]:
    """`number` streams of each kind."""
    made = {kind: streams(kind, number, samples, 1) for kind in KINDS}
    stepped = streams(KINDS[0], number, SHIFT_AT + WITHIN, 2)
    stepped[:, SHIFT_AT:] += SHIFT
    rows = []
    for name, alarms in sides().items():
        false = {kind: sum(map(len, alarms(values))) / (number * samples / 10_000) for kind, values in made.items()}
        found = [min([i - SHIFT_AT for i in line if i >= SHIFT_AT], default=np.inf) for line in alarms(stepped)]
        rows.append(Row(name, false, float(np.quantile(found, 0.5, method="lower")), float(np.mean(np.isinf(found)))))
        told(f"drift, streams: {name}")
    return rows
