"""Return on the automation: no hidden number."""

from __future__ import annotations

import pytest

from aiops.cost.returns import Assumptions, returns


def test_each_line_adds_up():
    a = Assumptions(engineer_hour=100.0, downtime_hour=1000.0, manual_fix=1800.0, manual_resolve=3600.0, platform_month=200.0, upkeep_hours=2.0, target=2.0)
    found = returns(a, automated=20, resolve_mean=600.0, downtime=3, realised=50.0)
    assert {line.name: line.amount for line in found.lines} == {
        "work saved": 20 * 0.5 * 100, "downtime avoided": pytest.approx(3 * 3000 / 3600 * 1000), "recommendations carried out": 50.0,
        "running the automation": -200.0, "upkeep by people": -200.0,
    }  # fmt: skip
    assert found.benefits == pytest.approx(1000 + 2500 + 50)
    assert found.ratio == pytest.approx((3550 - 400) / 400)
    assert found.met is True
    assert len(found.inputs) == 10


def test_slower_than_by_hand_avoids_nothing_and_no_cost_has_no_ratio():
    found = returns(Assumptions(upkeep_hours=0.0, downtime_hour=1000.0), automated=1, resolve_mean=9000.0, downtime=1)
    assert {line.name: line.amount for line in found.lines}["downtime avoided"] == 0.0
    assert (found.ratio, found.met) == (None, None)
