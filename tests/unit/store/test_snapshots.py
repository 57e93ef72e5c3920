"""Snapshots: the same promises from files and memory; damage is absence that is counted; a failing disk keeps the former one."""

from __future__ import annotations

import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from aiops.adapters.snapshots import FileSnapshots, MemorySnapshots
from aiops.domain.errors import StoreError
from aiops.ports.models import Snapshots
from aiops.ports.telemetry import NullTelemetry


class Counting(NullTelemetry):
    def __init__(self) -> None:
        self.reasons: list[str] = []

    def count(self, name: str, amount: float = 1.0, **labels: str) -> None:
        self.reasons.append(labels["reason"])


@pytest.fixture(params=["files", "memory"])
def snapshots(request: pytest.FixtureRequest, tmp_path: Path) -> Snapshots:
    return FileSnapshots(tmp_path / "s") if request.param == "files" else MemorySnapshots()


def test_saved_replaced_and_absent(snapshots: Snapshots) -> None:
    assert snapshots.load("bank") is None
    snapshots.save("bank", b"one")
    snapshots.save("bank", b"")
    assert snapshots.load("bank") == b""
    snapshots.save("bank", bytes(range(256)) * 1000)
    assert snapshots.load("bank") == bytes(range(256)) * 1000


@pytest.mark.parametrize("name", ["../../etc/passwd", "a/b", "a.b", "..", "ümlaut", "x" * 5000, "\ud800", "a\x00b", "A", "%2E"])
def test_any_name_stays_in_the_folder_and_apart_from_others(snapshots: Snapshots, name: str) -> None:
    snapshots.save("other", b"other")
    snapshots.save(name, b"mine")
    snapshots.save(name + "x", b"not mine")
    assert snapshots.load(name) == b"mine"
    assert snapshots.load("other") == b"other"


def test_an_empty_name_is_an_error(snapshots: Snapshots) -> None:
    for call in (lambda: snapshots.save("", b""), lambda: snapshots.load("")):
        with pytest.raises(StoreError):
            call()


def test_names_never_leave_the_folder(tmp_path: Path) -> None:
    FileSnapshots(tmp_path / "s").save("../out", b"x")
    assert [p.name for p in tmp_path.iterdir()] == ["s"]


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (lambda raw: raw[:10], "Truncated"),
        (lambda raw: raw[:-1], "Truncated"),
        (lambda raw: raw + b"x", "Truncated"),
        (lambda raw: raw[:-1] + b"?", "Checksum"),
        (lambda raw: b"X" + raw[1:], "Foreign"),
        (lambda raw: raw[:8] + b"\x00\x00\x00\x63" + raw[12:], "Version"),
        (lambda raw: raw[:0], "Truncated"),
    ],
)
def test_damage_is_absence_and_is_counted(tmp_path: Path, damage: Callable[[bytes], bytes], reason: str) -> None:
    telemetry = Counting()
    snapshots = FileSnapshots(tmp_path, telemetry)
    snapshots.save("bank", b"learned state")
    (file,) = tmp_path.iterdir()
    file.write_bytes(damage(file.read_bytes()))
    assert snapshots.load("bank") is None
    assert telemetry.reasons == [reason]
    snapshots.save("bank", b"again")
    assert snapshots.load("bank") == b"again"


def test_a_left_over_of_a_killed_process_is_removed_and_the_former_stays(tmp_path: Path) -> None:
    FileSnapshots(tmp_path).save("bank", b"whole")
    (tmp_path / "bank.snapshot.new").write_bytes(b"half")
    assert FileSnapshots(tmp_path).load("bank") == b"whole"
    assert [p.name for p in tmp_path.iterdir()] == ["bank.snapshot"]


def test_files_are_for_the_owner_only(tmp_path: Path) -> None:
    FileSnapshots(tmp_path / "s").save("bank", b"x")
    assert stat.S_IMODE((tmp_path / "s").stat().st_mode) == 0o700
    assert stat.S_IMODE((tmp_path / "s" / "bank.snapshot").stat().st_mode) == 0o600


def test_a_disk_that_refuses_is_a_store_error_and_keeps_the_former(tmp_path: Path) -> None:
    snapshots = FileSnapshots(tmp_path)
    snapshots.save("bank", b"whole")
    (tmp_path / "bank.snapshot.new").mkdir()
    with pytest.raises(StoreError, match="bank"):
        snapshots.save("bank", b"next")
    assert snapshots.load("bank") == b"whole"


def test_a_folder_that_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "x").touch()
    with pytest.raises(StoreError, match="cannot be used"):
        FileSnapshots(tmp_path / "x")
