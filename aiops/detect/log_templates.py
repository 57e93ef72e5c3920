"""Log lines by template: each template's rate is scored like a series, and one never seen before is a claim by itself.

Each series of an answer is one line: its labels hold the text and the fields it is grouped by. A subject is a template within a group, named by the template
as it was first seen. Memory is bounded by `drain.TEMPLATES` and `SUBJECTS`. Neighbours: `drain` mines, `log_rate` scores; `groups` is the contract.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from aiops.detect.arrays import pack, unpack
from aiops.detect.contract import Scores
from aiops.detect.drain import Drain, masked
from aiops.detect.groups import Assessed
from aiops.detect.log_rate import LogErrorRate
from aiops.domain.redaction import redact_line
from aiops.domain.rule import LINE_LABEL
from aiops.domain.series import SampleBatch, series_id

TEMPLATE = "template"
"""The label of a subject that holds its template."""
SUBJECTS = 2000
LINE, FIELD = 4096, 300
"""Characters of a line, and of a field that it is grouped by, beyond which it is not looked at."""
SAMPLES, SAMPLE = 3, 300
NAME = 200
TTL = 6 * 3600.0


@dataclass
class _Subject:
    """One template in one group. `row` in the rate detector; `new_until`: so long it counts as never seen before; `samples`: redacted lines."""

    labels: dict[str, str]
    row: int
    seen: float
    new_until: float = -math.inf
    samples: list[str] = field(default_factory=list)


class LogTemplates:
    """`minimum_count`, `ratio`: as `logErrorRate`. `new_count`: so many lines of a template never seen before are a claim, for `new_for` seconds; 0: never.

    `warm_up`: seconds at the beginning in which every template is new and none is told.
    """

    reason = "LogTemplateUnusual"

    def __init__(self, *, minimum_count: float = 10, ratio: float = 5.0, new_count: int = 3, new_for: float = 600.0, warm_up: float = 3600.0) -> None:
        self._new_count, self._new_for, self._warm_up = new_count, new_for, warm_up
        self._parameters = (minimum_count, ratio)
        self._rate = LogErrorRate(minimum_count=minimum_count, ratio=ratio)
        self._drain = Drain()
        self._subjects: dict[str, _Subject] = {}
        self._templates: dict[int, str] = {}
        self._free: list[int] = []
        self._rows = 0
        self._began, self._last, self._late_since = math.nan, -math.inf, math.nan

    def assess(self, batch: SampleBatch, *, learn: bool = True) -> Assessed:
        """As the contract says. An answer that is incomplete or not newer than the last is not judged."""
        nothing = np.empty(0)
        if not learn or not self._newer(batch.at):
            empty = self._rate.score_and_learn(np.empty(0, dtype=np.int64), nothing, nothing, learn=False)
            return Assessed((), nothing, empty)
        counts, dropped = self._counted(batch)
        self._expire(batch.at)
        subjects = sorted(self._subjects)
        rows = np.array([self._subjects[s].row for s in subjects], dtype=np.int64)
        values = np.array([counts.get(s, 0) for s in subjects], dtype=np.float64)
        scores = self._rate.score_and_learn(rows, np.full(len(rows), batch.at), values)
        fresh = np.array([self._new_count > 0 and batch.at < self._subjects[s].new_until and counts.get(s, 0) >= self._new_count for s in subjects], dtype=np.bool_)
        judged = Scores(
            score=np.where(fresh, np.fmax(scores.score, 1.0), scores.score), expected=scores.expected, lower=scores.lower, upper=scores.upper,
            ready=scores.ready | fresh, breach=scores.breach | fresh, critical=scores.critical, recovered=scores.recovered & ~fresh,
        )  # fmt: skip
        return Assessed([self._subjects[s].labels for s in subjects], values, judged, dropped=dropped)

    def _newer(self, at: float) -> bool:
        if not math.isfinite(at):
            return False
        if at <= self._last:
            self._late_since = min(at, self._late_since) if math.isfinite(self._late_since) else at
            if at == self._last or at - self._late_since < self._new_for:
                return False
            for subject in self._subjects.values():
                subject.seen = min(subject.seen, at)
        self._last, self._late_since = at, math.nan
        self._began = at if math.isnan(self._began) else min(self._began, at)
        return True

    def _counted(self, batch: SampleBatch) -> tuple[dict[str, int], dict[str, int]]:
        """Lines by subject; sorted first, so that their order in the answer does not matter."""
        counts: dict[str, int] = {}
        dropped: dict[str, int] = {}
        held = (LINE_LABEL, "__name__")
        lines = sorted((labels.get(LINE_LABEL, "")[:LINE], sorted((k, v[:FIELD]) for k, v in labels.items() if k not in held)) for labels in batch.labels)
        for text, group in lines:
            line = redact_line(text)
            number, new, gone = self._drain.add(line)
            if gone is not None:
                self._lose(self._templates.pop(gone, ""))
            if new:
                self._templates[number] = (" ".join(masked(line)) or "(empty)")[:NAME]
            labels = {**dict(group), TEMPLATE: self._templates[number]}
            key = series_id(labels)
            subject = self._subjects.get(key)
            if subject is None:
                if len(self._subjects) >= SUBJECTS:
                    dropped["SeriesLimit"] = dropped.get("SeriesLimit", 0) + 1
                    continue
                until = batch.at + self._new_for if new and batch.at - self._began >= self._warm_up else -math.inf
                subject = self._subjects[key] = _Subject(labels, self._take_row(), batch.at, until)
            subject.seen = batch.at
            if key not in counts:
                subject.samples = []
            if len(subject.samples) < SAMPLES:
                subject.samples.append(line[:SAMPLE])
            counts[key] = counts.get(key, 0) + 1
        return counts, dropped

    def _take_row(self) -> int:
        if self._free:
            return self._free.pop()
        self._rows += 1
        return self._rows - 1

    def _lose(self, template: str) -> None:
        self.forget([key for key, one in self._subjects.items() if one.labels[TEMPLATE] == template])

    def _expire(self, at: float) -> None:
        self.forget([key for key, one in self._subjects.items() if at - one.seen > TTL])

    def lines(self, subject: str) -> tuple[str, ...]:
        """Whether it was never seen before, and samples of it, redacted."""
        one = self._subjects.get(subject)
        if one is None:
            return ()
        new = self._last < one.new_until
        return (*(("a template never seen before",) if new else ()), *one.samples)

    def forget(self, subjects: Sequence[str]) -> None:
        """These are gone."""
        rows = [self._subjects.pop(s).row for s in subjects if s in self._subjects]
        self._free += rows
        self._rate.forget(np.array(rows, dtype=np.int64))

    def snapshot(self) -> bytes:
        """All that was learned."""
        subjects = {k: [s.labels, s.row, s.seen, s.new_until, s.samples] for k, s in self._subjects.items()}
        header: dict[str, Any] = {
            "detector": "logTemplates", "drain": self._drain.dump(), "subjects": subjects, "templates": sorted(self._templates.items()),
            "free": self._free, "rows": self._rows, "clock": [self._began, self._last, self._late_since],
        }
        return pack({"rate": np.frombuffer(self._rate.snapshot(), dtype=np.uint8)}, header)

    def restore(self, data: bytes) -> None:
        """As the contract says."""
        arrays, header = unpack(data)
        if header.get("detector") != "logTemplates":
            raise ValueError("snapshot is of another detector")
        rate = LogErrorRate(minimum_count=self._parameters[0], ratio=self._parameters[1])
        try:
            rate.restore(arrays["rate"].tobytes())
            drain = Drain.load(header["drain"])
            subjects = {str(k): _revived(one) for k, one in header["subjects"].items()}
            templates = {int(n): str(text) for n, text in header["templates"]}
            free, rows = [int(r) for r in header["free"]], int(header["rows"])
            began, last, late = map(float, header["clock"])
        except (KeyError, TypeError, AttributeError, IndexError) as error:
            raise ValueError(f"snapshot is damaged: {error}") from error
        self._rate, self._drain, self._subjects, self._templates, self._free, self._rows = rate, drain, subjects, templates, free, rows
        self._began, self._last, self._late_since = began, last, late


def _revived(dumped: Sequence[Any]) -> _Subject:
    labels, row, seen, until, samples = dumped
    held: Mapping[str, str] = labels
    return _Subject(dict(held), int(row), float(seen), float(until), list(map(str, samples)))
