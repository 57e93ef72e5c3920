"""What a thousand runs cost that wait at once: memory, threads, and the look that finds none of them due.

    python -m benchmarks.waiting [RUNS]

A third wait for time to pass, a third for a person's answer, a third for an approval, each on a Deployment of its own, in a store on disk.
Goal: 400 MiB for 1,000, and no thread of their own. No peer waits in this way, so there is none beside it.
"""

from __future__ import annotations

import sys
import threading
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from aiops.adapters.store import open_store
from aiops.domain.execution import ExecutionState
from aiops.domain.runbook import Mode
from aiops.domain.target import TargetRef
from tests.unit.execution.stage import Stage, make_plan, step

GOAL = 400.0
WAITS = (
    (Mode.AUTO, step("wait", arguments={"for": 36_000.0})),
    (Mode.AUTO, step("suspend", arguments={"question": "Go on?", "for": 36_000.0})),
    (Mode.APPROVE, step("wait", arguments={"for": 36_000.0})),
)


def memory(name: str) -> float:
    """MiB by `/proc/self/status`."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(name)) / 1024


def begin(stage: Stage, runs: int) -> None:
    """Submit them all and let each get as far as its wait."""
    for number in range(runs):
        mode, only = WAITS[number % len(WAITS)]
        plan = replace(make_plan(only, at=stage.time.now(), mode=mode), id=f"plan-{number}", target=TargetRef("Deployment", "shop", f"w{number}"))
        stage.executor.submit(plan, simulated=False)
    while stage.store.due(stage.time.now(), limit=1):
        stage.executor.run_due(stage.time.soon)
        stage.time.run_until(stage.time.now())


def main(runs: int) -> int:
    """Print the table; 1 if the goal is missed."""
    with TemporaryDirectory() as folder:
        stage = Stage(store=open_store(f"sqlite:///{folder}/aiops.db"))
        before, threads = memory("VmRSS"), threading.active_count()
        began = time.process_time()
        begin(stage, runs)
        made = time.process_time() - began
        began = time.process_time()
        stage.executor.run_due(stage.time.soon)
        look = time.process_time() - began
        waiting = stage.store.unfinished()
        states = Counter(run.state for run in waiting)
        print(f"waiting            {len(waiting)} runs ({states[ExecutionState.RUNNING]} running, {states[ExecutionState.AWAITING_APPROVAL]} for approval)")
        print(f"memory             {memory('VmRSS'):.0f} MiB, peak {memory('VmHWM'):.0f}; before the first run {before:.0f} (goal {GOAL:.0f})")
        print(f"threads            {threading.active_count()}, before the first run {threads}")
        print(f"leases held        {len(stage.store.leases())}")
        print(f"CPU                {1000 * made / runs:.1f} ms for each run until it waits; {1000 * look:.1f} ms for a look that finds none due")
        good = len(waiting) == runs and memory("VmHWM") <= GOAL and threading.active_count() == threads
        stage.store.close()
        return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 1000))
