"""What a bank reports. Neighbours: `bank` makes them, `pipeline.observe` makes signals of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from aiops.detect.groups import Measure
from aiops.domain.series import Labels
from aiops.domain.signal import Evidence, Severity, SignalState


@dataclass(frozen=True, slots=True)
class Finding:
    """One transition of one series' alarm: it began, changed severity, cleared, or lapsed because nobody could see it any more.

    `series` is `series_id(labels)`; `at` Unix seconds of the sample (of the poll, for absence). `reason` is a CamelCase code: of the detector
    (`ThresholdCrossed` …), `SeriesAbsent`, `SeverityRaised`, `SeverityLowered`, `Recovered`, `RegimeChanged`, `AbsentIsRecovered` or `NoLongerSeen`.
    """

    series: str
    labels: Labels
    state: SignalState
    severity: Severity
    at: float
    evidence: Evidence
    reason: str


@dataclass(frozen=True, slots=True)
class Observed:
    """One poll's outcome.

    `scored`: samples that were judged or learned from. `states`: how many known series are `warming`, `ready`, `blind` (absent or not
    measured), and how many of the answer are `shed`, since there is no room for them. `dropped`: samples that were not looked at, by reason. `measures`: for our own metrics.
    """

    findings: tuple[Finding, ...]
    scored: int
    states: Mapping[str, int]
    dropped: Mapping[str, int]
    measures: tuple[Measure, ...] = ()
