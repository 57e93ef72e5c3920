"""What every detector keeps, whatever its algorithm."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from aiops.detect.change import adwin, page_hinkley
from aiops.detect.contract import Detector, Scores, Window
from aiops.detect.fleet import Fleet
from aiops.detect.focus import Focus
from aiops.detect.isolation_forest import ResidualForest
from aiops.detect.live_fleet import LiveFleet
from aiops.detect.log_rate import LogErrorRate
from aiops.detect.peers import Peers
from aiops.detect.release import ReleaseComparison
from aiops.detect.seasonal import SeasonalZ
from aiops.detect.threshold import Threshold
from aiops.domain.rule import MetricKind

T0 = 1_700_000_000.0
EVERY = 15.0
SERIES = 8
FAULT = 30
MAKERS: dict[str, Callable[[], Detector]] = {
    "threshold": lambda: Threshold(above=130.0, critical=150.0),
    "seasonal": lambda: SeasonalZ(window=30, minimum_samples=10, season=3600.0, bucket=300.0),
    "seasonal-count": lambda: SeasonalZ(window=30, minimum_samples=10, season=0.0, kind=MetricKind.COUNT),
    "fleet": Fleet,
    "live-fleet": LiveFleet,
    "calibrated-fleet": lambda: LiveFleet(false_alarms=10_800.0),
    "focus": Focus,
    "live-focus": lambda: LiveFleet(forest=True, false_alarms=10_800.0),
    "peers": Peers,
    "log-rate": lambda: LogErrorRate(minimum_count=20, ratio=3.0),
    "adwin": adwin,
    "adwin-unit": lambda: adwin(unit=100.0, clock=8),
    "page-hinkley": page_hinkley,
    "page-hinkley-unit": lambda: page_hinkley(unit=10.0, minimum_samples=10),
    "forest": lambda: ResidualForest(trees=20, window=32),
}


def released() -> ReleaseComparison:
    """All series were released when the fault begins."""
    detector = ReleaseComparison(before=1500.0, after=75.0, grace=0.0, until=3600.0, resolution=15.0)
    at = T0 + EVERY * (200 - FAULT)
    detector.released({row: Window(at, at) for row in range(SERIES)})
    return detector


MAKERS["release"] = released
FIELDS = ("score", "expected", "lower", "upper", "ready", "breach", "critical", "recovered")


@pytest.fixture(params=list(MAKERS))
def make(request: pytest.FixtureRequest) -> Callable[[], Detector]:
    return MAKERS[request.param]


def noise(polls: int, seed: int = 1) -> np.ndarray:
    """(polls, SERIES) around 100, with a fault in series 0 that lasts to the end."""
    values = np.random.default_rng(seed).normal(100.0, 3.0, (polls, SERIES))
    values[-FAULT:, 0] += 200.0
    return values


def feed(detector: Detector, values: np.ndarray, *, start: int = 0, order: np.ndarray | None = None) -> list[Scores]:
    rows = np.arange(values.shape[1])
    seen = []
    for i, line in enumerate(values):
        places = rows if order is None else order
        times = np.full(len(places), T0 + EVERY * (start + i))
        seen.append(detector.score_and_learn(places.astype(np.int64), times, line[places].astype(float)))
    return seen


def same(a: Scores, b: Scores) -> None:
    for name in FIELDS:
        np.testing.assert_array_equal(getattr(a, name), getattr(b, name), err_msg=name)


def test_it_finds_the_fault_and_only_where_it_is(make: Callable[[], Detector]) -> None:
    seen = feed(make(), noise(200))
    late = np.array([s.breach for s in seen[-FAULT:]])
    assert late[:, 0].any()
    assert not late[:, 1:].any()
    assert not any(s.breach.any() for s in seen[:-FAULT])


def test_shapes_and_meanings(make: Callable[[], Detector]) -> None:
    for scores in feed(make(), noise(200)):
        for name in FIELDS:
            assert getattr(scores, name).shape == (SERIES,)
        assert np.isnan(scores.score[~scores.ready]).all()
        assert np.isfinite(scores.score[scores.ready]).all()
        assert (scores.score[scores.ready] >= 0.0).all()
        assert not (scores.breach & ~scores.ready).any()
        assert not (scores.critical & ~scores.breach).any()
        assert not (scores.recovered & scores.breach).any()
        assert not np.isinf(scores.expected).any()


def test_a_score_depends_on_nothing_that_comes_later(make: Callable[[], Detector]) -> None:
    values = noise(120)
    altered = values.copy()
    altered[100:] = 1e9
    for a, b in zip(feed(make(), values)[:100], feed(make(), altered)[:100], strict=True):
        same(a, b)


def test_the_order_within_a_batch_does_not_matter(make: Callable[[], Detector]) -> None:
    values, order = noise(150), np.random.default_rng(5).permutation(SERIES)
    plain, mixed = feed(make(), values), feed(make(), values, order=order)
    for a, b in zip(plain, mixed, strict=True):
        for name in FIELDS:
            np.testing.assert_array_equal(getattr(a, name)[order], getattr(b, name), err_msg=name)


def test_it_goes_on_exactly_where_a_snapshot_was_taken(make: Callable[[], Detector]) -> None:
    values = noise(180)
    whole = make()
    feed(whole, values[:120])
    restored = make()
    restored.restore(whole.snapshot())
    assert restored.snapshot() == whole.snapshot()
    for a, b in zip(feed(whole, values[120:], start=120), feed(restored, values[120:], start=120), strict=True):
        same(a, b)


def test_a_damaged_snapshot_is_refused_and_the_state_is_as_before(make: Callable[[], Detector]) -> None:
    detector = make()
    feed(detector, noise(40))
    before = detector.snapshot()
    for damaged in (b"garbage", before[: len(before) // 2] or b"x", b"PK\x03\x04" + b"\x00" * 100):
        with pytest.raises(ValueError, match=r".+"):
            detector.restore(damaged)
    assert detector.snapshot() == before


def test_constants_are_quiet(make: Callable[[], Detector]) -> None:
    for level in (0.0, 7.0, -3.0, 1e-300, 100.0):
        assert not any(s.breach.any() for s in feed(make(), np.full((200, SERIES), level)))


def test_missing_values_neither_score_nor_teach(make: Callable[[], Detector]) -> None:
    holes = noise(150)
    holes[20:30, 3] = np.nan
    holes[40:45, 4] = np.inf
    holes[45:50, 5] = -np.inf
    seen = feed(make(), holes)
    for i in range(20, 30):
        assert not seen[i].ready[3]
        assert np.isnan(seen[i].score[3])
    assert not any(s.breach[1:].any() for s in seen[-FAULT:])


@pytest.mark.parametrize("odd", [1e300, -1e300, 1.7e308, 5e-324, -0.0])
def test_absurd_numbers_break_nothing(make: Callable[[], Detector], odd: float) -> None:
    values = noise(200)
    values[60:64, 2] = odd
    values[64:66, 2] = -odd
    values[:, 6] = odd
    values[::2, 7] = odd
    seen = feed(make(), values)
    for scores in seen:
        assert np.isfinite(scores.score[scores.ready]).all()
        assert not np.isinf(scores.lower).any()
        assert not np.isinf(scores.upper).any()
    assert np.array([s.breach[0] for s in seen[-FAULT:]]).any()


def test_scoring_without_learning_changes_nothing(make: Callable[[], Detector]) -> None:
    detector = make()
    feed(detector, noise(100)[:90])
    before = detector.snapshot()
    detector.score_and_learn(np.arange(SERIES), np.full(SERIES, T0 + EVERY * 200), np.full(SERIES, 500.0), learn=False)
    assert detector.snapshot() == before


def test_a_forgotten_row_starts_fresh(make: Callable[[], Detector]) -> None:
    used, fresh = make(), make()
    feed(used, noise(100))
    used.forget(np.arange(SERIES))
    calm = np.random.default_rng(9).normal(5.0, 0.1, (5, SERIES))
    learns = make().snapshot() != b""
    for scores in feed(used, calm, start=300):
        assert not (learns and scores.ready.any() and not isinstance(used, LogErrorRate))
    assert len(feed(fresh, calm)) == 5


def test_an_empty_poll_is_no_error(make: Callable[[], Detector]) -> None:
    nothing = np.empty(0)
    assert len(make().score_and_learn(np.empty(0, dtype=np.int64), nothing, nothing)) == 0


def test_rows_may_come_and_go(make: Callable[[], Detector]) -> None:
    detector, values = make(), noise(100)
    for i, line in enumerate(values[:90]):
        rows = np.arange(i % 3, SERIES + i // 10, 2, dtype=np.int64)
        detector.score_and_learn(rows, np.full(len(rows), T0 + EVERY * i), np.resize(line, len(rows)))
    assert len(detector.score_and_learn(np.array([40], dtype=np.int64), np.array([T0 + 9999.0]), np.array([100.0]))) == 1
