"""Bytes of learned state beside the database (never in it). Neighbours: `detect.bank` makes them, `adapters.snapshots` keeps files."""

from __future__ import annotations

from typing import Protocol


class Snapshots(Protocol):
    """Named blobs, each replaced atomically."""

    def save(self, name: str, data: bytes) -> None:
        """Durable when it returns. Raises StoreError."""
        ...

    def load(self, name: str) -> bytes | None:
        """None if there is none, or if it is damaged (which is logged and counted)."""
        ...
