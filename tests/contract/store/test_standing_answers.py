"""An empty answer is not asked of the database again until something changed, or until its time has come: nothing may be missed by that."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from aiops.adapters.store import SqlStore, open_store
from aiops.domain.command import Command, CommandKind
from aiops.domain.execution import ExecutionState
from aiops.domain.incident import Silence
from aiops.ports.storage import Changes
from tests.contract.store.shapes import execution, message
from tests.testbed.postgres import Postgres

ASK: dict[str, Callable[[SqlStore, float], list[Any]]] = {
    "due": lambda s, now: list(s.due(now)),
    "unfinished": lambda s, _: list(s.unfinished()),
    "messages_due": lambda s, now: list(s.messages_due(now)),
    "all messages": lambda s, _: list(s.messages_due(math.inf)),
    "commands": lambda s, _: list(s.commands()),
    "silences": lambda s, now: list(s.silences(now)),
}
CHANGE: dict[str, Changes] = {
    "due": Changes(executions=(execution(),)),
    "unfinished": Changes(executions=(execution(),)),
    "messages_due": Changes(messages=(message(),)),
    "all messages": Changes(messages=(message(),)),
    "commands": Changes(commands=(Command("c", CommandKind.PAUSE, "", "someone", 1.0),)),
    "silences": Changes(silences=(Silence("s", {"a": "b"}, 0.0, 1e12, "someone", ""),)),
}
LATE = 1e9


@pytest.fixture(params=["own, file", "own, memory", "own, postgresql", "another process', file", "another process', postgresql"])
def pair(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[SqlStore, SqlStore]]:
    """Who asks and who writes."""
    whose, kind = request.param.split(", ")
    url, password_file = "sqlite:///:memory:" if kind == "memory" else f"sqlite:///{tmp_path}/aiops.db", ""
    if kind == "postgresql":
        postgres: Postgres = request.getfixturevalue("postgres")
        url, password_file = postgres.url(postgres.database(request.getfixturevalue("empty_schema"))), str(postgres.password_file)
    asking = open_store(url, password_file=password_file)
    writing = asking if whose == "own" else open_store(url, password_file=password_file)
    yield asking, writing
    asking.close()
    writing.close()


@pytest.mark.parametrize("question", list(ASK))
def test_what_is_written_later_is_found(pair: tuple[SqlStore, SqlStore], question: str) -> None:
    asking, writing = pair
    for _ in range(3):
        assert ASK[question](asking, LATE) == []
    writing.write(CHANGE[question])
    for _ in range(3):
        assert len(ASK[question](asking, LATE)) == 1


def test_what_is_not_due_yet_becomes_due_without_any_change(pair: tuple[SqlStore, SqlStore]) -> None:
    asking, writing = pair
    run = execution()
    writing.write(Changes(executions=(run,), silences=(Silence("s", {"a": "b"}, 500.0, 600.0, "someone", ""),)))
    assert asking.due(run.due_at - 1.0) == []
    assert asking.due(run.due_at - 0.5) == []
    assert [e.id for e in asking.due(run.due_at)] == [run.id]
    assert [len(asking.silences(t)) for t in (499.0, 500.0, 599.0, 600.0, 1000.0, 550.0)] == [0, 1, 1, 0, 0, 1]


def test_what_is_done_is_not_given_out_any_more(pair: tuple[SqlStore, SqlStore]) -> None:
    asking, writing = pair
    writing.write(Changes(executions=(execution(),)))
    assert len(asking.unfinished()) == 1
    writing.write(Changes(executions=(execution(state=ExecutionState.DONE),)))
    assert asking.unfinished() == []


def test_a_list_that_was_changed_by_its_taker_is_whole_the_next_time(pair: tuple[SqlStore, SqlStore]) -> None:
    asking, writing = pair
    writing.write(Changes(executions=(execution(),)))
    taken = asking.unfinished()
    assert isinstance(taken, list)
    taken.clear()
    assert len(asking.unfinished()) == 1
