"""Actions whose objects are no workloads, on both clusters: each patch is taken, found again by its stamp, taken back, and shown by a dry-run."""

from __future__ import annotations

from typing import Any, cast

import pytest

from aiops.adapters.clock import SystemClock
from aiops.adapters.dry_run import DryRunWriter
from aiops.domain.errors import ConflictError, InvalidError
from aiops.domain.target import JsonObject, TargetRef
from aiops.execution.actions.contract import STAMP, Context, Looked, Prepared
from aiops.execution.actions.levers import SERVICE_NAME
from aiops.execution.actions.registry import REGISTRY
from aiops.ports.cluster import Cluster
from tests.contract.cluster.bench import Bench, ref, running, workload

ENDPOINTS = {"addressType": "IPv4", "ports": [{"port": 80}], "endpoints": [{"addresses": ["10.9.0.1"]}, {"addresses": ["10.9.0.2"], "conditions": {"ready": False}}]}


def context(bench: Bench, target: TargetRef, key: str, *, dry: bool = False) -> Context:
    writer = DryRunWriter(bench.reader, cast("Any", bench.dry)) if dry else bench.writer
    cluster = Cluster("default", bench.reader, writer, cast("Any", None), dry, {})
    return Context(target, cluster, {}, SystemClock().now(), key, clusters={"default": cluster})


def config(bench: Bench) -> TargetRef:
    bench.apply({"kind": "ConfigMap", "metadata": {"name": "sched", "namespace": bench.namespace}, "data": {"mode": "model", "batch": "10"}})
    return ref(bench, "ConfigMap", "sched")


def idle(bench: Bench) -> TargetRef:
    """A workload without pods: nobody runs the other scheduler here."""
    bench.apply(workload(bench, "idle", replicas=0))
    return ref(bench, "Deployment", "idle")


def service(bench: Bench) -> TargetRef:
    running(bench, "far")
    spec = {"selector": {"app": "near"}, "ports": [{"port": 80}]}
    bench.apply({"kind": "Service", "metadata": {"name": "front", "namespace": bench.namespace}, "spec": spec})
    return ref(bench, "Service", "front")


def endpoint_slice(bench: Bench) -> TargetRef:
    meta = {"name": "far", "namespace": bench.namespace, "labels": {SERVICE_NAME: "standby"}}
    bench.apply({"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "metadata": meta, **ENDPOINTS})
    return ref(bench, "EndpointSlice", "far")


CASES: list[Any] = [
    ("scheduler-fallback", config, {"key": "mode", "to": "rules"}, lambda o: o["data"]["mode"], ("model", "rules")),
    ("scheduler-fallback", idle, {"to": "other"}, lambda o: o["spec"]["template"]["spec"]["schedulerName"], ("default-scheduler", "other")),
    ("set-scheduler-parameter", config, {"key": "batch", "by": "+2", "minimum": 1.0, "maximum": 20.0}, lambda o: o["data"]["batch"], ("10", "12")),
    ("shift-traffic", service, {"selector": ("app=far",), "minimumReady": 2}, lambda o: o["spec"]["selector"], ({"app": "near"}, {"app": "far"})),
    ("shift-traffic", endpoint_slice, {"service": "front"}, lambda o: o["metadata"]["labels"][SERVICE_NAME], ("standby", "front")),
]


@pytest.mark.parametrize(("name", "make", "arguments", "read", "values"), CASES, ids=[f"{c[0]}-{c[1].__name__}" for c in CASES])
def test_a_switch_and_its_way_back(bench: Bench, name: str, make: Any, arguments: Any, read: Any, values: Any) -> None:
    target, action = make(bench), REGISTRY[name]

    def present() -> JsonObject:
        return bench.reader.get(target)

    shown = action.start(context(bench, target, "run-0.s.1", dry=True), action.prepare(context(bench, target, "run-0.s.1", dry=True), arguments))
    assert not shown.applied
    assert shown.write is not None
    assert shown.write.after is not None
    assert (read(shown.write.after), read(present())) == (values[1], values[0])

    here = context(bench, target, "run-1.s.1")
    ready = action.prepare(here, arguments)
    assert ready.skip is None
    assert action.look(here, ready).looked is Looked.NOT
    effect = action.start(here, ready)
    assert effect.applied
    assert read(present()) == values[1]
    assert present()["metadata"]["annotations"][STAMP] == "run-1.s.1"
    assert action.look(here, Prepared(pre_state=ready.pre_state, leaves=ready.leaves, inverse=ready.inverse, output=ready.output)).looked is Looked.HAPPENED
    with pytest.raises(InvalidError):  # a late or repeated request is refused by the server
        action.start(here, ready)

    there = context(bench, target, "run-1.s~undo.1")
    taken_back = action.prepare(there, ready.inverse)
    assert taken_back.skip is None
    assert {n: v for n, v in taken_back.pre_state.items() if n != "uid"} == {n: v for n, v in effect.leaves.items() if n != "uid"}
    assert action.start(there, taken_back).applied
    assert read(present()) == values[0]
    assert {name for name in present()["metadata"]["annotations"] if name.startswith("aiops/")} == {STAMP}


def test_a_training_is_one_job(bench: Bench) -> None:
    pod = {"restartPolicy": "Never", "containers": [{"name": "train", "image": "train:1"}]}
    spec = {"schedule": "0 3 * * *", "suspend": True, "jobTemplate": {"spec": {"template": {"spec": pod}}}}
    bench.apply({"apiVersion": "batch/v1", "kind": "CronJob", "metadata": {"name": "train", "namespace": bench.namespace}, "spec": spec})
    action, target = REGISTRY["retrain"], config(bench)
    dry = context(bench, target, "run-0.train.1", dry=True)
    assert not action.start(dry, action.prepare(dry, {"cronJob": "train"})).applied
    here = context(bench, target, "run-1.train.1")
    ready = action.prepare(here, {"cronJob": "train", "deadline": 3600.0, "parameters": ("ROWS=5",)})
    assert action.look(here, ready).looked is Looked.NOT
    assert action.start(here, ready).applied
    with pytest.raises(ConflictError):
        action.start(here, ready)
    again = context(bench, target, "run-1.train.2")
    assert (action.look(again, ready).looked, action.look(again, ready).key) == (Looked.HAPPENED, "run-1.train.1")
    made = bench.reader.list("Job", bench.namespace).items
    assert [j["spec"]["activeDeadlineSeconds"] for j in made] == [3600]
    assert made[0]["metadata"]["ownerReferences"][0]["kind"] == "CronJob"
