"""Free loopback ports, never one that another process of the testbed was given; used by every server module."""

from __future__ import annotations

import fcntl
import os
import secrets
import socket
import tempfile
from pathlib import Path

_FIRST, _LAST = 20_000, 32_767
_RANGE = Path("/proc/sys/net/ipv4/ip_local_port_range")
_CLAIMS = Path(tempfile.gettempdir()) / f"aiops-testbed-ports-{os.getuid()}"
_handed_out: set[int] = set()


def free_port() -> int:
    """A TCP port on 127.0.0.1 that nothing listens on, never the same twice, nor one that a living process of the testbed was given.

    It lies below those that the kernel gives to whoever asks for any port: a slow server binds its own many seconds after this call, and
    until then every connection and every other test's little server could be given it. Between this call and the server's own bind another
    process that chooses by itself may still take the port; then the server fails to start and its log says so.
    """
    while True:
        port = _bound(_wanted())
        if port and port not in _handed_out and _claimed(port):
            _handed_out.add(port)
            return port


def _claimed(port: int) -> bool:
    """Whether it is now ours: a lock that ends with this process. Test runs side by side each start servers that bind late."""
    _CLAIMS.mkdir(exist_ok=True)
    claim = os.open(_CLAIMS / str(port), os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(claim, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(claim)
        return False
    return True


def _wanted() -> int:
    """A port outside the kernel's range, 0 (any) where that leaves no room."""
    try:
        low = int(_RANGE.read_text().split()[0])
    except (OSError, ValueError, IndexError):
        low = _LAST + 1
    room = min(low, _LAST + 1) - _FIRST
    return _FIRST + secrets.randbelow(room) if room >= 1000 else 0


def _bound(port: int) -> int:
    """The port that could be bound, 0 if it is taken."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return 0
        return int(probe.getsockname()[1])
