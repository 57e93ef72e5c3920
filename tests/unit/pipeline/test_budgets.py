"""Budgets that burn open incidents, and close them when they are well; what is not known does neither."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from aiops.adapters.memory_prometheus import MemoryPrometheus
from aiops.adapters.memory_prometheus.notation import fill
from aiops.adapters.memory_prometheus.store import MemorySeriesStore
from aiops.app.budgets import judge, watch_budgets
from aiops.cost.month import Month, budget_state, month_of, outlook
from aiops.domain.errors import CommandError, SourceUnavailableError
from aiops.domain.signal import Severity
from aiops.pipeline.budgets import Budgets, Judged
from aiops.settings import Settings
from aiops.settings.cost import CostSettings
from tests.scenarios.stage import Stage

TEN_DAYS = 240


def judged(month: Month, budgets: dict[str, float], hourly: float) -> Judged:
    values = np.full(TEN_DAYS, hourly)
    seen = outlook(month.start, 3600.0, values, np.ones(TEN_DAYS, dtype=bool), month)
    return [(budget_state(name, monthly, seen), seen) for name, monthly in budgets.items()]


class Told:
    """What the budgets are, and whether they can be judged."""

    def __init__(self, month: Month) -> None:
        self.month, self.hourly, self.budgets, self.dark = month, 1.0, {"all": 1000.0}, False

    def __call__(self, _now: float) -> Judged:
        if self.dark:
            raise SourceUnavailableError("prometheus", "Timeout")
        return judged(self.month, self.budgets, self.hourly)


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    return Stage(tmp_path).run(5)


def started(stage: Stage) -> Told:
    told = Told(month_of(stage.time.now()))
    parts = stage.core.flow.parts
    stage.time.every("budgets", 10.0, Budgets(told, stage.core.flow.take, parts.board, parts.clock, parts.telemetry).look, first_after=1.0)
    return told


def test_a_budget_that_burns_is_an_incident_until_it_is_well(stage: Stage) -> None:
    told = started(stage)
    stage.run(30)
    assert stage.incidents == []
    told.hourly = 2.0
    stage.run(15)
    (incident,) = stage.incidents
    assert (incident.symptoms, incident.severity, incident.target) == (("budget",), Severity.CRITICAL, None)
    (claim,) = incident.firing
    assert (claim.evidence.note, claim.evidence.upper) == ("BudgetCertain", 1000.0)
    history = len(stage.store.signals(incident.id))
    stage.run(60)
    assert len(stage.store.signals(incident.id)) == history  # the same claim is not told each time
    told.hourly = 6.0
    stage.run(15)
    assert [i.firing[0].evidence.note for i in stage.incidents] == ["BudgetOver"]
    told.hourly = 1.0
    stage.run(120)
    assert [i.state.value for i in stage.incidents] == ["resolved"], stage.told()


def test_what_cannot_be_judged_clears_nothing(stage: Stage) -> None:
    told = started(stage)
    told.hourly = 5.0
    stage.run(15)
    told.dark = True
    stage.run(300)
    assert [i.state.value for i in stage.incidents] == ["open"], stage.told()
    assert stage.incidents[0].firing[0].evidence.note == "BudgetOver"
    assert stage.errors == []


def test_a_namespace_is_the_target_and_a_budget_that_is_gone_is_no_claim(stage: Stage) -> None:
    told = started(stage)
    told.budgets = {"shop": 100.0}
    stage.run(15)
    assert [str(i.target) for i in stage.incidents] == ["namespace/shop"]
    told.budgets = {"all": 1e6}
    stage.run(120)
    assert [i.state.value for i in stage.incidents] == ["resolved"], stage.told()


START = 1_793_491_200.0


def metrics() -> MemoryPrometheus:
    store = MemorySeriesStore(retention=1e9)
    for series, values in (
        ('kube_node_labels{node="a",label_node_kubernetes_io_instance_type="big"}', "1x2000"),
        ('kube_pod_owner{namespace="shop",pod="web-0",owner_kind="StatefulSet",owner_name="web"}', "1x2000"),
        ('kube_pod_status_phase{namespace="shop",pod="web-0",phase="Running"}', "1x2000"),
        ('kube_pod_container_resource_requests{namespace="shop",pod="web-0",container="app",resource="cpu"}', "2x2000"),
    ):
        fill(store, series, values, start=START, interval=300.0)
    return MemoryPrometheus("prometheus", store)


def test_the_daemon_judges_by_what_prometheus_has(tmp_path: Path) -> None:
    (tmp_path / "prices.yaml").write_text(
        "apiVersion: aiops/v1\nkind: PriceList\nmetadata: {name: house}\n"
        "clouds: {house: {cpuHour: 0.05, memoryGibHour: 0, nodeTypes: {big: {cpu: 4, memoryGib: 16, hour: 0.2}}}}\n"
    )
    settings = Settings(cost=CostSettings(prices=str(tmp_path / "prices.yaml"), budget=100.0, budgets={"shop": 500.0}))
    found = judge(settings, metrics(), START + 6 * 86400.0)
    assert [s.name for s, _ in found] == ["all", "shop"]
    whole, shop = found
    assert whole[0].spent == pytest.approx(6 * 24 * 0.2)
    assert shop[0].spent == pytest.approx(6 * 24 * 0.1)

    class Half(MemoryPrometheus):
        def range(self, query: str, start: float, end: float, step: float):
            if "container_cpu" in query:
                raise SourceUnavailableError("prometheus", "Timeout")
            return super().range(query, start, end, step)

    with pytest.raises(CommandError, match="cpuUsed could not be asked for"):
        judge(settings, Half("prometheus", metrics().store), START + 6 * 86400.0)


def test_nothing_is_scheduled_without_prices_budget_and_source(stage: Stage, tmp_path: Path) -> None:
    priced = CostSettings(prices=str(tmp_path / "prices.yaml"))
    for cost in (CostSettings(budget=5.0), priced, priced.model_copy(update={"budget": 5.0, "source": "other"})):
        watch_budgets(stage.core, Settings(cost=cost), {"prometheus": metrics()})
        stage.time.cancel("budgets")
    assert stage.errors == []
