"""Telling people: where, when again, in which order, and what a channel that refuses leads to."""

from __future__ import annotations

from dataclasses import replace

import pytest

from aiops.adapters.schedule_virtual import VirtualTime
from aiops.adapters.store import SqlStore, open_store
from aiops.domain.errors import NotifyError
from aiops.domain.incident import Incident, IncidentState
from aiops.domain.message import IncidentView, Message, MessageKind
from aiops.domain.signal import Severity, Signal, SignalKind, SignalState
from aiops.domain.target import TargetRef
from aiops.pipeline.announce import Announcer, Courier, Route, channel_for, headline
from aiops.ports.storage import Changes
from aiops.ports.telemetry import NullTelemetry
from tests.scenarios.stage import FlakyNotifier

T = 1_767_260_000.0
TARGET = TargetRef("Deployment", "shop", "checkout")


def signal(summary: str = "busy", severity: Severity = Severity.WARNING) -> Signal:
    return Signal("sig-1", "busy", "threshold", SignalKind.METRIC, SignalState.FIRING, severity, T, "s", {"team": "a"}, TARGET, summary)


def incident(number: int = 1, *, severity: Severity = Severity.WARNING, state: IncidentState = IncidentState.OPEN, summary: str = "busy") -> Incident:
    claim = signal(summary, severity)
    return Incident(f"inc-{number}", f"fp-{number}", "checkout: busy", state, severity, T, T, TARGET, {"team": "a"}, {claim.key: claim})


def announcer(*routes: Route) -> Announcer:
    return Announcer(routes or (Route("#all"),), dry_run=False)


@pytest.fixture
def store() -> SqlStore:
    return open_store("sqlite:///:memory:")


@pytest.mark.parametrize(
    ("routes", "channel"),
    [
        ((), ""),
        ((Route("#a"),), "#a"),
        ((Route("#crit", severities=("critical",)), Route("#rest")), "#rest"),
        ((Route("#warn", severities=("warning", "critical")), Route("#rest")), "#warn"),
        ((Route("#other", namespaces=("bank",)),), ""),
        ((Route("#shop", namespaces=("shop",)),), "#shop"),
        ((Route("#b", labels={"team": "b"}), Route("#a", labels={"team": "a"})), "#a"),
        ((Route("#both", namespaces=("shop",), labels={"team": "b"}),), ""),
    ],
)
def test_the_first_route_whose_conditions_all_hold(routes: tuple[Route, ...], channel: str) -> None:
    assert channel_for(incident(), routes) == channel
    assert bool(announcer(*routes).compose(incident(), None, T)) == bool(channel) or not routes


def test_a_root_is_told_again_only_when_what_it_says_changed() -> None:
    tell = announcer()
    first = tell.compose(incident(), None, T)
    assert [m.kind for m in first] == [MessageKind.INCIDENT]
    tell.keep(first)
    assert tell.compose(replace(incident(), updated_at=T + 5, version=9), None, T + 5) == ()
    again = tell.compose(incident(summary="busier"), None, T + 6)
    assert [m.sequence > first[0].sequence for m in again] == [True]


def test_what_was_not_stored_does_not_count_as_told() -> None:
    tell = announcer()
    lost = tell.compose(incident(), None, T)
    kept = tell.compose(incident(), None, T + 1)
    assert lost
    assert kept
    tell.keep(kept)
    assert tell.compose(incident(), None, T + 2) == ()


def test_after_a_restart_nothing_that_is_known_is_told_again(store: SqlStore) -> None:
    before = announcer()
    messages = before.compose(incident(), None, T)
    store.write(Changes(incidents=(incident(),), messages=messages))
    after = announcer()
    after.load("inc-1", (m for m, _ in store.messages("inc-1")))
    assert after.told("inc-1")
    assert after.compose(incident(), None, T + 60) == ()


def test_a_clock_that_was_set_back_does_not_make_news_look_old(store: SqlStore) -> None:
    before = announcer()
    messages = before.compose(incident(), None, T)
    store.write(Changes(incidents=(incident(),), messages=messages))
    after = announcer()
    after.load("inc-1", (m for m, _ in store.messages("inc-1")))
    news = after.compose(incident(summary="worse"), None, T - 3600)
    assert news[0].sequence > messages[0].sequence
    store.write(Changes(messages=news))
    assert [m.text for m in store.messages_due(T)] == [news[0].text]


