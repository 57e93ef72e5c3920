"""The lifecycle of incidents."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

from aiops.correlate.incident_flow import MAX_TRANSITIONS, Flow, FlowPolicy, absorb, acknowledge, mitigating, resolve, run_ended, tick
from aiops.domain.execution import Execution
from aiops.domain.incident import Incident, IncidentState
from aiops.domain.signal import Evidence, Severity, Signal, SignalState
from tests.unit.correlate.signals import CHECKOUT, T0, cleared, signal

POLICY = FlowPolicy(resolve_after=60.0, flap_window=900.0, max_flaps=2, flap_hold=600.0, max_signals=3)


def took(incident: Incident | None, signals: Sequence[Signal], at: float, last: Incident | None = None) -> Flow:
    return absorb(incident, last, signals, T0 + at, POLICY)


def opened(*signals: Signal) -> Incident:
    return known(took(None, signals or (signal(),), 0))


def known(flow: Flow) -> Incident:
    assert flow.incident is not None
    return flow.incident


def run(*, simulated: bool = False) -> Execution:
    """The two fields of a run that the flow reads."""
    return cast("Execution", SimpleNamespace(verification=None, id="run-1", simulated=simulated))


def reasons(flow: Flow) -> list[tuple[bool, str]]:
    return [(d.passed, d.reason) for d in flow.decisions]


def test_a_first_claim_opens_an_incident() -> None:
    flow = took(None, [signal(severity=Severity.CRITICAL)], 5)
    incident = known(flow)
    assert "Opened" in flow.changes
    assert (incident.state, incident.severity, incident.opened_at, incident.target) == (IncidentState.OPEN, Severity.CRITICAL, T0 + 5, CHECKOUT)
    assert incident.title == "shop/deployment/checkout: errors"
    assert incident.labels == {"namespace": "shop", "symptom": "errors"}
    assert reasons(flow) == [(True, "Grouped")]
    assert flow.decisions[0].incident == incident.id


def test_the_same_claims_at_the_same_time_make_the_same_id() -> None:
    assert opened(signal()).id == opened(signal()).id


def test_a_cleared_claim_opens_nothing_and_says_so() -> None:
    flow = took(None, [cleared()], 0)
    assert flow.incident is None
    assert reasons(flow) == [(False, "NothingOpen")]


def test_the_same_claim_again_changes_evidence_only() -> None:
    incident = opened()
    flow = took(incident, [signal(at=15)], 15)
    assert flow.changes == ("EvidenceUpdated",)
    assert reasons(flow) == [(False, "Duplicate")]
    assert known(flow).signals["errors/" + signal().series].at == T0 + 15
    assert known(flow).transitions == incident.transitions
    assert known(flow).version == incident.version + 1


def test_claims_about_one_target_are_one_incident() -> None:
    flow = took(opened(), [signal("latency", 10)], 10)
    incident = known(flow)
    assert flow.changes == ("SignalAdded",)
    assert len(incident.firing) == 2
    assert incident.symptoms == ("errors", "latency")
    assert incident.labels == {"namespace": "shop"}
    assert incident.title == "shop/deployment/checkout: errors, latency"


def test_severity_follows_the_worst_that_fires() -> None:
    flow = took(opened(), [signal("latency", 10, severity=Severity.CRITICAL)], 10)
    assert flow.changes == ("SignalAdded", "SeverityRaised")
    down = took(known(flow), [cleared("latency", 20)], 20)
    assert down.changes == ("SignalCleared", "SeverityLowered")
    assert known(down).severity is Severity.WARNING


def test_a_claim_that_becomes_worse_is_no_duplicate() -> None:
    flow = took(opened(), [signal(at=10, severity=Severity.CRITICAL)], 10)
    assert flow.changes == ("EvidenceUpdated", "SeverityRaised")
    assert reasons(flow) == [(True, "SeverityChanged")]


def test_late_and_needless_claims_are_dropped_with_a_reason() -> None:
    incident = known(took(opened(), [signal(at=10)], 10))
    late = took(incident, [cleared(at=5)], 11)
    assert (late.incident, late.changes, reasons(late)) == (incident, (), [(False, "OutOfOrder")])
    assert reasons(took(incident, [cleared("never-fired", 12)], 12)) == [(False, "NotFiring")]


def test_it_resolves_only_after_every_claim_was_quiet_for_long_enough() -> None:
    incident = known(took(opened(), [signal("latency", 5)], 5))
    incident = known(took(incident, [cleared(at=10)], 10))
    assert tick(incident, T0 + 1000, POLICY).changes == ()
    flow = took(incident, [cleared("latency", 1000)], 1000)
    assert flow.changes == ("SignalCleared", "Recovering")
    incident = known(flow)
    assert tick(incident, T0 + 1059, POLICY).changes == ()
    done = tick(incident, T0 + 1060, POLICY)
    assert done.changes == ("Resolved",)
    assert (known(done).state, known(done).resolved_at, known(done).transitions[-1].reason) == (IncidentState.RESOLVED, T0 + 1060, "Recovered")
    assert tick(known(done), T0 + 2000, POLICY).changes == ()


def test_what_was_lost_from_sight_is_not_called_recovered() -> None:
    flow = took(opened(), [signal(at=10, state=SignalState.EXPIRED)], 10)
    assert flow.changes == ("SignalExpired", "Recovering")
    assert known(tick(known(flow), T0 + 70, POLICY)).transitions[-1].reason == "NoLongerSeen"


def test_firing_again_before_it_resolved_starts_the_wait_anew() -> None:
    incident = known(took(opened(), [cleared(at=10)], 10))
    flow = took(incident, [signal(at=50)], 50)
    assert flow.changes == ("SignalAdded", "FiringAgain")
    assert known(flow).flaps == 1
    incident = known(took(known(flow), [cleared(at=60)], 60))
    assert tick(incident, T0 + 100, POLICY).changes == ()
    assert tick(incident, T0 + 120, POLICY).changes == ("Resolved",)


def resolved_at(at: float) -> Incident:
    return known(tick(known(took(opened(), [cleared(at=at - 60)], at - 60)), T0 + at, POLICY))


def test_firing_again_within_the_flap_window_reopens_the_same_incident() -> None:
    last = resolved_at(100)
    flow = took(None, [signal(at=200)], 200, last)
    incident = known(flow)
    assert "Reopened" in flow.changes
    assert (incident.id, incident.state, incident.flaps, incident.resolved_at, incident.opened_at) == (last.id, IncidentState.OPEN, 1, None, T0)


def test_firing_again_after_the_flap_window_is_a_new_incident() -> None:
    last = resolved_at(100)
    flow = took(None, [signal(at=1001)], 1001, last)
    assert "Opened" in flow.changes
    assert known(flow).id != last.id
    assert known(flow).fingerprint == last.fingerprint


def test_a_flapping_incident_is_held_open_longer_and_told_less() -> None:
    incident, at, told = opened(), 0.0, []
    for _ in range(5):
        incident = known(took(incident, [cleared(at=at + 10)], at + 10))
        flow = took(incident, [signal(at=at + 20)], at + 20)
        told.append(flow.changes[-1])
        incident, at = known(flow), at + 20
    assert told == ["FiringAgain", "FiringAgain", "FiringAgain", "Flapping", "Flapping"]
    incident = known(took(incident, [cleared(at=at + 10)], at + 10))
    assert tick(incident, T0 + at + 10 + 599, POLICY).changes == ()
    assert tick(incident, T0 + at + 10 + 600, POLICY).changes == ("Resolved",)


def test_flaps_long_apart_do_not_add_up() -> None:
    incident = opened()
    for i in range(1, 6):
        incident = known(took(incident, [cleared(at=i * 1000.0)], i * 1000.0))
        incident = known(took(incident, [signal(at=i * 1000.0 + 10)], i * 1000.0 + 10))
    assert incident.flaps == 1


def test_endless_flapping_does_not_grow_the_record() -> None:
    incident = opened()
    for i in range(1, 200):
        incident = known(took(incident, [(signal if i % 2 == 0 else cleared)(at=i)], i))
    assert len(incident.transitions) == MAX_TRANSITIONS
    assert incident.transitions[0].reason == "Opened"
    assert incident.transitions[-1].at == T0 + 199


def test_the_number_of_claims_is_bounded_and_the_old_make_room() -> None:
    incident = opened(signal("a"), signal("b"), signal("c"))
    full = took(incident, [signal("d", 1)], 1)
    assert reasons(full) == [(False, "TooManySignals")]
    incident = known(took(incident, [cleared("b", 2)], 2))
    incident = known(took(incident, [signal("d", 3)], 3))
    assert sorted(s.rule for s in incident.firing) == ["a", "c", "d"]


def test_a_person_acknowledges_once() -> None:
    flow = acknowledge(opened(), "ann", T0 + 5)
    assert known(flow).state is IncidentState.ACKNOWLEDGED
    assert known(flow).transitions[-1].by == "ann"
    again = acknowledge(known(flow), "bob", T0 + 6)
    assert (again.changes, reasons(again)) == ((), [(False, "NotOpen")])


def test_an_acknowledged_incident_still_takes_claims_and_resolves() -> None:
    incident = known(acknowledge(opened(), "ann", T0 + 5))
    incident = known(took(incident, [signal("latency", 6)], 6))
    assert incident.state is IncidentState.ACKNOWLEDGED
    incident = known(took(incident, [cleared("latency", 10), cleared(at=10)], 10))
    assert known(tick(incident, T0 + 70, POLICY)).state is IncidentState.RESOLVED


def test_what_a_person_resolved_stays_closed_until_it_cleared_once() -> None:
    last = known(resolve(opened(), "ann", T0 + 10, "known, deploying"))
    assert last.transitions[-1].reason == "ResolvedByPerson: known, deploying"
    same = took(None, [signal(at=20)], 20, last)
    assert (same.incident, same.changes, reasons(same)) == (last, (), [(False, "ResolvedByPerson")])
    other = known(took(None, [cleared(at=30)], 30, last))
    assert other.state is IncidentState.RESOLVED
    assert "Reopened" in took(None, [signal(at=40)], 40, other).changes


def test_what_a_person_resolved_reopens_when_it_becomes_worse_or_something_else_fires() -> None:
    last = known(resolve(opened(), "ann", T0 + 10))
    assert "Reopened" in took(None, [signal(at=20, severity=Severity.CRITICAL)], 20, last).changes
    assert "Reopened" in took(None, [signal("latency", 20)], 20, last).changes


def test_resolving_twice_says_so() -> None:
    last = known(resolve(opened(), "ann", T0 + 10))
    assert reasons(resolve(last, "bob", T0 + 11)) == [(False, "AlreadyResolved")]


def test_a_real_run_mitigates_and_its_end_goes_back() -> None:
    flow = mitigating(opened(), run(), T0 + 5)
    assert known(flow).state is IncidentState.MITIGATING
    assert reasons(mitigating(known(flow), run(), T0 + 6)) == [(False, "AlreadyMitigating")]
    back = run_ended(known(flow), run(), T0 + 60)
    assert known(back).state is IncidentState.OPEN
    assert back.changes == ("RunEnded",)
    seen = known(mitigating(known(acknowledge(opened(), "ann", T0 + 1)), run(), T0 + 5))
    assert known(run_ended(seen, run(), T0 + 60)).state is IncidentState.ACKNOWLEDGED


def test_a_simulated_run_mitigates_nothing() -> None:
    flow = mitigating(opened(), run(simulated=True), T0 + 5)
    assert (flow.changes, reasons(flow)) == ((), [(False, "Simulated")])


def test_the_end_of_a_run_does_not_reopen_what_is_resolved() -> None:
    incident = known(took(known(mitigating(opened(), run(), T0 + 5)), [cleared(at=10)], 10))
    done = known(tick(incident, T0 + 70, POLICY))
    assert run_ended(done, run(), T0 + 80) == Flow(done)


def test_without_a_target_rule_and_stable_labels_make_the_incident() -> None:
    a = signal(target=None, labels={"namespace": "shop", "pod": "x-1"})
    b = signal(target=None, labels={"namespace": "shop", "pod": "x-2"}, at=5)
    assert opened(a).fingerprint == opened(b).fingerprint
    assert opened(a).fingerprint != opened(replace(a, rule="latency")).fingerprint


def test_hostile_texts_are_cut_and_flattened() -> None:
    hostile: dict[str, Any] = {"symptom": "x\n\x1b[31m" * 1000}
    incident = opened(signal(labels=hostile))
    assert len(incident.title) <= 140
    assert incident.title.isprintable()


def test_the_title_keeps_what_has_cleared() -> None:
    later = known(took(opened(signal("errors"), signal("latency")), [cleared("errors", 60)], 60))
    assert later.symptoms == ("latency",)
    assert sorted(later.title.rpartition(": ")[2].split(", ")) == ["errors", "latency"]


def test_what_never_went_back_and_was_taken_as_usual_did_not_recover() -> None:
    calm = known(took(opened(signal("errors")), [cleared("errors", 60, evidence=Evidence(note="RegimeChanged"))], 60))
    done = known(tick(calm, T0 + 1000.0, POLICY))
    assert (done.state, done.transitions[-1].reason) == (IncidentState.RESOLVED, "RegimeChanged")
