"""The sources under contract, each holding the same data: Prometheus and Elasticsearch for real, and ours in memory."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from aiops.adapters.clock import SystemClock
from aiops.adapters.http import HttpClient, HttpOptions
from aiops.adapters.memory_prometheus import MemoryPrometheus, MemorySeriesStore
from aiops.adapters.prometheus import ApiClientSource, PrometheusSource
from aiops.ports.sources import MetricSource
from tests.contract.sources import remote_write, samples
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
