"""Use and performance asked of Prometheus: kube-state-metrics and cAdvisor by default, or whatever queries the settings have.

A query that fails is a note in the answer, never a guess; if nothing at all can be read, that is an error. Neighbours: `usage_table` lays out.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping

import numpy as np

from aiops.app.usage_files import ServiceSeries
from aiops.app.usage_table import Series, Table, table_of
from aiops.domain.errors import CommandError, SourceError
from aiops.domain.series import RangeBatch
from aiops.ports.sources import MetricSource
from aiops.settings.cost import QUERIES, SERVICE_QUERIES, CostSettings, ServiceSettings

_OWNER = "* on (namespace, pod) group_left(owner_kind, owner_name) kube_pod_owner"
_RUNS = 'and on (namespace, pod) (kube_pod_status_phase{phase=~"Pending|Running"} == 1)'
_BY = "namespace, owner_kind, owner_name"
_GIB = 1024.0**3
_IN_BYTES = ("memory_request", "memory_used", "memory_hottest", "storage", "unmounted", "egress", "killed_at")
_RESOURCE = {
    "cpuRequest": "cpu_request", "cpuUsed": "cpu_used", "cpuHottest": "cpu_hottest", "memoryRequest": "memory_request", "memoryUsed": "memory_used",
    "memoryHottest": "memory_hottest", "gpuRequest": "gpu_request", "storage": "storage", "unmounted": "unmounted", "egress": "egress", "pods": "pods",
    "killedAt": "killed_at", "autoscaled": "autoscaled", "nodes": "nodes",
}  # fmt: skip
_POD_TEMPLATE = re.compile(r"-[b-df-hj-np-tv-xz2-9]{5,10}$")
_JOB_OF_CRON = re.compile(r"-\d{8,10}$")


def default_queries(labels: tuple[str, ...] = ()) -> dict[str, str]:
    """By the names of `cost.queries`; `labels` are pod labels to tell cost by (kube-state-metrics must export them)."""
    kept = [f"label_{re.sub(r'[^A-Za-z0-9_]', '_', name)}" for name in labels]
    by = ", ".join((_BY, *kept))
    join = f" * on (namespace, pod) group_left({', '.join(kept)}) kube_pod_labels" if kept else ""

    def of(pods: str, how: str = "sum") -> str:
        return f"{how} by ({by}) (({pods}) {_OWNER}{join})"

    def requests(resource: str) -> str:
        return of(f"sum by (namespace, pod) (kube_pod_container_resource_requests{{{resource}}}) {_RUNS}")

    cpu = 'sum by (namespace, pod) (rate(container_cpu_usage_seconds_total{container!="", pod!=""}[5m]))'
    memory = 'sum by (namespace, pod) (container_memory_working_set_bytes{container!="", pod!=""})'
    peak = 'sum by (namespace, pod) (max_over_time(container_memory_working_set_bytes{container!="", pod!=""}[1h]))'
    claims = "kube_persistentvolumeclaim_resource_requests_storage_bytes"
    classed = "* on (namespace, persistentvolumeclaim) group_left(storageclass) kube_persistentvolumeclaim_info"
    killed = 'kube_pod_container_status_last_terminated_reason{reason="OOMKilled"} == 1'
    return {
        "cpuRequest": requests('resource="cpu"'), "cpuUsed": of(cpu), "cpuHottest": of(cpu, "max"),
        "memoryRequest": requests('resource="memory"'), "memoryUsed": of(memory), "memoryHottest": of(peak, "max"),
        "gpuRequest": requests('resource=~".*_gpu"'),
        "storage": f"{claims} {classed}",
        "unmounted": f"{claims} {classed} unless on (namespace, persistentvolumeclaim) kube_pod_spec_volumes_persistentvolumeclaims_info",
        "egress": "",
        "pods": of('sum by (namespace, pod) (kube_pod_status_phase{phase="Running"}) == 1'),
        "killedAt": of(f'max by (namespace, pod) (kube_pod_container_resource_limits{{resource="memory"}} and on (namespace, pod, container) ({killed}))', "max"),
        "autoscaled": 'label_replace(kube_horizontalpodautoscaler_info, "owner_kind", "$1", "scaletargetref_kind", "(.+)")',
        "nodes": 'count by (node_type) (label_replace(kube_node_labels, "node_type", "$1", "label_node_kubernetes_io_instance_type", "(.+)"))',
        "nodeCpu": 'avg(kube_node_status_allocatable{resource="cpu"})',
        "nodeMemory": 'avg(kube_node_status_allocatable{resource="memory"})',
    }  # fmt: skip


def live_usage(source: MetricSource, settings: CostSettings, start: float, end: float, *, only: Collection[str] = QUERIES) -> Table:
    """Use from `start` to `end`, by the queries of these names. Raises SourceError if no query was answered, CommandError if the answers hold nothing."""
    queries = {**default_queries(settings.labels), **settings.queries}
    found: list[Series] = []
    notes: list[str] = []
    faults: list[SourceError] = []
    capacity = [0.0, 0.0]
    for name, query in queries.items():
        if not query or name not in only:
            continue
        try:
            batch = source.range(query, start, end, settings.step)
        except SourceError as error:
            faults.append(error)
            notes.append(f"{name} could not be asked for and is not in the cost: {error.reason}")
            continue
        if batch.partial:
            notes.append(f"{name} was answered in part: {'; '.join(batch.warnings)[:200] or 'the source says so'}")
        if name in ("nodeCpu", "nodeMemory"):
            last = [float(s.values[-1]) for s in batch.series if len(s.values)]
            capacity[name == "nodeMemory"] = max(last, default=0.0) / (_GIB if name == "nodeMemory" else 1.0)
            continue
        found += _series(_RESOURCE[name], batch, settings.step)
    if faults and not found:
        raise faults[0]
    try:
        return table_of(found, settings.step, capacity=(capacity[0], capacity[1]), notes=tuple(notes))
    except CommandError as error:
        raise CommandError(f"{error} (source {source.name}; are kube-state-metrics and cAdvisor scraped?)") from error


def _series(resource: str, batch: RangeBatch, step: float) -> Iterator[Series]:
    """An answer for a time tells of what lies before it: it counts for the step that ends there."""
    scale = _GIB if resource in _IN_BYTES else 1.0
    for one in batch.series:
        yield Series(resource, owned(one.labels), np.asarray(one.times - step / 2), np.asarray(one.values) / scale)


def owned(labels: Mapping[str, str]) -> dict[str, str]:
    """The labels as `usage_table` names them: a pod's owner is its workload, by the names that controllers give (ReplicaSet of a Deployment, Job of a CronJob)."""
    found = {name: value for name, value in labels.items() if name in ("namespace", "workload", "cloud", "node_type", "purchase", "storage_class", "interruptible") and value}
    kind, owner = labels.get("owner_kind", ""), labels.get("owner_name", labels.get("scaletargetref_name", ""))
    if owner == "<none>":  # kube-state-metrics' word for a pod by itself
        kind, owner = "", ""
    if kind == "ReplicaSet" and _POD_TEMPLATE.search(owner):
        kind, owner = "Deployment", _POD_TEMPLATE.sub("", owner)
    elif kind == "Job" and _JOB_OF_CRON.search(owner):
        kind, owner = "CronJob", _JOB_OF_CRON.sub("", owner)
    if claim := labels.get("persistentvolumeclaim"):
        kind, owner = "PersistentVolumeClaim", claim
        found |= {"storage_class": labels.get("storageclass", "")}
    if owner and "workload" not in found:
        found["workload"] = f"{kind or 'Pod'}/{owner}"
    found |= {name.removeprefix("label_"): value for name, value in labels.items() if name.startswith("label_") and value}
    return found


def live_services(source: MetricSource, settings: ServiceSettings, start: float, end: float, step: float) -> tuple[list[ServiceSeries], list[str]]:
    """How services performed, and what could not be asked for. Where the settings have no query there is nothing."""
    asked = {name: query for name in SERVICE_QUERIES if (query := getattr(settings, name))}
    times = np.arange(start, end + 1e-6, step)
    found: dict[str, dict[str, np.ndarray]] = {}
    notes = []
    for name, query in asked.items():
        try:
            batch = source.range(query, start, end, step)
        except SourceError as error:
            notes.append(f"services: {name} could not be asked for: {error.reason}")
            continue
        for one in batch.series:
            row = found.setdefault(one.labels.get("service", ""), {}).setdefault(name, np.full(len(times), np.nan))
            place = np.rint((one.times - start) / step).astype(np.int64)
            inside = (place >= 0) & (place < len(times))
            row[place[inside]] = one.values[inside]
    return [ServiceSeries(service, times, values) for service, values in sorted(found.items())], notes
