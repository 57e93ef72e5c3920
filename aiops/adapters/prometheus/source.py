"""`MetricSource` over the Prometheus HTTP API: POST forms out, columns in.

Neighbours: `adapters.http` carries the requests, `decode` reads the answers, `refusals` names the errors, `ranges` splits what is too long.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

from aiops.adapters.http import HttpClient
from aiops.adapters.prometheus.decode import AnswerDecoder, Decoded, RefusedError
from aiops.adapters.prometheus.labels import LabelTable
from aiops.adapters.prometheus.ranges import MAX_POINTS, joined, pieces
from aiops.adapters.prometheus.refusals import failure, only_numbers, only_series, refusal
from aiops.domain.errors import SourceGarbledError
from aiops.domain.series import RangeBatch, SampleBatch, SeriesRange

RAW_SPAN_MS = 1_800_000
"""Milliseconds of raw samples in one request: an hour of a second's scrapes of many series would pass the server's bound on samples."""


@dataclass(frozen=True, slots=True)
class PrometheusOptions:
    """`method` POST, or GET for proxies that let nothing else through. `parameters` are sent with each query (Thanos: `partial_response`, `dedup`).

    `max_points` a series in one range request; `max_labels` label sets kept for the next poll.
    """

    method: str = "POST"
    max_points: int = MAX_POINTS
    max_labels: int = 200_000
    parameters: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Raises ValueError that names the option."""
        if self.method not in ("POST", "GET"):
            raise ValueError("method: must be POST or GET")
        if self.max_points < 1 or self.max_labels < 1:
            raise ValueError("max_points, max_labels: must be at least 1")


class PrometheusSource:
    """One Prometheus. Safe to use from several threads."""

    def __init__(self, name: str, http: HttpClient, options: PrometheusOptions | None = None) -> None:
        self._name, self._http = name, http
        self._options = options or PrometheusOptions()
        self._labels = LabelTable(self._options.max_labels)

    @property
    def name(self) -> str:
        """As rules name it."""
        return self._name

    @property
    def last_skew(self) -> float | None:
        """Seconds by which the server's clock was ahead of ours at the last answer; None before the first."""
        return self._http.last_skew

    def close(self) -> None:
        """Close the pooled connections."""
        self._http.close()

    def instant(self, query: str, at: float) -> SampleBatch:
        """Evaluate at `at` (Unix seconds, to the millisecond). Raises the SourceError family."""
        found = only_numbers(self._http, self._ask("api/v1/query", {"query": query, "time": f"{at:.3f}"}))
        return SampleBatch(self._name, query, at, found.labels, found.times, found.values, found.warnings, found.partial)

    def range(self, query: str, start: float, end: float, step: float) -> RangeBatch:
        """Evaluate from `start` to `end` inclusive each `step` seconds (whole milliseconds); more than `max_points` become several requests."""
        answers: list[Decoded] = []
        for first, last in pieces(start, end, step, self._options.max_points):
            form = {"query": query, "start": f"{first:.3f}", "end": f"{last:.3f}", "step": f"{step:.3f}"}
            answers.append(only_series(self._http, self._ask("api/v1/query_range", form)))
        warnings = tuple(dict.fromkeys(w for a in answers for w in a.warnings))
        return RangeBatch(self._name, query, start, end, step, joined(answers), warnings, any(a.partial for a in answers))

    def samples(self, selector: str, start: float, end: float) -> RangeBatch:
        """The samples as they were scraped, with `start < t <= end`; `step` is 0. Staleness marks are not among them: the API does not give them."""
        answers: list[Decoded] = []
        first, last = round(start * 1000), round(end * 1000)
        while first < last:
            until = min(first + RAW_SPAN_MS, last)
            form = {"query": f"{selector}[{until - first}ms]", "time": f"{until / 1000:.3f}"}
            answers.append(only_series(self._http, self._ask("api/v1/query", form)))
            first = until
        warnings = tuple(dict.fromkeys(w for a in answers for w in a.warnings))
        # Older servers count the left end of a range in, newer ones do not.
        kept = [(s.labels, s.times > start, s) for s in joined(answers)]
        series = tuple(SeriesRange(labels, s.times[inside], s.values[inside]) for labels, inside, s in kept if inside.any())
        return RangeBatch(self._name, selector, start, end, 0.0, series, warnings, any(a.partial for a in answers))

    def _ask(self, path: str, form: dict[str, str]) -> Decoded:
        # The server is told our deadline, so it stops working for us when we have left.
        sent = {**form, "timeout": f"{self._http.options.deadline:.3f}", **self._options.parameters}
        request: dict[str, Any] = {"form": sent}
        if self._options.method == "GET":
            path, request = f"{path}?{urlencode(sent)}", {}
        decoder = AnswerDecoder(self._labels)
        with self._http.stream(self._options.method, path, **request) as answer:
            if not answer.ok:
                raise failure(self._http, answer.status, answer.headers, answer.read())
            try:
                for piece in answer.chunks():
                    decoder.feed(piece)
                found = decoder.finish()
            except RefusedError as error:
                raise refusal(self._http, error.envelope) from error
            except ValueError as error:
                raise SourceGarbledError(self._name, "Garbled", self._http.scrubbed(str(error))) from error
        return dataclasses.replace(found, warnings=tuple(map(self._http.scrubbed, found.warnings)))
