"""Log lines into a real Elasticsearch: an index template, then a bulk request whenever lines wait. Neighbour: `live`."""

from __future__ import annotations

import base64
import json
import logging
import queue
import threading
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import unquote, urlsplit

from tests.testbed import web
from tests.testbed.world.speech import LogLine

log = logging.getLogger("world")
TEMPLATE: Mapping[str, Any] = {
    "index_patterns": ["logs-*"],
    # Above the templates that Elasticsearch itself brings for names of this form, which would make data streams of them.
    "priority": 500,
    "template": {
        "settings": {"number_of_shards": 1, "number_of_replicas": 0, "refresh_interval": "500ms"},
        "mappings": {
            "dynamic": False,
            "properties": {
                "@timestamp": {"type": "date"},
                "level": {"type": "keyword"},
                "message": {"type": "text"},
                "kubernetes": {
                    "properties": {
                        "namespace": {"type": "keyword"},
                        "pod": {"type": "keyword"},
                        "labels": {"properties": {"app": {"type": "keyword"}}},
                    }
                },
            },
        },
    },
}
_MOST_WAITING = 200
_MOST_LINES = 5000


class LogWriter:
    """Writes what `send` is given, in a thread of its own; lines are dropped (and counted) when Elasticsearch is away for long."""

    def __init__(self, url: str) -> None:
        """`url` may carry user and password."""
        parts = urlsplit(url)
        self._url = f"{parts.scheme}://{parts.hostname}:{parts.port}"
        self._headers: dict[str, str] = {}
        if parts.username:
            word = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
            self._headers["Authorization"] = "Basic " + base64.b64encode(word.encode()).decode()
        self._queue: queue.Queue[tuple[LogLine, ...] | None] = queue.Queue(_MOST_WAITING)
        self._thread = threading.Thread(target=self._run, name="world-logs", daemon=True)
        self.dropped = 0
        self._failing = False

    def start(self) -> None:
        """Put the template and begin. OSError when Elasticsearch does not answer or refuses."""
        self._must("PUT", "/_index_template/world-logs", json.dumps(TEMPLATE).encode(), "application/json")
        self._thread.start()

    def send(self, lines: tuple[LogLine, ...]) -> None:
        """Queue lines; never waits."""
        if not lines:
            return
        try:
            self._queue.put_nowait(lines)
        except queue.Full:
            self.dropped += len(lines)

    def stop(self) -> None:
        """Write what waits, and end."""
        if self._thread.is_alive():
            self._queue.put(None)
            self._thread.join(timeout=15)

    def _run(self) -> None:
        while True:
            lines = self._queue.get()
            if lines is None:
                return
            try:
                self._must("POST", "/_bulk", _bulk(lines[:_MOST_LINES]), "application/x-ndjson")
                self._failing = False
            except OSError as error:
                self.dropped += len(lines)
                if not self._failing:
                    log.warning("logs are not written: %s", error)
                self._failing = True

    def _must(self, method: str, path: str, body: bytes, kind: str) -> None:
        answer = web.call(method, f"{self._url}{path}", body=body, headers={**self._headers, "Content-Type": kind}, timeout_s=10)
        if answer.status >= 300 or (path == "/_bulk" and answer.json().get("errors")):
            raise OSError(f"{method} {path} answered {answer.status}: {answer.body[:500].decode(errors='replace')}")


def _bulk(lines: tuple[LogLine, ...]) -> bytes:
    rows: list[str] = []
    for line in lines:
        at = datetime.fromtimestamp(line.at, UTC).isoformat(timespec="milliseconds")
        kubernetes = {"namespace": line.namespace, "pod": line.pod, "labels": {"app": line.app}}
        rows.append(json.dumps({"index": {"_index": f"logs-{line.namespace}"}}))
        rows.append(json.dumps({"@timestamp": at, "level": line.level, "message": line.message, "kubernetes": kubernetes}))
    return ("\n".join(rows) + "\n").encode()
