"""SIGKILL in the middle of writing: every acknowledged change is there, none is half there."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from aiops.adapters.store import open_store
from tests.testbed.postgres import Postgres

ROOT = Path(__file__).parents[3]


@pytest.fixture(params=["file", "postgresql"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[str, str]:
    """Address and password file."""
    if request.param == "file":
        return f"sqlite:///{tmp_path}/aiops.db", ""
    postgres: Postgres = request.getfixturevalue("postgres")
    return postgres.url(postgres.database(request.getfixturevalue("empty_schema"))), str(postgres.password_file)


@pytest.mark.parametrize("acknowledged", [1, 7, 40])
def test_nothing_acknowledged_is_lost_and_nothing_is_half_written(place: tuple[str, str], acknowledged: int) -> None:
    url, password_file = place
    child = subprocess.Popen([sys.executable, "-m", "tests.contract.store.writer_loop", url, password_file], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    last = 0
    for line in child.stdout:
        last = int(line)
        if last >= acknowledged:
            child.kill()
            break
    # What it printed between our decision and its death counts as acknowledged too.
    last = max([last, *(int(line) for line in child.stdout if line.endswith("\n"))])
    child.wait()
    child.stdout.close()
    store = open_store(url, password_file=password_file)
    written = len(store.active_incidents())
    assert written in (last, last + 1)
    assert store.value("last") == written
    assert len(store.unfinished()) == written
    assert all(len(store.journal(f"exe-{n}")) == 3 for n in range(1, written + 1))
    assert len(store.decisions(limit=100_000)) == 5 * written
    store.close()
