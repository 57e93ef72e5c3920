"""What dies in `test_kill_points`: an engine over a store that ends the process at one point, and one small convergent action.

The product knows nothing of this: the composition is here. A point is `intent-before:N`, `intent-after:N` (just before and after the N-th intent is
committed), `effect-before:N`, `effect-after:N` (the answer is there and not yet recorded; recorded), or `never`.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

from aiops.adapters.clock import SystemClock
from aiops.adapters.kubernetes import KubernetesReader, KubernetesWriter, connect
from aiops.adapters.outbound import Door, HttpOutbound
from aiops.adapters.outbound_policy import Allowed
from aiops.adapters.store import SqlStore, open_store
from aiops.definitions.cel import compile_expression
from aiops.domain.execution import EntryKind, ExecutionState
from aiops.domain.runbook import ActionSpec, EffectClass
from aiops.execution.actions.contract import Action, Checked, Context, Done, Effect, Looked, Prepared, Seen
from aiops.execution.actions.registry import REGISTRY
from aiops.execution.desk import Hands
from aiops.execution.executor import Executor
from aiops.execution.settings import EngineSettings
from aiops.ports.cluster import Cluster
from aiops.ports.storage import Changes, Store

INTENTS = (EntryKind.INTENT, EntryKind.UNDO_INTENT)
EFFECTS = (EntryKind.EFFECT, EntryKind.UNDO_EFFECT)
LABEL = "aiops-test/marked"
SETTINGS = EngineSettings(look_after=0.2, again_after=0.3, request_timeout=8.0)


class Mark:
    """Convergent: the same label again changes nothing."""

    spec = ActionSpec(name="mark", doc="", effect=EffectClass.CONVERGENT)

    def prepare(self, context: Context, arguments: Mapping[str, Any]) -> Prepared:
        return Prepared(request={"metadata": {"labels": {LABEL: "yes"}}})

    def start(self, context: Context, prepared: Prepared) -> Effect:
        result = context.cluster.writer.patch(context.target, prepared.request, timeout=context.request_timeout)
        return Effect(applied=result.applied, write=result)

    def look(self, context: Context, prepared: Prepared) -> Seen:
        return Seen(Looked.NOT)

    def check(self, context: Context, prepared: Prepared, started_at: float) -> Checked:
        return Done()


ACTIONS: Mapping[str, Action] = {**REGISTRY, "mark": Mark()}


class DoomedStore:
    """The store, and at one line of the journal the end."""

    def __init__(self, store: SqlStore, point: str) -> None:
        self._store = store
        self._point, _, number = point.partition(":")
        self._left = int(number) if self._point.startswith(("intent", "effect")) else 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def write(self, changes: Changes, **options: Any) -> None:
        kinds = INTENTS if self._point.startswith("intent") else EFFECTS
        mine = False
        if any(entry.kind in kinds and entry.data.get("key") for entry in changes.entries):
            self._left -= 1
            mine = self._left == 0
        if mine and self._point.endswith("before"):
            os.kill(os.getpid(), signal.SIGKILL)
        self._store.write(changes, **options)
        if mine:
            os.kill(os.getpid(), signal.SIGKILL)


def engine(kubeconfig: Path, web: str, store: Store, settings: EngineSettings = SETTINGS) -> Executor:
    clock = SystemClock()
    connection = connect("default", clock, kubeconfig=kubeconfig)
    reader, view = KubernetesReader(connection), cast("Any", None)  # the engine reads the API itself
    outbound = HttpOutbound((Door(Allowed(web, ("127.0.0.0/8",))),), clock)
    acting = Hands({"default": Cluster("default", reader, KubernetesWriter(connection), view, False, {})}, {}, simulated=False, outbound=outbound)
    dry = Hands({"default": Cluster("default", reader, KubernetesWriter(connection, dry_run=True), view, True, {})}, {}, simulated=True)
    return Executor(
        store=store, acting=acting, rehearsal=dry, metric_sources={}, clock=clock, owner="aiops-0", compile=compile_expression, actions=ACTIONS,
        settings=settings,
    )


def work(executor: Executor, store: Store, run: str, *, deadline_s: float = 400) -> None:
    """Advance the run until it is done. TimeoutError if it does not end."""
    executor.recover()
    deadline, pause = time.monotonic() + deadline_s, threading.Event()
    while time.monotonic() < deadline:
        executor.advance(run)
        present = store.execution(run)
        if present is not None and present.state is ExecutionState.DONE:
            return
        pause.wait(0.05)
    raise TimeoutError(f"run {run} did not end in {deadline_s} s")


def doomed(kubeconfig: str, web: str, url: str, password_file: str, run: str, point: str) -> None:
    """The whole of the process."""
    store = cast("Store", DoomedStore(open_store(url, password_file=password_file), point))
    work(engine(Path(kubeconfig), web, store), store, run)
