"""Use from files and from Prometheus, on one grid."""

from __future__ import annotations

import numpy as np
import pytest

from aiops.adapters.history import ParquetHistory
from aiops.adapters.memory_prometheus import MemoryPrometheus
from aiops.adapters.memory_prometheus.notation import fill
from aiops.adapters.memory_prometheus.store import MemorySeriesStore
from aiops.adapters.schedule_virtual import VirtualTime
from aiops.app.kept_source import KeptSource, reading
from aiops.app.performance import performance
from aiops.app.usage_files import ServiceSeries, read_services, read_usage
from aiops.app.usage_live import default_queries, live_services, live_usage, owned
from aiops.app.usage_table import Series, table_of
from aiops.cost.month import month_named
from aiops.cost.usage import Resource
from aiops.definitions.promql import check_promql
from aiops.domain.errors import CommandError, DefinitionError, SourceRejectedError, SourceUnavailableError
from aiops.domain.series import RangeBatch
from aiops.pipeline.gathering import Gathering
from aiops.ports.telemetry import NullTelemetry
from aiops.settings.cost import QUERIES, CostSettings, ServiceSettings

HOUR = 3600.0
START = 1_793_491_200.0

CSV = """timestamp,resource,value,namespace,workload,node_type,team
2026-11-01 00:00:00,cpu_request,2,shop,Deployment/web,big,a
2026-11-01 00:30:00,cpu_request,4,shop,Deployment/web,big,a
2026-11-01 01:00:00,cpu_used,1,shop,Deployment/web,big,a
2026-11-01 00:00:00,pods,2,shop,Deployment/web,,
2026-11-01 01:00:00,pods,4,shop,Deployment/web,,
2026-11-01 00:00:00,nodes,3,,,big,
2026-11-01 00:00:00,egress,1,shop,Deployment/web,big,a
2026-11-01 00:30:00,egress,2,shop,Deployment/web,big,a
"""


def test_a_csv_becomes_a_table(tmp_path):
    path = tmp_path / "use.csv"
    path.write_text(CSV)
    table = table_of(read_usage(path), HOUR)
    usage = table.usage
    assert (usage.start, usage.steps) == (START, 2)
    (consumer,) = usage.consumers
    assert (consumer.workload, consumer.node_type, consumer.labels) == ("Deployment/web", "big", (("team", "a"),))
    assert usage.requested[Resource.CPU][0, 0] == 3.0  # the mean of what falls into an hour
    assert np.isnan(usage.requested[Resource.CPU][0, 1])
    assert usage.used[Resource.EGRESS][0, 0] == 3.0  # its sum
    assert usage.nodes[0, 0] == 3.0
    assert list(table.replicas["shop", "Deployment/web"].counts) == [2.0, 4.0]


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("cpu_used", "cpu_usde", "use.csv:4: resource: no resource 'cpu_usde'; allowed: cpu_request"),
        (",4,shop", ",-4,shop", "use.csv:3: value: must not be negative"),
        ("2026-11-01 00:30:00,cpu", "yesterday,cpu", "use.csv:3: timestamp: 'yesterday' is no time"),
        (",4,shop", ",1e308,shop", "use.csv:3: value: must be at most 1e+12"),
        ("timestamp,resource", "time,resource", "use.csv:1: header: needs timestamp, resource, value; missing: timestamp"),
    ],
)
def test_what_is_wrong_in_a_csv_is_named(tmp_path, old, new, said):
    path = tmp_path / "use.csv"
    path.write_text(CSV.replace(old, new))
    with pytest.raises(DefinitionError) as raised:
        read_usage(path)
    assert said in str(raised.value)


def test_nothing_and_too_much_are_refused():
    with pytest.raises(CommandError, match="nothing is known"):
        table_of([], HOUR)
    far = Series("nodes", {}, np.array([0.0, 1e9]), np.ones(2))
    with pytest.raises(CommandError, match="at most 9600"):
        table_of([far], HOUR)


def test_services_from_a_csv(tmp_path):
    path = tmp_path / "services.csv"
    path.write_text("timestamp,service,load,p95,success\n120,web,2,0.2,1\n60,web,1,0.1,0.9\n")
    (found,) = read_services(path)
    assert list(found.times) == [60.0, 120.0]
    assert list(found.values["p95"]) == [0.1, 0.2]


def test_every_default_query_is_promql_and_has_a_name():
    queries = default_queries(("team", "app.kubernetes.io/name"))
    assert set(queries) == set(QUERIES)
    for query in queries.values():
        if query:
            check_promql(query)


@pytest.mark.parametrize(
    ("labels", "workload"),
    [
        ({"owner_kind": "ReplicaSet", "owner_name": "web-6d4b75cb6d"}, "Deployment/web"),
        ({"owner_kind": "StatefulSet", "owner_name": "db"}, "StatefulSet/db"),
        ({"owner_kind": "Job", "owner_name": "nightly-29401200"}, "CronJob/nightly"),
        ({"owner_kind": "ReplicaSet", "owner_name": "own-set"}, "ReplicaSet/own-set"),
        ({"persistentvolumeclaim": "data-0", "storageclass": "fast"}, "PersistentVolumeClaim/data-0"),
    ],
)
def test_workloads_by_their_owners(labels, workload):
    assert owned({"namespace": "shop", "label_team": "a", **labels})["workload"] == workload


