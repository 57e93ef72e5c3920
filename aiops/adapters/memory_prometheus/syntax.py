"""PromQL text to our own tree: plain frozen nodes, made once a query.

The parser's nodes copy their subtree at each access, so the evaluator works on these instead. Durations and times become
whole milliseconds, the resolution of Prometheus. Neighbours: `evaluator` walks the tree, `binary` and `aggregation` read their node.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import lru_cache
from typing import Any

import promql_parser

from aiops.adapters.memory_prometheus.matchers import NAME, Matcher, Op, PatternError, compiled
from aiops.adapters.memory_prometheus.vectors import QueryError

# The parser is recursive native code: a query nested some thousand levels deep would end the process, not raise.
MAX_QUERY = 50_000
MAX_DEPTH = 100
MAX_OPERATORS = 2000
_OPERATOR = re.compile(r"[-+*/%^<>=!]|\b(?:and|or|unless|atan2)\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Number:
    """A number literal."""

    value: float


@dataclass(frozen=True, slots=True)
class Text:
    """A string literal."""

    value: str


@dataclass(frozen=True, slots=True)
class Moment:
    """`offset` in ms, and `@`: ms since 1970, "start", "end" or None."""

    offset: int = 0
    at: int | str | None = None


@dataclass(frozen=True, slots=True)
class Selector:
    """A vector selector; the metric name is a matcher on `__name__`."""

    matchers: tuple[Matcher, ...]
    moment: Moment


@dataclass(frozen=True, slots=True)
class RangeSelector:
    """`selector[range]`, range in ms."""

    selector: Selector
    range: int


@dataclass(frozen=True, slots=True)
class Subquery:
    """`expr[range:step]` in ms; `step` 0 is the default step."""

    expr: Node
    range: int
    step: int
    moment: Moment


@dataclass(frozen=True, slots=True)
class Call:
    """A function and its arguments."""

    name: str
    args: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Aggregate:
    """`op by|without (labels) (param, expr)`."""

    op: str
    expr: Node
    param: Node | None
    without: bool
    labels: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Matching:
    """How two vectors meet. `on` False is `ignoring`. `card` is one-to-one, many-to-one, one-to-many or many-to-many (set operators)."""

    card: str
    on: bool
    labels: tuple[str, ...]
    include: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Binary:
    """`lhs op rhs`; `as_bool` for comparisons with `bool`."""

    op: str
    lhs: Node
    rhs: Node
    as_bool: bool
    matching: Matching


@dataclass(frozen=True, slots=True)
class Negated:
    """`-expr`."""

    expr: Node


Node = Number | Text | Selector | RangeSelector | Subquery | Call | Aggregate | Binary | Negated


@lru_cache(maxsize=2048)
def parsed(query: str) -> Node:
    """The tree of a query; QueryError with the parser's words when it is none."""
    if len(query) > MAX_QUERY:
        raise QueryError(f"query of {len(query)} characters, at most {MAX_QUERY} are allowed")
    if _depth(query) > MAX_DEPTH or sum(1 for _ in _OPERATOR.finditer(query)) > MAX_OPERATORS:
        raise QueryError(f"query nested deeper than {MAX_DEPTH} brackets, or of more than {MAX_OPERATORS} operators")
    try:
        return _shared(_node(promql_parser.parse(query)), {})
    except ValueError as error:
        raise QueryError(str(error)) from error
    except RecursionError as error:
        raise QueryError("query nested too deeply") from error


def _depth(query: str) -> int:
    deepest = depth = 0
    for character in query:
        depth += (character == "(") - (character == ")")
        deepest = max(deepest, depth)
    return deepest


def _node(expr: Any) -> Node:
    make = _MAKERS.get(type(expr).__name__)
    if make is None:
        raise QueryError(f"expression of kind {type(expr).__name__} is not supported")
    return make(expr)


def _shared(node: Node, seen: dict[Node, Node]) -> Node:
    """The same tree with equal parts as one object, so that the evaluator computes them once."""
    match node:
        case Call():
            node = replace(node, args=tuple(_shared(each, seen) for each in node.args))
        case Aggregate():
            node = replace(node, expr=_shared(node.expr, seen), param=None if node.param is None else _shared(node.param, seen))
        case Binary():
            node = replace(node, lhs=_shared(node.lhs, seen), rhs=_shared(node.rhs, seen))
        case Negated() | Subquery():
            node = replace(node, expr=_shared(node.expr, seen))
        case _:
            return node
    return seen.setdefault(node, node)


