"""A real Redis that keeps nothing on disk; used by fixtures and by the world's stale cache."""

from __future__ import annotations

import socket

from tests.testbed import binaries
from tests.testbed.ports import free_port
from tests.testbed.process import Server, new_folder, remove_folder


class Redis:
    """One Redis server; `.url` is `redis://[:PASSWORD@]127.0.0.1:PORT/0`."""

    def __init__(self, *, password: str | None = None) -> None:
        self.folder = new_folder("redis")
        self.host, self.port, self.password = "127.0.0.1", free_port(), password
        self.url = f"redis://{f':{password}@' if password else ''}127.0.0.1:{self.port}/0"
        command = [
            str(binaries.debian_program(binaries.REDIS)),
            *("--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--daemonize", "no"),
            *("--dir", str(self.folder)),
        ]
        if password:
            command += ["--requirepass", password]
        self.server = Server("redis", command, folder=self.folder)

    def start(self) -> None:
        """Start and wait until it answers."""
        self.server.start()
        self.server.wait_ready(self._answers)

    def stop(self, *, keep_logs: bool = False) -> None:
        """Stop, and forget all keys."""
        self.server.stop()
        if not keep_logs:
            remove_folder(self.folder)

    def command(self, *words: str) -> bytes:
        """Send one command in Redis' own protocol; the raw answer (enough for set-up; tests of the project use its client)."""
        with socket.create_connection((self.host, self.port), timeout=60) as connection:
            if self.password:
                connection.sendall(_encode("AUTH", self.password))
                connection.recv(4096)
            connection.sendall(_encode(*words))
            return connection.recv(1 << 20)

    def _answers(self) -> bool:
        try:
            return self.command("PING") == b"+PONG\r\n"
        except OSError:
            return False


def _encode(*words: str) -> bytes:
    parts = [f"*{len(words)}\r\n".encode()]
    for word in words:
        content = word.encode()
        parts.append(b"$%d\r\n%s\r\n" % (len(content), content))
    return b"".join(parts)
