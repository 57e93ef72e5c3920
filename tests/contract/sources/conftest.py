"""The sources under contract, each holding the same data: Prometheus and Elasticsearch for real, and ours in memory."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from aiops.adapters.clock import SystemClock
from aiops.adapters.elasticsearch import ElasticsearchSource
from aiops.adapters.http import HttpClient, HttpOptions
from aiops.adapters.memory_logs import MemoryLogs
from aiops.adapters.memory_prometheus import MemoryPrometheus, MemorySeriesStore
from aiops.adapters.prometheus import ApiClientSource, PrometheusSource
from aiops.ports.sources import LogSource, MetricSource
from tests.contract.sources import records, remote_write, samples
from tests.testbed.elasticsearch import Elasticsearch
from tests.testbed.prometheus import Prometheus


@pytest.fixture(scope="session")
def prometheus_with_samples() -> Iterator[Prometheus]:
    """A Prometheus of its own, since the shared one takes no remote writes. Its evaluation interval is the default, one minute."""
    server = Prometheus(scrape_interval="1m")
    server.server.command.append("--web.enable-remote-write-receiver")
    try:
        server.start()
        remote_write.push(server.url, samples.all_series())
        yield server
    finally:
        server.stop()


@pytest.fixture(scope="session")
def real(prometheus_with_samples: Prometheus) -> Iterator[PrometheusSource]:
    source = PrometheusSource("metrics", HttpClient("metrics", HttpOptions(prometheus_with_samples.url), SystemClock()))
    yield source
    source.close()


@pytest.fixture(scope="session")
def reference_client(prometheus_with_samples: Prometheus) -> ApiClientSource:
    return ApiClientSource("metrics", HttpClient("metrics", HttpOptions(prometheus_with_samples.url), SystemClock()))


@pytest.fixture(scope="session")
def memory() -> MemoryPrometheus:
    """Half of the series are written one by one, the others as rows of a scrape: both ways in must give the same."""
    store = MemorySeriesStore()
    for number, (labels, found) in enumerate(samples.all_series()):
        if number % 2:
            store.append_many(labels, [t for t, _ in found], [v for _, v in found])
        else:
            for t, v in found:
                store.append(labels, t, v)
    return MemoryPrometheus("metrics", store)


@pytest.fixture(params=["memory", "real", "reference_client"])
def metrics(request: pytest.FixtureRequest) -> MetricSource:
    """Every implementation of `MetricSource`, with the samples of `samples.py`."""
    source: MetricSource = request.getfixturevalue(request.param)
    return source


@pytest.fixture(scope="session")
def elasticsearch_logs(elasticsearch: Elasticsearch) -> Iterator[ElasticsearchSource]:
    """A real Elasticsearch with the records of `records.py`: fields are keywords, the message is analysed text."""
    mapping = {
        "mappings": {
            "dynamic_templates": [{"keywords": {"match_mapping_type": "string", "mapping": {"type": "keyword"}}}],
            "properties": {"@timestamp": {"type": "date"}, "message": {"type": "text"}, "took": {"type": "double"}},
        }
    }
    lines: list[dict[str, object]] = []
    for record in records.all_records():
        fields = _nested(record.fields)
        lines += [{"index": {"_index": record.index}}, {"@timestamp": round(record.at * 1000), "message": record.message, **fields}]
    for index in (records.INDEX, records.OTHER):
        assert elasticsearch.request("PUT", f"/{index}", mapping)[0] == 200
    status, answer = elasticsearch.request("POST", "/_bulk?refresh=true", lines)
    assert status == 200
    assert not answer["errors"]
    source = ElasticsearchSource("logs", HttpClient("logs", HttpOptions(elasticsearch.url), SystemClock()), SystemClock())
    yield source
    source.close()
    for index in (records.INDEX, records.OTHER):
        elasticsearch.request("DELETE", f"/{index}")


def _nested(fields: dict[str, str]) -> dict[str, object]:
    """As log shippers write them: `kubernetes.pod` is a `pod` inside a `kubernetes`."""
    made: dict[str, object] = {}
    for name, value in fields.items():
        outer, _, inner = name.partition(".")
        made[outer] = {inner: value} if inner else value
    return made


@pytest.fixture(scope="session")
def memory_logs() -> MemoryLogs:
    source = MemoryLogs("logs")
    # Not in the order of time, on purpose.
    for record in sorted(records.all_records(), key=lambda r: (r.message, r.at)):
        source.add(record.at, record.message, record.fields, index=record.index)
    return source


@pytest.fixture(params=["memory_logs", "elasticsearch_logs"])
def logs(request: pytest.FixtureRequest) -> LogSource:
    """Every implementation of `LogSource`, with the records of `records.py`."""
    source: LogSource = request.getfixturevalue(request.param)
    return source
