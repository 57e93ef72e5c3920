"""Threads that read their first record at the same moment: a decoder is built once, or msgspec ends the process."""

from __future__ import annotations

import subprocess
import sys

SCRIPT = """
import sys, threading
sys.setswitchinterval(1e-6)
from aiops.adapters.store.codec import document
from aiops.domain.execution import Execution, ExecutionState, StepRun
from aiops.domain.plan import Plan, PlannedStep
from aiops.domain.runbook import Mode
from aiops.domain.target import TargetRef
plan = Plan("p", "i", "r", "h", Mode.AUTO, TargetRef("Deployment", "x", "y"), (PlannedStep("scale", "scale", {"by": "+1"}),), 0.0, "h")
run = Execution("e", plan, ExecutionState.RUNNING, 0.0, 0.0, 0.0, False, (StepRun("scale"),))
gate = threading.Barrier(8)
def go():
    gate.wait()
    for _ in range(20):
        document(run)
threads = [threading.Thread(target=go) for _ in range(8)]
[t.start() for t in threads]
[t.join() for t in threads]
"""


def test_eight_threads_meet_a_new_type_at_once() -> None:
    for _ in range(3):
        done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=False, timeout=60)
        assert done.returncode == 0, done.stderr
