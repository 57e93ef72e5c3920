"""A real PostgreSQL 15 in a folder of its own, on loopback only; used by fixtures, the benches and `python -m tests.testbed`."""

from __future__ import annotations

import contextlib
import os
import pwd
import secrets
import signal
import subprocess
from pathlib import Path

import psycopg

from tests.testbed import binaries
from tests.testbed.errors import TestbedError
from tests.testbed.ports import free_port
from tests.testbed.process import Server, eventually, new_folder, remove_folder

# PostgreSQL refuses to run as root; this is whom it runs as when the testbed is root.
UNPRIVILEGED = "nobody"
USER = "aiops"


class Postgres:
    """One server; `.url(database)` is an address for the project's settings, with `.password_file`. Nothing is synced to disk: it survives SIGKILL, not a power cut."""

    def __init__(self) -> None:
        self.folder = new_folder("postgres")
        self.host, self.port, self.password = "127.0.0.1", free_port(), secrets.token_hex(12)
        self.password_file = self.folder / "password"
        self.password_file.touch(mode=0o600)
        self.password_file.write_text(self.password + "\n")
        self._data = self.folder / "data"
        self._owner = _unprivileged()
        settings = {
            "listen_addresses": self.host, "port": str(self.port), "unix_socket_directories": "", "fsync": "off", "full_page_writes": "off",
            "max_connections": "200", "shared_buffers": "32MB", "max_wal_size": "16MB", "min_wal_size": "2MB", "autovacuum": "off", "log_min_messages": "warning",
        }
        words = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        command = [str(binaries.debian_program(binaries.POSTGRES)), "-D", str(self._data), *words]
        self.server = Server("postgres", command, folder=self.folder, env={"HOME": str(self.folder), "LC_ALL": "C.UTF-8"}, user=self._owner)
        self._made = 0

    def url(self, database: str = "postgres", *, port: int | None = None) -> str:
        """The address of one database; `port`: of a proxy before the server."""
        return f"postgresql://{USER}@{self.host}:{port or self.port}/{database}"

    def start(self) -> None:
        """Start and wait until it answers; what was in it before a `kill` is in it again."""
        if not self._data.exists():
            self._init()
        self.server.start()
        self.server.wait_ready(self._answers, deadline_s=60)

    def stop(self, *, keep_logs: bool = False) -> None:
        """An immediate shutdown (SIGQUIT to the server itself: nothing is worth writing out), and all data forgotten."""
        if self.server.alive:
            self.thaw()
            os.kill(self.server.pid, signal.SIGQUIT)
            with contextlib.suppress(TestbedError):
                eventually(lambda: not self.server.alive, deadline_s=20, what="PostgreSQL to stop")
        self.server.stop()
        if not keep_logs:
            remove_folder(self.folder)

    def database(self, template: str = "template1") -> str:
        """A new database, empty or as `template`; its name."""
        self._made += 1
        name = f"db{self._made}"
        self.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}"')
        return name

    def execute(self, statement: str, database: str = "postgres") -> list[tuple[object, ...]]:
        """One statement outside of a transaction; its rows."""
        with psycopg.connect(self.url(database), password=self.password, autocommit=True, connect_timeout=5) as connection:
            done = connection.execute(statement.encode())
            return done.fetchall() if done.description else []

    def kill(self) -> None:
        """SIGKILL to the server; its children notice and end by themselves. `start()` recovers."""
        children = self._children()
        self.server.kill()
        eventually(lambda: not any(Path(f"/proc/{child}").exists() for child in children), deadline_s=30, what="the server's children to end")

    def freeze(self) -> None:
        """SIGSTOP to all of it: connections stand, nobody answers."""
        self._signal_all(signal.SIGSTOP)

    def thaw(self) -> None:
        """SIGCONT after `freeze()`."""
        self._signal_all(signal.SIGCONT)

    def _signal_all(self, number: int) -> None:
        for pid in (self.server.pid, *self._children()):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)

    def _children(self) -> list[int]:
        """Each has a process group of its own, so the server's group does not reach them."""
        found = Path(f"/proc/{self.server.pid}/task/{self.server.pid}/children")
        return [int(word) for word in found.read_text().split()] if found.exists() else []

    def _init(self) -> None:
        if self._owner is not None:
            os.chown(self.folder, *self._owner)
            os.chown(self.password_file, *self._owner)
        uid, gid = self._owner or (None, None)
        # A language of its own order: the project's answers must not depend on it.
        words = ["--encoding=UTF8", "--locale=C.UTF-8", "--locale-provider=icu", "--icu-locale=en-US", "--auth=scram-sha-256", "--no-sync", "--wal-segsize=1", f"--username={USER}"]
        done = subprocess.run(
            [str(binaries.debian_program(binaries.INITDB)), "-D", str(self._data), f"--pwfile={self.password_file}", *words],
            check=False, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=self.folder,
            env={**os.environ, "HOME": str(self.folder), "LC_ALL": "C.UTF-8"}, user=uid, group=gid, extra_groups=[] if gid is not None else None,
        )
        if done.returncode != 0:
            raise TestbedError(f"initdb failed ({done.returncode}):\n{done.stdout}")

    def _answers(self) -> bool:
        try:
            self.execute("SELECT 1")
        except psycopg.OperationalError:
            return False
        return True


def _unprivileged() -> tuple[int, int] | None:
    if os.geteuid() != 0:
        return None
    try:
        entry = pwd.getpwnam(UNPRIVILEGED)
    except KeyError as error:
        raise TestbedError(f"PostgreSQL refuses to run as root, and there is no user {UNPRIVILEGED!r} to run it as") from error
    return entry.pw_uid, entry.pw_gid
