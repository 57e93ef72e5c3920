"""The same port over the prometheus-api-client package, the reference client: settings choose it by `client: prometheus-api-client`.

The package builds the requests and reads the JSON; its session is ours, so that deadline, size, credentials and errors are the same as elsewhere.
It drops warnings and the result's type, so the document that it read is remembered on the way. Neighbours: `source`, `adapters.http`.
"""

from __future__ import annotations

import threading
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

import msgspec
import numpy as np
import requests

from aiops.adapters.http import HttpClient
from aiops.adapters.prometheus.decode import Decoded, Envelope, number, partial, warnings
from aiops.adapters.prometheus.ranges import joined, pieces
from aiops.adapters.prometheus.refusals import failure, only_numbers, only_series, refusal
from aiops.adapters.prometheus.source import PrometheusOptions
from aiops.domain.errors import SourceGarbledError
from aiops.domain.series import RangeBatch, SampleBatch


class _Answer(requests.Response):
    """A response with its body at hand; remembers the document when it is read."""

    document: Any = None

    def __init__(self, status: int, body: bytes) -> None:
        super().__init__()
        self.status_code, self._content, self._content_consumed = status, body, True

    def json(self, **kwargs: Any) -> Any:
        self.document = super().json(**kwargs)
        return self.document


class _Session(requests.Session):
    """What the package takes for its session: each request goes through `HttpClient`. The last answer is kept for each thread."""

    def __init__(self, http: HttpClient, method: str) -> None:
        super().__init__()
        self._http, self._method = http, method
        self._kept = threading.local()

    def last(self) -> _Answer:
        """The answer to this thread's last request."""
        answer: _Answer = self._kept.answer
        return answer

    def request(self, method: str | bytes, url: str | bytes, params: Any = None, **_: Any) -> _Answer:  # type: ignore[override]
        """Send; raises the SourceError family, which passes through the package."""
        del method
        path = str(url)[len(self._http.options.url.rstrip("/")) :]
        if self._method == "GET":
            answer = self._http.call("GET", f"{path}?{urlencode(params or {})}")
        else:
            answer = self._http.call("POST", path, form=params or {})
        if not 200 <= answer.status < 300:
            raise failure(self._http, answer.status, answer.headers, answer.body)
        self._kept.answer = _Answer(200, answer.body)
        return self.last()


class ApiClientSource:
    """One Prometheus through `prometheus_api_client.PrometheusConnect`. Safe to use from several threads."""

    def __init__(self, name: str, http: HttpClient, options: PrometheusOptions | None = None) -> None:
        # Deferred: most installations use the other client.
        from prometheus_api_client import PrometheusConnect
        from urllib3.util.retry import Retry

        self._name, self._http = name, http
        self._options = options or PrometheusOptions()
        self._session = _Session(http, self._options.method)
        self._client = PrometheusConnect(url=http.options.url.rstrip("/"), session=self._session, retry=Retry(0), method=self._options.method)

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
        """As `PrometheusSource.instant`."""
        found = only_numbers(self._http, self._ask(self._client.custom_query, query, params=self._parameters(time=at)))
        return SampleBatch(self._name, query, at, found.labels, found.times, found.values, found.warnings, found.partial)

    def range(self, query: str, start: float, end: float, step: float) -> RangeBatch:
        """As `PrometheusSource.range`."""
        answers: list[Decoded] = []
        for first, last in pieces(start, end, step, self._options.max_points):
            # The package rounds both ends to whole seconds; its `params` win over what it made.
            times = {"start_time": datetime.fromtimestamp(first, UTC), "end_time": datetime.fromtimestamp(last, UTC), "step": f"{step:.3f}"}
            parameters = self._parameters(start=first, end=last)
            answers.append(only_series(self._http, self._ask(self._client.custom_query_range, query, **times, params=parameters)))
        said = tuple(dict.fromkeys(w for a in answers for w in a.warnings))
        return RangeBatch(self._name, query, start, end, step, joined(answers), said, any(a.partial for a in answers))

    def _parameters(self, **times: float) -> dict[str, str]:
        sent = {name: f"{value:.3f}" for name, value in times.items()}
        return {**sent, "timeout": f"{self._http.options.deadline:.3f}", **self._options.parameters}

    def _ask(self, method: Any, query: str, **arguments: Any) -> Decoded:
        try:
            method(query, **arguments)
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            # The package looks for data and result without asking whether they are there.
            document = self._session.last().document
            if isinstance(document, dict) and document.get("status") == "error":
                raise refusal(self._http, _envelope(self._name, document)) from error
            raise SourceGarbledError(self._name, "Garbled", self._http.scrubbed(str(error))) from error
        document = self._session.last().document
        envelope = _envelope(self._name, document)
        if envelope.status != "success":
            raise refusal(self._http, envelope)
        try:
            found = _columns(document["data"])
        except (ValueError, KeyError, TypeError, IndexError) as error:
            raise SourceGarbledError(self._name, "Garbled", f"wrong shape: {type(error).__name__}") from error
        found.warnings += tuple(map(self._http.scrubbed, warnings(envelope)))
        found.partial = found.partial or partial(envelope)
        return found


def _envelope(name: str, document: dict[str, Any]) -> Envelope:
    try:
        return msgspec.convert({k: v for k, v in document.items() if k != "data"}, Envelope)
    except msgspec.ValidationError as error:
        raise SourceGarbledError(name, "Garbled", str(error)) from error


def _columns(data: dict[str, Any]) -> Decoded:
    """Columns from `data` as json read it. Raises ValueError, KeyError, TypeError or IndexError on a wrong shape."""
    kind, result = data["resultType"], data["result"]
    if kind == "string":
        return Decoded(kind, text=str(result[1]))
    if kind == "scalar":
        return Decoded(kind, ({},), np.array([float(result[0])]), np.array([number(result[1])]))
    key, histogram = ("value", "histogram") if kind == "vector" else ("values", "histograms")
    if kind not in ("vector", "matrix"):
        raise ValueError("unknown result type")
    plain = [item for item in result if key in item]
    if any(key not in item and histogram not in item for item in result):
        raise KeyError(key)
    found = Decoded(kind)
    lines = [(_labels(item["metric"]), [item[key]] if kind == "vector" else item[key]) for item in plain]
    columns = [np.array([(float(at), number(text)) for at, text in points], dtype=np.float64).reshape(-1, 2) for _, points in lines]
    if kind == "matrix":
        found.series = [(labels, c[:, 0].copy(), c[:, 1].copy()) for (labels, _), c in zip(lines, columns, strict=True)]
    else:
        both = np.concatenate(columns) if columns else np.empty((0, 2))
        found.labels, found.times, found.values = tuple(labels for labels, _ in lines), both[:, 0].copy(), both[:, 1].copy()
    if left_out := sum(histogram in item for item in result):
        found.warnings, found.partial = (f"{left_out} native histograms were left out: only numbers are read",), True
    return found


def _labels(metric: Any) -> dict[str, str]:
    if not isinstance(metric, dict) or not all(isinstance(v, str) for v in metric.values()):
        raise TypeError("labels must be texts")
    return metric
