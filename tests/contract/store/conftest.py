"""Every test of this folder runs over a file and over memory."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from aiops.adapters.store import open_store
from aiops.ports.storage import Store


@pytest.fixture(params=["file", "memory"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    opened: Store = open_store("sqlite:///:memory:" if request.param == "memory" else f"sqlite:///{tmp_path}/aiops.db")
    yield opened
    opened.close()
