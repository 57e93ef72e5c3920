"""A recording: raw metric samples, log counts and the cluster's objects over a span of time, in one folder.

    manifest.json        what, when, and the checksum of every other file
    metrics.npz          `labels` (JSON, one a series), `offsets` (n + 1), `times`, `values`: series i owns [offsets[i], offsets[i + 1])
    logs.jsonl.gz        one line an answered log query: time, query, groups and counts
    cluster.jsonl.gz     one line a change: time, ADDED|MODIFIED|DELETED, object

Raw samples, not query answers: rules may change between recording and replay. Neighbours: `replay.record` makes bundles, `app` feeds
them to in-memory sources. Format version 1.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from aiops.domain.errors import AiopsError
from aiops.domain.series import SeriesRange
from aiops.domain.target import JsonObject

VERSION = 1


class BundleError(AiopsError):
    """The folder is no bundle, a newer one, or damaged; the text names the file."""


@dataclass(frozen=True, slots=True)
class Manifest:
    """Times in Unix seconds. `lookback` seconds of metrics before `start` are included, so that windows are full at the start."""

    description: str
    start: float
    end: float
    lookback: float
    cluster: str
    metric_source: str
    log_source: str
    series: int
    samples: int
    events: int
    version: int = VERSION


@dataclass(frozen=True, slots=True)
class LogAnswer:
    """What one log query counted at one time. `query` identifies it (`query_key`)."""

    at: float
    query: str
    labels: tuple[Mapping[str, str], ...]
    counts: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class ClusterChange:
    """One object appearing, changing or vanishing."""

    at: float
    type: str
    object: JsonObject


@dataclass(frozen=True, slots=True)
class Bundle:
    """A whole recording in memory."""

    manifest: Manifest
    metrics: tuple[SeriesRange, ...]
    logs: tuple[LogAnswer, ...]
    changes: tuple[ClusterChange, ...]


def write_bundle(folder: Path, bundle: Bundle) -> None:
    """Write all files; the manifest last, so a bundle with a manifest is whole. Raises FileExistsError if there is one already."""
    if (folder / "manifest.json").exists():
        raise FileExistsError(f"{folder} holds a bundle already")
    folder.mkdir(parents=True, exist_ok=True)
    files = {
        "metrics.npz": _pack_metrics(bundle.metrics),
        "logs.jsonl.gz": _pack_lines(asdict(answer) for answer in bundle.logs),
        "cluster.jsonl.gz": _pack_lines({"at": c.at, "type": c.type, "object": c.object} for c in bundle.changes),
    }
    for name, data in files.items():
        (folder / name).write_bytes(data)
    manifest = asdict(bundle.manifest) | {"sha256": {name: hashlib.sha256(data).hexdigest() for name, data in files.items()}}
    (folder / "manifest.json").write_text(json.dumps(manifest, indent=2) + "\n")


def read_manifest(folder: Path) -> Manifest:
    """What a bundle is about, without its data. Raises BundleError."""
    return _manifest(folder)[0]


def read_bundle(folder: Path) -> Bundle:
    """The whole recording, checksums verified. Raises BundleError."""
    manifest, checksums = _manifest(folder)
    data: dict[str, bytes] = {}
    for name in ("metrics.npz", "logs.jsonl.gz", "cluster.jsonl.gz"):
        try:
            data[name] = (folder / name).read_bytes()
        except OSError as error:
            raise BundleError(f"{folder / name}: {error.strerror}") from error
        if hashlib.sha256(data[name]).hexdigest() != checksums.get(name):
            raise BundleError(f"{folder / name}: its checksum is not the manifest's: the file is damaged or was changed")
    try:
        return Bundle(
            manifest,
            _unpack_metrics(data["metrics.npz"]),
            tuple(
                LogAnswer(float(x["at"]), str(x["query"]), tuple(x["labels"]), tuple(float(c) for c in x["counts"]))
                for x in _lines(data["logs.jsonl.gz"])
            ),
            tuple(ClusterChange(float(x["at"]), str(x["type"]), x["object"]) for x in _lines(data["cluster.jsonl.gz"])),
        )
    except (KeyError, TypeError, ValueError, OSError) as error:
        raise BundleError(f"{folder}: cannot be read: {error}") from error


def _manifest(folder: Path) -> tuple[Manifest, dict[str, str]]:
    path = folder / "manifest.json"
    try:
        document: dict[str, Any] = json.loads(path.read_text())
        checksums = document.pop("sha256")
        if document.get("version") != VERSION:
            raise BundleError(f"{path}: version {document.get('version')!r}: this program reads version {VERSION}")
        return Manifest(**document), checksums
    except OSError as error:
        raise BundleError(f"{path}: {error.strerror}: a bundle is a folder made by `aiops record`") from error
    except (ValueError, KeyError, TypeError) as error:
        raise BundleError(f"{path}: is no manifest of a bundle: {error}") from error


def _pack_metrics(series: tuple[SeriesRange, ...]) -> bytes:
    offsets = np.cumsum([0, *(len(s.times) for s in series)])
    out = io.BytesIO()
    np.savez_compressed(
        out,
        labels=np.array(json.dumps([dict(s.labels) for s in series])),
        offsets=offsets,
        times=np.concatenate([s.times for s in series]) if series else np.empty(0),
        values=np.concatenate([s.values for s in series]) if series else np.empty(0),
    )
    return out.getvalue()


def _unpack_metrics(data: bytes) -> tuple[SeriesRange, ...]:
    with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
        labels = json.loads(str(arrays["labels"]))
        offsets, times, values = arrays["offsets"], arrays["times"], arrays["values"]
    return tuple(
        SeriesRange(labels[i], times[offsets[i] : offsets[i + 1]], values[offsets[i] : offsets[i + 1]]) for i in range(len(labels))
    )


def _pack_lines(lines: Iterator[dict[str, Any]]) -> bytes:
    # mtime 0: the same recording gives the same bytes.
    return gzip.compress("".join(json.dumps(line, separators=(",", ":")) + "\n" for line in lines).encode(), mtime=0)


def _lines(data: bytes) -> Iterator[dict[str, Any]]:
    for line in gzip.decompress(data).decode().splitlines():
        yield json.loads(line)
