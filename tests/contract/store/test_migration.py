"""A store of the first version is upgraded where it stands, with what was under way in it: on a file and on a PostgreSQL."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import insert

from aiops.adapters.store import migrate, open_store, tables, writing
from aiops.adapters.store.engine import open_database
from aiops.domain.execution import Execution, ExecutionState, StepRun
from aiops.domain.target import TargetRef
from aiops.ports.storage import Changes
from tests.contract.store.shapes import TARGET, execution
from tests.testbed.postgres import Postgres

CART, NODE, FAR = TargetRef("Deployment", "shop", "cart"), TargetRef("Node", "", "n1"), TargetRef("Deployment", "shop", "x" * 3000, "east")


@pytest.fixture(params=["file", "postgresql"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[str, str]:
    """Address and password file of an empty database."""
    if request.param == "file":
        return f"sqlite:///{tmp_path}/aiops.db", ""
    postgres: Postgres = request.getfixturevalue("postgres")
    return postgres.url(postgres.database()), str(postgres.password_file)


def first_version(place: tuple[str, str], runs: tuple[Execution, ...]) -> None:
    """A store as the first version left it: its schema, runs, and a lease that is held."""
    database = open_database(place[0], password_file=place[1])
    with database.writing() as connection:
        config = Config()
        config.set_main_option("script_location", str(Path(migrate.__file__).parent / "migrations"))
        config.set_main_option("path_separator", "os")
        config.attributes["connection"] = connection
        command.upgrade(config, "0001")
        connection.execute(insert(tables.executions), [writing._execution(run) for run in runs])
        connection.execute(insert(tables.leases), {"name": f"target/default/{TARGET}", "owner": "before", "token": 7, "expires_at": 2000.0})
        connection.execute(insert(tables.counters), {"name": "lease", "value": 7})
    database.close()


def test_what_is_under_way_stays_locked(place: tuple[str, str]) -> None:
    """The leases as they are held, and every target of every run that is not done: nothing else may begin there."""
    running = execution(1, at=1.0)
    near = running.plan.steps[0]
    running = replace(running, steps=(StepRun("scale", attempt=1),), plan=replace(running.plan, steps=(near, replace(near, name="two", target=FAR))))
    waiting = execution(2, at=2.0, target=NODE, state=ExecutionState.AWAITING_APPROVAL)
    done = execution(3, at=3.0, target=CART, state=ExecutionState.DONE)
    first_version(place, (running, waiting, done))
    store = open_store(place[0], password_file=place[1])
    assert [[e.id for e in store.unfinished(targets=(target,))] for target in (TARGET, FAR, NODE, CART)] == [["exe-1"], ["exe-1"], ["exe-2"], []]
    assert store.unfinished(targets=(FAR,)) == [running]
    assert [(held.owner, held.token) for held in store.leases()] == [("before", 7)]
    assert store.acquire(f"target/default/{TARGET}", "other", 30.0, 1999.0) is None
    store.write(Changes(executions=(replace(running, state=ExecutionState.DONE),)))
    assert store.unfinished(targets=(TARGET, FAR)) == []
    store.close()
