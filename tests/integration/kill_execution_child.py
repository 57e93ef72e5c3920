"""A process that works on one run against a real API server and may kill itself around a write. Started by `test_kill_execution`.

Arguments: kubeconfig, store URL, run, and `never`, `before:N`, `after:N` (SIGKILL just before or after the N-th patch) or `during:N:MS`
(SIGKILL a so many milliseconds after the N-th patch was begun, wherever it then is).
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from pathlib import Path
from typing import Any, cast

from aiops.adapters.clock import SystemClock
from aiops.adapters.kubernetes import KubernetesReader, KubernetesWriter, connect
from aiops.adapters.store import open_store
from aiops.definitions.cel import compile_expression
from aiops.domain.execution import ExecutionState
from aiops.execution.desk import Hands
from aiops.execution.executor import Executor
from aiops.ports.cluster import Cluster
from aiops.ports.storage import Store


class Doomed:
    """A writer that ends the process as asked."""

    def __init__(self, writer: KubernetesWriter, fate: str) -> None:
        self._writer, (self._when, *numbers) = writer, fate.split(":")
        self._left = int(numbers[0]) if numbers else 0
        self._after = float(numbers[1]) / 1000 if len(numbers) > 1 else 0.0

    def patch(self, *args: Any, **options: Any) -> Any:
        self._left -= 1
        mine = self._left == 0
        if mine and self._when == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        if mine and self._when == "during":
            threading.Timer(self._after, os.kill, (os.getpid(), signal.SIGKILL)).start()
        result = self._writer.patch(*args, **options)
        if mine:
            os.kill(os.getpid(), signal.SIGKILL)
        return result


def executor(kubeconfig: Path, store: Store, fate: str = "never") -> Executor:
    clock = SystemClock()
    connection = connect("default", clock, kubeconfig=kubeconfig)
    reader, writer = KubernetesReader(connection), KubernetesWriter(connection)
    view = cast("Any", None)  # the engine reads the API itself
    acting = Hands({"default": Cluster("default", reader, cast("Any", Doomed(writer, fate)), view, False, {})}, {}, simulated=False)
    dry = Hands({"default": Cluster("default", reader, KubernetesWriter(connection, dry_run=True), view, True, {})}, {}, simulated=True)
    return Executor(store=store, acting=acting, rehearsal=dry, metric_sources={}, clock=clock, owner="aiops-0", compile=compile_expression)


def work(engine: Executor, store: Store, run: str, *, deadline_s: float = 90) -> None:
    """Advance the run until it is done. TimeoutError if it does not end."""
    engine.recover()
    deadline, pause = time.monotonic() + deadline_s, threading.Event()
    while time.monotonic() < deadline:
        engine.advance(run)
        present = store.execution(run)
        if present is not None and present.state is ExecutionState.DONE:
            return
        pause.wait(0.05)
    raise TimeoutError(f"run {run} did not end in {deadline_s} s")


def main(kubeconfig: str, url: str, run: str, fate: str) -> None:
    store = open_store(url)
    work(executor(Path(kubeconfig), store, fate), store, run)


if __name__ == "__main__":
    main(*sys.argv[1:])
