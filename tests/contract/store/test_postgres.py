"""What only a server can do to us: connections that break in the middle, an answer that is lost, a server that dies or stands still, other writers.

A real server; what lies between it and the client is a relay of ours.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import text

from aiops.adapters.store import SqlStore, connecting, open_store
from aiops.adapters.store import postgres as postgres_module
from aiops.adapters.store.engine import open_database
from aiops.adapters.store.tables import metadata
from aiops.domain.errors import CommitUnknownError, LeaseLostError, StoreError
from aiops.domain.execution import EntryKind, JournalEntry
from aiops.ports.storage import Changes
from tests.contract.store.shapes import decision, execution, incident
from tests.testbed.postgres import USER, Postgres
from tests.testbed.process import eventually
from tests.testbed.relay import Relay

Opener = Callable[..., SqlStore]


@pytest.fixture
def database(postgres: Postgres, empty_schema: str) -> str:
    """One with the schema and nothing in it."""
    return postgres.database(empty_schema)


@pytest.fixture
def opener(postgres: Postgres, database: str) -> Iterator[Opener]:
    """Opens the database, through a relay's port if one is given."""
    opened: list[SqlStore] = []

    def open_one(port: int | None = None) -> SqlStore:
        opened.append(open_store(postgres.url(database, port=port), password_file=str(postgres.password_file)))
        opened[-1].check()  # what a first connection asks of the server is no change of ours
        return opened[-1]

    yield open_one
    for store in opened:
        store.close()


COMMIT = b"COMMIT\0"  # "READ COMMITTED" is another word
CHANGE = Changes(incidents=(incident(1),), decisions=tuple(decision(1000.0 * n) for n in range(3)), executions=(execution(1),), values={"x": 1})


def whole(store: SqlStore) -> bool:
    """All of CHANGE is there, or nothing of it; anything else fails."""
    found = (store.incident("inc-1") is not None, len(store.decisions()), len(store.unfinished()), store.value("x"))
    assert found in ((True, 3, 1, 1), (False, 0, 0, None))
    return found[0]


