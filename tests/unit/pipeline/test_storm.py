"""Storm mode: when it begins and ends, that nothing is done meanwhile, that people are told once, and that a restart ends nothing."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from aiops.domain.incident import Incident, IncidentState, Transition
from aiops.domain.signal import SignalKind
from aiops.domain.target import TargetRef
from aiops.pipeline.storming import STORM
from aiops.remediate.storm import Storm, StormPolicy, step
from aiops.settings import GuardSettings
from tests.scenarios.stage import RUNBOOK, Stage
from tests.unit.remediate.shop import make_incident, signal

NOW = 1_800_000_000.0
POLICY = StormPolicy(targets=4, incidents=6, window=300.0, quiet=60.0)


def incident(number: int, age: float = 10.0, *, target: bool = True, **more: object) -> Incident:
    ref = TargetRef("Deployment", "shop", f"w{number}") if target else None
    made = make_incident(signal(f"r{number}", target=ref), target=ref)
    return replace(made, id=f"inc-{number}", fingerprint=f"fp-{number}", opened_at=NOW - age, updated_at=NOW + 9, **more)  # type: ignore[arg-type]


def some(count: int, age: float = 10.0, **more: bool) -> list[Incident]:
    return [incident(n, age, **more) for n in range(count)]


def stormy(incidents: list[Incident], storm: Storm | None = None, now: float = NOW) -> bool:
    return step(storm or Storm(), incidents, now, POLICY).since is not None


def test_it_begins_at_so_many_targets_or_incidents_within_the_window() -> None:
    assert not stormy(some(3))
    assert stormy(some(4))
    assert not stormy(some(4, 300.0))
    assert not stormy(some(5, target=False))
    assert stormy(some(6, target=False))


def test_what_another_incident_explains_and_telemetry_that_is_dark_do_not_count() -> None:
    assert not stormy([replace(i, inhibited_by="inc-9") for i in some(9)])
    dark = [replace(make_incident(signal(f"s{n}", kind=SignalKind.SIGHT, target=None), target=None), opened_at=NOW, updated_at=NOW, fingerprint=f"f{n}") for n in range(9)]
    assert not stormy(dark)


def test_an_incident_that_opens_again_is_new_again() -> None:
    old = [incident(n, 9000.0, transitions=(Transition(NOW - 9000, IncidentState.OPEN, "Opened"),)) for n in range(4)]
    assert not stormy(old)
    assert stormy([replace(i, transitions=(*i.transitions, Transition(NOW - 5, IncidentState.OPEN, "Reopened"))) for i in old])


def test_it_ends_after_some_time_of_at_most_half_and_not_before() -> None:
    storm = step(Storm(), some(4), NOW, POLICY)
    assert step(storm, some(3), NOW + 1000, POLICY).since == NOW  # more than half: it goes on for ever
    calm = step(storm, some(2, -10.0), NOW + 10, POLICY)
    assert (calm.since, calm.calm_since) == (NOW, NOW + 10)
    assert step(calm, some(3, -50.0), NOW + 60, POLICY).calm_since is None
    assert step(calm, some(2, -50.0), NOW + 69, POLICY).since == NOW
    assert step(calm, some(2, -50.0), NOW + 70, POLICY).since is None


@given(st.booleans(), st.lists(st.tuples(st.integers(0, 9), st.floats(0, 600)), max_size=12), st.lists(st.tuples(st.integers(0, 9), st.floats(0, 600)), max_size=6))
def test_more_incidents_never_end_a_storm(already: bool, few: list[tuple[int, float]], more: list[tuple[int, float]]) -> None:
    storm = Storm(NOW - 100, NOW - 70) if already else Storm()
    before = [incident(n, age) for n, age in few]
    if stormy(before, storm):
        assert stormy([*before, *(incident(n, age) for n, age in more)], storm)


# --- the daemon

TWO = GuardSettings(storm_targets=2, storm_window=120.0, storm_quiet=30.0)
PAGE = RUNBOOK.replace("name: grow", "name: page-a-person").replace("mode: auto", "mode: auto\npriority: 900").replace(
    '  - {name: scale, action: scale, arguments: {by: "+1"}}', '  - {name: tell, action: notify, arguments: {message: "look", severity: critical}}'
)


def test_nothing_is_done_while_it_lasts_people_are_told_once_and_a_restart_changes_nothing(tmp_path: Path) -> None:
    stage = Stage(tmp_path, runbooks=(RUNBOOK, PAGE), settings={"guards": TWO}).run(60)
    stage.load |= {"checkout": 95.0, "search": 95.0}
    stage.run(40)
    assert (stage.writes(), "Storm" in stage.reasons()) == ([], True), stage.told()
    assert {r.plan.runbook for r in stage.runs} == {"page-a-person"}
    told = [i for i in stage.incidents if i.target is None]
    assert [(i.severity.value, i.active) for i in told] == [("critical", True)]
    assert stage.store.real.value(STORM) is not None
    stage.restart().run(30)
    assert stage.writes() == []
    stage.load |= {"checkout": 40.0}
    stage.run(400)
    told = [i for i in stage.incidents if i.target is None]
    assert [i.active for i in told] == [False], stage.told()
    assert stage.store.real.value(STORM) is None
    assert {w.ref.name for w in stage.writes()} == {"search"}, stage.told()


def test_one_fault_is_no_storm(tmp_path: Path) -> None:
    stage = Stage(tmp_path, settings={"guards": TWO}).run(60)
    stage.load["checkout"] = 95.0
    stage.run(60)
    assert len(stage.writes()) == 1
