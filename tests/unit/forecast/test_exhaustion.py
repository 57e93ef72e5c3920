"""When a limit is met, as a distribution."""

from __future__ import annotations

import numpy as np
import pytest

from aiops.forecast.exhaustion import Exhaustion, exhaustion

HOUR, DAY = 3600.0, 86400.0
AT = np.arange(720)


def noise(seed: int = 1, size: float = 0.3) -> np.ndarray:
    return np.random.default_rng(seed).normal(0.0, size, len(AT))


def days(found: Exhaustion) -> list[float | None]:
    return [None if (q := found.quantile(share)) is None else q / DAY for share in (0.1, 0.5, 0.9)]


def ask(values: np.ndarray, limit: np.ndarray | float, **options: bool | int) -> Exhaustion:
    return exhaustion(values, limit, step=HOUR, horizon=30 * DAY, **options)  # type: ignore[arg-type]


def test_growth_is_continued_with_an_interval_around_it() -> None:
    values = 100.0 + AT / 24.0 + noise()
    low, middle, high = days(ask(values, 140.0))
    assert low is not None
    assert middle == pytest.approx(10.0, abs=0.7)
    assert high is not None
    assert 8.0 < low < 10.0 < high < 12.5


def test_the_same_question_has_the_same_answer() -> None:
    values = 100.0 + AT / 24.0 + noise()
    assert ask(values, 140.0).crossings.tolist() == ask(values, 140.0).crossings.tolist()


def test_a_falling_level_is_the_same_in_a_mirror() -> None:
    values = 100.0 + AT / 24.0 + noise()
    assert ask(-values, -140.0, rising=False).crossings.tolist() == ask(values, 140.0).crossings.tolist()


def test_what_does_not_grow_or_goes_away_meets_nothing() -> None:
    assert ask(50.0 + noise(size=1.0), 70.0).within(30 * DAY) < 0.02
    assert days(ask(100.0 - AT / 24.0 + noise(), 140.0)) == [None, None, None]
    assert days(ask(np.full(100, 5.0), 6.0)) == [None, None, None]


def test_beyond_the_limit_already_is_now() -> None:
    found = ask(100.0 + AT / 24.0, 50.0)
    assert (days(found), found.model, found.within(0.0)) == ([0.0, 0.0, 0.0], "beyond the limit", 1.0)


def test_a_clean_up_in_the_middle_is_a_level_shift_and_the_pace_goes_on() -> None:
    values = 100.0 + AT / 24.0 + noise()
    values[500:] -= 15.0
    found = ask(values, 125.0)
    assert days(found)[1] == pytest.approx(10.0, abs=1.0)
    assert "1 level shift taken out" in found.model
    assert found.since == 500


def test_a_step_up_that_stays_is_no_trend() -> None:
    values = 50.0 + noise(size=0.5)
    values[650:] += 15.0
    assert ask(values, 80.0).within(30 * DAY) < 0.02


def test_after_a_fix_it_does_not_go_on_alarming() -> None:
    """It filled fast, somebody moved the writer elsewhere: from then on it is flat."""
    values = 60.0 + np.where(AT < 600, AT * 0.05, 600 * 0.05) + noise(size=0.2)
    assert ask(values[:600], 95.0).within(5 * DAY) > 0.5
    found = ask(values, 95.0)
    assert found.within(5 * DAY) < 0.1
    assert "pace changed" in found.model


@pytest.mark.parametrize("every", [24, 60])
def test_saw_teeth_of_a_log_rotation_end_nowhere_unless_they_grow(every: int) -> None:
    teeth = 30.0 + 12.0 * (AT % every) / every + noise(size=0.1)
    found = ask(teeth, 45.0)
    assert found.within(30 * DAY) == 0.0
    assert found.model.startswith("teeth")
    growing = ask(teeth + AT / 48.0, 15.0 + 42.0 + 5.0)
    assert days(growing)[1] == pytest.approx(10.0, abs=2.5)


def test_a_rotation_that_has_stopped_is_growth_again() -> None:
    teeth = 30.0 + 12.0 * (AT % 24) / 24 + noise(size=0.1)
    teeth[600:] = 30.0 + 0.5 * np.arange(120)
    assert days(ask(teeth, 100.0))[1] == pytest.approx((100 - 89.5) / 12.0, abs=0.4)


def test_the_peaks_of_a_season_meet_the_limit_first() -> None:
    values = 60.0 + AT / 48.0 + 20.0 * np.sin(2 * np.pi * AT / 24) + noise(size=0.5)
    found = ask(values, 105.0)
    assert days(found)[1] == pytest.approx((105 - 80 - 15) / 0.5, abs=3.0)
    assert "season of 168" in found.model


def test_a_limit_that_was_raised_holds_and_one_that_grows_grows_on() -> None:
    values = 100.0 + AT / 24.0
    raised = np.where(AT < 500, 125.0, 140.0)
    assert days(ask(values, raised))[1] == pytest.approx(10.0, abs=0.5)
    growing = 140.0 + 0.5 * (AT - 719) / 24.0
    assert days(ask(values, growing))[1] == pytest.approx(20.0, abs=1.5)


def test_huge_and_tiny_numbers_are_numbers_too() -> None:
    values = 100.0 + AT / 24.0 + noise()
    expected = days(ask(values, 140.0))
    for factor in (1e306, 1e-300):
        assert days(ask(values * factor, 140.0 * factor)) == expected


@pytest.mark.parametrize(
    ("values", "limit", "words"),
    [
        (np.arange(5.0), 9.0, "at least 12"),
        (np.full(20, np.nan), 9.0, "finite"),
        (np.arange(20.0), np.inf, "finite"),
    ],
)
def test_what_nothing_can_be_said_of_is_an_error(values: np.ndarray, limit: float, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        ask(values, limit)


def test_a_horizon_is_at_least_a_step() -> None:
    with pytest.raises(ValueError, match="at least one step"):
        exhaustion(np.arange(20.0), 30.0, step=HOUR, horizon=60.0)
