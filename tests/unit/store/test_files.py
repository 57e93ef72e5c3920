"""What can be wrong with a file: damage, another owner, a newer schema, a full disk, modes. Real files, real errors."""

from __future__ import annotations

import sqlite3
import stat
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from aiops.adapters.store import migrate, open_store
from aiops.adapters.store import sqlite as sqlite_module
from aiops.adapters.store.engine import open_database
from aiops.adapters.store.tables import metadata
from aiops.domain.errors import StoreError
from aiops.ports.storage import Changes
from tests.contract.store.shapes import decision, incident


def url(path: Path) -> str:
    return f"sqlite:///{path}"


def test_file_and_its_side_files_are_for_the_owner_only(tmp_path: Path) -> None:
    path = tmp_path / "new" / "aiops.db"
    store = open_store(url(path))
    store.write(Changes(incidents=(incident(1),)))
    assert {f.name: stat.S_IMODE(f.stat().st_mode) for f in path.parent.iterdir()} == {
        "aiops.db": 0o600,
        "aiops.db-wal": 0o600,
        "aiops.db-shm": 0o600,
    }
    store.close()
    assert [f.name for f in path.parent.iterdir()] == ["aiops.db"]


def test_a_file_of_a_wider_mode_is_narrowed(tmp_path: Path) -> None:
    path = tmp_path / "aiops.db"
    path.touch(0o644)
    open_store(url(path)).close()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_reader_that_mistypes_the_path_makes_no_file(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="no database at"):
        open_store(url(tmp_path / "typo" / "aiops.db"), create=False)
    assert list(tmp_path.iterdir()) == []
    open_store(url(tmp_path / "aiops.db")).close()
    open_store(url(tmp_path / "aiops.db"), create=False).close()


def test_durability_settings(tmp_path: Path) -> None:
    database = open_database(url(tmp_path / "aiops.db"))
    with database.writing() as connection:
        values = {p: connection.exec_driver_sql(f"PRAGMA {p}").scalar() for p in ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")}
    assert values == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1, "busy_timeout": 10_000}
    with pytest.raises(StoreError, match="read-only"), database.reading() as connection:
        connection.exec_driver_sql("CREATE TABLE x (y)")
    database.close()


def test_reopening_finds_everything(tmp_path: Path) -> None:
    path = tmp_path / "aiops.db"
    first = open_store(url(path))
    first.write(Changes(incidents=(incident(1),), values={"paused": True}))
    lease = first.acquire("x", "a", 10.0, 1.0)
    first.close()
    second = open_store(url(path))
    assert second.incident("inc-1") == incident(1)
    assert second.value("paused") is True
    assert list(second.leases()) == [lease]
    second.close()


def test_a_closed_store_says_so(tmp_path: Path) -> None:
    store = open_store(url(tmp_path / "aiops.db"))
    store.close()
    store.close()
    for call in (store.check, store.active_incidents, lambda: store.write(Changes(incidents=(incident(1),)))):
        with pytest.raises(StoreError, match="closed"):
            call()


@pytest.mark.parametrize("content", [b"this is no database, it is text of some length" * 40, b"SQLite format 3\x00" + b"\xff" * 4096])
def test_a_damaged_or_foreign_file_is_refused_and_left_alone(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "aiops.db"
    path.write_bytes(content)
    with pytest.raises(StoreError, match="damaged"):
        open_store(url(path))
    assert path.read_bytes() == content


def test_damage_in_the_middle_is_a_store_error(tmp_path: Path) -> None:
    path = tmp_path / "aiops.db"
    store = open_store(url(path))
    for n in range(300):
        store.write(Changes(incidents=(incident(n),)))
    store.close()
    raw = bytearray(path.read_bytes())
    raw[4096 * 3 :] = b"\x5a" * (len(raw) - 4096 * 3)
    path.write_bytes(bytes(raw))
    with pytest.raises(StoreError):
        open_store(url(path)).incidents(limit=1000)


def test_a_database_of_something_else_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "other.db"
    with sqlite3.connect(path) as other:
        other.execute("CREATE TABLE photos (id INTEGER)")
    other.close()
    with pytest.raises(StoreError, match="something else"):
        open_store(url(path))


def test_a_newer_schema_is_refused_and_not_touched(tmp_path: Path) -> None:
    path = tmp_path / "aiops.db"
    open_store(url(path)).close()
    with sqlite3.connect(path) as newer:
        newer.execute("UPDATE alembic_version SET version_num = '9999'")
    newer.close()
    before = path.read_bytes()
    with pytest.raises(StoreError, match=r"9999.*newer"):
        open_store(url(path))
    assert path.read_bytes() == before


@pytest.mark.parametrize("address", ["", "nonsense", "mysql://x/y"])
def test_addresses_that_are_not_supported(address: str) -> None:
    with pytest.raises(StoreError, match="sqlite"):
        open_store(address)


def test_a_folder_that_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "x").touch()
    with pytest.raises(StoreError, match="cannot be opened"):
        open_store(url(tmp_path / "x" / "aiops.db"))


