"""Text templates: a small, sandboxed part of Jinja2 for people's texts, targets, arguments, and PromQL.

What is allowed is `{{ name.field | filter }}` and `{% if %}`: no loops, calls, assignments or macros, so a template ends and its output is bounded
by its own length times that of its values. Undefined names are errors. Label values are hostile: in PromQL every output must stand within a
double-quoted string and is escaped by `escape_label_value`, and nothing else is.
Neighbours: `schema_*` check templates while reading, `remediate.planner` and `pipeline.observe` are given `render`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache, lru_cache
from typing import Any

import jinja2
from jinja2 import meta, nodes
from jinja2.sandbox import ImmutableSandboxedEnvironment

from aiops.definitions import filters
from aiops.domain.errors import ExpressionError, trimmed
from aiops.domain.templated import indexed

MAX_TEMPLATE = 8192
MAX_OUTPUT = 16_384
MAX_DEPTH = 30
"""Levels of brackets, conditions and filters within each other."""

# What a template may be made of. Loops, calls and assignments are left out on purpose: see above.
_ALLOWED: tuple[type[nodes.Node], ...] = (
    nodes.Template, nodes.Output, nodes.TemplateData, nodes.If, nodes.Name, nodes.Getattr, nodes.Getitem, nodes.Const, nodes.Filter,
    nodes.CondExpr, nodes.Compare, nodes.Operand, nodes.And, nodes.Or, nodes.Not, nodes.Concat, nodes.Test, nodes.Neg, nodes.Keyword,
    nodes.Add, nodes.Sub, nodes.Div, nodes.Mul,
)  # fmt: skip
_TESTS = ("defined", "undefined", "none", "number", "string", "in", "eq", "ne", "lt", "le", "gt", "ge")


class _Environment(ImmutableSandboxedEnvironment):
    """Fields of values are their items and nothing more: no methods, so `labels.items` is the label of that name."""

    intercepted_binops = frozenset(("*", "+"))

    def getitem(self, obj: Any, argument: Any) -> Any:
        if isinstance(obj, Mapping) and isinstance(argument, str):
            return obj[argument] if argument in obj else self.undefined(name=argument)
        if isinstance(obj, (list, tuple)) and isinstance(argument, int):
            return obj[argument] if -len(obj) <= argument < len(obj) else self.undefined(name=str(argument))
        return obj if isinstance(obj, jinja2.Undefined) else self.undefined(obj=obj, name=str(argument))

    def getattr(self, obj: Any, attribute: str) -> Any:
        return self.getitem(obj, attribute)

    def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
        del context
        for side in (left, right):
            if isinstance(side, jinja2.Undefined) or not isinstance(side, (int, float)):
                raise ExpressionError(f"{operator} takes numbers only; join texts with ~")
        return left * right if operator == "*" else left + right


def render(template: str, variables: Mapping[str, Any], *, promql: bool = False) -> str:
    """The text for these variables (a dotted key such as `target.name` stands for a field of `target`).

    With `promql` each output is escaped as a PromQL label value. Raises ExpressionError on an undefined name, on values of a wrong type, and
    when the text grows beyond `MAX_OUTPUT` characters.
    """
    try:
        chunks, size = [], 0
        for chunk in compiled_template(template, promql=promql).generate(nested(variables)):
            size += len(chunk)
            if size > MAX_OUTPUT:
                raise ExpressionError(f"the text is longer than {MAX_OUTPUT} characters: {trimmed(template, 80)}")
            chunks.append(chunk)
    except (jinja2.TemplateError, ValueError, TypeError, ArithmeticError) as error:
        raise ExpressionError(trimmed(f"{template[:120]}: {error}")) from error
    return "".join(chunks)


def check_template(template: str, names: Iterable[str], *, promql: bool = False) -> None:
    """Raises ValueError if it does not parse, uses what is not allowed, or a name that is not one of `names`."""
    compiled_template(template, promql=promql)
    allowed = sorted(names)
    tree = _environment(promql=promql).parse(indexed(template))
    unknown = sorted(meta.find_undeclared_variables(tree) - set(allowed))
    if unknown:
        raise ValueError(f"unknown name {unknown[0]!r} in the template; allowed: {', '.join(allowed)}")


def sample_of(template: str) -> str:
    """A PromQL template with `x` in place of every output and the first branch of every condition: what can be parsed at load."""
    return "".join(_sample(_environment(promql=True).parse(template).body))


def nested(variables: Mapping[str, Any]) -> dict[str, Any]:
    """Flat dotted facts as trees; a name that is not dotted stays as it is, and wins."""
    tree: dict[str, Any] = {}
    for name, value in variables.items():
        if "." not in name:
            tree[name] = {**value, **tree[name]} if isinstance(value, Mapping) and isinstance(tree.get(name), dict) else value
            continue
        head, _, rest = name.partition(".")
        branch = tree.setdefault(head, {})
        if isinstance(branch, Mapping):
            tree[head] = {**branch, rest: value}
    return tree


@lru_cache(maxsize=1024)
def compiled_template(template: str, *, promql: bool = False) -> jinja2.Template:
    """Parsed, checked and compiled; raises ValueError with the line and what is allowed."""
    if len(template) > MAX_TEMPLATE:
        raise ValueError(f"the template has {len(template)} characters; at most {MAX_TEMPLATE} are allowed")
    environment, template = _environment(promql=promql), indexed(template)
    try:
        tree = environment.parse(template)
        _check_nodes(tree)
        if promql and _quotes(tree.body, "") not in ("", "#"):
            raise ValueError("a quoted string is not closed")
        return environment.from_string(template)
    except RecursionError as error:
        raise ValueError(_TOO_DEEP) from error
    except jinja2.TemplateSyntaxError as error:
        raise ValueError(f"line {error.lineno} of the template: {error.message}") from error


@cache
def _environment(*, promql: bool) -> _Environment:
    environment = _Environment(
        undefined=jinja2.StrictUndefined, autoescape=False, keep_trailing_newline=True, optimized=False,
        finalize=filters.escape_label_value if promql else filters.shown,
    )  # fmt: skip
    environment.filters = {**filters.FILTERS, "default": environment.filters["default"]}
    environment.tests = {name: test for name, test in environment.tests.items() if name in _TESTS}
    environment.globals = {}
    return environment


_TOO_DEEP = f"the template is nested deeper than {MAX_DEPTH} levels"


def _check_nodes(tree: nodes.Template) -> None:
    level: list[nodes.Node] = [tree]
    for _ in range(MAX_DEPTH + 2):  # the template itself and the output are none of an author's levels
        level = [child for node in level for child in node.iter_child_nodes()]
    if level:
        raise ValueError(_TOO_DEEP)
    for node in tree.find_all(nodes.Node):
        if not isinstance(node, _ALLOWED):
            kind = type(node).__name__.lower()
            words = f"line {node.lineno} of the template: {kind} is not allowed; write {{{{ name.field | filter }}}} or {{% if %}}"
            raise ValueError(words)  # noqa: TRY004 (one kind of error for a template that cannot be used)
        if isinstance(node, (nodes.Getattr, nodes.Name)) and (node.attr if isinstance(node, nodes.Getattr) else node.name).startswith("_"):
            raise ValueError(f"line {node.lineno} of the template: names that begin with _ are not allowed")


def _quotes(body: Iterable[nodes.Node], quote: str) -> str:
    """Which quote is open after these nodes; raises ValueError where an output is not within double quotes."""
    for node in body:
        if isinstance(node, nodes.If):
            ends = {_quotes(branch, quote) for branch in (node.body, node.else_, *(e.body for e in node.elif_))}
            if len(ends) != 1:
                raise ValueError(f"line {node.lineno} of the template: a quoted string must be closed where it was opened")
            quote = ends.pop()
        elif isinstance(node, nodes.Output):
            for part in node.nodes:
                if isinstance(part, nodes.TemplateData):
                    quote = _quote_after(part.data, quote)
                elif quote != '"':
                    raise ValueError(f'line {node.lineno} of the template: in PromQL an output stands only within "double quotes"')
    return quote


def _quote_after(text: str, quote: str) -> str:
    place = 0
    while place < len(text):
        mark = text[place]
        if not quote:
            if mark in "\"'`#":
                quote = mark
        elif quote == "#":  # a comment reaches to the line's end
            quote = "" if mark == "\n" else quote
        elif mark == "\\" and quote != "`":
            if place + 1 >= len(text):
                raise ValueError("a backslash stands just before an output")
            place += 1
        elif mark == quote:
            quote = ""
        place += 1
    return quote


def _sample(body: Iterable[nodes.Node]) -> Iterable[str]:
    for node in body:
        if isinstance(node, nodes.If):
            yield from _sample(node.body)
        elif isinstance(node, nodes.Output):
            for part in node.nodes:
                yield part.data if isinstance(part, nodes.TemplateData) else "x"
