"""Five seeds of each kind of fault that can be cured: the shipped packs cure it by the right write alone, and in time.

`make bench-remediation` plays many more; `test_hands_off` has those in which acting is wrong.
"""

from __future__ import annotations

import pytest

from tests.scenarios.arena import play
from tests.scenarios.kinds import CURABLE

SEEDS = range(1, 6)
MTTR = 300.0


@pytest.mark.parametrize("kind", CURABLE)
def test_it_is_cured_in_time_and_nothing_else_is_touched(kind: str) -> None:
    played = [play(kind, seed) for seed in SEEDS]
    assert [each.wrong for each in played] == [()] * len(played), played
    assert all(each.resolved for each in played), [each for each in played if not each.resolved]
    assert max(each.mttr or 0.0 for each in played) <= MTTR, played
