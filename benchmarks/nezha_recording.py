"""Recorded metrics and logs of services as a recording of ours. Neighbour: `nezha` plays it.

Metrics are a row a minute and pod. Requests a second are counts of a quarter of a minute (their smallest step is 1/15), and are put back into a counter as such.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from aiops.adapters.memory_logs import MemoryLogs
from aiops.domain.rule import LogQuery, Rule
from aiops.domain.series import SeriesRange
from aiops.replay.bundle import Bundle, LogAnswer, Manifest
from aiops.replay.record import lines_answer

POD = re.compile(r"-[0-9a-f]{6,10}-[a-z0-9]{5}$")
LEVEL = re.compile(r"\b(INFO|WARN|ERROR|DEBUG|FATAL)\b")
COUNTED = 15.0
"""Seconds that a sample's rate of requests was counted over."""
METRICS: Mapping[str, tuple[str, Mapping[str, str], float]] = {
    "CpuUsageRate(%)": ("workload:cpu_of_limit:ratio", {}, 0.01),
    "PodServerLatencyP90(s)": ("workload:request_duration_seconds:p90", {"side": "server"}, 1.0),
    "PodClientLatencyP90(s)": ("workload:request_duration_seconds:p90", {"side": "client"}, 1.0),
}


def workload(pod: str) -> str:
    """A Deployment's name, as its pods' names hold it."""
    return POD.sub("", pod)


def recording(folder: Path, system: str, rules: Sequence[Rule]) -> Bundle:
    """One system's metrics, and the lines that rules would have been answered wherever logs were kept."""
    import pandas as pd  # deferred: slow to load

    table = pd.read_csv(folder / f"{system}_metrics.csv.xz")
    table["workload"] = table["PodName"].map(workload)
    series: list[SeriesRange] = []
    for name, rows in table.groupby("workload"):
        by_time = rows.groupby("TimeStamp")
        labels = {"namespace": system, "workload": str(name)}
        for column, (metric, more, unit) in METRICS.items():
            values = by_time[column].max().dropna() * unit  # of several pods the worst
            series.append(SeriesRange({"__name__": metric, **labels, **more}, values.index.to_numpy(dtype=np.float64), values.to_numpy(dtype=np.float64)))
        counts = by_time["PodWorkload(Ops)"].sum() * COUNTED
        total = np.cumsum(counts.to_numpy(dtype=np.float64))
        series.append(SeriesRange({"__name__": "http_requests_total", **labels, "code": "200"}, counts.index.to_numpy(dtype=np.float64), total))
    start, end = float(table["TimeStamp"].min()), float(table["TimeStamp"].max()) + 60.0
    answers = tuple(log_answers(sorted((folder / "logs").glob("*.csv.xz")), system, rules)) if system == "trainticket" else ()
    manifest = Manifest(f"Nezha, {system}", start, end, 0.0, "default", "prometheus", "elasticsearch", len(series), sum(len(s.times) for s in series), 0)
    return Bundle(manifest, tuple(series), answers, ())


def log_answers(files: Sequence[Path], system: str, rules: Sequence[Rule]) -> Iterator[LogAnswer]:
    """What the rules that ask for lines would have been answered within the spans of the files; outside of them nothing is known."""
    logs, spans = MemoryLogs("elasticsearch"), []
    for path in files:
        records = sorted(_records(path))
        if records:
            spans.append((records[0][0], records[-1][0]))
        for at, pod, text in records:
            level = LEVEL.search(text)
            fields = {"kubernetes.namespace": system, "kubernetes.labels.app": workload(pod), "level": level.group(1) if level else "INFO"}
            logs.add(at, text, fields, index="logs-replayed")
    for rule in (r for r in rules if isinstance(r.query, LogQuery) and r.query.lines):
        assert isinstance(rule.query, LogQuery)
        for first, last in joined(spans):
            at = np.ceil(first / rule.every) * rule.every
            while at <= last:
                yield lines_answer(rule.query, float(at), logs.samples(rule.query, at - rule.query.window, at, rule.query.lines))
                at += rule.every


def joined(spans: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """Spans that overlap are one."""
    found: list[tuple[float, float]] = []
    for first, last in sorted(spans):
        if found and first <= found[-1][1]:
            found[-1] = (found[-1][0], max(last, found[-1][1]))
        else:
            found.append((first, last))
    return found


def _records(path: Path) -> Iterator[tuple[float, str, str]]:
    import pandas as pd  # deferred: slow to load

    for stamp, pod, text in pd.read_csv(path, usecols=["Timestamp", "PodName", "Log"]).dropna().itertuples(index=False):
        yield _seconds(str(stamp)), str(pod), str(text)


def _seconds(stamp: str) -> float:
    """Unix seconds of `2023-01-29T09:20:11.366246089Z`, with or without the Z: all are UTC."""
    whole, _, fraction = stamp.rstrip("Z").partition(".")
    return datetime.fromisoformat(whole).replace(tzinfo=UTC).timestamp() + float(f"0.{fraction or '0'}")
