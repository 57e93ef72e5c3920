"""Prometheus in memory: a store of samples, and PromQL over it by numpy."""

from __future__ import annotations

from aiops.adapters.memory_prometheus.source import MemoryPrometheus
from aiops.adapters.memory_prometheus.store import STALE, Columns, MemorySeriesStore

__all__ = ["STALE", "Columns", "MemoryPrometheus", "MemorySeriesStore"]
