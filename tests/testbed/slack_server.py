"""A local Slack: the methods that a notifier uses, over real HTTP, with Slack's documented limits and errors, and faults on demand.

Not one of Slack's own programs: written from the method and Block Kit references at docs.slack.dev. Known differences: any token that
starts with `xoxb-` and was not revoked is accepted, rate limits are only what a test asks for, and everything is public.
Run alone with `python -m tests.testbed.slack_server [PORT]`; it prints its base URL and each message.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import parse_qsl, urlsplit

TEXT_LIMIT, UPDATE_TEXT_LIMIT, BLOCK_LIMIT, METADATA_LIMIT = 40_000, 4_000, 50, 8_000
LIMITS = {"header": (150, ("plain_text",)), "section": (3000, ("plain_text", "mrkdwn"))}
Json = dict[str, Any]


@dataclass
class Stored:
    """One message as a reader sees it now."""

    channel: str
    ts: str
    text: str
    blocks: list[Json]
    thread: str = ""
    metadata: Json = field(default_factory=dict)
    edits: int = 0
    deleted: bool = False


@dataclass
class Fault:
    """For the next `times` calls of `method` (empty: any). Kinds: error, ratelimited, status, slow, refuse, drop, garbage.

    `refuse` breaks off before, `drop` after the request was carried out.
    """

    kind: str
    method: str = ""
    value: Any = None
    times: int = 1


class Refusal(Exception):
    """An answer `{"ok": false, "error": code}`."""


class Slack:
    """State and rules, without HTTP."""

    def __init__(self) -> None:
        self.channels = {"C0000000OPS": "ops", "C00000000DB": "db", "C0000000OLD": "old", "C0000ALIEN0": "alien"}
        self.archived, self.outside = {"C0000000OLD"}, {"C0000ALIEN0"}
        self.revoked: set[str] = set()
        self.scopes_missing: set[str] = set()
        self.posts: list[Stored] = []
        self.calls: list[tuple[str, Json]] = []
        self.faults: list[Fault] = []
        self.lock = threading.Lock()

    def messages(self, channel: str = "", *, thread: str | None = None) -> list[Stored]:
        """What stands, in order of posting. `thread` "" for roots only."""
        return [p for p in self.posts if not p.deleted and channel in ("", p.channel) and thread in (None, p.thread)]

    def fault(self, kind: str, method: str = "", value: Any = None, times: int = 1) -> None:
        """See `Fault`."""
        self.faults.append(Fault(kind, method, value, times))

    def take_fault(self, method: str) -> Fault | None:
        """The next one that is meant for this call."""
        with self.lock:
            for fault in self.faults:
                if fault.times > 0 and fault.method in ("", method):
                    fault.times -= 1
                    return fault
        return None

    def delete(self, ts: str) -> None:
        """As a person would."""
        next(p for p in self.posts if p.ts == ts).deleted = True

    def call(self, method: str, token: str, arguments: Json) -> Json:
        """Raises Refusal."""
        if not token:
            raise Refusal("not_authed")
        if not token.startswith("xoxb-"):
            raise Refusal("invalid_auth")
        if token in self.revoked:
            raise Refusal("token_revoked")
        if method in self.scopes_missing:
            raise Refusal("missing_scope")
        methods: dict[str, Callable[[Json], Json]] = {
            "auth.test": lambda _a: {"team": "T", "user_id": "U000000BOT"}, "chat.postMessage": self._post, "chat.update": self._update,
            "conversations.history": self._history, "conversations.replies": self._replies, "conversations.list": self._list,
        }
        if method not in methods:
            raise Refusal("unknown_method")
        with self.lock:
            self.calls.append((method, arguments))
            return methods[method](arguments)

    def _channel(self, given: Any, *, names: bool) -> str:
        channel = str(given or "")
        if names and channel not in self.channels:
            channel = next((i for i, name in self.channels.items() if name == channel.removeprefix("#")), "")
        if channel not in self.channels:
            raise Refusal("channel_not_found")
        if channel in self.outside:
            raise Refusal("not_in_channel")
        return channel

    def _post(self, a: Json) -> Json:
        channel = self._channel(a.get("channel"), names=True)
        if channel in self.archived:
            raise Refusal("is_archived")
        content = check_content(a, TEXT_LIMIT)
        thread = str(a.get("thread_ts") or "")
        if thread:
            self._standing(channel, thread, "thread_not_found")
        now = f"{time.time():.6f}"  # noqa: TID251 (a server has its own clock)
        ts = now if not self.posts or now > self.posts[-1].ts else f"{float(self.posts[-1].ts) + 0.00001:.6f}"
        self.posts.append(Stored(channel, ts, *content, thread=thread, metadata=check_metadata(a)))
        return {"channel": channel, "ts": ts, "message": {"text": content[0]}}

    def _update(self, a: Json) -> Json:
        channel = self._channel(a.get("channel"), names=False)
        post = self._standing(channel, str(a.get("ts") or ""), "message_not_found")
        text, blocks = check_content(a, UPDATE_TEXT_LIMIT)
        metadata = check_metadata(a)
        post.text, post.edits = text, post.edits + 1
        post.blocks = blocks if "blocks" in a else post.blocks
        post.metadata = metadata or post.metadata
        return {"channel": channel, "ts": post.ts, "text": text}

    def _standing(self, channel: str, ts: str, code: str) -> Stored:
        for post in self.posts:
            if post.channel == channel and post.ts == ts and not post.deleted:
                return post
        raise Refusal(code)

    def _history(self, a: Json) -> Json:
        channel = self._channel(a.get("channel"), names=False)
        return self._page(self.messages(channel, thread="")[::-1], a)

    def _replies(self, a: Json) -> Json:
        channel = self._channel(a.get("channel"), names=False)
        root = self._standing(channel, str(a.get("ts") or ""), "thread_not_found")
        return self._page([root, *self.messages(channel, thread=root.ts)], a)

    def _page(self, posts: list[Stored], a: Json) -> Json:
        posts = [p for p in posts if p.ts > str(a.get("oldest") or "0")]
        limit, start = min(int(a.get("limit") or 100), 999), int(a.get("cursor") or 0)
        shown = posts[start : start + limit]
        more = start + limit < len(posts)
        whole = str(a.get("include_all_metadata")).lower() in ("1", "true")
        rows = [{"type": "message", "ts": p.ts, "text": p.text, **({"metadata": p.metadata} if whole and p.metadata else {})} for p in shown]
        return {"messages": rows, "has_more": more, "response_metadata": {"next_cursor": str(start + limit) if more else ""}}

    def _list(self, a: Json) -> Json:
        return {"channels": [{"id": i, "name": n} for i, n in self.channels.items() if i not in self.archived], "response_metadata": {"next_cursor": ""}}


def check_content(a: Json, text_limit: int) -> tuple[str, list[Json]]:
    """Text and blocks within the limits, or Refusal."""
    text, blocks = str(a.get("text") or ""), a.get("blocks") or []
    if isinstance(blocks, str):
        try:
            blocks = json.loads(blocks)
        except ValueError:
            raise Refusal("invalid_blocks_format") from None
    if not isinstance(blocks, list):
        raise Refusal("invalid_blocks_format")
    if not text and not blocks:
        raise Refusal("no_text")
    if len(text) > text_limit:
        raise Refusal("msg_too_long")
    if len(blocks) > BLOCK_LIMIT or not all(isinstance(b, dict) and good_block(b) for b in blocks):
        raise Refusal("invalid_blocks")
    return text, blocks


def good_text(value: Any, limit: int, kinds: tuple[str, ...]) -> bool:
    """A text object with 1 to `limit` characters."""
    if not isinstance(value, dict) or value.get("type") not in kinds or not isinstance(value.get("text"), str):
        return False
    allowed = {"type", "text", "emoji"} if value["type"] == "plain_text" else {"type", "text", "verbatim"}
    return 1 <= len(value["text"]) <= limit and set(value) <= allowed


def good_block(block: Json) -> bool:
    """The kinds of blocks that notifiers use."""
    kind, both = block.get("type"), ("plain_text", "mrkdwn")
    if kind == "divider":
        return True
    if kind == "context":
        elements = block.get("elements")
        return isinstance(elements, list) and 1 <= len(elements) <= 10 and all(good_text(e, 3000, both) for e in elements)
    if kind == "section" and "fields" in block:
        fields = block["fields"]
        whole = "text" not in block or good_text(block["text"], 3000, both)
        return whole and isinstance(fields, list) and 1 <= len(fields) <= 10 and all(good_text(f, 2000, both) for f in fields)
    return kind in LIMITS and good_text(block.get("text"), *LIMITS[kind])


def check_metadata(a: Json) -> Json:
    """`event_type` and a flat `event_payload`, or nothing."""
    given = a.get("metadata")
    if not given:
        return {}
    value = json.loads(given) if isinstance(given, str) else given
    if not isinstance(value, dict) or not isinstance(value.get("event_type"), str) or not isinstance(value.get("event_payload"), dict):
        raise Refusal("invalid_metadata_format")
    if len(json.dumps(value)) > METADATA_LIMIT:
        raise Refusal("metadata_too_large")
    return value


class SlackServer:
    """`with SlackServer() as server:` then `server.base_url`, `server.slack`."""

    def __init__(self, port: int = 0) -> None:
        self.slack = Slack()
        self._http = ThreadingHTTPServer(("127.0.0.1", port), _handler(self.slack))
        self._http.daemon_threads = True
        self.base_url = f"http://127.0.0.1:{self._http.server_address[1]}/api/"
        self._thread = threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.05}, name="slack", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._http.shutdown()
        self._http.server_close()
        self._thread.join(5)

    def messages(self, channel: str = "") -> list[Stored]:
        """See `Slack.messages`."""
        return self.slack.messages(channel)


def _handler(slack: Slack) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            path = urlsplit(self.path)
            method = path.path.removeprefix("/api/")
            raw = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            fault = slack.take_fault(method)
            kind = fault.kind if fault else ""
            if kind == "refuse":
                self._break_off()
                return
            if fault and kind == "ratelimited":
                headers = {"Retry-After": str(fault.value)} if fault.value is not None else {}
                self._answer(429, {"ok": False, "error": "ratelimited"}, headers)
                return
            if fault and kind == "status":
                self._send(fault.value, b"<html>upstream</html>", "text/html", {})
                return
            if fault and kind == "error":
                self._answer(200, {"ok": False, "error": fault.value})
                return
            self._carry_out(method, path.query, raw, fault)

        def _carry_out(self, method: str, query: str, raw: bytes, fault: Fault | None) -> None:
            try:
                answer: Json = {"ok": True, **slack.call(method, self._token(), self._arguments(query, raw))}
            except Refusal as refusal:
                answer = {"ok": False, "error": str(refusal)}
            if fault and fault.kind == "slow":
                threading.Event().wait(fault.value)
            if fault and fault.kind == "drop":
                self._break_off()
            elif fault and fault.kind == "garbage":
                self._send(200, fault.value or b'{"ok": tr', "application/json", {})
            else:
                self._answer(200, answer)

        do_GET = do_POST

        def _token(self) -> str:
            return (self.headers.get("Authorization") or "").removeprefix("Bearer ").strip()

        def _arguments(self, query: str, raw: bytes) -> Json:
            given: Json = dict(parse_qsl(query))
            if "json" in (self.headers.get("Content-Type") or "") and raw[:1] == b"{":
                given |= json.loads(raw)
                return given
            return given | dict(parse_qsl(raw.decode()))

        def _break_off(self) -> None:
            self.close_connection = True
            self.connection.close()

        def _answer(self, status: int, body: Json, headers: Json | None = None) -> None:
            self._send(status, json.dumps(body).encode(), "application/json; charset=utf-8", headers or {})

        def _send(self, status: int, body: bytes, kind: str, headers: Json) -> None:
            try:
                self.send_response(status)
                for name, value in {"Content-Type": kind, "Content-Length": str(len(body)), **headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)
            except OSError:  # the caller went away, as after its time-out
                self.close_connection = True

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 (the base class' name)
            """Quiet."""

    return Handler


def main() -> None:
    """Serve until Ctrl-C, printing each message as it comes."""
    with SlackServer(int(sys.argv[1]) if len(sys.argv) > 1 else 0) as server:
        print(f"base URL {server.base_url}, channels {sorted(server.slack.channels.values())}, any token that starts with xoxb-", flush=True)
        seen: dict[str, int] = {}
        try:
            while True:
                for post in server.messages():
                    if seen.get(post.ts) != post.edits:
                        print(f"{post.channel} {post.ts}{' in ' + post.thread if post.thread else ''} edits={post.edits}: {post.text}", flush=True)
                        seen[post.ts] = post.edits
                threading.Event().wait(0.2)
        except KeyboardInterrupt:
            return


if __name__ == "__main__":
    main()
