"""Words for the pages."""

from __future__ import annotations

import pytest

from aiops.domain.decision import Decision, Stage
from aiops.web.texts import ago, clean, diff_lines, moment, span, stage_counts
from tests.unit.web.shapes import execution


@pytest.mark.parametrize(("seconds", "text"), [(0, "0 s"), (0.44, "0.4 s"), (59.6, "1 min"), (125, "2 min 5 s"), (7200, "2 h"), (273_600, "3 d 4 h"), (-5, "-5 s")])
def test_spans(seconds: float, text: str):
    assert span(seconds) == text


def test_moments_far_outside_any_calendar_are_numbers():
    assert moment(1e300) == "1e+300 s"
    assert moment(None) == "never"
    assert moment(0.0) == "1970-01-01 00:00:00 UTC"
    assert (ago(100.0, 160.0), ago(160.0, 100.0), ago(None, 1.0), ago(5.0, 5.2)) == ("1 min ago", "in 1 min", "never", "now")


def test_marks_that_turn_writing_round_go():
    assert clean("a\u202eb\x00c\n") == "a b c\n"
    assert clean(3) == 3


def test_lines_of_a_diff():
    assert [line.kind for line in diff_lines("--- a\n+++ b\n@@ -1 +1 @@\n-x\n+y\n z")] == ["head", "head", "hunk", "drop", "add", "same"]
    assert diff_lines("+x\n" * 5000)[-1].text == "… 4400 more lines"


def test_the_flow_counts_repetitions_and_names_reasons():
    decisions = [Decision(1.0, Stage.DECIDE, "a", False, "NoMatch", count=5), Decision(1.0, Stage.DECIDE, "a", True, "Planned"), Decision(1.0, Stage.TRIAGE, "a", False, "Muted")]
    flow = {s.stage: s for s in stage_counts(decisions, ["ok", "dark"], [execution("r", "i", "x")], ["delivered", "failed: x", "superseded", "pending"])}
    assert list(flow) == ["poll", "observe", "triage", "decide", "act", "verify", "announce"]
    assert (flow["decide"].passed, flow["decide"].dropped, flow["decide"].reasons) == (1, 5, (("NoMatch", 5),))
    assert (flow["poll"].passed, flow["poll"].reasons) == (1, (("dark", 1),))
    assert flow["verify"].passed == 1
    assert (flow["announce"].passed, flow["announce"].dropped) == (1, 2)
