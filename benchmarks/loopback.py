"""A process that answers as Prometheus does, for benchmarks: each run gives it its own answers. Neighbours: `poll`, `rest`."""

from __future__ import annotations

import http.server
import sys
import threading
import urllib.parse
from collections.abc import Callable
from typing import Any


def serve_answers(answer: Callable[[str, float], bytes]) -> None:
    """Answer (query, time) on a free port; prints the port, stays until standard input ends."""

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            form = self.rfile.read(int(self.headers["Content-Length"] or 0)).decode() + "&" + urllib.parse.urlsplit(self.path).query
            asked = urllib.parse.parse_qs(form)
            body = answer(asked.get("query", [""])[0].strip(), float(asked.get("time", ["0"])[0]))
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_POST

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        print(server.server_port, flush=True)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        sys.stdin.read()
        server.shutdown()