class TestBreaking:
    """The connection breaks at a commit."""

    @pytest.mark.parametrize("fate", ["cut", "lose"])
    def test_a_commit_that_never_arrived_is_an_error_and_nothing_is_written(self, postgres: Postgres, opener: Opener, fate: str) -> None:
        """`lose`: the server does not know that its client is gone; its session, with the writers' lock, is ended by the one who asks."""
        with Relay(postgres.host, postgres.port) as relay:
            store = opener(relay.port)
            relay.judge = lambda piece: fate if COMMIT in piece else "pass"
            with pytest.raises(StoreError, match="nothing of this change was written"):
                store.write(CHANGE)
            relay.judge = lambda _piece: "pass"
            assert not whole(store)
            store.write(CHANGE)
            assert whole(store)

    def test_a_commit_whose_answer_was_lost_is_looked_up_and_not_done_again(self, postgres: Postgres, opener: Opener) -> None:
        with Relay(postgres.host, postgres.port) as relay:
            store, commits = opener(relay.port), []

            def judge(piece: bytes) -> str:
                if COMMIT not in piece:
                    return "pass"
                commits.append(piece)
                return "mute"

            relay.judge = judge
            store.write(CHANGE)
            assert len(commits) == 1
            relay.judge = lambda _piece: "pass"
            assert whole(store)

    def test_where_the_server_cannot_be_asked_the_error_says_so(self, postgres: Postgres, opener: Opener, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(postgres_module, "LOOK_UP_SECONDS", 0.5)
        other = opener()
        with Relay(postgres.host, postgres.port) as relay:
            store, gone = opener(relay.port), threading.Event()

            def judge(piece: bytes) -> str:
                if COMMIT in piece:
                    gone.set()
                    return "mute"
                return "cut" if gone.is_set() else "pass"

            relay.judge = judge
            with pytest.raises(CommitUnknownError):
                store.write(CHANGE)
            assert whole(other)

    @pytest.mark.parametrize("when", [b"BEGIN", b"decisions", b"executions"])
    def test_in_the_middle_of_a_change_nothing_of_it_is_written(self, postgres: Postgres, opener: Opener, when: bytes) -> None:
        with Relay(postgres.host, postgres.port) as relay:
            store = opener(relay.port)
            relay.judge = lambda piece: "cut" if when in piece else "pass"
            with pytest.raises(StoreError):
                store.write(CHANGE)
            relay.judge = lambda _piece: "pass"
            assert not whole(store)
            store.write(CHANGE)
            assert whole(store)

    def test_idle_connections_that_broke_are_replaced_unseen(self, postgres: Postgres, opener: Opener) -> None:
        store = opener()
        store.write(CHANGE)
        assert store.unfinished()
        postgres.execute(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = '{USER}' AND pid <> pg_backend_pid()")
        assert whole(store)
        store.check()


class TestServer:
    """The server itself dies or stands still."""

    def test_killed_and_started_again_it_has_everything(self) -> None:
        server = Postgres()
        server.start()
        try:
            store = open_store(server.url(), password_file=str(server.password_file))
            store.write(CHANGE)
            server.kill()
            for call in (store.check, store.active_incidents, store.unfinished, lambda: store.write(CHANGE)):
                with pytest.raises(StoreError):
                    call()
            server.start()
            assert whole(store)
            store.check()
            store.close()
        finally:
            server.stop()

    def test_standing_still_is_an_error_and_passes(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(connecting, "ANSWER_SECONDS", 1.0)
        monkeypatch.setattr(connecting, "CONNECT_SECONDS", 2)
        monkeypatch.setattr(postgres_module, "LOOK_UP_SECONDS", 1.0)
        server = Postgres()
        server.start()
        try:
            store = open_store(server.url(), password_file=str(server.password_file))
            store.write(CHANGE)
            server.freeze()
            for call in (store.check, store.unfinished):
                with pytest.raises(StoreError):
                    call()
            server.thaw()
            assert whole(store)
            store.check()
            store.close()
        finally:
            server.stop()


class TestTogether:
    """Several writers on one database."""

    def test_a_lease_that_many_reach_for_at_once_is_had_by_one_and_tokens_only_rise(self, opener: Opener) -> None:
        stores = [opener() for _ in range(4)]
        for round_ in range(10):
            gate = threading.Barrier(len(stores))

            def reach(number: int, gate: threading.Barrier = gate, round_: int = round_) -> int | None:
                gate.wait()
                lease = stores[number].acquire("x", f"owner-{number}", 10.0, 100.0 * round_)
                return lease.token if lease else None

            with ThreadPoolExecutor(len(stores)) as pool:
                tokens = [token for token in pool.map(reach, range(len(stores))) if token is not None]
            assert tokens == [round_ + 1]

    def test_journals_and_counts_of_many_writers_are_whole(self, opener: Opener) -> None:
        stores = [opener() for _ in range(4)]
        stores[0].write(Changes(executions=(execution(1),)))

        def add(store: SqlStore) -> None:
            for n in range(25):
                store.write(Changes(entries=(JournalEntry("exe-1", EntryKind.CHECKED, float(n)),), decisions=(decision(1000.0),)))

        with ThreadPoolExecutor(len(stores)) as pool:
            list(pool.map(add, stores))
        assert len(stores[1].journal("exe-1")) == 100
        assert [d.count for d in stores[2].decisions()] == [100]

    def test_who_stops_in_the_middle_of_a_change_loses_it_and_the_others_go_on(self, opener: Opener, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(connecting, "_SETTLE", connecting._SETTLE.replace(f"= {int(connecting.IDLE_SECONDS * 1000)}", "= 300"))
        first, second = opener(), opener()

        def stopped_in_the_middle() -> None:
            with first._database.writing() as connection:
                connection.execute(text("INSERT INTO documents VALUES ('half', '1')"))
                second.write(CHANGE)
                connection.execute(text("INSERT INTO documents VALUES ('other half', '1')"))

        with pytest.raises(StoreError, match=r"idle|closed|terminat"):
            stopped_in_the_middle()
        assert whole(second)
        assert second.value("half") is None
        first.check()

    def test_a_stale_token_writes_nothing(self, opener: Opener) -> None:
        one, two = opener(), opener()
        stale = one.acquire("x", "a", 10.0, 100.0)
        assert stale is not None
        assert two.acquire("x", "b", 10.0, 120.0) is not None
        with pytest.raises(LeaseLostError):
            one.write(CHANGE, lease=stale, now=105.0)
        assert not whole(two)


class TestOpening:
    """Addresses, rights and schemas."""

    def test_the_migrations_make_what_the_queries_expect(self, postgres: Postgres, database: str) -> None:
        opened = open_database(postgres.url(database), password_file=str(postgres.password_file))
        with opened.writing() as connection:
            assert compare_metadata(MigrationContext.configure(connection), metadata) == []
        opened.close()

    def test_many_that_open_an_empty_database_at_once_make_one_schema(self, postgres: Postgres) -> None:
        url = postgres.url(postgres.database())

        def begin(_: int) -> None:
            store = open_store(url, password_file=str(postgres.password_file))
            store.check()
            store.close()

        with ThreadPoolExecutor(4) as pool:
            list(pool.map(begin, range(4)))

    def test_an_empty_database_is_none_of_ours_to_a_reader(self, postgres: Postgres) -> None:
        name = postgres.database()
        with pytest.raises(StoreError, match="nothing of this project"):
            open_store(postgres.url(name), create=False, password_file=str(postgres.password_file))
        assert postgres.execute("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'", name) == [(0,)]

    def test_a_database_of_something_else_and_a_newer_schema_are_refused(self, postgres: Postgres, database: str) -> None:
        other = postgres.database()
        postgres.execute("CREATE TABLE photos (id int)", other)
        postgres.execute("UPDATE alembic_version SET version_num = '9999'", database)
        for name, words in ((other, "something else"), (database, r"9999.*newer")):
            with pytest.raises(StoreError, match=words):
                open_store(postgres.url(name), password_file=str(postgres.password_file))

    def test_a_migration_that_fails_leaves_nothing(self, postgres: Postgres) -> None:
        name = postgres.database()
        postgres.execute("CREATE TYPE documents AS ENUM ('in the way')", name)
        with pytest.raises(StoreError):
            open_store(postgres.url(name), password_file=str(postgres.password_file))
        assert postgres.execute("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'", name) == [(0,)]

    def test_what_is_wrong_is_said_without_the_password(self, postgres: Postgres, tmp_path: Path) -> None:
        wrong = tmp_path / "password"
        wrong.write_text("hunter2\n")
        cases = {
            "refuses the user or the password": (postgres.url(), str(wrong)),
            "wants a password": (postgres.url(), ""),
            "no such database": (postgres.url("nowhere"), str(postgres.password_file)),
            "cannot be read": (postgres.url(), str(tmp_path / "none")),
            "refused": (postgres.url(port=1), str(wrong)),
            "must not hold a password": (postgres.url().replace(USER, f"{USER}:hunter2"), ""),
            "none of the forms": ("postgresql:/x:hunter2@y", ""),
        }
        for words, (url, password_file) in cases.items():
            with pytest.raises(StoreError, match=words) as caught:
                open_store(url, password_file=password_file)
            assert "hunter2" not in str(caught.value)
            assert postgres.password not in str(caught.value)

    def test_a_user_without_rights(self, postgres: Postgres, database: str, tmp_path: Path) -> None:
        postgres.execute("CREATE ROLE guest LOGIN PASSWORD 'guest'")
        word = tmp_path / "guest"
        word.write_text("guest")
        with pytest.raises(StoreError, match="may not"):
            open_store(postgres.url(database).replace(USER, "guest"), password_file=str(word)).check()

    def test_a_database_of_another_encoding_is_refused(self, postgres: Postgres) -> None:
        postgres.execute("CREATE DATABASE ascii TEMPLATE template0 ENCODING 'SQL_ASCII' LOCALE_PROVIDER libc LOCALE 'C'")
        with pytest.raises(StoreError, match="UTF8"):
            open_store(postgres.url("ascii"), password_file=str(postgres.password_file))

    def test_a_commit_is_on_disk_even_where_the_server_is_set_not_to_wait(self, postgres: Postgres, database: str) -> None:
        postgres.execute(f'ALTER DATABASE "{database}" SET synchronous_commit = off')
        opened = open_database(postgres.url(database), password_file=str(postgres.password_file))
        with opened.writing() as connection:
            assert connection.execute(text("SHOW synchronous_commit")).scalar() == "on"
        opened.close()

    def test_a_rotated_password_needs_no_restart(self, postgres: Postgres, database: str, tmp_path: Path) -> None:
        postgres.execute("CREATE ROLE turning LOGIN SUPERUSER PASSWORD 'one'")
        word = tmp_path / "word"
        word.write_text("one")
        store = open_store(postgres.url(database).replace(USER, "turning"), password_file=str(word))
        postgres.execute("ALTER ROLE turning PASSWORD 'two'")
        word.write_text("two")
        postgres.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'turning'")
        store.check()
        store.close()


def test_connections_are_given_back(postgres: Postgres, database: str) -> None:
    def count() -> int:
        (row,) = postgres.execute(f"SELECT count(*) FROM pg_stat_activity WHERE datname = '{database}'")
        return int(str(row[0]))

    store = open_store(postgres.url(database), password_file=str(postgres.password_file))
    for _ in range(20):
        store.check()
        store.unfinished()
    assert count() <= 3
    store.close()
    eventually(lambda: count() == 0, deadline_s=30, what="the connections to end")
