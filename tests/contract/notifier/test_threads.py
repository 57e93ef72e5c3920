"""One thread for an incident, its root changed in place, and the same key never twice."""

from __future__ import annotations

from aiops.domain.message import MessageKind
from tests.contract.notifier.conftest import Desk
from tests.unit.slack.shapes import message


def test_a_root_then_updates_in_place_and_replies_in_its_thread(desk: Desk):
    root = desk.notifier.deliver(message("k1", text="first"), None)
    assert desk.notifier.deliver(message("k2", text="a reply", kind=MessageKind.UPDATE), root) == root
    assert desk.notifier.deliver(message("k3", text="second"), root) == root
    seen = desk.seen()
    assert [(s.text, s.root, s.edits) for s in seen] == [("second", root.reference, 1), ("a reply", root.reference, 0)]
    assert seen[0].reference == root.reference
    assert (root.incident, root.channel) == ("inc-1", "#ops")


def test_the_same_key_again_is_one_message(desk: Desk):
    root = desk.notifier.deliver(message("k1"), None)
    assert desk.notifier.deliver(message("k1"), None) == root
    desk.notifier.deliver(message("k2", kind=MessageKind.UPDATE), root)
    desk.notifier.deliver(message("k2", kind=MessageKind.UPDATE), root)
    assert len(desk.seen()) == 2


def test_incidents_have_threads_of_their_own(desk: Desk):
    one = desk.notifier.deliver(message("k1", incident="inc-1"), None)
    two = desk.notifier.deliver(message("k2", incident="inc-2"), None)
    desk.notifier.deliver(message("k3", incident="inc-2", kind=MessageKind.ASK), two)
    assert one.reference != two.reference
    assert [s.root for s in desk.seen()] == [one.reference, two.reference, two.reference]
