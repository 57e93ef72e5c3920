"""Where messages go. Neighbours: `adapters.slack`, `adapters.memory_notifier` (keeps them, for dry-run and demo)."""

from __future__ import annotations

from typing import Protocol

from aiops.domain.message import Message, Thread


class Notifier(Protocol):
    """Renders and sends one message."""

    def deliver(self, message: Message, thread: Thread | None) -> Thread:
        """Send, or update the root in place when `thread` is given and the message is an INCIDENT; others go into the thread.

        Returns where the root stands. Raises NotifyError (`permanent` when trying again will not help).
        """
        ...
