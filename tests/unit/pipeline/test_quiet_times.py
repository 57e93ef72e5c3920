"""Quiet times: skipping the result and skipping the learning are two things."""

from __future__ import annotations

from datetime import date, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from aiops.app.config import quiet_time
from aiops.detect.bank import RuleBank
from aiops.domain.rule import DetectorSpec, PromQuery, Rule
from aiops.domain.series import SampleBatch
from aiops.domain.signal import Severity
from aiops.pipeline.quiet_times import quiet
from aiops.remediate.freezes import FreezeError
from aiops.settings import QuietTimeSettings
from tests.scenarios.stage import RUNBOOK, START, Stage

WATCHING = RUNBOOK.replace("mode: auto", "mode: observe")


def settings(*skip: str, rules: tuple[str, ...] = ()) -> dict[str, object]:
    # START is 2026-01-01 09:33:20 UTC.
    given = {"name": "new year", "from": "2026-01-01T09:34", "until": "2026-01-01T09:36", "skip": skip, "rules": rules}
    return {"quiet_times": (QuietTimeSettings.model_validate(given, strict=False),)}


def fired(folder: Path, given: dict[str, object], seconds: float) -> tuple[Stage, set[str]]:
    one = Stage(folder, runbooks=(WATCHING,), settings=given).run(45)
    one.load["checkout"] = 95.0
    one.run(seconds)
    return one, {d.reason for d in one.store.decisions(limit=1000) if d.subject == "busy"}


def test_while_results_are_skipped_nothing_is_told_and_afterwards_it_is(tmp_path: Path) -> None:
    one, reasons = fired(tmp_path, settings("result"), 60.0)
    assert "QuietTime" in reasons
    assert "ThresholdCrossed" not in reasons
    one.run(90.0)
    assert "ThresholdCrossed" in {d.reason for d in one.store.decisions(limit=1000)}


def test_what_fired_before_stays_as_it_is(tmp_path: Path) -> None:
    one = Stage(tmp_path, runbooks=(WATCHING,), settings=settings("result", "learning"))
    one.load["checkout"] = 95.0
    one.run(35)
    one.load["checkout"] = 40.0
    one.run(60)
    reasons = [d.reason for d in one.store.decisions(limit=1000) if d.subject == "busy"]
    assert ("ThresholdCrossed" in reasons, "Recovered" in reasons) == (True, False)


@pytest.mark.parametrize("given", [settings("learning"), settings("result", rules=("disk-*",))])
def test_other_rules_and_other_skips_do_not_silence(tmp_path: Path, given: dict[str, object]) -> None:
    assert "ThresholdCrossed" in fired(tmp_path, given, 60.0)[1]


def test_a_window_follows_the_clock_of_its_zone() -> None:
    night = quiet_time(QuietTimeSettings(name="n", rrule="FREQ=DAILY;BYHOUR=2;BYMINUTE=30", duration=2700.0, timezone="Europe/Berlin", skip=("learning",)))
    before, after = 1_774_661_400.0, 1_774_744_200.0  # 02:30 of 28 March is 01:30 UTC; on the 29th the clock leaps over it, and it is 00:30.
    assert [quiet([night], "r", at).learning for at in (before - 1.0, before, before + 2700.0)] == [False, True, False]
    assert quiet([night], "r", after + 3600.0).names == "n"
    assert not quiet([night], "r", before).result


def local(*when: int) -> float:
    return datetime(*when, tzinfo=ZoneInfo("Europe/Berlin")).timestamp()  # type: ignore[misc,arg-type]


@pytest.mark.parametrize(("day", "hours"), [((2026, 3, 29), 23), ((2026, 10, 25), 25), ((2026, 12, 25), 24)])
def test_a_holiday_lasts_from_midnight_to_midnight_also_where_the_clocks_are_changed(day: tuple[int, int, int], hours: int) -> None:
    holiday = quiet_time(QuietTimeSettings(name="h", dates=(date(*day).isoformat(),), timezone="Europe/Berlin", skip=("learning",)))
    begin = local(*day)
    assert [quiet([holiday], "r", at).learning for at in (begin - 1.0, begin, begin + hours * 3600.0 - 1.0, begin + hours * 3600.0)] == [False, True, True, False]
    assert not quiet([holiday], "r", begin).result


def test_in_autumn_a_window_comes_at_the_first_of_two_equal_hours_and_lasts_as_long_as_ever() -> None:
    night = quiet_time(QuietTimeSettings(name="n", rrule="FREQ=DAILY;BYHOUR=2;BYMINUTE=30", duration=2700.0, timezone="Europe/Berlin", skip=("result",)))
    first = local(2026, 10, 25, 2, 30)  # still summer time: 00:30 UTC
    assert [quiet([night], "r", at).result for at in (first, first + 2699.0, first + 2700.0, first + 3600.0)] == [True, True, False, False]
    # Before and after the change it is the same time on the wall.
    for day in (24, 26):
        assert [quiet([night], "r", local(2026, 10, day, 2, minute)).result for minute in (29, 30, 59)] == [False, True, True]


@pytest.mark.parametrize(
    ("given", "key"),
    [({"dates": ("25.12.2026",)}, "dates"), ({"dates": ("2026-12-25",), "rrule": "FREQ=DAILY"}, "dates"), ({"dates": ("2026-12-25",), "timezone": "Mars"}, "timezone")],
)
def test_what_is_wrong_with_dates_is_said(given: dict[str, Any], key: str) -> None:
    with pytest.raises(FreezeError) as wrong:
        quiet_time(QuietTimeSettings(name="h", **given))
    assert wrong.value.key == key


def test_what_is_not_learnt_is_judged_all_the_same() -> None:
    bank = RuleBank(Rule("r", "s", PromQuery("q"), 60.0, DetectorSpec("fleet"), Severity.WARNING))

    def poll(at: float, value: float, *, learn: bool = True) -> list[str]:
        return [f.reason for f in bank.observe(SampleBatch("s", "q", at, ({"a": "b"},), np.array([at]), np.array([value])), learn=learn).findings]

    for i, value in enumerate(np.random.default_rng(1).normal(100.0, 1.0, 60).tolist()):
        poll(START + 60.0 * i, value)
    learnt = bank._known.learned.snapshot()
    assert poll(START + 3600.0, 300.0, learn=False) == ["UnlikeItself"]
    assert bank._known.learned.snapshot() == learnt
