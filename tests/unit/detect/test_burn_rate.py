"""Burn rates over several windows: when an alert fires, and what must not make it."""

from __future__ import annotations

from pathlib import Path

import pytest

from aiops.adapters.memory_prometheus import MemoryPrometheus
from aiops.adapters.memory_prometheus.store import MemorySeriesStore
from aiops.definitions.objectives import check_events, objective_query
from aiops.definitions.promql import check_promql
from aiops.detect.burn_rate import BurnRate
from aiops.detect.groups import Assessed
from aiops.domain.rule import OBJECTIVE_LABEL, BurnAlert
from aiops.domain.series import series_id
from tests.unit.definitions.specs import SOURCES
from tests.unit.definitions.test_loader import RULES_HEAD, load
from tests.unit.detect.groups import T0, answer

FAST, SLOW = BurnAlert(3600.0, 300.0, 14.4, critical=True), BurnAlert(259200.0, 21600.0, 1.0)
CALM = {
    "bad 5m": 0.0, "total 5m": 1000.0, "bad 1h": 0.0, "total 1h": 12_000.0, "covered 1h": 12.0, "bad 6h": 0.0, "total 6h": 72_000.0,
    "bad 3d": 0.0, "total 3d": 864_000.0, "covered 3d": 12.0, "bad 30d": 0.0, "total 30d": 8_640_000.0,
}  # fmt: skip
SHOP = series_id({"workload": "w"})


def judged(**seen: float) -> tuple[Assessed, BurnRate]:
    events = {**CALM, **{name.replace("_", " "): value for name, value in seen.items()}}
    detector = BurnRate(target=0.999, alerts=(FAST, SLOW))
    return detector.assess(answer(T0, [({"workload": "w", OBJECTIVE_LABEL: k}, v) for k, v in events.items() if v >= 0.0])), detector


def test_all_is_well() -> None:
    found, _ = judged()
    assert (found.scores.ready[0], found.scores.breach[0], found.scores.recovered[0], found.values[0]) == (True, False, True, 0.0)
    assert [(m.name, m.value) for m in found.measures] == [("slo_budget_left", 1.0)]


def test_both_windows_must_burn() -> None:
    assert judged(bad_1h=240.0, bad_5m=20.0)[0].scores.critical[0]
    assert not judged(bad_1h=240.0, bad_5m=10.0)[0].scores.breach[0]  # it is over
    assert not judged(bad_1h=20.0, bad_5m=20.0)[0].scores.breach[0]  # it has only begun


def test_a_slow_burn_is_a_warning() -> None:
    found, detector = judged(bad_3d=1000.0, bad_6h=100.0, bad_30d=4320.0)
    assert (found.scores.breach[0], found.scores.critical[0]) == (True, False)
    assert found.values[0] == pytest.approx(1.157, abs=1e-3)
    assert detector.lines(SHOP)[0] == "50.0% of the error budget is left"
    assert "burn rate 1.16 over 3d and 1.39 over 6h, 1 is too fast" in detector.lines(SHOP)[2]


def test_an_overdrawn_budget_is_below_zero() -> None:
    assert judged(bad_30d=17280.0)[0].measures[0].value == pytest.approx(-1.0)


@pytest.mark.parametrize(
    "seen",
    [
        {"total_1h": 50.0, "bad_1h": 2.0, "total_5m": 4.0, "bad_5m": 2.0},  # too few events
        {"total_1h": 400.0, "bad_1h": 3.0, "total_5m": 30.0, "bad_5m": 3.0, "covered_1h": 5.0},  # too little covered
        {"total_1h": 60.0, "bad_1h": 1.0, "total_5m": 5.0, "bad_5m": 1.0},
        {"covered_1h": -1.0, "bad_1h": 240.0, "bad_5m": 20.0},  # nothing known of the coverage
    ],
)
def test_low_traffic_and_gaps_prove_nothing(seen: dict[str, float]) -> None:
    found, detector = judged(**seen)
    assert not found.scores.breach[0]
    assert found.scores.score[0] < 1.0
    assert "(too few events" in detector.lines(SHOP)[1]


