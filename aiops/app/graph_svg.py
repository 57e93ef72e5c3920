"""A layered graph as an SVG of its own: no script, no font to load, readable on light and dark. Neighbours: `graph` lays out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from xml.sax.saxutils import escape

from aiops.app.graph import Node, Spot, layout

_CHARACTER, _LINE, _PAD, _GAP, _BETWEEN, _EDGE = 7.3, 17.0, 12.0, 36.0, 56.0, 20.0
_STYLE = """
  svg { background: #ffffff; color: #1b2733; }
  text { font: 12px ui-monospace, "DejaVu Sans Mono", Menlo, Consolas, monospace; fill: #44525f; }
  .title { font-weight: 700; font-size: 13px; fill: #10202e; }
  .step { fill: #f2f6fa; stroke: #5b7083; }
  .verify { fill: #eef8f0; stroke: #3f8a55; stroke-dasharray: 5 3; }
  .link { fill: none; stroke: #5b7083; stroke-width: 1.4; }
  .tip { fill: #5b7083; }
  @media (prefers-color-scheme: dark) {
    svg { background: #12191f; } text { fill: #b7c4cf; } .title { fill: #eef3f7; }
    .step { fill: #1d2831; stroke: #7d93a6; } .verify { fill: #17281d; stroke: #64b27c; } .link { stroke: #7d93a6; } .tip { fill: #7d93a6; }
  }
"""


def svg(nodes: Sequence[Node], title: str) -> str:
    """The picture as text; `title` is what a reader of it hears."""
    by_name = {n.name: n for n in nodes}
    graph = layout(nodes)
    widths = [[_width(spot, by_name) for spot in layer] for layer in graph.layers]
    total = max((sum(w) + _GAP * (len(w) - 1) for w in widths), default=0.0)
    middle: dict[str, float] = {}
    top: dict[str, float] = {}
    bottom: dict[str, float] = {}
    parts: list[str] = []
    y = _EDGE
    for layer, width in zip(graph.layers, widths, strict=True):
        high = max(_height(spot, by_name) for spot in layer)
        x = _EDGE + (total - sum(width) - _GAP * (len(width) - 1)) / 2
        for spot, wide in zip(layer, width, strict=True):
            node = by_name.get(spot.node)
            middle[spot.key], top[spot.key] = x + wide / 2, y
            # An edge that passes goes straight through the whole layer.
            bottom[spot.key] = y + (high if node is None else _height(spot, by_name))
            parts.append(_box(node, x, y, wide) if node is not None else _path(x + wide / 2, y, x + wide / 2, y + high))
            x += wide + _GAP
        y += high + _BETWEEN
    passing = {spot.key for layer in graph.layers for spot in layer if not spot.node}
    links = [_curve(middle[a], bottom[a], middle[b], top[b], tip=b not in passing) for a, b in graph.links]
    size = f"{total + 2 * _EDGE:.0f} {y - _BETWEEN + _EDGE:.0f}"
    width_text, height_text = size.split()
    marker = '<marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="8" markerHeight="8" orient="auto"><path class="tip" d="M0 0L8 4L0 8z"/></marker>'
    head = f'<svg xmlns="http://www.w3.org/2000/svg" width="{width_text}" height="{height_text}" viewBox="0 0 {size}" role="img">'
    return "\n".join([head, f"<title>{_safe(title)}</title>", f"<style>{_STYLE}</style>", f"<defs>{marker}</defs>", *links, *parts, "</svg>", ""])


def _safe(text: str) -> str:
    """As XML 1.0 can hold it: markup escaped, what is no character of it left out."""
    return escape("".join(c if c.isprintable() else "\ufffd" for c in text))


def _width(spot: Spot, by_name: Mapping[str, Node]) -> float:
    node = by_name.get(spot.node)
    return 0.0 if node is None else 2 * _PAD + _CHARACTER * max(len(line) for line in (f"{node.title} ", *node.lines))


def _height(spot: Spot, by_name: Mapping[str, Node]) -> float:
    node = by_name.get(spot.node)
    return 0.0 if node is None else 2 * _PAD + _LINE * (1 + len(node.lines)) - 4


def _box(node: Node, x: float, y: float, wide: float) -> str:
    high = _height(Spot(node.name, node.name), {node.name: node})
    rows = [f'<rect class="{node.kind}" x="{x:.1f}" y="{y:.1f}" width="{wide:.1f}" height="{high:.1f}" rx="7"/>']
    for index, line in enumerate((node.title, *node.lines)):
        kind = ' class="title"' if index == 0 else ""
        rows.append(f'<text{kind} x="{x + _PAD:.1f}" y="{y + _PAD + 10 + _LINE * index:.1f}" xml:space="preserve">{_safe(line)}</text>')
    return f"<g>{''.join(rows)}</g>"


def _path(x: float, y: float, to_x: float, to_y: float) -> str:
    return f'<path class="link" d="M{x:.1f} {y:.1f}L{to_x:.1f} {to_y:.1f}"/>'


def _curve(x: float, y: float, to_x: float, to_y: float, *, tip: bool) -> str:
    half = (to_y - y) / 2
    end = ' marker-end="url(#tip)"' if tip else ""
    return f'<path class="link"{end} d="M{x:.1f} {y:.1f}C{x:.1f} {y + half:.1f} {to_x:.1f} {to_y - half:.1f} {to_x:.1f} {to_y - (2 if tip else 0):.1f}"/>'
