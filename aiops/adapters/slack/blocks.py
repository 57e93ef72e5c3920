"""An incident as Slack's Block Kit: pure, within Slack's limits, safe against hostile texts.

Neighbours: `notifier` sends what this renders. Limits are those of Slack's Block Kit reference: 50 blocks a message, 150 characters
of a header, 3,000 of a section's text, 2,000 of a field. They are kept on the escaped text, which is the longer one.

Label values and log lines may hold anything. `&`, `<` and `>` are escaped, so that no mention (`<!channel>`) and no link comes from
them; `verbatim` keeps Slack from turning addresses and names into links by itself; what is not printable (control characters,
marks that turn the direction of writing) becomes a space; inside code, backticks become a look-alike.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from aiops.domain.message import IncidentView, Message, MessageKind
from aiops.domain.plan import Change

Block = dict[str, Any]
MAX_BLOCKS, MAX_HEADER, MAX_SECTION, MAX_TEXT = 50, 150, 3000, 3000
ROOT_BLOCKS = 30
"""A root stays readable: what is more goes into its thread. There is room for a line about each part that went."""
ROOT_CHARACTERS = 9000
_LABELS = 12
_ADDRESS = re.compile(r"https?://[^\s<>|\"'`]{1,2000}")
_MARKS = {"critical": "🔴", "warning": "🟠", "info": "🔵"}
_STATES = {"resolved": "🟢"}


@dataclass(frozen=True, slots=True)
class Post:
    """One message for Slack: `text` is what notifications show."""

    text: str
    blocks: tuple[Block, ...]


@dataclass(frozen=True, slots=True)
class Rendered:
    """The message, and what did not fit, as further messages for the thread."""

    first: Post
    rest: tuple[Post, ...] = ()


def printable(text: str) -> str:
    """Everything but line ends and what can be seen becomes a space."""
    return "".join(c if c == "\n" or c.isprintable() else " " for c in text)


def escape(text: str) -> str:
    """Plain text for mrkdwn: Slack's three control characters, as its reference asks."""
    return printable(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def inside_code(text: str) -> str:
    """Plain text for within a code span or block: nothing in it can end the code."""
    return escape(text).replace("`", "\N{MODIFIER LETTER GRAVE ACCENT}")


def cut(text: str, limit: int) -> str:
    """At most `limit` characters of plain text, on one line."""
    flat = " ".join(printable(text).split())
    return flat if len(flat) <= limit else flat[: limit - 1] + "…"


def cut_escaped(text: str, limit: int) -> str:
    """Escaped text of at most `limit` characters; no entity is cut in half."""
    return next(pieces(cut(text, limit), limit), "")


def pieces(text: str, limit: int, *, code: bool = False) -> Iterator[str]:
    """Escaped pieces of at most `limit` characters each, broken at line ends where there are some."""
    convert = inside_code if code else escape
    piece = ""
    for line in printable(text).split("\n"):
        escaped = convert(line)
        if len(piece) + len(escaped) + 1 <= limit:
            piece = f"{piece}\n{escaped}" if piece else escaped
            continue
        if piece.strip():
            yield piece
        piece = ""
        for character in line:
            one = convert(character)
            if len(piece) + len(one) > limit:
                yield piece
                piece = ""
            piece += one
    if piece.strip():
        yield piece


def section(mrkdwn: str) -> Block:
    """A section of text that is escaped already."""
    return {"type": "section", "text": {"type": "mrkdwn", "text": mrkdwn, "verbatim": True}}


def context(mrkdwn: str) -> Block:
    """Small print, escaped already."""
    return {"type": "context", "elements": [{"type": "mrkdwn", "text": mrkdwn, "verbatim": True}]}


def sections(text: str) -> list[Block]:
    """Plain text of any length; empty for empty."""
    return [section(piece) for piece in pieces(text, MAX_SECTION)]


def code_sections(text: str) -> list[Block]:
    """Plain text of any length in code blocks."""
    return [section(f"```{piece}```") for piece in pieces(text, MAX_SECTION - 6, code=True)]


def link(address: str, label: str) -> str:
    """A link to an address of our own settings; anything but http(s) without surprises is shown, not linked."""
    return f"<{address.replace('&', '&amp;')}|{escape(label)}>" if _ADDRESS.fullmatch(address) else escape(label)


def date(at: float) -> str:
    """A moment in the reader's own time zone, with UTC seconds where that cannot be shown."""
    return f"<!date^{int(at)}^{{date_short_pretty}} {{time_secs}}|{datetime.fromtimestamp(at, UTC):%Y-%m-%d %H:%M:%S} UTC>"


def render(message: Message) -> Rendered:
    """The whole message. A root is one post and what did not fit; an UPDATE its text; an ASK its text and what it asks for."""
    if message.view is not None and message.kind is MessageKind.INCIDENT:
        return _root(message.text, message.view)
    blocks = sections(message.text)
    if message.view is not None:
        blocks += _asked(message.view)
    first, *rest_posts = _posts(blocks, message.text) or (Post("(empty)", (section("(empty)"),)),)
    return Rendered(first, tuple(rest_posts))


def _root(text: str, view: IncidentView) -> Rendered:
    """Parts that do not fit go into the thread whole, so that a part that did not change reads the same at each update."""
    shown, rest = list(_head(view)), list[Post]()
    for name, blocks in _parts(view):
        if len(shown) + len(blocks) <= ROOT_BLOCKS and sum(map(_size, [*shown, *blocks])) <= ROOT_CHARACTERS:
            shown += blocks
            continue
        if len(shown) < MAX_BLOCKS - 2:
            shown.append(context(f"{escape(cut(name, 200))}: in the thread"))
        rest += _posts(blocks, f"{name} of {view.title}")
    return Rendered(Post(cut_escaped(text, MAX_TEXT) or "incident", (*shown, _closing(view))), tuple(rest))


def _head(view: IncidentView) -> Iterator[Block]:
    mark = _STATES.get(view.state, _MARKS.get(view.severity.value, ""))
    title = cut(f"{mark} {'[dry-run] ' if view.dry_run else ''}{view.title}", MAX_HEADER)
    yield {"type": "header", "text": {"type": "plain_text", "text": title or "incident", "emoji": False}}
    if title.endswith("…"):
        yield section(cut_escaped(view.title, MAX_SECTION))
    fields = [_field("State", view.state), _field("Severity", view.severity.value), _field("Target", view.target or "none"), _opened(view)]
    yield {"type": "section", "fields": fields}
    if view.labels:
        words = [f"`{inside_code(cut(f'{n}={v}', 100))}`" for n, v in sorted(view.labels.items())[:_LABELS]]
        yield context(" ".join([*words, "…"] if len(view.labels) > _LABELS else words))


def _parts(view: IncidentView) -> Iterator[tuple[str, list[Block]]]:
    yield "signals", sections("\n".join(f"• {' '.join(s.split())}" for s in view.signals))
    yield "recent changes", sections("\n".join(f"changed: {' '.join(c.split())}" for c in view.context))
    yield "evidence", code_sections("\n".join(view.evidence))
    if view.contributors:
        yield "who it is", [section("*Who it is*"), *sections("\n".join(f"• {' '.join(c.split())}" for c in view.contributors))]
    if view.causes:
        yield "what else changed", [section("*What else changed*"), *sections("\n".join(f"• {' '.join(c.split())}" for c in view.causes))]
    yield "run", _run(view)
    for change in view.changes:
        yield f"change of step {change.step}", change_blocks(change)


def _closing(view: IncidentView) -> Block:
    links = [link(address, name) for name, address in sorted(view.links.items())]
    name = inside_code(cut(view.incident, 100))
    hint = [f"no anomaly? `aiops feedback add {name}`"] if view.learned else []
    return context(" · ".join([f"incident `{name}`", *[text for text in links if len(text) < 2500][:1], *hint]))


def _run(view: IncidentView) -> list[Block]:
    blocks: list[Block] = []
    if view.runbook:
        state = " ".join(word for word in (view.execution_state, view.outcome) if word)
        blocks += [section(f"*Runbook* {cut_escaped(view.runbook, 300)} ({escape(view.mode)}): {cut_escaped(state, 1000)}")]
    for verdict in view.refusals:
        blocks.append(section(f"⛔ *{cut_escaped(verdict.guard, 100)}* {cut_escaped(verdict.reason, 200)} {cut_escaped(verdict.detail, 1500)}".rstrip()))
    if view.verification:
        blocks.append(section(f"*Verification* {cut_escaped(view.verification, 2500)}"))
    return blocks


def change_blocks(change: Change) -> list[Block]:
    """What a step would send, as a diff whose maker is named."""
    origin = {"server": "diff by the API server", "computed": "diff computed here", "none": "nothing on the cluster changes"}.get(change.origin, change.origin)
    words = f"*{cut_escaped(change.step, 200)}* {cut_escaped(change.action, 200)} {cut_escaped(change.target, 400)} ({cut_escaped(origin, 200)})"
    note = f"\n{cut_escaped(change.note, 1000)}" if change.note else ""
    return [section(words + note), *code_sections(change.diff or change.request)]


def _asked(view: IncidentView) -> list[Block]:
    blocks = [b for change in view.changes for b in change_blocks(change)]
    if view.execution:
        blocks.append(context(f"run `{inside_code(cut(view.execution, 100))}` of {cut_escaped(view.runbook, 300)}"))
    return blocks


def _field(name: str, value: str) -> Block:
    return {"type": "mrkdwn", "text": f"*{name}*\n{cut_escaped(value, 1900)}", "verbatim": True}


def _opened(view: IncidentView) -> Block:
    over = f"\nresolved {date(view.resolved_at)}" if view.resolved_at is not None else ""
    return {"type": "mrkdwn", "text": f"*Opened*\n{date(view.opened_at)}{over}", "verbatim": True}


def _size(block: Block) -> int:
    parts = [block.get("text"), *block.get("fields", ()), *block.get("elements", ())]
    return sum(len(part["text"]) for part in parts if part)


def _fit(blocks: Sequence[Block], most: int, characters: int) -> tuple[list[Block], list[Block]]:
    """The first blocks within both bounds (at least one), and the others."""
    total = 0
    for index, block in enumerate(blocks):
        total += _size(block)
        if index and (index >= most or total > characters):
            return list(blocks[:index]), list(blocks[index:])
    return list(blocks), []


def _posts(blocks: Iterable[Block], text: str) -> tuple[Post, ...]:
    left, posts = list(blocks), []
    while left:
        shown, left = _fit(left, MAX_BLOCKS, ROOT_CHARACTERS)
        posts.append(Post(cut_escaped(text, MAX_TEXT) or "aiops", tuple(shown)))
    return tuple(posts)
