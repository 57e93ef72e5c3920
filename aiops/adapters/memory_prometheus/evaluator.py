"""PromQL over stored samples: walks the tree once and computes all steps of a query together.

Semantics are those of Prometheus 2.42 (windows closed at both ends, look-back of 5 minutes, subqueries without a step each minute).
Neighbours: `source` asks, `store` holds the samples, the other files compute.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from aiops.adapters.memory_prometheus import label_functions, rates
from aiops.adapters.memory_prometheus.aggregation import aggregate, count_values
from aiops.adapters.memory_prometheus.binary import binary
from aiops.adapters.memory_prometheus.functions import DATES, ELEMENTWISE, labels_of_absent
from aiops.adapters.memory_prometheus.histogram import histogram_quantile
from aiops.adapters.memory_prometheus.matchers import PatternError
from aiops.adapters.memory_prometheus.range_functions import RANGE_FUNCTIONS, quantile_over_time
from aiops.adapters.memory_prometheus.store import Kept, MemorySeriesStore, Selection
from aiops.adapters.memory_prometheus.syntax import (
    Aggregate,
    Binary,
    Call,
    Moment,
    Negated,
    Node,
    Number,
    RangeSelector,
    Selector,
    Subquery,
    Text,
    looks_back,
)
from aiops.adapters.memory_prometheus.vectors import (
    Bools,
    Floats,
    Ints,
    QueryError,
    Scalar,
    String,
    Value,
    Vector,
    along,
    distinct,
    dropping_name,
    empty,
)
from aiops.adapters.memory_prometheus.windows import Samples, Windows, from_vector, gather, latest, newest, windows, without_stale

LOOKBACK_MS = 300_000
# A subquery's step can be tiny and its range huge; more cells than this are refused rather than computed.
MAX_CELLS = 50_000_000


@dataclass(frozen=True, slots=True)
class Evaluator:
    """Evaluates at `steps` (ms, rising); `start` and `end` are those of the whole query, for `@ start()` and `@ end()`."""

    store: MemorySeriesStore
    steps: Ints
    start: int
    end: int
    subquery_step: int = 60_000
    # Values of what a query says more than once; equal parts of a tree are one object.
    known: dict[int, Value] = field(default_factory=dict)

    def value(self, node: Node) -> Value:
        """The node's value. QueryError for what cannot be answered."""
        if not isinstance(node, Aggregate | Call):
            return self._computed(node)
        found = self.known.get(id(node))
        if found is None:
            found = self.known[id(node)] = self._computed(node)
        return found

    def _computed(self, node: Node) -> Value:
        match node:
            case Number() | Text():
                return self._literal(node)
            case Selector():
                return self._latest(node)[0]
            case Negated():
                return self._negated(node)
            case Binary():
                return binary(node, self._operand(node.lhs), self._operand(node.rhs))
            case Aggregate():
                return self._aggregate(node)
            case Call():
                return self._call(node)
            case _:
                raise QueryError("a range vector can only be the argument of a function of a range")

    def _literal(self, node: Number | Text) -> Value:
        return String(node.value) if isinstance(node, Text) else Scalar(np.full(len(self.steps), node.value))

    def vector(self, node: Node) -> Vector:
        """The node's value, which must be an instant vector."""
        value = self.value(node)
        if not isinstance(value, Vector):
            raise QueryError(f"an instant vector is needed, got a {type(value).__name__.lower()}")
        return value

    def scalar(self, node: Node) -> Floats:
        """The node's values, which must be a scalar."""
        value = self.value(node)
        if not isinstance(value, Scalar):
            raise QueryError(f"a scalar is needed, got a {type(value).__name__.lower()}")
        return value.values

    def text(self, node: Node) -> str:
        """The node's string."""
        value = self.value(node)
        if not isinstance(value, String):
            raise QueryError(f"a string is needed, got a {type(value).__name__.lower()}")
        return value.value

    def _operand(self, node: Node) -> Scalar | Vector:
        value = self.value(node)
        if isinstance(value, String):
            raise QueryError("a string is no operand")
        return value

    def _times(self, moment: Moment) -> Ints:
        """When to look, for each step."""
        at = {"start": self.start, "end": self.end}.get(moment.at) if isinstance(moment.at, str) else moment.at
        base = self.steps if at is None else np.full(len(self.steps), at, dtype=np.int64)
        return base - moment.offset

    def _latest(self, node: Selector) -> tuple[Vector, Ints]:
        at = self._times(node.moment)
        with self.store.lock:
            selection = self._selected(node)
            answer = newest(selection, int(at[0]), LOOKBACK_MS) if len(at) == 1 else None
            if answer is None:
                answer = latest(gather(selection, int(at.min()) - LOOKBACK_MS, int(at.max())), at, LOOKBACK_MS)
        found, times = answer
        any_present = along(found.present, axis=1)
        return (found, times) if any_present.all() else (found.rows(any_present), times[any_present])

    def _selected(self, node: Selector) -> Selection:
        try:
            return self.store.select(node.matchers)
        except PatternError as error:
            raise QueryError(str(error)) from error

    def _windows(self, node: Node) -> Windows:
        match node:
            case RangeSelector():
                ends = self._times(node.selector.moment)
                with self.store.lock:
                    samples = gather(self._selected(node.selector), int(ends.min()) - node.range, int(ends.max()))
                return windows(without_stale(samples), ends, node.range)
            case Subquery():
                return self._subquery(node)
            case _:
                raise QueryError("a range vector is needed, as in metric[5m]")

    def _subquery(self, node: Subquery) -> Windows:
        """The inner expression on a grid of multiples of the step, which does not move with the evaluation time."""
        ends = self._times(node.moment)
        step = node.step or self.subquery_step
        first = -(-(int(ends.min()) - node.range) // step) * step
        count = (int(ends.max()) - first) // step + 1
        if count * max(1, len(self.store)) > MAX_CELLS:
            raise QueryError(f"subquery of {count} steps over up to {len(self.store)} series is too large")
        grid = first + step * np.arange(max(0, count), dtype=np.int64)
        if not len(grid):
            return windows(from_vector(empty(0), grid), ends, node.range)
        return windows(self._on_grid(node.expr, grid), ends, node.range)

    def _on_grid(self, expr: Node, grid: Ints) -> Samples:
        """The inner expression's values. The grid stands still between two of its steps, so they are kept until the past is written to."""
        key = id(expr), self.subquery_step
        known = self.store.kept.get(key)
        if known is not None and known.revision == self.store.revision and np.array_equal(known.grid, grid):
            return known.samples
        last = int(grid[-1])
        with self.store.lock:
            revision = self.store.watch(last)
        inner = Evaluator(self.store, grid, self.start, self.end, self.subquery_step).value(expr)
        if isinstance(inner, Scalar):
            inner = Vector([{}], inner.values[None, :], np.ones((1, len(grid)), dtype=np.bool_))
        if not isinstance(inner, Vector):
            raise QueryError("a subquery of a string has no values")
        samples = from_vector(inner, grid)
        if looks_back(expr):
            self.store.keep(key, Kept(expr, grid, revision, samples))
        return samples

    def _negated(self, node: Negated) -> Scalar | Vector:
        value = self._operand(node.expr)
        if isinstance(value, Scalar):
            return Scalar(-value.values)
        return distinct(Vector(value.labels, -value.values, value.present).compact())

    def _aggregate(self, node: Aggregate) -> Vector:
        vector = self.vector(node.expr)
        if node.op == "count_values":
            return count_values(node, vector, self.text(_given(node.param, node.op)))
        param = None if node.param is None else self.scalar(node.param)
        return aggregate(node, vector, param)

    def _call(self, node: Call) -> Value:
        name, args = node.name, node.args
        if name in RANGE_FUNCTIONS:
            found = self._windows(args[0])
            if not found.samples.labels:
                return empty(len(self.steps))
            return _ranged(found, *RANGE_FUNCTIONS[name](found), keep_name=name == "last_over_time")
        if name in ELEMENTWISE:
            vector = self.vector(args[0])
            more = [self.scalar(arg)[None, :] for arg in args[1:]]
            return self._elementwise(name, vector, more)
        if name in DATES:
            return self._date(name, args)
        special = getattr(self, f"_call_{name}", None) if name in _SPECIAL else None
        if special is None:
            raise QueryError(f"function {name} is not supported")
        value: Value = special(args)
        return value

    def _elementwise(self, name: str, vector: Vector, more: list[Floats]) -> Vector:
        if name == "round" and not more:
            more = [np.ones((1, len(self.steps)))]
        if name == "clamp":
            possible = ~np.asarray(more[1] < more[0], dtype=np.bool_)
            vector = Vector(vector.labels, vector.values, vector.present & possible).compact()
        return dropping_name(vector, np.asarray(ELEMENTWISE[name](vector.values, *more), dtype=np.float64))

    def _date(self, name: str, args: tuple[Node, ...]) -> Vector:
        if args:
            vector = self.vector(args[0])
            return dropping_name(vector, DATES[name](vector.values))
        return _one_series(DATES[name](self.steps / 1000.0))

    def _call_time(self, _: tuple[Node, ...]) -> Scalar:
        return Scalar(self.steps / 1000.0)

    def _call_pi(self, _: tuple[Node, ...]) -> Scalar:
        return Scalar(np.full(len(self.steps), np.pi))

    def _call_vector(self, args: tuple[Node, ...]) -> Vector:
        return _one_series(self.scalar(args[0]))

    def _call_scalar(self, args: tuple[Node, ...]) -> Scalar:
        vector = self.vector(args[0])
        single = vector.present.sum(axis=0) == 1
        return Scalar(np.where(single, np.where(vector.present, vector.values, 0.0).sum(axis=0), np.nan))

    def _call_timestamp(self, args: tuple[Node, ...]) -> Vector:
        if isinstance(args[0], Selector):
            vector, times = self._latest(args[0])
            return dropping_name(vector, times / 1000.0)
        vector = self.vector(args[0])
        return dropping_name(vector, np.broadcast_to(self.steps / 1000.0, vector.values.shape))

    def _call_absent(self, args: tuple[Node, ...]) -> Vector:
        return self._where_absent(args[0], self.vector(args[0]).present)

    def _call_absent_over_time(self, args: tuple[Node, ...]) -> Vector:
        return self._where_absent(args[0], self._windows(args[0]).any)

    def _where_absent(self, node: Node, present: Bools) -> Vector:
        missing = ~along(present, axis=0)[None, :]
        return Vector([labels_of_absent(node)], np.ones(missing.shape), missing).compact()

    def _call_quantile_over_time(self, args: tuple[Node, ...]) -> Vector:
        found = self._windows(args[1])
        return _ranged(found, *quantile_over_time(found, self.scalar(args[0])))

    def _call_predict_linear(self, args: tuple[Node, ...]) -> Vector:
        found = self._windows(args[0])
        return _ranged(found, *rates.predict_linear(found, self.steps, self.scalar(args[1])))

    def _call_histogram_quantile(self, args: tuple[Node, ...]) -> Vector:
        return histogram_quantile(self.scalar(args[0]), self.vector(args[1]))

    def _call_label_replace(self, args: tuple[Node, ...]) -> Vector:
        target, replacement, source, pattern = (self.text(arg) for arg in args[1:])
        return label_functions.label_replace(self.vector(args[0]), target, replacement, source, pattern)

    def _call_label_join(self, args: tuple[Node, ...]) -> Vector:
        target, separator, *sources = (self.text(arg) for arg in args[1:])
        return label_functions.label_join(self.vector(args[0]), target, separator, sources)

    def _call_sort(self, args: tuple[Node, ...]) -> Vector:
        return self._sorted(args, 1.0)

    def _call_sort_desc(self, args: tuple[Node, ...]) -> Vector:
        return self._sorted(args, -1.0)

    def _sorted(self, args: tuple[Node, ...], sign: float) -> Vector:
        """Only an instant answer has an order."""
        vector = self.vector(args[0])
        if len(self.steps) > 1:
            return vector
        return vector.rows(np.argsort(sign * vector.values[:, 0], kind="stable"))


_SPECIAL = frozenset(name.removeprefix("_call_") for name in dir(Evaluator) if name.startswith("_call_"))


def _given(node: Node | None, op: str) -> Node:
    if node is None:
        raise QueryError(f"{op} needs a parameter")
    return node


def _one_series(values: Floats) -> Vector:
    return Vector([{}], values[None, :], np.ones((1, len(values)), dtype=np.bool_))


def _ranged(found: Windows, values: Floats, present: Bools, *, keep_name: bool = False) -> Vector:
    """A range function's answer; without the metric name, and then no two series may be alike."""
    vector = Vector(found.samples.labels, values, present).compact()
    return vector if keep_name else distinct(vector)
