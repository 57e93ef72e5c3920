"""`History` as Parquet files: one folder a track, one file for each `CHUNK` steps, written beside and renamed, so that each is whole or absent.

The file's own metadata say what was asked and how far, so nothing else has to be kept in step. Neighbours: `ports.history`; pyarrow is loaded when first needed.
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import structlog

from aiops.adapters.snapshots import sync_folder
from aiops.domain.errors import StoreError
from aiops.domain.series import SeriesRange, label_key
from aiops.ports.history import Track
from aiops.ports.telemetry import NullTelemetry, Telemetry

CHUNK = 256
"""Steps of a file: what is rewritten when one more comes."""
_SUFFIX = ".parquet"
_THROUGH, _QUERY, _VERSION = b"aiops.through", b"aiops.query", b"aiops.version"

_log = structlog.get_logger(__name__)
Key = tuple[tuple[str, str], ...]


def merged(parts: Sequence[SeriesRange]) -> tuple[SeriesRange, ...]:
    """The series of all parts, each once, times rising; of samples at one time the last given holds."""
    found: dict[Key, list[SeriesRange]] = {}
    for one in parts:
        found.setdefault(label_key(one.labels), []).append(one)
    out = []
    for key in sorted(found):
        times = np.concatenate([s.times for s in found[key]])
        values = np.concatenate([s.values for s in found[key]])
        order = np.argsort(times, kind="stable")
        times, values = times[order], values[order]
        last = np.append(np.diff(times) > 0.0, np.ones(min(1, len(times)), dtype=np.bool_))
        if last.any():
            out.append(SeriesRange(dict(key), times[last], values[last]))
    return tuple(out)


def between(series: Sequence[SeriesRange], start: float, end: float) -> list[SeriesRange]:
    """The samples with `start <= t <= end`."""
    cut = [(s, (s.times >= start) & (s.times <= end)) for s in series]
    return [SeriesRange(s.labels, s.times[inside], s.values[inside]) for s, inside in cut if inside.any()]


class MemoryHistory:
    """The same in a dictionary: for replay and tests."""

    def __init__(self) -> None:
        self._kept: dict[str, tuple[float, tuple[SeriesRange, ...]]] = {}

    def through(self, track: Track) -> float | None:
        """See the port."""
        return self._kept[track.id][0] if track.id in self._kept else None

    def add(self, track: Track, series: Sequence[SeriesRange], through: float) -> None:
        """See the port."""
        before, kept = self._kept.get(track.id, (through, ()))
        self._kept[track.id] = (max(before, through), merged([*kept, *series]))

    def read(self, track: Track, start: float, end: float) -> tuple[SeriesRange, ...]:
        """See the port."""
        return tuple(between(self._kept.get(track.id, (0.0, ()))[1], start, end))

    def purge(self, before: float) -> int:
        """See the port; a piece is a track."""
        gone = 0
        for name, (through, kept) in list(self._kept.items()):
            if through < before:
                del self._kept[name]
                gone += 1
            else:
                self._kept[name] = (through, tuple(between(kept, before, np.inf)))
        return gone


class ParquetHistory:
    """`folder` is made if absent (mode 0700). Safe to share among threads; of several processes one may be the `owner`, who alone writes and tidies up."""

    def __init__(self, folder: Path, telemetry: Telemetry | None = None, *, owner: bool = True) -> None:
        self._folder, self._telemetry = folder, telemetry or NullTelemetry()
        self._lock, self._owner = threading.RLock(), owner
        if not owner:
            return
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            for left in folder.glob(f"*/*{_SUFFIX}.new"):
                left.unlink(missing_ok=True)  # a process died while it wrote; the file of the right name is whole
        except OSError as error:
            raise StoreError(f"history: {folder} cannot be used: {error.strerror}") from error

    def through(self, track: Track) -> float | None:
        """See the port."""
        with self._lock:
            for path in reversed(self._files(track)):
                metadata = self._metadata(path)
                if metadata is not None:
                    return float(metadata[_THROUGH])
        return None

    def add(self, track: Track, series: Sequence[SeriesRange], through: float) -> None:
        """See the port. Older pieces are written first: after a crash in between, `through` says how far it came."""
        width = CHUNK * track.step
        with self._lock:
            through = max(through, self.through(track) or through)
            pieces = {int(t // width) for s in series for t in (s.times[:1], s.times[-1:]) for t in t.tolist()} | {int(through // width)}
            for number in range(min(pieces), max(pieces) + 1):
                start, end = number * width, (number + 1) * width
                fresh = between(series, start, np.nextafter(end, start))
                if not fresh and number != max(pieces):
                    continue
                path = self._path(track, number)
                self._write(path, merged([*self._load(path), *fresh]), track, min(through, end))

    def read(self, track: Track, start: float, end: float) -> tuple[SeriesRange, ...]:
        """See the port."""
        width = CHUNK * track.step
        with self._lock:
            paths = [p for p in self._files(track) if start < (_number(p) + 1) * width and _number(p) * width <= end]
            found = [one for path in paths for one in self._load(path)]
        return merged(between(found, start, end))

    def purge(self, before: float) -> int:
        """See the port; a piece is a file."""
        gone = 0
        with self._lock:
            for path in self._folder.glob(f"*/*{_SUFFIX}"):
                metadata = self._metadata(path)
                if metadata is not None and float(metadata[_THROUGH]) < before:
                    path.unlink(missing_ok=True)
                    gone += 1
        return gone

    def _path(self, track: Track, number: int) -> Path:
        return self._folder / track.id / f"{number}{_SUFFIX}"

    def _files(self, track: Track) -> list[Path]:
        return sorted((self._folder / track.id).glob(f"*{_SUFFIX}"), key=_number)

    def _metadata(self, path: Path) -> dict[bytes, bytes] | None:
        import pyarrow as pa  # deferred: only daemons with capacity rules need it
        from pyarrow import parquet

        try:
            metadata = parquet.read_schema(path).metadata or {}
            float(metadata[_THROUGH])
        except (pa.ArrowException, KeyError, ValueError) as error:
            self._aside(path, error)
            return None
        except OSError as error:
            raise StoreError(f"history: {path} could not be read: {error}") from error
        return dict(metadata)

    def _load(self, path: Path) -> tuple[SeriesRange, ...]:
        import pyarrow as pa  # deferred, see above
        from pyarrow import parquet

        if not path.exists():
            return ()
        try:
            table = parquet.read_table(path)
            labels = table.column("labels").combine_chunks()
            names = [json.loads(text) for text in labels.dictionary.to_pylist()]
            which = labels.indices.to_numpy()
            times = table.column("time").to_numpy() / 1000.0
            values = np.asarray(table.column("value").to_numpy(), dtype=np.float64)
        except (pa.ArrowException, KeyError, ValueError, AttributeError) as error:
            self._aside(path, error)
            return ()
        except OSError as error:
            raise StoreError(f"history: {path} could not be read: {error}") from error
        return tuple(SeriesRange(one, times[which == i], values[which == i]) for i, one in enumerate(names))

    def _write(self, path: Path, series: Sequence[SeriesRange], track: Track, through: float) -> None:
        fresh = path.with_name(path.name + ".new")
        try:
            path.parent.mkdir(mode=0o700, exist_ok=True)
            _save(fresh, series, {_THROUGH: repr(through).encode(), _QUERY: track.query.encode(), _VERSION: b"1"})
            fresh.replace(path)
            sync_folder(path.parent)
        except OSError as error:
            fresh.unlink(missing_ok=True)
            raise StoreError(f"history: {path} could not be written: {error}") from error

    def _aside(self, path: Path, error: Exception) -> None:
        _log.warning("history_unusable", file=str(path), error=str(error))
        self._telemetry.count("history_unusable")
        if self._owner:
            path.replace(path.with_name(path.name + ".damaged"))


def _number(path: Path) -> int:
    return int(path.name.removesuffix(_SUFFIX))


def _save(path: Path, series: Sequence[SeriesRange], metadata: dict[bytes, bytes]) -> None:
    import pyarrow as pa  # deferred, see above
    from pyarrow import parquet

    which = np.repeat(np.arange(len(series), dtype=np.int32), [len(s.times) for s in series])
    empty = np.empty(0)
    columns: dict[str, Any] = {
        "labels": pa.DictionaryArray.from_arrays(pa.array(which), pa.array([json.dumps(dict(s.labels), sort_keys=True) for s in series], pa.string())),
        "time": pa.array(np.rint(np.concatenate([empty, *(s.times for s in series)]) * 1000.0).astype(np.int64)),
        "value": pa.array(np.concatenate([empty, *(s.values for s in series)])),
    }
    with path.open("wb") as file:
        parquet.write_table(pa.table(columns).replace_schema_metadata(metadata), file, compression="zstd")
        file.flush()
        os.fsync(file.fileno())
