"""The small language of `cures:`: facts of the cluster, numbers, comparisons, `and`, `or`, `not`, parentheses. Pure.

    readyReplicas >= 6 and rolledOut
    podsStartedAfterFault or (releasePods == 0 and not rolling)
    never

Numbers may have a unit: Ki, Mi, Gi, ms, s, m. A fact is of the fault's own service, or of another by `NAME.fact`. What the facts are: `FACTS`, and docs/world.md.
Neighbours: `faults` parses, `facts` answers.
"""

from __future__ import annotations

import difflib
import operator
import re
from collections.abc import Callable
from dataclasses import dataclass

FACTS = (
    "replicas", "readyReplicas", "availableReplicas", "updatedReplicas", "pods", "revision", "restarts", "oldestPodAge",
    "revisionChanged", "rolling", "rolledOut", "podsStartedAfterFault", "releasePods", "staleKeys", "nodesNotReady", "exists",
    "growth", "stuckPods", "memoryLimit", "podsOnSickNodes", "podsOfScheduler", "cleanups", "failing", "latency", "queue", "diskUsed",
    "endpoints", "endpointsOnSickNodes",
)  # fmt: skip
_UNITS = {"Ki": 2.0**10, "Mi": 2.0**20, "Gi": 2.0**30, "ms": 0.001, "s": 1.0, "m": 60.0, "": 1.0}
_TOKEN = re.compile(r"\s*(?:(\d+(?:\.\d+)?(?:[KMG]i|ms|s|m)?(?![A-Za-z]))|([A-Za-z][A-Za-z0-9-]*(?:\.[A-Za-z]+)?)|(>=|<=|==|!=|>|<|\(|\)))")
_COMPARE: dict[str, Callable[[float, float], bool]] = {
    ">=": operator.ge, "<=": operator.le, "==": operator.eq, "!=": operator.ne, ">": operator.gt, "<": operator.lt,
}  # fmt: skip
Facts = Callable[[str, str], float]
"""(service or empty, fact) → its value; truth is 1 and 0."""
_Node = Callable[[Facts], float]


@dataclass(frozen=True, slots=True)
class Condition:
    """A parsed condition; `services` are the other services it names."""

    text: str
    services: tuple[str, ...]
    _node: _Node

    def holds(self, facts: Facts) -> bool:
        """Whether it is true of these facts."""
        return bool(self._node(facts))


def parse(text: str) -> Condition:
    """Raises ValueError saying where it is wrong and what is allowed."""
    parser = _Parser(text)
    node = parser.alternatives()
    if parser.token is not None:
        raise parser.error("'and', 'or' or the end")
    return Condition(text, tuple(parser.services), node)


class _Parser:
    """Recursive descent: or, and, not, comparison."""

    def __init__(self, text: str) -> None:
        self.text, self.place = text, 0
        self.services: dict[str, None] = {}
        self.token: str | None = None
        self.next()

    def error(self, wanted: str) -> ValueError:
        what = "the end" if self.token is None else repr(self.token)
        return ValueError(f"{self.text!r}: {what} where {wanted} is wanted")

    def next(self) -> str | None:
        """Take the present token, look at the next."""
        taken = self.token
        if self.text[self.place :].strip() == "":
            self.token = None
            return taken
        match = _TOKEN.match(self.text, self.place)
        if match is None:
            raise ValueError(f"{self.text!r}: {self.text[self.place :].strip()[0]!r} is no part of a condition")
        self.token, self.place = match[0].strip(), match.end()
        return taken

    def alternatives(self) -> _Node:
        parts = [self.conjunction()]
        while self.token == "or":
            self.next()
            parts.append(self.conjunction())
        return parts[0] if len(parts) == 1 else lambda facts: float(any(part(facts) for part in parts))

    def conjunction(self) -> _Node:
        parts = [self.negation()]
        while self.token == "and":
            self.next()
            parts.append(self.negation())
        return parts[0] if len(parts) == 1 else lambda facts: float(all(part(facts) for part in parts))

    def negation(self) -> _Node:
        if self.token == "not":
            self.next()
            inner = self.negation()
            return lambda facts: float(not inner(facts))
        return self.comparison()

    def comparison(self) -> _Node:
        left = self.operand()
        if self.token not in _COMPARE:
            return left
        compare = _COMPARE[self.next() or ""]
        right = self.operand()
        return lambda facts: float(compare(left(facts), right(facts)))

    def operand(self) -> _Node:
        token = self.token
        if token == "(":
            self.next()
            inner = self.alternatives()
            if self.token != ")":
                raise self.error("')'")
            self.next()
            return inner
        if token is None or token in (*_COMPARE, ")", "and", "or", "not"):
            raise self.error("a fact, a number or '('")
        self.next()
        if token[0].isdigit():
            digits = token.rstrip("KMGims")
            number = float(digits) * _UNITS[token[len(digits) :]]
            return lambda _: number
        if token in ("never", "always"):
            constant = float(token == "always")
            return lambda _: constant
        service, _, fact = token.rpartition(".")
        if fact not in FACTS:
            near = difflib.get_close_matches(fact, FACTS, 1)
            hint = f"; did you mean {near[0]}?" if near else ""
            raise ValueError(f"{self.text!r}: no fact {fact!r}; allowed: {', '.join(FACTS)}, never, always{hint}")
        if service:
            self.services[service] = None
        return lambda facts: facts(service, fact)
