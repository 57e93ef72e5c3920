"""PromQL is parsed when a file is loaded, so a broken query never waits for an incident to be noticed.

The parser (Prometheus' own grammar, in Rust) says what is wrong but not where; for the common slips the place is found again here.
Neighbours: `schema_*` check queries through it.
"""

from __future__ import annotations

import re
from typing import Any

from aiops.domain.errors import trimmed

MAX_LENGTH = 8192

_FUNCTION = re.compile(r"(?:unknown function with name|call to function) '([^']+)'")
# Comments and quoted strings are matched too, so that a backtick in one of them begins nothing.
_RAW_OR_QUOTED = re.compile(r"""#[^\n]*|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'|`([^`]*)`""")
_PAIRS = {")": "(", "]": "[", "}": "{"}


def check_promql(text: str) -> None:
    """Raises ValueError, with `line:column` where it can be told, if this is no PromQL that gives an instant vector or scalar."""
    if len(text) > MAX_LENGTH:
        raise ValueError(f"the query has {len(text)} characters; at most {MAX_LENGTH} are allowed")
    import promql_parser  # deferred: only loading needs it

    try:
        tree = promql_parser.parse(_RAW_OR_QUOTED.sub(_requoted, text))
    except ValueError as error:
        raise ValueError(_placed(text, str(error))) from error
    if isinstance(tree, (promql_parser.MatrixSelector, promql_parser.SubqueryExpr)):
        raise ValueError("the query gives a range; wrap it in a function such as rate(...) or avg_over_time(...)")  # noqa: TRY004 (of the text's type)
    if isinstance(tree, promql_parser.StringLiteral):
        raise ValueError("the query is only a text; it must give numbers")  # noqa: TRY004 (of the text's type)


def requoted(text: str) -> str:
    """The same query without raw strings, which the parser does not know."""
    return _RAW_OR_QUOTED.sub(_requoted, text)


def _requoted(match: re.Match[str]) -> str:
    """A raw string as a quoted one: in PromQL nothing is escaped between backticks, which the parser does not know."""
    if match[1] is None:
        return match[0]
    return '"' + match[1].replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'


def _placed(text: str, cause: str) -> str:
    place = _unbalanced(text) if "invalid" in cause or "unclosed" in cause or "unexpected" in cause or "unterminated" in cause else None
    named = _FUNCTION.search(cause)
    if named and (found := re.search(rf"\b{re.escape(named[1])}\s*\(", text)):
        place = found.start()
    if place is None:
        return trimmed(f"PromQL does not parse: {cause}")
    line, column = text.count("\n", 0, place) + 1, place - (text.rfind("\n", 0, place) + 1) + 1
    return trimmed(f"PromQL does not parse at {line}:{column}: {cause}")


def _unbalanced(text: str) -> int | None:
    """Where a bracket or quote stands without its other half."""
    stack: list[tuple[str, int]] = []
    place = 0
    while place < len(text):
        mark = text[place]
        if mark in "\"'`":
            start, place = place, place + 1
            while place < len(text) and text[place] != mark:
                place += 2 if text[place] == "\\" and mark != "`" else 1
            if place >= len(text):
                return start
        elif mark == "#":
            end = text.find("\n", place)
            place = len(text) if end < 0 else end
        elif mark in "([{":
            stack.append((mark, place))
        elif mark in _PAIRS and (not stack or stack.pop()[0] != _PAIRS[mark]):
            return place
        place += 1
    return stack[-1][1] if stack else None


def metric_names(text: str) -> frozenset[str]:
    """The names of all metrics that a query stands on; selectors without a name give none. Raises ValueError if it does not parse."""
    import promql_parser  # deferred: only loading and recording need it

    found: set[str] = set()
    waiting: list[Any] = [promql_parser.parse(_RAW_OR_QUOTED.sub(_requoted, text))]
    while waiting:
        node = waiting.pop()
        if isinstance(node, promql_parser.VectorSelector):
            named = [m.value for m in node.matchers.matchers if m.name == "__name__" and m.op == promql_parser.MatchOp.Equal]
            found.update(filter(None, [node.name, *named]))
        for part in ("expr", "lhs", "rhs", "vector_selector", "vs", "param"):
            inner = getattr(node, part, None)
            if inner is not None and not isinstance(inner, (str, int, float)):
                waiting.append(inner)
        waiting.extend(getattr(node, "args", None) or ())
    return frozenset(found)
