"""Bars as SVG, made by hand: no plotting package is among the dependencies."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from math import log10
from pathlib import Path

WIDTH, LABEL, BAR, GAP = 760, 250, 22, 8


def bars(path: Path, title: str, rows: Sequence[tuple[str, float]], unit: str, *, logarithmic: bool = False) -> None:
    """Write one horizontal bar for each of the rows; ours, whose names begin with fleet, focus or ours, are dark."""
    room = WIDTH - LABEL - 110
    largest, least = max(v for _, v in rows), min(v for _, v in rows)
    height = 40 + len(rows) * (BAR + GAP)
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" font-family="sans-serif" font-size="13">',
        f'<rect width="{WIDTH}" height="{height}" fill="white"/>',
        f'<text x="10" y="22" font-size="15">{escape(title)}{" (logarithmic)" if logarithmic else ""}</text>',
    ]
    for i, (name, value) in enumerate(rows):
        share = (log10(value / least) + 0.3) / (log10(largest / least) + 0.3) if logarithmic else value / largest
        y, colour = 36 + i * (BAR + GAP), "#1f4e79" if name.startswith(("fleet", "focus", "ours")) else "#9db7cf"
        lines.append(f'<text x="{LABEL - 8}" y="{y + 16}" text-anchor="end">{escape(name)}</text>')
        lines.append(f'<rect x="{LABEL}" y="{y}" width="{max(room * share, 1.0):.1f}" height="{BAR}" fill="{colour}"/>')
        lines.append(f'<text x="{LABEL + max(room * share, 1.0) + 6:.1f}" y="{y + 16}">{value:.4g} {escape(unit)}</text>')
    path.write_text("\n".join([*lines, "</svg>"]) + "\n", encoding="utf-8")