def test_where_it_was_told_before_it_became_worse_its_root_follows() -> None:
    tell = announcer(Route("#crit", severities=("critical",)), Route("#rest"))
    tell.keep(tell.compose(incident(), None, T))
    worse = tell.compose(incident(severity=Severity.CRITICAL), None, T + 1)
    assert sorted(m.channel for m in worse) == ["#crit", "#rest"]
    tell.keep(worse)
    over = tell.compose(incident(severity=Severity.CRITICAL, state=IncidentState.RESOLVED), None, T + 2)
    assert sorted(m.channel for m in over) == ["#crit", "#rest"]


def test_memory_is_bounded() -> None:
    tell = announcer()
    for number in range(2500):
        tell.keep(tell.compose(incident(number), None, T))
    assert len(tell._known) == 2000


# The courier

def message(number: int, of: str = "inc-1", kind: MessageKind = MessageKind.UPDATE, channel: str = "#all") -> Message:
    return Message(f"{of}/{channel}/{number}", channel, of, kind, T, number, f"text {number}", None, 0, T)


class Post:
    def __init__(self, store: SqlStore) -> None:
        self.time, self.notifier, self.store = VirtualTime(T), FlakyNotifier(), store
        self.courier = Courier(store, self.notifier, self.time, NullTelemetry())

    def texts(self) -> list[str]:
        return [p.message.text for p in self.notifier.posts]

    def after(self, seconds: float) -> int:
        self.time.run_until(self.time.now() + seconds)
        return self.courier.deliver_due()


@pytest.fixture
def post(store: SqlStore) -> Post:
    root = message(1, kind=MessageKind.INCIDENT)
    store.write(Changes(incidents=(incident(), incident(2)), messages=(root, message(2), message(3), message(1, "inc-2", MessageKind.INCIDENT))))
    return Post(store)


def test_in_order_and_once(post: Post) -> None:
    assert post.courier.deliver_due() == 4
    assert [t for t in post.texts() if t != "text 1"] == ["text 2", "text 3"]
    assert post.texts()[0] == "text 1"
    assert post.courier.deliver_due() == 0
    assert post.notifier.tries == 4


def test_a_refusal_holds_back_this_incident_and_no_other(post: Post) -> None:
    post.notifier.error, post.notifier.only = NotifyError("Throttled", retry_after=30.0), "inc-1"
    assert post.courier.deliver_due() == 1
    assert [p.message.incident for p in post.notifier.posts] == ["inc-2"]
    tries = post.notifier.tries
    assert post.after(10) == 0
    assert post.notifier.tries == tries  # what the server said is heeded
    post.notifier.error = None
    assert post.after(25) == 3
    assert post.texts()[1:] == ["text 1", "text 2", "text 3"]


def test_waits_grow_and_stay_bounded(post: Post) -> None:
    post.notifier.error, post.notifier.only = NotifyError("Timeout"), "inc-1"
    for _ in range(3600):
        post.after(1)
    assert 10 <= post.notifier.tries - 1 <= 25


def test_what_will_never_be_taken_is_given_up_and_the_rest_goes_on(post: Post) -> None:
    post.notifier.error, post.notifier.only = NotifyError("channel_not_found", permanent=True), "inc-1"
    assert post.courier.deliver_due() == 1
    while post.after(1):
        pass
    states = {m.key: s for m, s in post.store.messages("inc-1")}
    assert states["inc-1/#all/1"].startswith("failed: channel_not_found")


def test_a_view_that_was_replaced_on_its_way_is_sent_too(post: Post) -> None:
    newer = message(9, kind=MessageKind.INCIDENT)

    class Slow(FlakyNotifier):
        def deliver(self, message: Message, thread: object) -> object:  # type: ignore[override]
            if self.tries == 0:
                post.store.write(Changes(messages=(replace(newer, key=message.key),)))
            return super().deliver(message, thread)  # type: ignore[arg-type]

    courier = Courier(post.store, Slow(), post.time, NullTelemetry())  # type: ignore[arg-type]
    courier.deliver_due()
    assert "text 9" in [m.text for m in post.store.messages_due(T + 1)]


def test_an_incident_that_never_went_back_is_not_told_as_recovered() -> None:
    view = IncidentView("inc", "a: unusual", Severity.WARNING, "resolved", "a", 0.0, 9.0, 9.0, ended="RegimeChanged", dry_run=False)
    assert headline(view) == "WARNING resolved: a: unusual: it did not go back, and has lasted so long that it is taken as usual from now on"
    assert headline(replace(view, ended="Recovered")) == "WARNING resolved: a: unusual"
