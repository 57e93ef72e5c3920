"""A bundle comes back as it was written, and a damaged one says which file."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from aiops.domain.series import SeriesRange
from aiops.replay.bundle import Bundle, BundleError, ClusterChange, LogAnswer, Manifest, read_bundle, write_bundle


def bundle() -> Bundle:
    series = (
        SeriesRange({"__name__": "up", "job": "é"}, np.array([1.0, 2.0]), np.array([1.0, np.nan])),
        SeriesRange({"__name__": "empty"}, np.empty(0), np.empty(0)),
        SeriesRange({"__name__": "big"}, np.array([1.5]), np.array([np.inf])),
    )
    changes = (ClusterChange(3.0, "ADDED", {"kind": "Pod", "metadata": {"name": "a"}}),)
    logs = (LogAnswer(2.0, "q", ({"app": "x"},), (3.0,)),)
    return Bundle(Manifest("d", 1.0, 9.0, 60.0, "c", "prometheus", "logs", 3, 3, 1), series, logs, changes)


def test_round_trip(tmp_path: Path) -> None:
    wrote = bundle()
    write_bundle(tmp_path / "b", wrote)
    read = read_bundle(tmp_path / "b")
    assert (read.manifest, read.logs, read.changes) == (wrote.manifest, wrote.logs, wrote.changes)
    for a, b in zip(wrote.metrics, read.metrics, strict=True):
        assert a.labels == b.labels
        np.testing.assert_array_equal(a.times, b.times)
        np.testing.assert_array_equal(a.values, b.values)


def test_a_bundle_is_never_overwritten(tmp_path: Path) -> None:
    write_bundle(tmp_path, bundle())
    with pytest.raises(FileExistsError):
        write_bundle(tmp_path, bundle())


@pytest.mark.parametrize("name", ["metrics.npz", "logs.jsonl.gz", "cluster.jsonl.gz"])
def test_a_damaged_or_missing_file_is_named(tmp_path: Path, name: str) -> None:
    write_bundle(tmp_path, bundle())
    data = bytearray((tmp_path / name).read_bytes())
    data[len(data) // 2] ^= 0xFF
    (tmp_path / name).write_bytes(data)
    with pytest.raises(BundleError, match=name):
        read_bundle(tmp_path)
    (tmp_path / name).unlink()
    with pytest.raises(BundleError, match=name):
        read_bundle(tmp_path)


def test_another_version_or_no_manifest_is_said_so(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match=r"manifest\.json"):
        read_bundle(tmp_path)
    write_bundle(tmp_path, bundle())
    manifest = json.loads((tmp_path / "manifest.json").read_text())
    (tmp_path / "manifest.json").write_text(json.dumps(manifest | {"version": 99}))
    with pytest.raises(BundleError, match="version 99"):
        read_bundle(tmp_path)
