"""One thread for each incident in Slack: the root is updated in place, everything else goes into the thread.

Neighbours: `ports.notifier`; `blocks` renders, `errors` tells temporary refusals from permanent ones; `pipeline.announce` retries.

**Nothing is told twice.** Each message carries its key as Slack metadata (event type `aiops_message`). Where it is not known whether
a message arrived (no answer, 5xx, a former attempt, or the first message of a thread since this process started, which a crash may
have cut off between sending and recording), the channel's history is read for it before it is sent. A root is looked for by its
incident, since a newer view may have taken the place of the one that was sent. This asks for the scopes `channels:history` (and
`groups:history`), and `channels:read` where channels are named rather than given by id; without them such a message is sent again.
Nothing here waits: Slack's own `Retry-After` goes to the outbox.
"""

from __future__ import annotations

import hashlib
import http.client
import logging
import re
from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError, SlackClientError

from aiops.adapters.credentials import SecretFile
from aiops.adapters.slack.blocks import Post, render
from aiops.adapters.slack.errors import CANNOT_LOOK, ROOT_GONE, SHAPE, refusal
from aiops.domain.errors import NotifyError
from aiops.domain.message import Message, MessageKind, Thread

EVENT = "aiops_message"
REMEMBERED = 5000
PAGES, PAGE = 5, 200
BACK = 600.0
"""Seconds before a message's making from which history is read: our clock and Slack's may differ."""
_CODE = re.compile(r"[a-z0-9_]{1,80}")
_CHANNEL_ID = re.compile(r"[CDG][A-Z0-9]{6,}")


class _Remembered(OrderedDict[str, Thread | None]):
    """The last keys."""

    def keep(self, key: str, thread: Thread | None = None) -> None:
        self[key] = thread
        self.move_to_end(key)
        while len(self) > REMEMBERED:
            self.popitem(last=False)


