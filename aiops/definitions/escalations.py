"""Escalations over all runbooks: every name is there, and each has an end. Neighbours: `loader` asks once everything is read."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence

from aiops.definitions.problems import suggestion
from aiops.definitions.step_checks import find_cycle
from aiops.domain.runbook import PERSON


def check_escalations(lists: Mapping[str, Sequence[str]], known: Collection[str]) -> Iterator[tuple[str, int, str]]:
    """(runbook, place in its list, what is wrong). `lists`: what each runbook escalates to; `known`: names of all that were read, whatever is wrong with them."""
    allowed = {*known, PERSON}
    for name, names in lists.items():
        for place, other in enumerate(names):
            if other not in allowed:
                yield name, place, suggestion(f"no runbook {other!r} is loaded", other, sorted(allowed))
    if circle := find_cycle(lists):
        yield circle[0], list(lists[circle[0]]).index(circle[1]), f"the escalation comes back to itself: {' → '.join(circle)}; it needs an end"
