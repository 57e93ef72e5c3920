"""The image's compiled kernels under a read-only root."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from aiops.app.kernels import VARIABLE, usable_kernels


def test_a_folder_that_can_be_written_is_taken_as_it_is(tmp_path: Path) -> None:
    environment = {VARIABLE: str(tmp_path)}
    assert usable_kernels(tmp_path / "state", environment) == tmp_path
    assert environment == {VARIABLE: str(tmp_path)}


def test_a_read_only_one_is_copied_with_its_times(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given = tmp_path / "image" / "sub"
    given.mkdir(parents=True)
    (given / "kernel.nbi").write_bytes(b"x")
    os.utime(given / "kernel.nbi", (1_000_000, 1_000_000))
    # Root may write everywhere, so the answer of the system is what is set here.
    monkeypatch.setattr(os, "access", lambda path, _mode: not str(path).startswith(str(tmp_path / "image")))
    environment = {VARIABLE: str(tmp_path / "image")}
    copy = usable_kernels(tmp_path / "state", environment)
    assert copy == tmp_path / "state" / "kernels"
    assert environment[VARIABLE] == str(copy)
    assert (copy / "sub" / "kernel.nbi").stat().st_mtime == 1_000_000
    (copy / "sub" / "stale").write_text("of an older image")
    assert usable_kernels(tmp_path / "state", {VARIABLE: str(tmp_path / "image")}) == copy
    assert not (copy / "sub" / "stale").exists()


def test_without_compiled_kernels_nothing_is_done(tmp_path: Path) -> None:
    assert usable_kernels(tmp_path, {}) is None
    assert usable_kernels(tmp_path, {VARIABLE: str(tmp_path / "missing")}) is None
