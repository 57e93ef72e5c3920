"""A server on loopback that speaks Redis' protocol and answers by script, to break off where a real one would not."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Mapping, Sequence
from typing import Self


def simple(text: str) -> bytes:
    return f"+{text}\r\n".encode()


def error(text: str) -> bytes:
    return f"-{text}\r\n".encode()


def number(value: int) -> bytes:
    return f":{value}\r\n".encode()


def keys(cursor: int, *names: str) -> bytes:
    """The answer to SCAN."""
    parts = [f"*2\r\n${len(str(cursor))}\r\n{cursor}\r\n*{len(names)}\r\n"]
    return "".join(parts + [f"${len(n)}\r\n{n}\r\n" for n in names]).encode()


class RespServer:
    """`script` gives each command its answers in turn; None closes the connection; a command without a script gets OK. `words` is what came."""

    def __init__(self, script: Mapping[str, Sequence[bytes | None]]) -> None:
        self._script = {name: iter(answers) for name, answers in script.items()}
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"redis://127.0.0.1:{self._listener.getsockname()[1]}/0"
        self.words: list[list[str]] = []
        self._open: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._accept)]

    def __enter__(self) -> Self:
        self._threads[0].start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for connection in self._open:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(timeout=20)

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self._open.append(connection)
            self._threads.append(threading.Thread(target=self._serve, args=(connection,)))
            self._threads[-1].start()

    def _serve(self, connection: socket.socket) -> None:
        with connection, connection.makefile("rb") as lines, contextlib.suppress(OSError):
            while head := lines.readline():
                words = [self._word(lines) for _ in range(int(head[1:]))]
                self.words.append(words)
                answer = next(self._script[words[0]], None) if words[0] in self._script else simple("OK")
                if answer is None:
                    return
                connection.sendall(answer)

    @staticmethod
    def _word(lines: object) -> str:
        size = int(lines.readline()[1:])  # type: ignore[attr-defined]
        text = lines.read(size + 2)[:-2]  # type: ignore[attr-defined]
        return str(text.decode())