def looks_back(node: Node) -> bool:
    """Whether the node's value at a time depends on samples up to that time alone: no `@`, and no negative offset."""
    match node:
        case Selector(moment=moment) | RangeSelector(selector=Selector(moment=moment)) | Subquery(moment=moment):
            if moment.at is not None or moment.offset < 0:
                return False
    return all(map(looks_back, _parts(node)))


def _parts(node: Node) -> tuple[Node, ...]:
    match node:
        case Call(args=args):
            return args
        case Aggregate(expr=expr, param=param):
            return (expr,) if param is None else (expr, param)
        case Binary(lhs=lhs, rhs=rhs):
            return lhs, rhs
        case Negated(expr=expr) | Subquery(expr=expr):
            return (expr,)
        case _:
            return ()


def _number(value: float) -> Node:
    # Minus zero equals zero, yet dividing by it does not give the same: as a negation it is another node.
    return Negated(Number(0.0)) if value == 0.0 and math.copysign(1.0, value) < 0.0 else Number(value)


def _inside(expr: Any) -> Node:
    return _node(expr.expr)


def _ms(duration: timedelta | None) -> int:
    return 0 if duration is None else round(duration / timedelta(milliseconds=1))


def _moment(expr: Any) -> Moment:
    at: int | str | None = None
    if expr.at is not None:
        kind = expr.at.type
        if kind == promql_parser.AtModifierType.Start:
            at = "start"
        elif kind == promql_parser.AtModifierType.End:
            at = "end"
        else:
            at = round(expr.at.at.timestamp() * 1000)
    return Moment(_ms(expr.offset), at)


_OPS = {
    "Equal": Op.EQUAL,
    "NotEqual": Op.NOT_EQUAL,
    "Re": Op.REGEX,
    "NotRe": Op.NOT_REGEX,
}


def _selector(expr: Any) -> Selector:
    if expr.matchers.or_matchers:
        raise QueryError("`or` between label matchers is not supported")
    matchers = [Matcher(NAME, Op.EQUAL, expr.name)] if expr.name else []
    for found in expr.matchers.matchers:
        op = _OPS[str(found.op).rpartition(".")[2]]
        if op in {Op.REGEX, Op.NOT_REGEX}:
            try:
                compiled(found.value)
            except PatternError as error:
                raise QueryError(str(error)) from error
        matchers.append(Matcher(found.name, op, found.value))
    return Selector(tuple(matchers), _moment(expr))


def _aggregate(expr: Any) -> Aggregate:
    modifier = expr.modifier
    without = modifier is not None and modifier.type == promql_parser.AggModifierType.Without
    labels = tuple(modifier.labels) if modifier is not None else ()
    param = None if expr.param is None else _node(expr.param)
    return Aggregate(str(expr.op).strip(), _node(expr.expr), param, without, labels)


_CARDS = {"OneToOne": "one-to-one", "ManyToOne": "many-to-one", "OneToMany": "one-to-many", "ManyToMany": "many-to-many"}


def _binary(expr: Any) -> Binary:
    op, modifier = str(expr.op).strip(), expr.modifier
    card = "many-to-many" if op in {"and", "or", "unless"} else "one-to-one"
    matching = Matching(card, False, (), ())
    as_bool = False
    if modifier is not None:
        if modifier.fill_values.lhs is not None or modifier.fill_values.rhs is not None:
            raise QueryError("`fill` in vector matching is not supported")
        found = modifier.matching
        matching = Matching(
            _CARDS[str(modifier.card).rpartition(".")[2]],
            found is not None and found.type == promql_parser.LabelModifierType.Include,
            tuple(found.labels) if found is not None else (),
            tuple(modifier.group_labels or ()),
        )
        as_bool = bool(modifier.return_bool)
    return Binary(op, _node(expr.lhs), _node(expr.rhs), as_bool, matching)


# By the parser's class.
_MAKERS: dict[str, Callable[[Any], Node]] = {
    "AggregateExpr": _aggregate,
    "BinaryExpr": _binary,
    "Call": lambda expr: Call(str(expr.func.name), tuple(_node(arg) for arg in expr.args)),
    "MatrixSelector": lambda expr: RangeSelector(_selector(expr.vector_selector), _ms(expr.range)),
    "NumberLiteral": lambda expr: _number(float(expr.val)),
    "ParenExpr": _inside,
    "StringLiteral": lambda expr: Text(str(expr.val)),
    "SubqueryExpr": lambda expr: Subquery(_node(expr.expr), _ms(expr.range), _ms(expr.step), _moment(expr)),
    "UnaryExpr": lambda expr: Negated(_node(expr.expr)),
    "VectorSelector": _selector,
}
