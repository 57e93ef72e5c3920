"""Detectors that judge a whole answer: many of its series make one subject (buckets of a histogram, pods of a workload, windows of an objective).

Where `contract.Detector` scores one number a series, these fold the answer first and hand back one value a subject, judged. From there on the `bank`
treats subjects as it treats series: hold, dead bands, absence, evidence. Subjects do not depend on the order of series in an answer.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from aiops.detect.contract import Scores
from aiops.domain.series import Floats, Labels, SampleBatch


@dataclass(frozen=True, slots=True)
class Measure:
    """A number for our own metrics: `name` as `adapters.telemetry` declares it."""

    name: str
    value: float
    labels: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Assessed:
    """One value for each subject of an answer, and what is thought of it; `scores` is parallel to `labels`. `dropped`: series not looked at, by reason."""

    labels: Sequence[Labels]
    values: Floats
    scores: Scores
    measures: tuple[Measure, ...] = ()
    dropped: Mapping[str, int] | None = None


class GroupDetector(Protocol):
    """State of one rule's subjects, by `series_id` of their labels."""

    @property
    def reason(self) -> str:
        """CamelCase code of what a breach means."""
        ...

    def assess(self, batch: SampleBatch, *, learn: bool = True) -> Assessed:
        """Judge an answer, then learn from it (unless told not to: it is known to be incomplete). Answers not newer than the last teach nothing."""
        ...

    def lines(self, subject: str) -> tuple[str, ...]:
        """What stands behind the last verdict on a subject, for people; empty if nothing is known of it."""
        ...

    def forget(self, subjects: Sequence[str]) -> None:
        """These are gone."""
        ...

    def snapshot(self) -> bytes:
        """All that was learned."""
        ...

    def restore(self, data: bytes) -> None:
        """Continue exactly where `snapshot` was taken. Raises ValueError if it is damaged or of other parameters; the state is then as before."""
        ...


@runtime_checkable
class Versioned(Protocol):
    """A group detector whose references outlive its snapshots: small documents, by subject and feature."""

    def retrained(self, subject: str, at: float) -> None:
        """The model of a subject was trained at `at` (Unix seconds): what was usual before says nothing any more."""
        ...

    def references(self) -> Mapping[str, Any]:
        """What changed since `kept`, JSON-ready, by key; None: it is void."""
        ...

    def kept(self) -> None:
        """What `references` gave is stored."""
        ...

    def recall(self, documents: Mapping[str, Any]) -> None:
        """What was stored, for a start without a snapshot. What does not fit is left out."""
        ...
