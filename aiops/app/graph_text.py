"""A layered graph in box-drawing characters. Neighbours: `graph` lays out, `cli runbook show` prints."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from aiops.app.graph import Node, Spot, layout

GAP = 3
_UP, _DOWN, _LEFT, _RIGHT = 1, 2, 4, 8
_LINES = {
    0: " ", 1: "│", 2: "│", 3: "│", 4: "─", 8: "─", 12: "─", 5: "┘", 9: "└", 6: "┐", 10: "┌", 7: "┤", 11: "├", 13: "┴", 14: "┬", 15: "┼",
}  # fmt: skip
"""The character for the sides that lines leave a cell by."""


class _Canvas:
    """Cells that hold text, or lines by the sides they leave by, so that lines that meet join."""

    def __init__(self, width: int) -> None:
        self.width = width
        self.rows: list[list[str]] = []
        self.sides: list[list[int]] = []

    def grow(self, rows: int) -> int:
        """So many rows more; the number of the first."""
        first = len(self.rows)
        self.rows += [[" "] * self.width for _ in range(rows)]
        self.sides += [[0] * self.width for _ in range(rows)]
        return first

    def write(self, row: int, column: int, text: str) -> None:
        self.rows[row][column : column + len(text)] = list(text)

    def down(self, column: int, first: int, last: int) -> None:
        """A line from the middle of one row to the middle of another below it."""
        for row in range(first, last + 1):
            self.sides[row][column] |= (_UP if row > first else 0) | (_DOWN if row < last else 0)

    def across(self, row: int, one: int, other: int) -> None:
        low, high = sorted((one, other))
        for column in range(low, high + 1):
            self.sides[row][column] |= (_LEFT if column > low else 0) | (_RIGHT if column < high else 0)

    def text(self) -> str:
        lines = (
            "".join(character if character != " " else _LINES[side] for character, side in zip(row, sides, strict=True)).rstrip()
            for row, sides in zip(self.rows, self.sides, strict=True)
        )
        return "\n".join(lines)


def draw(nodes: Sequence[Node]) -> str:
    """The boxes with what leads to them, top to bottom."""
    by_name = {n.name: n for n in nodes}
    graph = layout(nodes)
    widths = [[_width(spot, by_name) for spot in layer] for layer in graph.layers]
    total = max((sum(w) + GAP * (len(w) - 1) for w in widths), default=0)
    canvas, middle, bottom = _Canvas(max(1, total)), dict[str, int](), dict[str, int]()
    for layer, width in zip(graph.layers, widths, strict=True):
        column = (total - sum(width) - GAP * (len(width) - 1)) // 2
        for spot, wide in zip(layer, width, strict=True):
            middle[spot.key] = column + wide // 2
            column += wide + GAP
        if bottom:
            _channel(canvas, layer, graph.links, middle, bottom)
        high = max(_height(spot, by_name) for spot in layer)
        first = canvas.grow(high)
        for spot, wide in zip(layer, width, strict=True):
            node = by_name.get(spot.node)
            if node is None:  # an edge that passes
                canvas.down(middle[spot.key], first - 1, first + high - 1)
            bottom[spot.key] = first + high - 1 if node is None else _box(canvas, node, first, middle[spot.key] - wide // 2, wide)
    return canvas.text()


def _width(spot: Spot, by_name: Mapping[str, Node]) -> int:
    node = by_name.get(spot.node)
    return 1 if node is None else 4 + max(len(line) for line in (node.title, *node.lines))


def _height(spot: Spot, by_name: Mapping[str, Node]) -> int:
    node = by_name.get(spot.node)
    return 1 if node is None else 3 + len(node.lines)


def _box(canvas: _Canvas, node: Node, row: int, column: int, wide: int) -> int:
    """Draw one box; the last row of it."""
    corners = "╭╮╰╯" if node.kind == "verify" else "┌┐└┘"
    canvas.write(row, column, corners[0] + "─" * (wide - 2) + corners[1])
    for offset, line in enumerate((node.title, *node.lines), 1):
        canvas.write(row + offset, column, f"│ {line:<{wide - 4}} │")
    last = row + 2 + len(node.lines)
    canvas.write(last, column, corners[2] + "─" * (wide - 2) + corners[3])
    return last


def _channel(canvas: _Canvas, layer: Sequence[Spot], links: Sequence[tuple[str, str]], middle: Mapping[str, int], bottom: Mapping[str, int]) -> None:
    """The rows between two layers: one for each spot above that has somewhere to go to the side, so that only lines from one box share one."""
    keys = {spot.key for spot in layer}
    mine = [(above, below) for above, below in links if below in keys]
    turning = sorted({above for above, below in mine if middle[above] != middle[below]}, key=lambda key: middle[key])
    first = canvas.grow(len(turning) + 2)
    last = first + len(turning) + 1
    for above, below in mine:
        turn = first + turning.index(above) if above in turning else first
        canvas.down(middle[above], bottom[above], turn)  # what of it lies within a box is hidden by it
        canvas.across(turn, middle[above], middle[below])
        canvas.down(middle[below], turn, last)
    for spot in layer:
        if spot.node and any(below == spot.key for _, below in mine):
            canvas.write(last, middle[spot.key], "▼")
