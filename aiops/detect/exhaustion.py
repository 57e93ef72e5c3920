"""Capacity rules: something will run out before it can be helped, and enough of it is used for that to be believed.

One answer holds what was forecast, by subject (`pipeline.capacity` makes it), so nothing is learned here. What is beyond its limit already is a prediction no more: the claim ends, the
rule about the level itself has it. Neighbour: `groups` is the contract.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from aiops.detect.arrays import nan
from aiops.detect.contract import MAX_SCORE, Scores
from aiops.detect.groups import Assessed, Measure
from aiops.detect.worded import Worded
from aiops.domain.duration import format_duration
from aiops.domain.rule import EXHAUSTION_LABEL
from aiops.domain.series import SampleBatch, series_id

CALM = 0.5
"""Share of the allowed probability at which a claim ends."""


class Exhaustion(Worded):
    """`probability`: of meeting the limit within the lead time, that is allowed; `critical`: from which on it is critical. `gate`: share of the limit in use, at least.

    With `stays` the opposite is claimed: that the limit will not be met within the lead time, but for that probability, while less than `gate` of it is in use.
    """

    name = "exhaustion"

    def __init__(self, *, probability: float = 0.1, critical: float = 0.5, gate: float = 0.5, stays: bool = False) -> None:
        if not 0.0 < probability <= critical <= 1.0 or not 0.0 <= gate < 1.0:
            raise ValueError(f"exhaustion: 0 < probability ({probability:g}) <= critical ({critical:g}) <= 1 and 0 <= gate ({gate:g}) < 1 must hold")
        self._allowed, self._critical, self._gate, self._stays = probability, critical, gate, stays
        self.reason = "StaysFree" if stays else "RunsOut"
        super().__init__()

    def assess(self, batch: SampleBatch, *, learn: bool = True) -> Assessed:
        """As the contract says; an incomplete answer says nothing."""
        subjects: dict[str, dict[str, float]] = {}
        labels_of: dict[str, dict[str, str]] = {}
        for labels, value in zip(batch.labels, batch.values.tolist(), strict=True):
            plain = {k: v for k, v in labels.items() if k not in (EXHAUSTION_LABEL, "__name__")}
            subject = series_id(plain)
            labels_of[subject] = plain
            if EXHAUSTION_LABEL in labels:
                subjects.setdefault(subject, {})[labels[EXHAUSTION_LABEL]] = value
        names = sorted(subjects)
        if learn:
            self._lines = {s: tuple(_words(subjects[s])) for s in names}
        soon = np.array([_lead(subjects[s]) if learn else math.nan for s in names], dtype=np.float64)
        use = np.array([subjects[s].get("use", math.nan) for s in names], dtype=np.float64)
        measures = tuple(Measure("exhaustion_probability", p, labels_of[s]) for s, p in zip(names, soon.tolist(), strict=True) if math.isfinite(p))
        return Assessed([labels_of[s] for s in names], soon, self._scores(soon, use), measures)

    def _scores(self, soon: np.ndarray, use: np.ndarray) -> Scores:
        with np.errstate(invalid="ignore"):
            ready = np.isfinite(soon) & (soon >= 0.0) & np.isfinite(use)
            still_to_come = (use >= self._gate) & (use < 1.0)
            breach = ready & (soon > self._allowed) & still_to_come
            recovered = ready & ((soon <= CALM * self._allowed) | ~still_to_come)
            score = np.where(ready, np.minimum(soon / self._allowed, MAX_SCORE) * np.where(still_to_come, 1.0, 0.5 / np.maximum(soon / self._allowed, 0.5)), np.nan)
            critical = breach & (soon >= self._critical)
            if self._stays:
                breach = ready & (soon <= self._allowed) & (use < self._gate)
                recovered = ready & ((soon > self._allowed / CALM) | (use >= self._gate))
                score, critical = np.where(ready, np.where(breach, 2.0 - 0.9 * soon / self._allowed, 0.5), np.nan), np.zeros(len(soon), dtype=np.bool_)
        size = len(soon)
        return Scores(
            score=score, expected=nan(size), lower=nan(size), upper=nan(size), ready=ready, breach=breach, critical=critical, recovered=recovered,
        )  # fmt: skip


def _lead(said: Mapping[str, float]) -> float:
    return next((v for k, v in said.items() if k.startswith("lead ")), math.nan)


def _words(said: Mapping[str, float]) -> list[str]:
    days = [said.get(name, math.inf) for name in ("p10", "p50", "p90")]
    words = ["the limit is met after " + ", ".join(f"{name} {_span(at)}" for name, at in zip(("P10", "P50", "P90"), days, strict=True))] if math.isfinite(days[0]) else []
    chances = [f"{v:.0%} within {k.partition(' ')[2]}" for k, v in said.items() if k.startswith(("within ", "lead "))]
    words.append(", ".join(dict.fromkeys(chances)) + (f"; {said['use']:.0%} of the limit is used" if "use" in said else ""))
    words += [k for k in said if k.startswith("model ")]
    return words


def _span(seconds: float) -> str:
    """To about a twentieth: `3d4h`, not to the second."""
    if not math.isfinite(seconds):
        return "later than the horizon"
    unit = 3600.0 if seconds >= 7200.0 else 60.0
    return format_duration(max(round(seconds / unit), 1) * unit) if seconds > 0.0 else "now"
