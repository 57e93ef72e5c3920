"""Fingerprints, common labels, titles and summaries."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from aiops.correlate.grouping import common_labels, fingerprint, group
from aiops.correlate.incident_flow import FlowPolicy, absorb
from aiops.correlate.texts import summary, title
from aiops.domain.signal import Evidence, Severity
from aiops.domain.target import TargetRef
from tests.unit.correlate.signals import CHECKOUT, PAYMENT, T0, cleared, signal


def test_one_target_is_one_group_whatever_the_rule() -> None:
    groups = group([signal("errors"), signal("latency"), signal("errors", target=PAYMENT)])
    assert [len(g) for g in groups.values()] == [2, 1]


def test_the_same_name_in_another_cluster_is_another_target() -> None:
    assert fingerprint(signal()) != fingerprint(signal(target=TargetRef("Deployment", "shop", "checkout", "other")))


def test_pods_that_come_and_go_do_not_change_a_fingerprint() -> None:
    labels = {"namespace": "shop", "queue": "mails"}
    assert len({fingerprint(signal(target=None, labels=labels | {"pod": p, "instance": p})) for p in "abc"}) == 1
    assert fingerprint(signal(target=None, labels=labels)) != fingerprint(signal(target=None, labels=labels | {"queue": "other"}))


@given(st.dictionaries(st.text(max_size=5), st.text(max_size=5), max_size=4), st.dictionaries(st.text(max_size=5), st.text(max_size=5), max_size=4))
def test_different_stable_labels_differ(a: dict[str, str], b: dict[str, str]) -> None:
    same = fingerprint(signal(target=None, labels=a)) == fingerprint(signal(target=None, labels=b))
    assert same == (a == b)


def test_common_labels_are_those_nobody_contradicts() -> None:
    a = signal(labels={"namespace": "shop", "symptom": "errors", "pod": "x-1"})
    b = signal(labels={"namespace": "shop", "symptom": "latency", "dependency": "bank"})
    assert common_labels([a, b]) == {"namespace": "shop", "dependency": "bank"}
    assert common_labels([a])["pod"] == "x-1"
    assert common_labels([]) == {}


def test_the_title_names_the_worst_first() -> None:
    signals = [signal("latency"), signal("errors", 5, severity=Severity.CRITICAL)]
    assert title(CHECKOUT, signals) == "shop/deployment/checkout: errors, latency"
    assert title(None, signals) == "errors are high"
    assert title(None, []) == ""


def test_the_summary_says_what_was_measured_and_expected() -> None:
    seen = Evidence(value=0.25, expected=0.01, upper=0.05)
    flow = absorb(None, None, [signal(evidence=seen), signal("latency")], T0, FlowPolicy())
    assert flow.incident is not None
    assert "warning: errors are high; value 0.25; expected 0.01; wrong above 0.05" in summary(flow.incident)
    over = absorb(flow.incident, None, [cleared("latency", 5)], T0 + 5, FlowPolicy()).incident
    assert over is not None
    assert summary(over).endswith("1 earlier claim no longer stands")