class SlackNotifier:
    """`token_file` is read again when it changes; `base_url` ends with a slash; `timeout` in seconds for each request."""

    def __init__(self, token_file: Path, *, base_url: str, timeout: float) -> None:
        self._token = SecretFile(str(token_file))
        self._base_url, self._timeout = base_url if base_url.endswith("/") else base_url + "/", timeout
        self._logger = logging.getLogger("slack_sdk.quiet")
        self._logger.setLevel(logging.CRITICAL)  # the client would log whole messages and answers; what failed is in our own error
        self._done, self._unsure, self._known, self._channels = _Remembered(), _Remembered(), _Remembered(), dict[str, str]()

    def deliver(self, message: Message, thread: Thread | None) -> Thread:
        """See the port. Raises NotifyError."""
        place = f"{message.incident}/{message.channel}"
        thread = self._known.get(place) or thread  # ours is the newer one: the store learns it only when all parts went out
        done = self._done.get(message.key)
        if done is not None:
            return done
        rendered = render(message)
        fresh = place not in self._known  # a crash may have cut off its last message between sending and recording
        if message.kind is MessageKind.INCIDENT:
            thread = self._root(message, thread, rendered.first, fresh=fresh)
        else:
            thread = self._reply(message, thread, rendered.first, message.key, fresh=fresh)
        self._known.keep(place, thread)
        for post in rendered.rest:
            content = hashlib.sha256(repr(post.blocks).encode()).hexdigest()[:24]
            self._reply(message, thread, post, f"{place}/more/{content}", fresh=fresh)
        self._done.keep(message.key, thread)
        return thread

    def _root(self, message: Message, thread: Thread | None, post: Post, *, fresh: bool) -> Thread:
        """Update where it stands, else post."""
        looks = fresh or self._must_look(message, message.key)
        if thread is None and looks:
            thread = self._find_root(message)
            looks = False
        if thread is not None:
            if self._update(message, thread, post):
                return thread
            other = self._find_root(message) if looks else None  # posted anew by an attempt that had no answer
            if other is not None and other.reference != thread.reference and self._update(message, other, post):
                return other
        return self._post(message, message.key, post, None)

    def _update(self, message: Message, thread: Thread, post: Post) -> bool:
        """False if it cannot be changed: deleted by someone, or too old for this workspace."""
        try:
            self._send("chat.update", message, message.key, post, channel=thread.place, ts=thread.reference)
        except NotifyError as error:
            if error.reason in ROOT_GONE:
                return False
            raise
        return True

    def _reply(self, message: Message, thread: Thread | None, post: Post, key: str, *, fresh: bool) -> Thread:
        """Into the thread; where there is none (any more), into the channel."""
        if key in self._done:
            return thread or self._done[key] or Thread(message.incident, message.channel, message.channel, "")
        if (fresh or self._must_look(message, key)) and self._is_there(message, key, thread):
            sent = thread
        else:
            try:
                sent = self._post(message, key, post, thread)
            except NotifyError as error:
                if thread is None or error.reason not in ROOT_GONE:
                    raise
                sent = self._post(message, key, post, None)
        self._done.keep(key, thread or sent)
        return thread or sent or Thread(message.incident, message.channel, message.channel, "")

    def _post(self, message: Message, key: str, post: Post, thread: Thread | None) -> Thread:
        where = {"channel": thread.place, "thread_ts": thread.reference} if thread else {"channel": message.channel}
        answer = self._send("chat.postMessage", message, key, post, unfurl_links=False, unfurl_media=False, **where)
        place, reference = answer.get("channel"), answer.get("ts")
        if not isinstance(place, str) or not isinstance(reference, str):
            self._unsure.keep(key)
            raise NotifyError("UnreadableAnswer", "chat.postMessage: no channel or ts in the answer")
        self._channels[message.channel] = place
        return Thread(message.incident, message.channel, place, reference)

    def _send(self, method: str, message: Message, key: str, post: Post, **arguments: Any) -> Mapping[str, Any]:
        root = message.kind is MessageKind.INCIDENT and "thread_ts" not in arguments
        payload = {"key": key, "incident": message.incident, "kind": message.kind.value, "root": root}
        whole = {**arguments, "text": post.text, "parse": "none", "link_names": False, "metadata": {"event_type": EVENT, "event_payload": payload}}
        try:
            answer = self._call(method, {**whole, "blocks": list(post.blocks)})
        except NotifyError as error:
            if error.reason in SHAPE:
                answer = self._call(method, {**whole, "blocks": []})
            else:
                if not error.permanent and error.reason not in ROOT_GONE and error.reason != "RateLimited":
                    self._unsure.keep(key)
                raise
        self._unsure.pop(key, None)
        return answer

    def _must_look(self, message: Message, key: str) -> bool:
        """Whether an attempt of this process may have arrived."""
        return key in self._unsure or message.attempts > 0

    def _find_root(self, message: Message) -> Thread | None:
        channel = self._channel_id(message.channel)
        since = min(message.created_at, message.view.opened_at if message.view else message.created_at) - BACK
        for found in self._history("conversations.history", channel, {"oldest": f"{max(0.0, since):.6f}"}):
            payload = _payload(found)
            if payload.get("incident") == message.incident and payload.get("root") is True and isinstance(found.get("ts"), str):
                return Thread(message.incident, message.channel, channel, found["ts"])
        return None

    def _is_there(self, message: Message, key: str, thread: Thread | None) -> bool:
        since = {"oldest": f"{max(0.0, message.created_at - BACK):.6f}"}
        if thread is None:
            found = self._history("conversations.history", self._channel_id(message.channel), since)
        else:
            found = self._history("conversations.replies", thread.place, {"ts": thread.reference, **since})
        return any(_payload(one).get("key") == key for one in found)

    def _history(self, method: str, channel: str, arguments: Mapping[str, Any]) -> list[Mapping[str, Any]]:
        return self._pages(method, "messages", {"channel": channel, "limit": PAGE, "include_all_metadata": True, **arguments}) if channel else []

    def _channel_id(self, channel: str) -> str:
        """History takes ids only. Empty if the name is unknown or may not be asked."""
        if _CHANNEL_ID.fullmatch(channel):
            return channel
        if channel not in self._channels:
            listed = self._pages("conversations.list", "channels", {"limit": 1000, "exclude_archived": True, "types": "public_channel,private_channel"})
            for one in listed:
                if isinstance(one.get("name"), str) and isinstance(one.get("id"), str):
                    self._channels["#" + one["name"]] = self._channels[one["name"]] = one["id"]
        return self._channels.get(channel, "")

    def _pages(self, method: str, field: str, arguments: Mapping[str, Any]) -> list[Mapping[str, Any]]:
        """At most `PAGES` pages; empty when this token may not look."""
        rows: list[Mapping[str, Any]] = []
        cursor = ""
        for _ in range(PAGES):
            try:
                answer = self._call(method, {**arguments, **({"cursor": cursor} if cursor else {})}, form=True)
            except NotifyError as error:
                if error.reason in CANNOT_LOOK:
                    return rows
                raise
            got, more = answer.get(field), answer.get("response_metadata")
            if not isinstance(got, list):
                raise NotifyError("UnreadableAnswer", f"{method}: no list of {field}")
            rows += [one for one in got if isinstance(one, dict)]
            cursor = more.get("next_cursor", "") if isinstance(more, dict) else ""
            if not cursor or not isinstance(cursor, str):
                break
        return rows

    def _call(self, method: str, arguments: Mapping[str, Any], *, form: bool = False) -> Mapping[str, Any]:
        """One request. The client's own retries are off: they sleep, and they know nothing of our keys."""
        try:
            token = self._token.read()
        except (OSError, ValueError) as error:
            raise NotifyError("NoToken", f"{self._token.path}: {error}") from error
        client = WebClient(token=token, base_url=self._base_url, timeout=max(1, round(self._timeout)), retry_handlers=[], logger=self._logger)
        try:
            answer = client.api_call(method, params=dict(arguments)) if form else client.api_call(method, json=dict(arguments))
        except SlackApiError as error:
            raise _read(error, method) from error
        except (OSError, http.client.HTTPException) as error:  # URLError and time-outs are OSErrors
            reason = "TimedOut" if isinstance(error, TimeoutError) or isinstance(getattr(error, "reason", None), TimeoutError) else "Unreachable"
            raise NotifyError(reason, f"{method}: {type(error).__name__}") from error
        except (SlackClientError, ValueError, AttributeError, TypeError) as error:  # the client's ways of meeting an answer that is not Slack's
            raise NotifyError("UnreadableAnswer", f"{method}: {type(error).__name__}") from error
        if not isinstance(answer.data, dict):
            raise NotifyError("UnreadableAnswer", f"{method}: not an object")
        return answer.data


def _read(error: SlackApiError, method: str) -> NotifyError:
    """Slack's answer in our words. The client's own text is not passed on: it may hold the whole request."""
    response = error.response
    if isinstance(response, dict):  # the client hands over a plain map where the body was not JSON
        status, headers, data = response.get("status", 0), response.get("headers") or {}, {}
    else:
        status, headers, data = response.status_code, response.headers or {}, response.data
    code = data.get("error", "") if isinstance(data, dict) else ""
    return refusal(code if isinstance(code, str) and _CODE.fullmatch(code) else "", int(status or 0), {str(k): str(v) for k, v in dict(headers).items()}, method)


def _payload(message: Mapping[str, Any]) -> Mapping[str, Any]:
    """Our metadata on a message, or nothing."""
    metadata = message.get("metadata")
    if not isinstance(metadata, dict) or metadata.get("event_type") != EVENT:
        return {}
    payload = metadata.get("event_payload")
    return payload if isinstance(payload, dict) else {}
