"""Geometry: everything drawn lies in the drawing, whatever the numbers."""

from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st

from aiops.web.charts import HEIGHT, LANE_LEFT, LANE_WIDTH, LEFT, MOST_LANES, WIDTH, evidence_plot, nice_ticks, plot, timeline
from tests.unit.web.shapes import NOW, execution, incident, signal

ANY = st.one_of(st.none(), st.floats(), st.floats(min_value=-1e6, max_value=1e6))


@given(st.lists(st.tuples(st.floats(min_value=0, max_value=4e9), ANY), max_size=40), ANY)
def test_a_plot_stays_within_its_frame(samples, level):
    drawn = plot("t", [t for t, _ in samples], [v for _, v in samples], [("limit", "upper", level)])
    if drawn is None:
        return
    points = [tuple(map(float, pair.split(","))) for line in drawn.lines for pair in line.split()] + list(drawn.dots)
    assert points
    assert all(LEFT <= x <= WIDTH and 0 <= y <= HEIGHT for x, y in points)
    assert all(0 <= lv.y <= HEIGHT and 0 <= lv.text_y <= HEIGHT for lv in drawn.levels)
    assert all(-1 <= t.at <= HEIGHT + 1 for t in drawn.y_ticks)
    assert len(drawn.y_ticks) <= 6


@given(st.floats(min_value=-1e12, max_value=1e12), st.floats(min_value=1e-6, max_value=1e12))
def test_ticks_are_few_and_within(low: float, width: float):
    ticks = nice_ticks(low, low + width)
    assert len(ticks) <= 6
    assert all(math.isfinite(t) for t in ticks)


def test_a_gap_breaks_the_line():
    drawn = evidence_plot(signal(1))
    assert drawn is not None
    assert len(drawn.lines) == 2
    assert [lv.kind for lv in drawn.levels] == ["limit", "expected"]


def test_nothing_to_draw_is_none():
    assert plot("t", [1.0], [1.0]) is None
    assert plot("t", [1.0, 2.0], [None, 1.0]) is None
    assert plot("t", [1.0, 1.0], [1.0, 2.0]) is None
    assert plot("t", [1.0, 2.0], [0.0, 1.7e308]) is None


def test_a_timeline_has_a_row_for_the_incident_each_claim_and_each_run():
    one = incident("inc-1", "x")
    drawn = timeline(one, tuple(one.signals.values()), [execution("run-1", "inc-1", "x")], {}, NOW)
    assert [lane.label for lane in drawn.lanes] == ["incident", "rule-1", "rule-2", "scale-out"]
    assert [b.kind for b in drawn.lanes[0].bars] == ["state-open", "state-mitigating"]
    assert drawn.lanes[2].bars == ()  # it cleared, and its beginning is not stored any more
    for lane in drawn.lanes:
        assert all(LANE_LEFT <= b.x <= LANE_WIDTH and b.x + b.width <= LANE_WIDTH for b in lane.bars)


def test_a_timeline_of_very_many_signals_is_bounded():
    one = incident("inc-1", "x")
    drawn = timeline(one, [signal(n) for n in range(100)], [], {}, NOW)
    assert (len(drawn.lanes), drawn.more) == (MOST_LANES, 101 - MOST_LANES)
