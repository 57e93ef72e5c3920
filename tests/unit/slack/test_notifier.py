"""Sending to a Slack that refuses, breaks off, forgets and says nonsense: nothing is lost, nothing is told twice."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from aiops.adapters.slack import SlackNotifier
from aiops.domain.errors import NotifyError
from aiops.domain.message import MessageKind
from aiops.domain.plan import Change
from tests.testbed.ports import free_port
from tests.testbed.slack_server import SlackServer
from tests.unit.slack.shapes import message

BIG = Change("big", "patch", "t", "", "\n".join(f"+ {n}" for n in range(5000)), "server")
Make = Callable[[], SlackNotifier]


@pytest.fixture
def server() -> Iterator[SlackServer]:
    with SlackServer() as running:
        yield running


@pytest.fixture
def make(server: SlackServer, tmp_path: Path) -> Make:
    """A new notifier, as after a restart."""
    token = tmp_path / "token"
    token.write_text("xoxb-one\n")
    return lambda: SlackNotifier(token, base_url=server.base_url, timeout=1.0)


def refused(notifier: SlackNotifier, *arguments) -> NotifyError:
    with pytest.raises(NotifyError) as caught:
        notifier.deliver(*arguments)
    return caught.value


def test_too_many_requests_hand_on_the_time_to_wait(server: SlackServer, make: Make):
    server.slack.fault("ratelimited", "chat.postMessage", 30)
    error = refused(make(), message("k1"), None)
    assert (error.reason, error.retry_after, error.permanent) == ("RateLimited", 30.0, False)


@pytest.mark.parametrize(("given", "seconds"), [(None, None), ("soon", None), ("-1", None), ("nan", None), ("1e9", 3600.0)])
def test_an_odd_time_to_wait(server: SlackServer, make: Make, given, seconds):
    server.slack.fault("ratelimited", "chat.postMessage", given)
    error = refused(make(), message("k1"), None)
    assert (error.reason, error.retry_after, error.permanent) == ("RateLimited", seconds, False)


@pytest.mark.parametrize(("channel", "code"), [("#nowhere", "channel_not_found"), ("C0000000OLD", "is_archived")])
def test_a_channel_that_cannot_be_used_is_permanent(make: Make, channel: str, code: str):
    error = refused(make(), message("k1", channel=channel), None)
    assert (error.reason, error.permanent) == (code, True)


@pytest.mark.parametrize("code", ["restricted_action", "no_permission", "msg_too_long"])
def test_refusals_that_stay(server: SlackServer, make: Make, code: str):
    server.slack.fault("error", "chat.postMessage", code)
    assert refused(make(), message("k1"), None).permanent


@pytest.mark.parametrize("code", ["internal_error", "fatal_error", "request_timeout", "a_code_of_next_year", "invalid_auth", "token_revoked", "missing_scope", "not_in_channel"])
def test_refusals_that_may_pass(server: SlackServer, make: Make, code: str):
    server.slack.fault("error", "chat.postMessage", code)
    error = refused(make(), message("k1"), None)
    assert (error.reason, error.permanent) == (code, False)


@pytest.mark.parametrize(
    ("kind", "value", "reason"),
    [("status", 503, "ServerError"), ("status", 500, "ServerError"), ("refuse", None, "Unreachable"), ("drop", None, "Unreachable"), ("slow", 1.6, "TimedOut"),
     ("garbage", b'{"ok": tr', "UnreadableAnswer"), ("garbage", b"[]", "UnreadableAnswer"), ("garbage", b'{"ok": true}', "UnreadableAnswer"), ("garbage", b"\xff\xfe", "UnreadableAnswer")],
)
def test_no_usable_answer_is_temporary_and_then_told_once(server: SlackServer, make: Make, kind: str, value, reason: str):
    notifier = make()
    server.slack.fault(kind, "chat.postMessage", value)
    error = refused(notifier, message("k1"), None)
    assert (error.reason, error.permanent, error.retry_after) == (reason, False, None)
    root = notifier.deliver(message("k1", attempts=1), None)
    assert [m.ts for m in server.messages()] == [root.reference]
    server.slack.fault(kind, "chat.postMessage", value)
    refused(notifier, message("k2", kind=MessageKind.UPDATE), root)
    notifier.deliver(message("k2", kind=MessageKind.UPDATE, attempts=1), root)
    assert [m.thread for m in server.messages()] == ["", root.reference]


def test_a_crash_between_sending_and_recording_doubles_nothing(server: SlackServer, make: Make):
    root = make().deliver(message("k1"), None)
    again = make().deliver(message("k1"), None)
    assert again == root
    make().deliver(message("k2", kind=MessageKind.UPDATE), root)
    make().deliver(message("k2", kind=MessageKind.UPDATE), root)
    assert len(server.messages()) == 2


def test_a_newer_view_takes_the_place_of_the_root_that_was_sent_before_a_crash(server: SlackServer, make: Make):
    root = make().deliver(message("root/1", text="old"), None)
    assert make().deliver(message("root/2", text="new"), None).reference == root.reference
    assert [(m.text, m.edits) for m in server.messages()] == [("new", 1)]


def test_history_is_read_page_by_page(server: SlackServer, make: Make):
    root = make().deliver(message("k1"), None)
    for n in range(450):
        server.slack.call("chat.postMessage", "xoxb-one", {"channel": "ops", "text": f"chatter {n}"})
    assert make().deliver(message("k1"), None) == root


def test_without_the_right_to_look_it_is_sent(server: SlackServer, make: Make):
    server.slack.scopes_missing |= {"conversations.list", "conversations.history", "conversations.replies"}
    notifier = make()
    root = notifier.deliver(message("k1"), None)
    notifier.deliver(message("k2", kind=MessageKind.UPDATE), root)
    assert len(server.messages()) == 2


def test_looking_may_be_limited_too(server: SlackServer, make: Make):
    server.slack.fault("ratelimited", "conversations.history", 7)
    assert refused(make(), message("k1"), None).retry_after == 7.0
    assert server.messages() == []


def test_a_root_that_was_deleted_is_posted_anew(server: SlackServer, make: Make):
    notifier = make()
    root = notifier.deliver(message("k1"), None)
    server.slack.delete(root.reference)
    again = notifier.deliver(message("k2", text="anew"), root)
    assert again.reference != root.reference
    assert [m.text for m in server.messages()] == ["anew"]
    notifier.deliver(message("k3", kind=MessageKind.UPDATE), again)
    assert server.messages()[-1].thread == again.reference


def test_posting_anew_without_an_answer_is_not_done_twice(server: SlackServer, make: Make):
    notifier = make()
    root = notifier.deliver(message("k1"), None)
    server.slack.delete(root.reference)
    server.slack.fault("drop", "chat.postMessage")
    refused(notifier, message("k2"), root)
    again = notifier.deliver(message("k2", attempts=1), root)
    assert [m.ts for m in server.messages()] == [again.reference]


def test_a_reply_to_a_deleted_root_is_still_told(server: SlackServer, make: Make):
    notifier = make()
    root = notifier.deliver(message("k1"), None)
    server.slack.delete(root.reference)
    notifier.deliver(message("k2", text="news", kind=MessageKind.UPDATE), root)
    assert [(m.text, m.thread) for m in server.messages()] == [("news", "")]


def test_what_is_over_comes_once(server: SlackServer, make: Make):
    notifier = make()
    root = notifier.deliver(message("k1", changes=(BIG,)), None)
    count = len(server.messages())
    assert count > 2
    notifier.deliver(message("k2", changes=(BIG,), state="mitigating"), root)
    make().deliver(message("k3", changes=(BIG,), state="resolved"), root)
    assert len(server.messages()) == count
    assert all(m.thread == root.reference for m in server.messages()[1:])


def test_breaking_off_among_what_is_over_goes_on_where_it_stopped(server: SlackServer, make: Make):
    notifier = make()
    notifier.deliver(message("k0", incident="inc-0", changes=(BIG,)), None)
    whole = len(server.messages())
    server.slack.posts.clear()
    server.slack.fault("drop", "chat.postMessage", times=0)
    server.slack.faults.clear()
    notifier = make()
    sent = {"count": 0}
    while True:
        server.slack.fault("drop", "chat.postMessage")  # every message arrives, no answer does
        try:
            notifier.deliver(message("k1", changes=(BIG,), attempts=sent["count"]), None)
            break
        except NotifyError:
            sent["count"] += 1
    assert len(server.messages()) == whole


def test_blocks_that_are_refused_fall_back_to_text(server: SlackServer, make: Make):
    server.slack.fault("error", "chat.postMessage", "invalid_blocks")
    make().deliver(message("k1", text="plain"), None)
    assert [(m.text, m.blocks) for m in server.messages()] == [("plain", [])]


def test_a_token_that_was_replaced_is_read_again(server: SlackServer, tmp_path: Path):
    token = tmp_path / "token"
    token.write_text("xoxb-old")
    notifier = SlackNotifier(token, base_url=server.base_url, timeout=1.0)
    server.slack.revoked.add("xoxb-old")
    assert refused(notifier, message("k1"), None).reason == "token_revoked"
    token.write_text("xoxb-newer")
    notifier.deliver(message("k1"), None)
    assert len(server.messages()) == 1


def test_a_token_file_that_is_missing_is_temporary(server: SlackServer, tmp_path: Path):
    error = refused(SlackNotifier(tmp_path / "none", base_url=server.base_url, timeout=1.0), message("k1"), None)
    assert (error.reason, error.permanent) == ("NoToken", False)


def test_nobody_listening_is_temporary_and_the_token_is_in_no_text(tmp_path: Path):
    token = tmp_path / "token"
    token.write_text("xoxb-secret")
    error = refused(SlackNotifier(token, base_url=f"http://127.0.0.1:{free_port()}/api/", timeout=1.0), message("k1"), None)
    assert (error.reason, error.permanent) == ("Unreachable", False)
    assert "secret" not in str(error) + repr(error.__cause__)
