"""Numbers about ourselves. Neighbours: `adapters.telemetry` (prometheus_client), and `NullTelemetry` here for tests and replay."""

from __future__ import annotations

from typing import Protocol


class Telemetry(Protocol):
    """Metric names are given without the `aiops_` prefix; label values must be bounded (rule names, reasons: yes; pod names: no)."""

    def count(self, name: str, amount: float = 1.0, **labels: str) -> None:
        """Add to a counter (`aiops_<name>_total`)."""
        ...

    def gauge(self, name: str, value: float, **labels: str) -> None:
        """Set a gauge."""
        ...

    def forget(self, name: str, **labels: str) -> None:
        """Take back the gauges of this name (empty: of any) that have all these labels; where none has, nothing happens."""
        ...

    def observe(self, name: str, seconds: float, **labels: str) -> None:
        """Put a duration into a histogram (`aiops_<name>_seconds`)."""
        ...


class NullTelemetry:
    """Counts nothing."""

    def count(self, name: str, amount: float = 1.0, **labels: str) -> None:
        """Do nothing."""

    def gauge(self, name: str, value: float, **labels: str) -> None:
        """Do nothing."""

    def forget(self, name: str, **labels: str) -> None:
        """Do nothing."""

    def observe(self, name: str, seconds: float, **labels: str) -> None:
        """Do nothing."""
