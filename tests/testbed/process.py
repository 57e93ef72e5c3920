"""One child process with a readiness probe, a log and an orderly end; every server module stands on `Server`."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from tests.testbed import reaper
from tests.testbed.errors import TestbedError

PROBE_EVERY_S = 0.1
PATIENCE_S = 150.0
"""How long a condition is waited for unless told: on a free machine each holds within seconds, on a busy one everything takes its time."""
TAIL_LINES = 25


def pause(seconds: float) -> None:
    """Wait on the wall clock: the testbed runs real programs, so it is one of the few places that may."""
    threading.Event().wait(seconds)


def eventually(condition: Callable[[], bool], *, deadline_s: float = PATIENCE_S, what: str) -> None:
    """Return as soon as `condition()` holds; TestbedError naming `what` when it does not within `deadline_s` seconds.

    An OSError of the condition (a server that is too busy to answer) is "not yet".
    """
    until = time.monotonic() + deadline_s
    while True:
        trouble: OSError | None = None
        try:
            if condition():
                return
        except OSError as error:
            trouble = error
        if time.monotonic() > until:
            raise TestbedError(f"not within {deadline_s:g} s: {what}{f' ({trouble!r})' if trouble else ''}")
        pause(PROBE_EVERY_S)


def new_folder(name: str) -> Path:
    """A fresh temporary folder for one server's files; readable by others, since some servers run as another user."""
    folder = Path(tempfile.mkdtemp(prefix=f"aiops-testbed-{name}-"))
    folder.chmod(0o755)
    return folder


class Server:
    """A program that is started, probed, and stopped by its id.

    It runs in a process group of its own with its output in `<folder>/<name>.log`. Use it as: `start()`, `wait_ready()`,
    `stop()`. Both ends are safe to call twice.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        *,
        folder: Path,
        env: Mapping[str, str] | None = None,
        user: tuple[int, int] | None = None,
    ) -> None:
        """`user` is (uid, gid) to run as, for programs that refuse root; `env` is added to this process's own."""
        self.name = name
        self.command = list(command)
        self.folder = folder
        self.log = folder / f"{name}.log"
        self._env = {**os.environ, **(env or {})}
        self._user = user
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """The process id; TestbedError before `start()`."""
        if self._process is None:
            raise TestbedError(f"{self.name} was not started")
        return self._process.pid

    @property
    def alive(self) -> bool:
        """Whether the process runs."""
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Start the program; an earlier one must have ended. The log is appended to."""
        if self.alive:
            raise TestbedError(f"{self.name} runs already (pid {self.pid})")
        with self.log.open("ab") as sink:
            uid, gid = self._user or (None, None)
            self._process = subprocess.Popen(
                self.command,
                stdin=subprocess.DEVNULL,
                stdout=sink,
                stderr=subprocess.STDOUT,
                cwd=self.folder,
                env=self._env,
                start_new_session=True,
                user=uid,
                group=gid,
                extra_groups=[] if gid is not None else None,
            )
        reaper.watch(self._process.pid)

    def wait_ready(self, probe: Callable[[], bool], *, deadline_s: float = PATIENCE_S) -> None:
        """Return when `probe()` is true. TestbedError with the log's path and tail when the program ends or `deadline_s` passes."""
        until = time.monotonic() + deadline_s
        while True:
            self.require_alive()
            if probe():
                return
            if time.monotonic() > until:
                raise TestbedError(f"{self.name} was not ready within {deadline_s:g} s\n{self.report()}")
            pause(PROBE_EVERY_S)

    def require_alive(self) -> None:
        """TestbedError with the log's path and tail when the program does not run."""
        if not self.alive:
            code = self._process.poll() if self._process else None
            raise TestbedError(f"{self.name} is not running (exit status {code})\n{self.report()}")

    def report(self) -> str:
        """Where the log is, and its last lines."""
        lines = self.log.read_text(errors="replace").splitlines() if self.log.exists() else []
        return "\n".join([f"log kept at {self.log}; its end:", *(f"  | {line}" for line in lines[-TAIL_LINES:])])

    def stop(self, *, grace_s: float = 10.0) -> None:
        """SIGTERM to the program's own group, SIGKILL after `grace_s` seconds."""
        process = self._process
        if process is None:
            return
        if process.poll() is None:
            self._signal(signal.SIGTERM)
            try:
                process.wait(timeout=grace_s)
            except subprocess.TimeoutExpired:
                self._signal(signal.SIGKILL)
                process.wait()
        # Children that outlived their parent are in the same group.
        self._signal(signal.SIGKILL)
        reaper.forget(process.pid)
        self._process = None

    def kill(self) -> None:
        """SIGKILL at once, as a crash would; the process stays known, so `require_alive()` tells of it."""
        self._signal(signal.SIGKILL)
        if self._process is not None:
            self._process.wait()

    def freeze(self) -> None:
        """SIGSTOP: the server accepts connections and says nothing, as a hung one does."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """SIGCONT after `freeze()`."""
        self._signal(signal.SIGCONT)

    def _signal(self, number: int) -> None:
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, number)


def remove_folder(folder: Path) -> None:
    """Remove a server's folder after an orderly end."""
    shutil.rmtree(folder, ignore_errors=True)
