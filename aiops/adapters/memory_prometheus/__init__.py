"""Prometheus in memory: a store of samples, and PromQL over it by numpy.

It answers as Prometheus 2.42 does; `tests/contract/sources` holds both to that. Known differences: which of equal series topk and
bottomk keep; `@` together with `offset` inside timestamp(), and `@` in a range query inside predict_linear() and quantile_over_time(),
where 2.42 departs from its own documentation; regular expressions that could run without end are refused (`matchers`);
native histograms, holt_winters and string answers are not supported.
"""

from __future__ import annotations

from aiops.adapters.memory_prometheus.source import MemoryPrometheus
from aiops.adapters.memory_prometheus.store import STALE, Columns, MemorySeriesStore

__all__ = ["STALE", "Columns", "MemoryPrometheus", "MemorySeriesStore"]
