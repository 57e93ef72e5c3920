"""Learned state as files that are whole or absent: temporary file, fsync, rename, fsync of the folder; a header with version and checksum.

Neighbours: `ports.models` says what is asked, `detect.bank` makes the bytes. `MemorySnapshots` is for replay and tests.
"""

from __future__ import annotations

import hashlib
import os
import re
import struct
import threading
from contextlib import suppress
from pathlib import Path
from urllib.parse import quote

import structlog

from aiops.domain.errors import StoreError
from aiops.ports.telemetry import NullTelemetry, Telemetry

_MAGIC = b"AIOPSNAP"
_VERSION = 1
_HEADER = struct.Struct(">8sIQ32s")
"""Magic, version, length of the data, SHA-256 of the data."""
_SUFFIX = ".snapshot"
_LONGEST = 180

_log = structlog.get_logger(__name__)


class FileSnapshots:
    """One file for each name in `folder`, which is made if absent (mode 0700; files 0600). Safe to share among threads."""

    def __init__(self, folder: Path, telemetry: Telemetry | None = None) -> None:
        self._folder, self._telemetry = folder, telemetry or NullTelemetry()
        self._lock = threading.Lock()
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            for left in folder.glob(f"*{_SUFFIX}.new"):
                # A process died while it wrote; the file of the right name is the last whole one.
                left.unlink(missing_ok=True)
        except OSError as error:
            raise StoreError(f"snapshots: {folder} cannot be used: {error.strerror}") from error

    def save(self, name: str, data: bytes) -> None:
        """Durable when it returns. Raises StoreError; the former snapshot stays then."""
        path = self._path(name)
        fresh = path.with_name(path.name + ".new")
        with self._lock:
            try:
                _write(fresh, _HEADER.pack(_MAGIC, _VERSION, len(data), hashlib.sha256(data).digest()), data)
                fresh.replace(path)
                sync_folder(self._folder)
            except OSError as error:
                with suppress(OSError):
                    fresh.unlink(missing_ok=True)
                raise StoreError(f"snapshots: {name} could not be written: {error.strerror}") from error

    def load(self, name: str) -> bytes | None:
        """None if there is none, or if it is damaged or of another version (logged and counted). Raises StoreError if the disk cannot be read."""
        try:
            raw = self._path(name).read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise StoreError(f"snapshots: {name} could not be read: {error.strerror}") from error
        data, fault = _unpack(raw)
        if fault:
            _log.warning("snapshot_unusable", snapshot=name, reason=fault)
            self._telemetry.count("snapshots_unusable", reason=fault)
        return data

    def _path(self, name: str) -> Path:
        if not name:
            raise StoreError("snapshots: a name is needed")
        safe = quote(name, safe="", errors="replace").replace(".", "%2E")
        if len(safe) > _LONGEST:
            digest = hashlib.blake2b(name.encode(errors="surrogatepass"), digest_size=16).hexdigest()
            safe = f"{re.sub('[^A-Za-z0-9_-]', '_', safe[:100])}-{digest}"
        return self._folder / (safe + _SUFFIX)


class MemorySnapshots:
    """The same in a dictionary."""

    def __init__(self) -> None:
        self._data: dict[str, bytes] = {}

    def save(self, name: str, data: bytes) -> None:
        """Keep a copy."""
        if not name:
            raise StoreError("snapshots: a name is needed")
        self._data[name] = bytes(data)

    def load(self, name: str) -> bytes | None:
        """What was saved last, or None."""
        if not name:
            raise StoreError("snapshots: a name is needed")
        return self._data.get(name)


def _write(path: Path, *parts: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        for part in parts:
            file.write(part)
        file.flush()
        os.fsync(file.fileno())


def sync_folder(folder: Path) -> None:
    """Without this, a rename may be lost when the machine stops."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _unpack(raw: bytes) -> tuple[bytes | None, str]:
    """The data, or why there is none: `Truncated`, `Foreign`, `Version`, `Checksum`."""
    if len(raw) < _HEADER.size:
        return None, "Truncated"
    magic, version, length, digest = _HEADER.unpack_from(raw)
    if magic != _MAGIC:
        return None, "Foreign"
    if version != _VERSION:
        return None, "Version"
    data = raw[_HEADER.size :]
    if len(data) != length:
        return None, "Truncated"
    return (data, "") if hashlib.sha256(data).digest() == digest else (None, "Checksum")
