"""`desk`: a notifier and a way to see what its readers see, in memory and on a local Slack."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from aiops.adapters.memory_notifier import MemoryNotifier
from aiops.adapters.slack import SlackNotifier
from aiops.ports.notifier import Notifier
from tests.testbed.slack_server import SlackServer


@dataclass(frozen=True)
class Seen:
    """One message as it stands: `root` is the reference of the message whose thread it is in, its own for a root."""

    text: str
    reference: str
    root: str
    edits: int


@dataclass(frozen=True)
class Desk:
    notifier: Notifier
    seen: Callable[[], list[Seen]]


def memory_desk() -> Desk:
    notifier = MemoryNotifier()
    return Desk(notifier, lambda: [Seen(p.message.text, p.reference, p.root, p.edits) for p in notifier.posts])


def slack_desk(server: SlackServer, folder: Path) -> Desk:
    token = folder / "token"
    token.write_text("xoxb-of-a-test\n")
    notifier = SlackNotifier(token, base_url=server.base_url, timeout=5.0)
    return Desk(notifier, lambda: [Seen(m.text, m.ts, m.thread or m.ts, m.edits) for m in server.messages()])


@pytest.fixture(params=["memory", "slack"])
def desk(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Desk]:
    if request.param == "memory":
        yield memory_desk()
        return
    with SlackServer() as server:
        yield slack_desk(server, tmp_path)
