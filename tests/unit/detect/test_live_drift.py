"""Drift of what comes in: gauges over pods and time, Prometheus histograms, categories; references that stay, roll, or begin anew."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from aiops.detect.drift import Drift
from aiops.detect.groups import Assessed
from aiops.domain.series import SampleBatch, series_id
from tests.unit.detect.groups import EVERY, T0, answer, gauges, histogram

BOUNDS = ("0.1", "0.2", "0.4", "0.8", "+Inf")
SHOP = series_id({"workload": "w"})


def generator(seed: int = 1) -> np.random.Generator:
    return np.random.default_rng(seed)


def fed(detector: Drift, batches: Sequence[SampleBatch]) -> list[Assessed]:
    return [detector.assess(batch) for batch in batches]


def drifted(seen: Sequence[Assessed]) -> list[int]:
    return [i for i, one in enumerate(seen) if one.scores.breach.any()]


def totals(shares: Sequence[Sequence[float]], polls: Sequence[int], rate: int = 200, seed: int = 1) -> np.ndarray:
    """Cumulative bucket counters, (polls, buckets): `shares` of each stretch of `polls`."""
    rows = np.concatenate([generator(seed).multinomial(rate, s, p) for s, p in zip(shares, polls, strict=True)])
    return np.cumsum(np.cumsum(rows, axis=0), axis=1)


USUAL, SLOWER = [0.4, 0.3, 0.15, 0.1, 0.05], [0.2, 0.25, 0.25, 0.2, 0.1]


def test_a_gauge_over_pods_and_time() -> None:
    values = generator().normal(100.0, 5.0, (400, 4))
    values[300:] += 6.0
    detector = Drift(over=["pod"], reference=3600.0, window=900.0)
    seen = fed(detector, gauges(values))
    assert 300 < drifted(seen)[0] < 330
    last = seen[drifted(seen)[0]]
    assert last.labels == [{"workload": "w"}]
    assert last.values[0] > 0.1
    line = detector.lines(SHOP)[0]
    assert line.startswith("PSI ")
    assert "reference % 10 | 10" in line
    assert "now % " in line
    assert last.measures[0].name == "drift_psi"


def test_a_single_gauge_that_drifts_is_found_and_becomes_usual_where_the_reference_rolls() -> None:
    values = generator().normal(0.0, 1.0, (900, 1))
    values[400:] += 3.0
    found = drifted(fed(Drift(over=["pod"], reference=3600.0, window=900.0), gauges(values)))
    assert 400 < found[0] < 440
    assert 400 + 3600 / EVERY < found[-1] < 400 + (3600 + 1800) / EVERY


def test_a_wider_spread_at_the_same_mean_is_found() -> None:
    values = generator().normal(0.0, 1.0, (500, 1))
    values[400:] *= 4.0
    assert drifted(fed(Drift(over=["pod"], reference=3600.0, window=900.0), gauges(values)))


@pytest.mark.parametrize("chained", [0.0, 0.9])
def test_without_drift_it_is_quiet_also_where_samples_hang_together(chained: float) -> None:
    alarms = 0
    for seed in range(2):
        noise = generator(seed).normal(size=2500)
        for i in range(1, 2500):
            noise[i] += chained * noise[i - 1]
        found = drifted(fed(Drift(over=["pod"], reference=7200.0, window=1800.0), gauges(noise[:, None])))
        alarms += sum(1 for a, b in zip([-9, *found], found, strict=False) if b > a + 1)
    # 5,000 samples; large PSI is the rule here, it is significance that keeps quiet.
    assert alarms <= (2 if chained else 1)


def test_bucket_counts_are_the_distribution() -> None:
    counts = totals([USUAL, SLOWER], [300, 100])
    detector = Drift(of="histogram", reference=3600.0, window=600.0, counter=True)
    seen = fed(detector, histogram(counts, BOUNDS))
    assert 300 < drifted(seen)[0] <= 345
    assert seen[-1].scores.breach[0]
    assert "≤ 0.1 | 0.1 … 0.2 | 0.2 … 0.4 | 0.4 … 0.8 | 0.8 … inf" in detector.lines(SHOP)[0]


def test_counters_that_begin_anew_are_no_drift() -> None:
    counts = totals([USUAL], [400])
    for reset in (150, 350, 395):
        counts[reset:] = counts[reset:] - counts[reset - 1]
    assert drifted(fed(Drift(of="histogram", reference=3600.0, window=600.0, counter=True), histogram(counts, BOUNDS))) == []


def test_other_buckets_are_no_drift_but_nothing_to_compare() -> None:
    first, second = totals([USUAL], [300]), totals([[0.4, 0.6]], [20])
    detector = Drift(of="histogram", reference=3600.0, window=600.0, counter=True)
    fed(detector, histogram(first, BOUNDS))
    seen = fed(detector, histogram(second, ("0.1", "+Inf"), start=T0 + 300 * EVERY))
    assert not drifted(seen)
    assert seen[-1].scores.ready[0]


def test_features_are_told_apart_and_the_worst_is_named_first() -> None:
    detector = Drift(of="histogram", feature="name", reference=3600.0, window=600.0, counter=True, about="prediction")
    assert detector.reason == "PredictionDrifted"
    parts = {"age": [USUAL, USUAL], "price": [USUAL, SLOWER], "size": [USUAL, [0.05, 0.1, 0.15, 0.3, 0.4]]}
    made = {name: histogram(totals(s, [300, 100], seed=i), BOUNDS, name=name) for i, (name, s) in enumerate(parts.items())}
    seen = [
        detector.assess(answer(one[0].at, [pair for b in one for pair in zip(b.labels, b.values.tolist(), strict=True)])) for one in zip(*made.values(), strict=True)
    ]
    assert 300 < drifted(seen)[0] <= 345
    assert [line.split(":")[0] for line in detector.lines(SHOP)] == ["size", "price"]
    assert seen[-1].scores.critical[0]


def categories(shares: Sequence[dict[str, int]]) -> list[SampleBatch]:
    return [answer(T0 + 60.0 * i, [({"workload": "w", "country": c}, float(n)) for c, n in one.items()]) for i, one in enumerate(shares)]


def test_a_category_never_seen_before_is_drift() -> None:
    usual = [dict(zip(("de", "fr", "us"), map(int, line), strict=True)) for line in generator().poisson([50, 30, 20], (150, 3))]
    changed = [one | {"br": 40} for one in usual[:30]]
    detector = Drift(of="categories", over=["country"], reference=7200.0, window=900.0, every=60.0)
    seen = fed(detector, categories([*usual, *changed]))
    assert drifted(seen)[0] >= 150
    assert "(new)" in detector.lines(SHOP)[0]


def test_answers_that_overlap_are_not_added_up() -> None:
    """Counts of the last ten minutes, asked for each minute: a tenth of the answers counts."""
    detector = Drift(of="categories", over=["country"], reference=36000.0, window=6000.0, every=600.0)
    seen = fed(detector, categories([{"de": 60, "fr": 40}] * 800))
    assert seen[-1].scores.ready[0]
    assert sum(detector._histories[SHOP][""].cells[-1].values()) == 100.0  # type: ignore[union-attr]


def test_too_few_rows_are_no_verdict() -> None:
    values = generator().normal(0.0, 1.0, (400, 1))
    values[300:] += 50.0
    detector = Drift(over=["pod"], reference=3600.0, window=600.0)  # 40 polls in a window
    assert not any(one.scores.ready.any() for one in fed(detector, gauges(values)))
    assert np.isnan(detector.assess(gauges(values[:1], T0 + 1e5)[0]).values[0])


@pytest.mark.parametrize("odd", [1e300, -1e300, 5e-324, float("inf")])
def test_one_wild_value_neither_alarms_nor_hides_a_drift(odd: float) -> None:
    values = generator().normal(100.0, 5.0, (400, 4))
    values[[50, 150, 250], 1] = odd
    assert drifted(fed(Drift(over=["pod"], reference=3600.0, window=900.0), gauges(values))) == []
    values[300:] += 6.0
    found = drifted(fed(Drift(over=["pod"], reference=3600.0, window=900.0), gauges(values)))
    assert 300 < found[0] < 330


def test_infinite_values_lie_in_the_outer_bins_and_what_is_no_number_is_left_out() -> None:
    values = generator().normal(100.0, 5.0, (400, 4))
    values[300:, 0] = np.inf
    assert 300 < drifted(fed(Drift(over=["pod"], reference=3600.0, window=900.0), gauges(values)))[0] < 350
    values[300:, 0] = np.nan
    assert drifted(fed(Drift(over=["pod"], reference=3600.0, window=900.0), gauges(values))) == []


def test_ties_have_a_bin_of_their_own() -> None:
    values = generator().choice([0.0, 0.0, 0.0, 1.0, 2.0], (400, 2))
    values[300:] = generator(2).choice([0.0, 1.0, 1.0, 1.0, 2.0], (100, 2))
    assert 300 < drifted(fed(Drift(over=["pod"], reference=3600.0, window=900.0), gauges(values)))[0] < 345


def test_a_bin_that_empties_is_a_finite_surprise() -> None:
    counts = totals([USUAL, [0.7, 0.3, 0.0, 0.0, 0.0]], [300, 60])
    seen = fed(Drift(of="histogram", reference=3600.0, window=600.0, counter=True), histogram(counts, BOUNDS))
    assert drifted(seen)
    assert all(np.isfinite(one.scores.score[one.scores.ready]).all() for one in seen)


def test_a_pinned_reference_stays_and_is_kept() -> None:
    counts = totals([USUAL, SLOWER], [300, 500])
    detector = Drift(of="histogram", reference=3600.0, window=600.0, counter=True, reference_mode="pinned")
    seen = fed(detector, histogram(counts, BOUNDS))
    assert drifted(seen)[-1] == 799
    ((key, document),) = detector.references().items()
    assert (key, document["version"], document["labels"]) == (f"{SHOP}/", 1, {"workload": "w"})
    detector.kept()
    assert detector.references() == {}
    # A start without a snapshot goes on from what is stored.
    second = Drift(of="histogram", reference=3600.0, window=600.0, counter=True, reference_mode="pinned")
    second.recall({key: document, "damaged": {"kind": "histogram"}})
    assert drifted(fed(second, histogram(totals([SLOWER], [60]), BOUNDS, start=T0 + 1e5)))


def test_after_a_retraining_the_reference_moves_and_the_alarm_ends() -> None:
    counts = totals([USUAL, SLOWER, USUAL], [300, 500, 60])
    batches = histogram(counts, BOUNDS)
    detector = Drift(of="histogram", reference=3600.0, window=600.0, counter=True, reference_mode="sinceRetraining")
    assert fed(detector, batches[:400])[-1].scores.breach[0]
    detector.kept()
    detector.retrained(SHOP, batches[400].at)
    assert detector.references() == {f"{SHOP}/": None}
    after = fed(detector, batches[400:800])
    assert after[0].scores.recovered[0]
    assert drifted(after) == []
    assert after[0].measures[0].value == 0.0
    assert detector.references()[f"{SHOP}/"]["version"] == 2
    # The same again is no news, and what was usual before the training would be drift now.
    detector.retrained(SHOP, batches[400].at)
    assert detector.references()[f"{SHOP}/"]["version"] == 2
    assert drifted(fed(detector, batches[800:]))


def test_a_cap_on_features() -> None:
    detector = Drift(over=["pod"])
    found = detector.assess(answer(T0, [({"workload": f"w{i}"}, 1.0) for i in range(1001)]))
    assert len(found.labels) == 1000
    assert found.dropped == {"SeriesLimit": 1}


@pytest.mark.parametrize(
    "wrong",
    [{"of": "pods"}, {"window": 19000.0}, {"bins": 1}, {"psi_warning": 0.5}, {"reference_mode": "last"}, {"of": "categories"}, {"window": 60.0}, {"about": "x"}],
)
def test_parameters_that_contradict_each_other_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="drift"):
        Drift(**wrong)  # type: ignore[arg-type]


def test_buckets_of_a_histogram_aggregation_are_numbers_and_absent_ones_are_none() -> None:
    took = generator().lognormal(4.0, 0.5, (220, 60))
    took[160:] *= 1.5
    detector = Drift(of="buckets", over=["took"], reference=7200.0, window=1200.0, every=60.0, feature="field")
    batches = []
    for i, line in enumerate(took):
        numbers, counts = np.unique(np.floor(line / 10.0) * 10.0, return_counts=True)
        found = [({"workload": "w", "took": f"{n:.12g}"}, float(c)) for n, c in zip(numbers.tolist(), counts.tolist(), strict=True)]
        batches.append(answer(T0 + 60.0 * i, [*found, ({"workload": "w"}, 3.0)]))
    seen = fed(detector, batches)
    assert 160 <= drifted(seen)[0] < 180
    assert seen[0].dropped == {"NoSuchLabel": 1}
    assert "≤ 20 | 20 … 30" in detector.lines(SHOP)[0]
    other = Drift(of="buckets", over=["took"], reference=7200.0, window=1200.0, every=60.0, feature="field")
    other.restore(detector.snapshot())
    assert other.snapshot() == detector.snapshot()
