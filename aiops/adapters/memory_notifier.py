"""A notifier that keeps what it is given: for dry-run without Slack, for the demo and for tests; and messages as plain text for terminals.

Neighbours: `ports.notifier`; `adapters.slack` sends the same messages for real, one contract suite holds both.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, replace

from aiops.domain.message import IncidentView, Message, MessageKind, Thread


@dataclass(frozen=True, slots=True)
class Posted:
    """One message as it stands now: roots are replaced in place; `edits` counts how often."""

    message: Message
    reference: str
    root: str
    edits: int = 0


class MemoryNotifier:
    """Keeps the last `keep` posts. The same key delivered twice is one post."""

    def __init__(self, keep: int = 10_000) -> None:
        self._posts: deque[Posted] = deque(maxlen=keep)
        self._number = 0

    def deliver(self, message: Message, thread: Thread | None) -> Thread:
        """See the port."""
        for index, post in enumerate(self._posts):
            if post.message.key == message.key:
                return thread or Thread(message.incident, message.channel, message.channel, post.root)
            if thread is not None and message.kind is MessageKind.INCIDENT and post.reference == thread.reference:
                self._posts[index] = replace(post, message=message, edits=post.edits + 1)
                return thread
        self._number += 1
        reference = str(self._number)
        root = thread.reference if thread is not None else reference
        self._posts.append(Posted(message, reference, root))
        return thread or Thread(message.incident, message.channel, message.channel, reference)

    @property
    def posts(self) -> tuple[Posted, ...]:
        """In order of posting."""
        return tuple(self._posts)


def render_text(view: IncidentView) -> str:
    """The root message as plain lines."""
    lines = [f"{'[dry-run] ' if view.dry_run else ''}{view.severity.value.upper()}  {view.title}", f"state {view.state}  target {view.target or 'none'}"]
    lines += [f"  • {text}" for text in view.signals]
    lines += [f"  changed: {text}" for text in view.context]
    if view.runbook:
        lines.append(f"runbook {view.runbook} ({view.mode}): {view.execution_state} {view.outcome}".rstrip())
    lines += [f"  refused by {v.guard}: {v.reason} {v.detail}" for v in view.refusals]
    if view.verification:
        lines.append(f"verification: {view.verification}")
    return "\n".join(lines)
