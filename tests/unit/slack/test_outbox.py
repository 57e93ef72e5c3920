"""From the stored outbox to Slack through everything that may go wrong: nothing is lost, nothing is told twice, the order holds."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from aiops.adapters.slack import SlackNotifier
from aiops.adapters.store import open_store
from aiops.domain.message import MessageKind
from aiops.pipeline.announce import Courier
from aiops.ports.storage import Changes
from aiops.ports.telemetry import NullTelemetry
from tests.testbed.slack_server import SlackServer
from tests.unit.slack.shapes import AT, message

FAULTS = st.lists(
    st.sampled_from([("drop", None), ("refuse", None), ("status", 502), ("ratelimited", 3), ("garbage", b"{"), ("error", "internal_error"), ("none", None), ("restart", None)]),
    max_size=8,
)


class HandClock:
    """Time as the test sets it."""

    def __init__(self) -> None:
        self.at = AT

    def now(self) -> float:
        return self.at

    def monotonic(self) -> float:
        return self.at


@settings(max_examples=25, deadline=None)
@given(st.lists(st.sampled_from(["root", "update"]), min_size=1, max_size=5), FAULTS)
def test_whatever_happens_all_is_told_once_and_in_order(kinds: list[str], faults: list[tuple[str, object]]):
    clock, store = HandClock(), open_store("sqlite:///:memory:")
    with SlackServer() as server, tempfile.TemporaryDirectory() as folder:
        token = Path(folder) / "token"
        token.write_text("xoxb-one")

        def begin() -> Courier:
            return Courier(store, SlackNotifier(token, base_url=server.base_url, timeout=5.0), clock, NullTelemetry())

        courier = begin()
        queue = list(faults)
        for number, kind in enumerate(["root", *kinds], 1):
            shape = MessageKind.INCIDENT if kind == "root" else MessageKind.UPDATE
            one = replace(message(f"k{number}", text=f"{kind} {number}", kind=shape), sequence=number, created_at=clock.now(), due_at=clock.now())
            store.write(Changes(messages=(one,)))
            fault, value = queue.pop(0) if queue else ("none", None)
            if fault == "restart":
                courier = begin()
            elif fault != "none":
                server.slack.fault(fault, "", value)
            courier.deliver_due()
            clock.at += 1.0
        for fault, value in queue:
            if fault == "restart":
                courier = begin()
            elif fault != "none":
                server.slack.fault(fault, "", value)
        for _ in range(40):
            courier.deliver_due()
            clock.at += 400.0
        texts = [m.text for m in server.messages()]
        roots = [number for number, kind in enumerate(["root", *kinds], 1) if kind == "root"]
        updates = [f"update {number}" for number, kind in enumerate(["root", *kinds], 1) if kind == "update"]
        assert texts == [f"root {roots[-1]}", *updates]
        assert {m.thread for m in server.messages()[1:]} <= {server.messages()[0].ts}
    store.close()
