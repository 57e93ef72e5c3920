"""pytest fixtures of the real servers, loaded by `tests/conftest.py`; each starts when a test first asks for it.

All last for the whole session and are shared: a test makes its own namespace, index, keys or scrape job and leaves
what it did not make alone. A test that kills or reconfigures a server starts one of its own.
When a test failed, the servers' folders (logs, audit log) are kept and their paths printed at the end.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Protocol, TypeVar

import pytest

from tests.testbed.alertmanager import Alertmanager
from tests.testbed.elasticsearch import Elasticsearch
from tests.testbed.plane import KubernetesPlane
from tests.testbed.postgres import Postgres
from tests.testbed.prometheus import Prometheus
from tests.testbed.redis import Redis


class _Startable(Protocol):
    folder: Path

    def start(self) -> None: ...

    def stop(self, *, keep_logs: bool = False) -> None: ...


S = TypeVar("S", bound=_Startable)
_KEPT = pytest.StashKey[list[Path]]()


def _running(request: pytest.FixtureRequest, make: Callable[[], S]) -> Iterator[S]:
    server = make()
    try:
        server.start()
    except BaseException:
        server.stop(keep_logs=True)
        raise
    try:
        yield server
    finally:
        failed = request.session.testsfailed > 0
        if failed:
            request.config.stash.setdefault(_KEPT, []).append(server.folder)
        server.stop(keep_logs=failed)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Say where the logs of the servers are, when tests failed."""
    for folder in config.stash.get(_KEPT, []):
        terminalreporter.write_line(f"server logs kept in {folder}")


@pytest.fixture(scope="session")
def plane(request: pytest.FixtureRequest) -> Iterator[KubernetesPlane]:
    """A Kubernetes control plane with three fake nodes."""
    yield from _running(request, KubernetesPlane)


@pytest.fixture(scope="session")
def prometheus_server(request: pytest.FixtureRequest) -> Iterator[Prometheus]:
    """A Prometheus that scrapes nothing until a test says `prometheus_server.scrape(Target(...))`."""
    yield from _running(request, Prometheus)


@pytest.fixture(scope="session")
def elasticsearch(request: pytest.FixtureRequest) -> Iterator[Elasticsearch]:
    """An Elasticsearch node without security."""
    yield from _running(request, Elasticsearch)


@pytest.fixture(scope="session")
def elasticsearch_secure(request: pytest.FixtureRequest) -> Iterator[Elasticsearch]:
    """An Elasticsearch node that asks for credentials: `.user`, `.password`, `.api_key()`."""
    yield from _running(request, lambda: Elasticsearch(security=True))


@pytest.fixture(scope="session")
def alertmanager(request: pytest.FixtureRequest) -> Iterator[Alertmanager]:
    """An Alertmanager that sends nowhere until a test says `alertmanager.route_to(url)`."""
    yield from _running(request, Alertmanager)


@pytest.fixture(scope="session")
def redis(request: pytest.FixtureRequest) -> Iterator[Redis]:
    """A Redis without a password."""
    yield from _running(request, Redis)


@pytest.fixture(scope="session")
def postgres(request: pytest.FixtureRequest) -> Iterator[Postgres]:
    """A PostgreSQL; a test makes a database of its own (`postgres.database()`)."""
    yield from _running(request, Postgres)
