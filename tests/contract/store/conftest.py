"""Every test of this folder runs over a file, over memory and over a PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from aiops.adapters.store import open_store
from aiops.ports.storage import Store
from tests.testbed.postgres import Postgres


@pytest.fixture(scope="session")
def empty_schema(postgres: Postgres) -> str:
    """A database with the schema, to be copied: migrating costs more than most tests."""
    name = postgres.database()
    open_store(postgres.url(name), password_file=str(postgres.password_file)).close()
    return name


@pytest.fixture(params=["file", "memory", "postgresql"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    if request.param == "postgresql":
        postgres: Postgres = request.getfixturevalue("postgres")
        url = postgres.url(postgres.database(request.getfixturevalue("empty_schema")))
        opened: Store = open_store(url, password_file=str(postgres.password_file))
    else:
        opened = open_store("sqlite:///:memory:" if request.param == "memory" else f"sqlite:///{tmp_path}/aiops.db")
    yield opened
    opened.close()