def test_a_full_disk_refuses_whole_changes_and_heals(tmp_path: Path) -> None:
    """SQLite's page limit gives the same error as a full disk."""
    store = open_store(url(tmp_path / "aiops.db"))
    store.write(Changes(incidents=(incident(1),)))
    with store._database.writing() as connection:
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar()
        connection.exec_driver_sql(f"PRAGMA max_page_count = {pages}")
    big = Changes(decisions=tuple(decision(1000.0, subject=f"{n}", detail="x" * 5000) for n in range(20)), incidents=(incident(2),))
    with pytest.raises(StoreError, match="disk is full"):
        store.write(big)
    assert store.incident("inc-2") is None
    assert store.decisions() == []
    assert store.incident("inc-1") is not None
    with store._database.writing() as connection:
        connection.exec_driver_sql("PRAGMA max_page_count = 1000000")
    store.write(big)
    assert len(store.decisions()) == 20
    store.close()


def test_a_lock_held_by_another_process_is_a_store_error_and_passes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite_module, "BUSY_SECONDS", 0.05)
    path = tmp_path / "aiops.db"
    store = open_store(url(path))
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreError, match="write lock"):
        store.write(Changes(incidents=(incident(1),)))
    assert store.incident("inc-1") is None
    other.execute("ROLLBACK")
    other.close()
    store.write(Changes(incidents=(incident(1),)))
    assert store.incident("inc-1") is not None
    store.close()


def test_two_processes_worth_of_stores_on_one_file(tmp_path: Path) -> None:
    one, two = open_store(url(tmp_path / "aiops.db")), open_store(url(tmp_path / "aiops.db"))
    one.write(Changes(incidents=(incident(1),)))
    two.write(Changes(incidents=(incident(2),)))
    assert len(one.active_incidents()) == len(two.active_incidents()) == 2
    assert one.acquire("x", "a", 10.0, 1.0) is not None
    assert two.acquire("x", "b", 10.0, 1.0) is None
    one.close()
    two.close()


def test_the_migrations_make_what_the_queries_expect(tmp_path: Path) -> None:
    database = open_database(url(tmp_path / "aiops.db"))
    migrate.migrate(database)
    with database.writing() as connection:
        differences = compare_metadata(MigrationContext.configure(connection), metadata)
    assert differences == []
    database.close()


def test_the_code_is_written_for_the_last_migration() -> None:
    scripts = ScriptDirectory(str(Path(migrate.__file__).parent / "migrations"))
    assert scripts.get_current_head() == migrate.HEAD
    assert {s.revision for s in scripts.walk_revisions()} == migrate._KNOWN


def test_a_migration_that_fails_leaves_nothing(tmp_path: Path) -> None:
    """The lock and the transaction are one: a step that breaks in the middle leaves an empty file."""
    path = tmp_path / "aiops.db"
    database = open_database(url(path))
    with database.writing() as connection:
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar() or 1
        connection.exec_driver_sql(f"PRAGMA max_page_count = {max(pages, 8)}")
    with pytest.raises(StoreError, match="disk is full"):
        migrate.migrate(database)
    database.close()
    with sqlite3.connect(path) as left:
        assert left.execute("SELECT count(*) FROM sqlite_master").fetchone() == (0,)
    left.close()
    open_store(url(path)).close()
