"""An objective's events as one PromQL query: bad and all events in every window that the burn rate needs, and how much of the long windows had any.

One query, so that all windows are of one instant and of one server. Each part carries what it is in a label of ours. Neighbours: `schema_rules` checks the parts,
`compile_rules` asks for the whole, `detect.burn_rate` reads the answer.
"""

from __future__ import annotations

from collections.abc import Sequence

from aiops.definitions.promql import check_promql
from aiops.domain.duration import format_duration
from aiops.domain.rule import COVERED, OBJECTIVE_LABEL, BurnAlert

WINDOW = "$window"


def check_events(text: str) -> str:
    """Raises ValueError unless this is PromQL once `$window` is a duration."""
    if WINDOW not in text:
        raise ValueError(f"must count events in {WINDOW}, as in sum(increase(requests_total[{WINDOW}]))")
    check_promql(text.replace(WINDOW, "5m"))
    return text


def objective_query(bad: str, total: str, alerts: Sequence[BurnAlert], period: float) -> str:
    """The whole query."""
    long = sorted({a.long for a in alerts})
    windows = sorted({*long, *(a.short for a in alerts), period})
    parts = [_part(kind, w, text.replace(WINDOW, format_duration(w))) for w in windows for kind, text in (("bad", bad), ("total", total))]
    for window in long:
        piece = format_duration(max(window / COVERED, 1.0))
        # A piece counts where there were events in it; the window is closed at both ends, so the last step would count once more.
        inside = f"(({total.replace(WINDOW, piece)}) > 0)[{format_duration(window)}:{piece}]"
        parts.append(_part("covered", window, f"clamp_max(count_over_time({inside}), {COVERED})"))
    return "\nor\n".join(parts)


def _part(kind: str, window: float, text: str) -> str:
    return f'label_replace({text}, "{OBJECTIVE_LABEL}", "{kind} {format_duration(window)}", "", "")'
