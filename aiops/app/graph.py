"""A runbook's steps as a layered graph: each step below all it needs, edges that pass a layer bent around its boxes, few crossings.

Sugiyama's method in small: layers by the longest way, a stand-in for an edge in each layer that it passes, order by the mean place of neighbours.
Neighbours: `graph_text` draws it for terminals, `graph_svg` as a picture; `cli runbook show` prints.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from aiops.domain.duration import format_duration
from aiops.domain.errors import trimmed
from aiops.domain.runbook import OnFailure, Runbook, StepSpec, UndoMode
from aiops.execution.actions.registry import SPECS

SWEEPS = 8
WIDEST = 44
"""Characters of a line in a box."""


@dataclass(frozen=True, slots=True)
class Node:
    """One box: `title`, and lines below it. `kind` is `step` or `verify`."""

    name: str
    title: str
    lines: tuple[str, ...]
    needs: tuple[str, ...]
    kind: str = "step"


@dataclass(frozen=True, slots=True)
class Spot:
    """What stands at a place of a layer: a node, or (`node` empty) an edge passing through."""

    key: str
    node: str = ""


@dataclass(frozen=True, slots=True)
class Layout:
    """Layers from top to bottom, each from left to right; `links` join spots of one layer with the next, by their keys."""

    layers: tuple[tuple[Spot, ...], ...]
    links: tuple[tuple[str, str], ...]


def nodes_of(runbook: Runbook) -> tuple[Node, ...]:
    """A box for each step, in the file's order, and one for verification below all that nothing else waits for."""
    nodes = [Node(s.name, s.name, tuple(_lines(s)), s.needs) for s in runbook.steps]
    if runbook.verify is not None:
        needed = {need for s in runbook.steps for need in s.needs}
        v = runbook.verify
        held = f", for {format_duration(v.hold)}" if v.hold else ""
        lines = (_cut(f"until {v.passes.text}{held}"), _cut(f"within {format_duration(v.within)}, {'undo' if runbook.undo_on_failure else 'no undo'} if it fails"))
        # A name that no step can have.
        nodes.append(Node("(verify)", "verify", lines, tuple(s.name for s in runbook.steps if s.name not in needed), "verify"))
    return tuple(nodes)


def _lines(step: StepSpec) -> list[str]:
    called = f"runbook {step.runbook.name}" if step.runbook is not None else step.action
    lines = [_cut(" ".join([called, *(f"{name}={value}" for name, value in (step.given if step.runbook is not None else step.arguments).items())]))]
    if step.for_each is not None:
        items = step.for_each.expression.text if step.for_each.expression is not None else f"{len(step.for_each.items)} items"
        lines.append(_cut(f"for each of {items}, {step.for_each.concurrency} at once"))
    if step.target is not None:
        lines.append(_cut("on " + "/".join(filter(None, (step.target.context, step.target.namespace, step.target.kind.lower(), step.target.name)))))
    if step.when is not None:
        lines.append(_cut(f"when {step.when.text}"))
    if step.retry.limit:
        lines.append(f"retry {step.retry.limit} times")
    if step.on_failure is not OnFailure.STOP:
        lines.append(f"on failure {step.on_failure.value}")
    if step.undo.mode is UndoMode.OWN:
        own = " ".join(f"{name}={value}" for name, value in step.undo.arguments.items())
        lines.append(_cut(f"undo by {step.undo.action} {own}".strip()))
    elif step.undo.mode is UndoMode.NONE:
        lines.append("no undo")
    elif step.action in SPECS and SPECS[step.action].undoable:
        lines.append("undo by its inverse")
    return lines


def _cut(text: str) -> str:
    return trimmed(" ".join(text.split()), WIDEST)


def layout(nodes: Sequence[Node]) -> Layout:
    """Layers, stand-ins and order. Names that are needed and not there are passed over; nodes must have no circle (`aiops check` sees to that)."""
    names = {n.name for n in nodes}
    needs = {n.name: tuple(dict.fromkeys(need for need in n.needs if need in names)) for n in nodes}
    rank: dict[str, int] = {}

    def depth(name: str) -> int:
        if name not in rank:
            rank[name] = 1 + max((depth(need) for need in needs[name]), default=-1)
        return rank[name]

    layers: list[list[Spot]] = [[] for _ in range(1 + max((depth(n.name) for n in nodes), default=-1))]
    for n in nodes:
        layers[rank[n.name]].append(Spot(n.name, n.name))
    links: list[tuple[str, str]] = []
    for n in nodes:
        for need in needs[n.name]:
            before = need
            for between in range(rank[need] + 1, rank[n.name]):
                spot = Spot(f"{need}\0{n.name}\0{between}")
                layers[between].append(spot)
                links.append((before, spot.key))
                before = spot.key
            links.append((before, n.name))
    _order(layers, links)
    return Layout(tuple(map(tuple, layers)), tuple(links))


def _order(layers: list[list[Spot]], links: Sequence[tuple[str, str]]) -> None:
    """Sort each layer by the mean place of what it is linked with, from above and from below in turn; the order with the fewest crossings stays."""
    up: dict[str, list[str]] = {}
    down: dict[str, list[str]] = {}
    for above, below in links:
        up.setdefault(below, []).append(above)
        down.setdefault(above, []).append(below)
    best, fewest = [list(layer) for layer in layers], crossings(layers, links)
    for sweep in range(SWEEPS):
        linked, order = (up, range(1, len(layers))) if sweep % 2 == 0 else (down, range(len(layers) - 2, -1, -1))
        for index in order:
            beside = layers[index - 1 if sweep % 2 == 0 else index + 1]
            layers[index] = _sorted(layers[index], beside, linked)
        found = crossings(layers, links)
        if found < fewest:
            best, fewest = [list(layer) for layer in layers], found
    layers[:] = best


def _sorted(layer: Sequence[Spot], beside: Sequence[Spot], linked: Mapping[str, Sequence[str]]) -> list[Spot]:
    """By the mean place of what each is linked with in the layer beside; what has no link there keeps its own."""
    place = {spot.key: index for index, spot in enumerate(beside)}
    scale = len(beside) / max(1, len(layer))
    middle = {
        spot.key: sum(place[k] for k in linked[spot.key]) / len(linked[spot.key]) if linked.get(spot.key) else index * scale
        for index, spot in enumerate(layer)
    }
    return sorted(layer, key=lambda spot: middle[spot.key])


def crossings(layers: Sequence[Sequence[Spot]], links: Sequence[tuple[str, str]]) -> int:
    """How often two links cross."""
    place = {spot.key: (depth, index) for depth, layer in enumerate(layers) for index, spot in enumerate(layer)}
    count = 0
    for depth in range(len(layers) - 1):
        pairs = [(place[a][1], place[b][1]) for a, b in links if place[a][0] == depth]
        count += sum((a - c) * (b - d) < 0 for i, (a, b) in enumerate(pairs) for c, d in pairs[i + 1 :])
    return count
