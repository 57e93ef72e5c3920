"""The drawing of a runbook: every box and every edge is there, nothing overlaps, hostile text is text."""

from __future__ import annotations

import re
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiops.app.check import load
from aiops.app.config import read_settings
from aiops.app.graph import Node, crossings, layout, nodes_of
from aiops.app.graph_svg import svg
from aiops.app.graph_text import draw
from aiops.domain.runbook import Runbook


def node(name: str, *needs: str, lines: tuple[str, ...] = ()) -> Node:
    return Node(name, name, lines or (f"does {name}",), needs)


DIAMOND = (node("a"), node("b", "a"), node("c", "a"), node("d", "b", "c"))


def test_a_diamond() -> None:
    assert draw(DIAMOND).splitlines() == [
        "      ┌────────┐",
        "      │ a      │",
        "      │ does a │",
        "      └────────┘",
        "     ┌─────┴──────┐",
        "     │            │",
        "     ▼            ▼",
        "┌────────┐   ┌────────┐",
        "│ b      │   │ c      │",
        "│ does b │   │ does c │",
        "└────────┘   └────────┘",
        "     └─────┐      │",
        "           ├──────┘",
        "           │",
        "           ▼",
        "      ┌────────┐",
        "      │ d      │",
        "      │ does d │",
        "      └────────┘",
    ]


def test_crossings_are_avoided_where_they_can_be() -> None:
    nodes = (node("a"), node("b"), node("x", "b"), node("y", "a"))
    found = layout(nodes)
    assert crossings(found.layers, found.links) == 0


@st.composite
def graphs(draw_: st.DrawFn) -> list[Node]:
    count = draw_(st.integers(1, 12))
    return [
        node(f"s{i}", *draw_(st.lists(st.sampled_from([f"s{j}" for j in range(i)]), max_size=3, unique=True) if i else st.just([])))
        for i in range(count)
    ]


@given(graphs())
def test_every_step_stands_once_below_what_it_needs_and_every_edge_arrives(nodes: list[Node]) -> None:
    found = layout(nodes)
    depth = {spot.node: index for index, layer in enumerate(found.layers) for spot in layer if spot.node}
    assert sorted(depth) == sorted(n.name for n in nodes)
    assert all(depth[need] < depth[n.name] for n in nodes for need in n.needs)
    level = {spot.key: index for index, layer in enumerate(found.layers) for spot in layer}
    assert all(level[below] == level[above] + 1 for above, below in found.links)
    follows: dict[str, list[str]] = {}
    for above, below in found.links:
        follows.setdefault(above, []).append(below)
    for n in nodes:
        for need in n.needs:
            ways = [need]
            while ways and n.name not in ways:
                ways = [b for key in ways for b in follows.get(key, ()) if b == n.name or "\0" in b]
            assert n.name in ways


@given(graphs())
def test_text_and_picture_hold_every_box_whole(nodes: list[Node]) -> None:
    text = draw(nodes)
    for n in nodes:
        assert f"│ {n.title}" in text
        assert f"│ does {n.title} │" in text
    assert text.count("▼") == sum(bool(n.needs) for n in nodes)
    root = ET.fromstring(svg(nodes, "runbook"))
    boxes = [tuple(float(r.attrib[k]) for k in ("x", "y", "width", "height")) for r in root.iter("{http://www.w3.org/2000/svg}rect")]
    assert len(boxes) == len(nodes)
    for i, (x, y, w, h) in enumerate(boxes):
        assert all(x + w <= a or a + c <= x or y + h <= b or b + d <= y for a, b, c, d in boxes[i + 1 :])
        assert x >= 0
        assert x + w <= float(root.attrib["width"])
        assert y + h <= float(root.attrib["height"])


def test_hostile_text_stays_text() -> None:
    evil = '"/><script>alert(1)</script>\x1b[31m\x00\u202e&'
    picture = svg((node("a", lines=(evil,)),), evil)
    root = ET.fromstring(picture)
    assert not list(root.iter("{http://www.w3.org/2000/svg}script"))
    assert not re.search("[\x00\x1b\u202e]", picture)


@pytest.mark.parametrize("runbook", load(read_settings(None)).runbooks, ids=lambda r: r.name)
def test_every_shipped_runbook_can_be_drawn(runbook: Runbook) -> None:
    nodes = nodes_of(runbook)
    text = draw(nodes)
    assert all(n.title in text for n in nodes)
    ET.fromstring(svg(nodes, runbook.name))