def prometheus() -> MemoryPrometheus:
    store = MemorySeriesStore(retention=1e9)
    pod = 'namespace="shop",pod="web-6d4b75cb6d-abcde"'
    for series, values in (
        (f'kube_pod_owner{{{pod},owner_kind="ReplicaSet",owner_name="web-6d4b75cb6d"}}', "1x200"),
        (f'kube_pod_status_phase{{{pod},phase="Running"}}', "1x200"),
        (f'kube_pod_container_resource_requests{{{pod},container="app",resource="cpu"}}', "2x200"),
        (f'kube_pod_container_resource_requests{{{pod},container="app",resource="memory"}}', "4294967296x200"),
        (f'container_memory_working_set_bytes{{{pod},container="app"}}', "1073741824x200"),
        (f'container_cpu_usage_seconds_total{{{pod},container="app"}}', "0+30x200"),
        ('kube_node_labels{node="a",label_node_kubernetes_io_instance_type="big"}', "1x200"),
        ('kube_node_labels{node="b",label_node_kubernetes_io_instance_type="big"}', "1x200"),
        ('kube_persistentvolumeclaim_resource_requests_storage_bytes{namespace="shop",persistentvolumeclaim="old"}', "1073741824x200"),
        ('kube_persistentvolumeclaim_info{namespace="shop",persistentvolumeclaim="old",storageclass="fast"}', "1x200"),
    ):
        fill(store, series, values, start=START, interval=60.0)
    return MemoryPrometheus("prometheus", store)


def test_use_is_asked_of_prometheus_by_the_default_queries():
    table = live_usage(prometheus(), CostSettings(), START, START + 3 * HOUR)
    usage = table.usage
    at = next(i for i, c in enumerate(usage.consumers) if c.workload == "Deployment/web")
    assert usage.requested[Resource.CPU][at, 1] == 2.0
    assert usage.used[Resource.CPU][at, 1] == pytest.approx(0.5)
    assert usage.requested[Resource.MEMORY][at, 1] == 4.0
    assert usage.used[Resource.MEMORY][at, 1] == 1.0
    assert usage.pools[0].node_type == "big"
    assert usage.nodes[0, 1] == 2.0
    assert table.replicas["shop", "Deployment/web"].hottest[Resource.MEMORY][1] == 1.0
    assert [(v.name, v.size, v.storage_class, v.unmounted) for v in table.volumes] == [("old", 1.0, "fast", 4 * HOUR)]
    assert len(table.plan.pods) == 1


class Failing(MemoryPrometheus):
    """Refuses what it is told to."""

    def __init__(self, words: str) -> None:
        super().__init__("prometheus", prometheus().store)
        self.words = words

    def range(self, query: str, start: float, end: float, step: float) -> RangeBatch:
        if self.words in query:
            raise SourceUnavailableError("prometheus", "Timeout", "slow")
        return super().range(query, start, end, step)


def test_a_pod_by_itself_has_no_workload():
    assert "workload" not in owned({"namespace": "shop", "owner_kind": "<none>", "owner_name": "<none>"})


def test_what_is_kept_outlives_the_source(tmp_path):
    clock = VirtualTime(START + 3 * HOUR)
    history = ParquetHistory(tmp_path / "history")
    keeping = KeptSource(prometheus(), Gathering(history, clock, NullTelemetry(), 90 * 86400.0))
    before = live_usage(keeping, CostSettings(), START, START + 3 * HOUR).usage
    empty = MemoryPrometheus("prometheus", MemorySeriesStore(retention=1e9))
    queries = [q for q in default_queries().values() if q]
    later = reading(empty, tmp_path / "history", queries, HOUR, clock, 90 * 86400.0)
    after = live_usage(later, CostSettings(), START, START + 3 * HOUR).usage
    assert after.consumers == before.consumers
    assert np.nansum(after.requested[Resource.CPU]) == np.nansum(before.requested[Resource.CPU]) > 0


def test_a_query_that_fails_is_told_and_all_failing_is_an_error():
    table = live_usage(Failing("container_cpu"), CostSettings(), START, START + 3 * HOUR)
    assert [n for n in table.usage.notes if "cpuUsed" in n] == ["cpuUsed could not be asked for and is not in the cost: Timeout"]
    with pytest.raises(SourceUnavailableError):
        live_usage(Failing(""), CostSettings(), START, START + 3 * HOUR)
    empty = MemoryPrometheus("prometheus", MemorySeriesStore(retention=1e9))
    with pytest.raises(CommandError, match="kube-state-metrics"):
        live_usage(empty, CostSettings(), START, START + HOUR)


def test_services_are_asked_by_the_settings_queries():
    store = MemorySeriesStore(retention=1e9)
    fill(store, 'rps{service="web"}', "5x60", start=START, interval=60.0)
    source = MemoryPrometheus("prometheus", store)
    found, notes = live_services(source, ServiceSettings(load="rps", p95="nothing_here"), START, START + 1800.0, 600.0)
    assert [(s.service, list(s.values["load"])) for s in found] == [("web", [5.0] * 4)]
    assert notes == []
    with pytest.raises(SourceRejectedError):
        source.range("rps{", START, START + 60, 60)
    assert live_services(source, ServiceSettings(load="rps{"), START, START + 60, 60)[1] == ["services: load could not be asked for: BadQuery"]


def test_a_service_of_which_nothing_is_known_spoils_nothing():
    month = month_named("2026-11")
    nothing = ServiceSeries("web", np.empty(0), {name: np.empty(0) for name in ("load", "p50", "p95", "success")})
    found = performance(nothing, ServiceSettings(), month, month.start + 60.0, objective=0.4, releases=(month.start,))
    assert (found["knee"], found["availability"], found["trends"]["p95"]) == (None, None, None)
    assert found["releases"][0]["verdict"] == "unknown"
