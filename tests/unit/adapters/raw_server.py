"""A server on loopback that answers with whatever bytes, however slowly: what no well-behaved HTTP library will send."""

from __future__ import annotations

import contextlib
import re
import socket
import threading
from collections.abc import Callable, Iterator

Talk = Callable[[socket.socket], None]


class RawServer:
    """Each connection is handed to `talk` after one request was read, in a thread of its own; `requests` keeps what was sent."""

    def __init__(self, talk: Talk) -> None:
        self._talk = talk
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self.requests: list[bytes] = []
        self.stop = threading.Event()
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            thread = threading.Thread(target=self._serve, args=(connection,))
            self._threads.append(thread)
            thread.start()

    def _serve(self, connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError):
            connection.settimeout(20)
            received = b""
            while not _whole(received):
                piece = connection.recv(65536)
                if not piece:
                    return
                received += piece
            self.requests.append(received)
            self._talk(connection)

    def close(self) -> None:
        self.stop.set()
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for thread in self._threads:
            thread.join(timeout=25)


def _whole(received: bytes) -> bool:
    """Head and body are there: closing with something unread would be a reset and not an end."""
    head, end, body = received.partition(b"\r\n\r\n")
    length = re.search(rb"(?i)content-length: (\d+)", head)
    return bool(end) and len(body) >= (int(length.group(1)) if length else 0)


@contextlib.contextmanager
def serving(talk: Talk) -> Iterator[RawServer]:
    server = RawServer(talk)
    try:
        yield server
    finally:
        server.close()


def says(*parts: bytes) -> Talk:
    """Send these and close."""

    def talk(connection: socket.socket) -> None:
        for part in parts:
            connection.sendall(part)

    return talk


def drips(first: bytes, drop: bytes, every: float = 0.02) -> Talk:
    """Send `first`, then `drop` again and again until the other side has gone."""

    def talk(connection: socket.socket) -> None:
        connection.sendall(first)
        pause = threading.Event()
        for _ in range(1000):
            pause.wait(every)
            connection.sendall(drop)

    return talk


def silent(connection: socket.socket) -> None:
    """Say nothing until the other side has gone."""
    connection.recv(1)


def in_turn(*talks: Talk) -> Talk:
    """Another answer for each connection."""
    waiting = iter(talks)

    def talk(connection: socket.socket) -> None:
        next(waiting)(connection)

    return talk
