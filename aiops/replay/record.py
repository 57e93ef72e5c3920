"""Recording: cluster changes while they happen, metrics and log counts for the span afterwards.

Neighbours: `cli record` drives it through `app`; `replay.bundle` is the format. Reads only.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from aiops.domain.redaction import redact_line
from aiops.domain.rule import LINE_LABEL, LogQuery, Rule
from aiops.domain.series import LogLine, SeriesRange, series_id
from aiops.ports.cluster import ClusterView
from aiops.ports.sources import LogSource, RawSource
from aiops.replay.bundle import Bundle, ClusterChange, LogAnswer, Manifest

# What planning and topology read. Events and leases change all the time and no rule needs them.
RECORDED_KINDS = (
    "Namespace", "Node", "Deployment", "StatefulSet", "ReplicaSet", "Pod", "HorizontalPodAutoscaler", "PodDisruptionBudget", "ConfigMap",
)

MAX_LINE = 2000
"""Characters of a log line that are kept: more than its template is made of."""


def query_key(query: LogQuery) -> str:
    """The identity of a log query in a bundle: everything that decides its answer."""
    parts: tuple[object, ...] = (
        query.index, query.window, sorted(query.where.items()), sorted(query.exclude.items()), query.phrase, query.group_by,
        query.time_field, query.message_field,
    )  # fmt: skip
    # What a query does not use is not part of it: recordings made before it was known are still found.
    return repr((*parts, *sorted(query.histogram.items()), *([query.lines] if query.lines else [])))


def lines_answer(query: LogQuery, at: float, lines: Iterable[LogLine]) -> LogAnswer:
    """Lines as a recording holds them: one series each, without credentials, as long as templates need them."""
    labels = tuple({LINE_LABEL: redact_line(line.text)[:MAX_LINE], **{f: line.fields[f] for f in query.group_by if f in line.fields}} for line in lines)
    return LogAnswer(at, query_key(query), labels, (1.0,) * len(labels))


def log_answers(rules: Sequence[Rule], logs: LogSource, span: tuple[float, float]) -> list[LogAnswer]:
    """What rules of this source were or would have been answered from start to end, as often as each asks."""
    answers: list[LogAnswer] = []
    for rule in rules:
        if isinstance(rule.query, LogQuery) and rule.source == logs.name:
            at, end = span
            while at <= end:
                answers.append(_answer(logs, rule.query, at))
                at += rule.every
    return answers


def _answer(logs: LogSource, query: LogQuery, at: float) -> LogAnswer:
    if query.lines:
        return lines_answer(query, at, logs.samples(query, at - query.window, at, query.lines, whole=True))
    batch = logs.counts(query, at)
    return LogAnswer(at, query_key(query), tuple(batch.labels), tuple(batch.values.tolist()))


@dataclass
class ClusterRecorder:
    """Compares the cached view with what was seen last: one change for each object that appeared, changed or vanished."""

    view: ClusterView
    changes: list[ClusterChange] = field(default_factory=list)
    _seen: dict[str, tuple[str, dict[str, Any]]] = field(default_factory=dict)

    def look(self, now: float) -> None:
        """Take down what changed since the last look."""
        present: set[str] = set()
        for kind in RECORDED_KINDS:
            for stored in self.view.objects(kind):
                item = {"kind": kind, **stored}
                meta = item["metadata"]
                key = f"{kind}/{meta.get('namespace', '')}/{meta['name']}/{meta.get('uid', '')}"
                present.add(key)
                version = str(meta.get("resourceVersion", ""))
                before = self._seen.get(key)
                if before is None or before[0] != version:
                    self._seen[key] = (version, item)
                    self.changes.append(ClusterChange(now, "MODIFIED" if before else "ADDED", item))
        for key in set(self._seen) - present:
            self.changes.append(ClusterChange(now, "DELETED", self._seen.pop(key)[1]))


def collect(
    description: str,
    span: tuple[float, float],
    lookback: float,
    selectors: Iterable[str],
    rules: Sequence[Rule],
    metrics: RawSource,
    logs: LogSource | None,
    recorder: ClusterRecorder,
    cluster: str,
) -> Bundle:
    """Everything for `span` (start, end; Unix seconds). `selectors`: the PromQL vector selectors the rules and runbooks stand on."""
    start, end = span
    series: dict[str, SeriesRange] = {}
    for selector in sorted(set(selectors)):
        for one in metrics.samples(selector, start - lookback, end).series:
            series.setdefault(series_id(one.labels), one)
    answers = log_answers(rules, logs, span) if logs is not None else []
    manifest = Manifest(
        description, start, end, lookback, cluster, metrics.name, logs.name if logs else "",
        len(series), sum(len(s.times) for s in series.values()), len(recorder.changes),
    )
    return Bundle(manifest, tuple(series.values()), tuple(answers), tuple(recorder.changes))
