"""Small plots for the terminal, of block characters. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence

_BLOCKS = " ▁▂▃▄▅▆▇█"
_PARTS = " ▏▎▍▌▋▊▉█"


def spark(values: Sequence[float]) -> str:
    """One column a value, from zero to the largest; a dot where there is none."""
    top = max((v for v in values if math.isfinite(v)), default=0.0)
    return "".join("·" if not math.isfinite(v) else _BLOCKS[min(8, max(0, round(8 * v / top)))] if top > 0 else _BLOCKS[0] for v in values)


def bar(share: float, width: int = 24) -> str:
    """A bar of at most `width` columns, in eighths."""
    eighths = round(min(1.0, max(0.0, share)) * width * 8)
    return "█" * (eighths // 8) + (_PARTS[eighths % 8] if eighths % 8 else "")
