"""What was carried out is priced; what was simulated, failed or taken back is not."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pytest

from aiops.app.realised import realised
from aiops.app.usage_table import Series, table_of
from aiops.domain.execution import StepRun, StepState
from aiops.domain.outcome import Outcome, Result
from tests.unit.cost.shapes import prices
from tests.unit.web.shapes import execution

TIMES = np.linspace(0.0, 9 * 3600.0, 10)
LABELS = {"namespace": "shop", "workload": "Deployment/checkout"}
TABLE = table_of(
    [Series(name, LABELS, TIMES, np.full(10, value)) for name, value in (("cpu_request", 8.0), ("memory_request", 16.0), ("pods", 4.0))], 3600.0,
)  # fmt: skip


def run(runbook: str, output: Mapping[str, object], outcome: Outcome = Outcome.SUCCEEDED, *, simulated: bool = False):
    one = execution("run-1", "inc-1", "words")
    step = StepRun("more", StepState.DONE, 1, output=output)
    return replace(one, plan=replace(one.plan, runbook=runbook), steps=(step,), simulated=simulated, result=Result(outcome, "Done"), updated_at=0.0)


SMALLER = {"container": "app", "before": {"requests": {"cpu": "2", "memory": "4Gi"}}, "after": {"requests": {"cpu": "500m", "memory": "1Gi"}}}


def test_smaller_requests_save_for_each_pod():
    assert realised([run("right-size", SMALLER)], (), TABLE, prices(), 10 * 3600.0) == pytest.approx(10 * 4 * (1.5 * 0.03 + 3 * 0.004))


def test_fewer_pods_save_what_each_requested():
    assert realised([run("scale-to", {"from": 4, "to": 1})], (), TABLE, prices(), 3600.0) == pytest.approx(3 * (2 * 0.03 + 4 * 0.004))


@pytest.mark.parametrize(
    "one", [run("right-size", SMALLER, simulated=True), run("right-size", SMALLER, Outcome.FAILED), run("scale-out", {"from": 4, "to": 1}), run("right-size", {})]
)
def test_nothing_else_counts(one):
    assert realised([one], (), TABLE, prices(), 3600.0) == 0.0


def test_what_a_person_took_back_saves_nothing():
    assert realised([run("right-size", SMALLER)], {"run-1"}, TABLE, prices(), 3600.0) == 0.0
