"""A TCP relay on loopback that can break off, or stand still: the network between a client and its server, bytes untouched.

`Relay` runs in this process and may judge what the client sends; `RelayProcess` is a process of its own, to be stopped by SIGSTOP like a network
that is cut: connections stand, nothing moves. `python -m tests.testbed.relay LISTEN_PORT HOST PORT` is that process.
"""

from __future__ import annotations

import contextlib
import signal
import socket
import sys
import threading
from collections.abc import Callable
from typing import Self

from tests.testbed.ports import free_port
from tests.testbed.process import Server, new_folder, remove_folder

Judge = Callable[[bytes], str]
"""Of a piece that the client sent: `pass`; `cut` (it does not arrive, both sides are closed); `lose` (it does not arrive, the client's side is closed, the
server is not told); `mute` (it arrives, the next answer does not: then both are closed)."""


class Relay:
    """`with Relay(host, port) as relay:` listens on `relay.port`; `relay.judge` may be replaced at any time."""

    def __init__(self, host: str, port: int, *, listen: int = 0) -> None:
        self._to = (host, port)
        self.judge: Judge = lambda _piece: "pass"
        self._server = socket.create_server(("127.0.0.1", listen))
        self.port = int(self._server.getsockname()[1])
        self._open: set[socket.socket] = set()

    def __enter__(self) -> Self:
        threading.Thread(target=self.serve, name="relay", daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        # A thread in accept() is not woken by close() alone.
        with contextlib.suppress(OSError):
            self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()
        for one in list(self._open):
            self._end(one)

    def serve(self) -> None:
        """Until the listening socket is closed."""
        while True:
            try:
                near, _ = self._server.accept()
            except OSError:
                return
            try:
                far = socket.create_connection(self._to, timeout=10)
                far.settimeout(None)
            except OSError:
                near.close()
                continue
            self._open |= {near, far}
            muted = threading.Event()
            for source, sink, asks in ((near, far, True), (far, near, False)):
                threading.Thread(target=self._pump, args=(source, sink, asks, muted), name="relay", daemon=True).start()

    def _pump(self, source: socket.socket, sink: socket.socket, asks: bool, muted: threading.Event) -> None:
        with contextlib.suppress(OSError):
            while piece := source.recv(65536):
                fate = self.judge(piece) if asks else "pass"
                if fate == "lose":
                    self._end(source)
                    return
                if fate == "cut" or (not asks and muted.is_set()):
                    break
                if fate == "mute":
                    muted.set()
                sink.sendall(piece)
        self._end(source)
        self._end(sink)

    def _end(self, one: socket.socket) -> None:
        with contextlib.suppress(OSError):
            one.shutdown(socket.SHUT_RDWR)
        one.close()
        self._open.discard(one)


class RelayProcess:
    """The same in a process of its own: `start`, `freeze`, `thaw`, `stop`."""

    def __init__(self, host: str, port: int) -> None:
        self.folder, self.port = new_folder("relay"), free_port()
        self._server = Server("relay", [sys.executable, "-m", "tests.testbed.relay", str(self.port), host, str(port)], folder=self.folder, env={"PYTHONPATH": ":".join(filter(None, sys.path))})

    def start(self) -> None:
        """Start and wait until it listens."""
        self._server.start()
        self._server.wait_ready(self._listens, deadline_s=30)

    def stop(self) -> None:
        """End it, frozen or not."""
        self.thaw()
        self._server.stop()
        remove_folder(self.folder)

    def freeze(self) -> None:
        """Nothing moves any more."""
        self._server.freeze()

    def thaw(self) -> None:
        """It moves again, what was under way included."""
        self._server.thaw()

    def _listens(self) -> bool:
        try:
            socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
        except OSError:
            return False
        return True


def main(listen: str, host: str, port: str) -> None:
    """Until SIGTERM."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    Relay(host, int(port), listen=int(listen)).serve()


if __name__ == "__main__":
    main(*sys.argv[1:])