def test_few_failures_that_chance_explains_do_not_count() -> None:
    # One of 120 at a budget of one in a thousand: burn rate 8, and one hour in nine has as many.
    found = BurnRate(target=0.999, alerts=(BurnAlert(3600.0, 300.0, 6.0),))
    events = {"bad 1h": 1.0, "total 1h": 120.0, "covered 1h": 12.0, "bad 5m": 1.0, "total 5m": 10.0}
    assert not found.assess(answer(T0, [({OBJECTIVE_LABEL: k}, v) for k, v in events.items()])).scores.breach[0]
    events |= {"bad 1h": 4.0, "bad 5m": 4.0}
    assert found.assess(answer(T0, [({OBJECTIVE_LABEL: k}, v) for k, v in events.items()])).scores.breach[0]


def test_no_traffic_and_half_an_answer_say_nothing() -> None:
    found, detector = judged(**{k.replace(" ", "_"): -1.0 for k in CALM})
    assert len(found.labels) == 0
    half = detector.assess(answer(T0, [({"workload": "w", OBJECTIVE_LABEL: "bad 1h"}, 5.0)], partial=True), learn=False)
    assert not half.scores.ready.any()
    assert half.measures == ()


def test_the_query_counts_what_it_says() -> None:
    bad, total = 'sum by (w) (increase(x{r="bad"}[$window]))', "sum by (w) (increase(x[$window]))"
    query = objective_query(bad, total, (FAST,), 86400.0)
    check_promql(query)
    store = MemorySeriesStore(retention=2 * 86400.0)
    times = [T0 + 15.0 * i for i in range(120)]  # half an hour
    store.append_many({"__name__": "x", "w": "a", "r": "good"}, times, [9.0 * i for i in range(120)])
    store.append_many({"__name__": "x", "w": "a", "r": "bad"}, times, [1.0 * i for i in range(120)])
    found = MemoryPrometheus("p", store).instant(query, times[-1])
    seen = {labels[OBJECTIVE_LABEL]: value for labels, value in zip(found.labels, found.values.tolist(), strict=True)}
    assert set(seen) == {"bad 5m", "total 5m", "bad 1h", "total 1h", "bad 1d", "total 1d", "covered 1h"}
    assert seen["bad 5m"] / seen["total 5m"] == pytest.approx(0.1)
    assert seen["total 1h"] == pytest.approx(1200.0, rel=0.01)
    assert 5.0 <= seen["covered 1h"] <= 7.0


@pytest.mark.parametrize(("text", "message"), [("sum(x)", "must count events"), ("sum(increase(x[$window])", "does not parse")])
def test_events_that_cannot_be_counted_are_refused(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        check_events(text)


@pytest.mark.parametrize(
    ("detector", "message"),
    [
        ("{type: burnRate, target: 0.999, alerts: [{long: 5m, short: 1h, rate: 2}]}", "short must be shorter than long"),
        ("{type: burnRate, target: 0.9}", "more than everything cannot fail"),
        ("{type: burnRate, target: 0.999, period: 1d}", "no window may be longer than period"),
        ("{type: threshold, above: 1}", "objective and the detector burnRate go together"),
    ],
)
def test_objectives_that_make_no_sense_are_refused(tmp_path: Path, detector: str, message: str) -> None:
    text = RULES_HEAD + f'  - name: o\n    objective: {{bad: "b[$window]", total: "sum(increase(b[$window]))"}}\n    severity: warning\n    detector: {detector}\n'
    text = text.replace('"b[$window]"', '"sum(increase(b[$window]))"')
    definitions = load(tmp_path, rules=text, sources=SOURCES)
    assert message in "\n".join(map(str, definitions.problems))
