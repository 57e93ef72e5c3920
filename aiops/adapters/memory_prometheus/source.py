"""`MetricSource` over samples in memory: for simulation in virtual time, replay of recordings, and tests of rules.

Neighbours: `ports.sources` is the contract, `evaluator` computes, `store` holds the samples.
"""

from __future__ import annotations

import numpy as np

from aiops.adapters.memory_prometheus.evaluator import Evaluator
from aiops.adapters.memory_prometheus.store import MemorySeriesStore, milliseconds
from aiops.adapters.memory_prometheus.syntax import parsed
from aiops.adapters.memory_prometheus.vectors import LabelDict, QueryError, Scalar, String, Value, Vector, identity
from aiops.domain.errors import SourceRejectedError
from aiops.domain.series import RangeBatch, SampleBatch, SeriesRange

_STEPS_AT_ONCE = 2000
MAX_POINTS = 1_000_000


class MemoryPrometheus:
    """PromQL over a `MemorySeriesStore`. Raises SourceRejectedError (reason BadQuery) and nothing else."""

    def __init__(self, name: str, store: MemorySeriesStore | None = None, *, subquery_step: float = 60.0) -> None:
        """`subquery_step`: seconds between steps of a subquery that names none; of a server, its global evaluation interval."""
        self._name = name
        self.store = store if store is not None else MemorySeriesStore()
        self._subquery_step = milliseconds(subquery_step)

    @property
    def name(self) -> str:
        """As rules name it."""
        return self._name

    def instant(self, query: str, at: float) -> SampleBatch:
        """Evaluate at `at` (Unix seconds)."""
        time = milliseconds(at)
        vector = self._evaluated(query, np.array([time]), time, time).compact()
        times = np.full(len(vector.labels), time / 1000.0)
        return SampleBatch(self._name, query, at, tuple(vector.labels), times, np.ascontiguousarray(vector.values[:, 0]))

    def range(self, query: str, start: float, end: float, step: float) -> RangeBatch:
        """Evaluate from `start` to `end` inclusive, each `step` seconds. SourceRejectedError for a step that is not positive or too many points."""
        first, last, pace = milliseconds(start), milliseconds(end), milliseconds(step)
        if pace <= 0:
            raise SourceRejectedError(self._name, "BadQuery", f"step of {step} seconds, it must be at least 0.001")
        if last < first:
            raise SourceRejectedError(self._name, "BadQuery", "the end is before the start")
        if (last - first) // pace >= MAX_POINTS:
            raise SourceRejectedError(self._name, "BadQuery", f"more than {MAX_POINTS} points a series")
        grid = np.arange(first, last + 1, pace, dtype=np.int64)
        joined: dict[frozenset[tuple[str, str]], tuple[LabelDict, list[np.ndarray], list[np.ndarray]]] = {}
        for begin in range(0, len(grid), _STEPS_AT_ONCE):
            part = grid[begin : begin + _STEPS_AT_ONCE]
            vector = self._evaluated(query, part, first, last)
            seconds = part / 1000.0
            for labels, values, present in zip(vector.labels, vector.values, vector.present, strict=True):
                if present.any():
                    _, times, kept = joined.setdefault(identity(labels), (labels, [], []))
                    times.append(seconds[present])
                    kept.append(values[present])
        series = tuple(SeriesRange(labels, np.concatenate(times), np.concatenate(kept)) for labels, times, kept in joined.values())
        return RangeBatch(self._name, query, start, end, step, series)

    def _evaluated(self, query: str, steps: np.ndarray, start: int, end: int) -> Vector:
        try:
            # Division by zero, overflow and NaN are values in PromQL, not events.
            with np.errstate(all="ignore"):
                return _as_vector(Evaluator(self.store, steps, start, end, self._subquery_step).value(parsed(query)), len(steps))
        except RecursionError as error:
            raise SourceRejectedError(self._name, "BadQuery", "query nested too deeply") from error
        except QueryError as error:
            raise SourceRejectedError(self._name, "BadQuery", str(error)) from error


def _as_vector(value: Value, steps: int) -> Vector:
    """A scalar answer is one series without labels; a string has no samples to give."""
    if isinstance(value, Vector):
        return value
    if isinstance(value, Scalar):
        return Vector([{}], value.values[None, :], np.ones((1, steps), dtype=np.bool_))
    if isinstance(value, String):
        raise QueryError("the answer is a string, a number or a vector is needed")
    raise QueryError(f"the answer is a {type(value).__name__}")
