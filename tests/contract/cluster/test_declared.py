"""What was declared of an object, beside what the cluster made of it and what somebody changed since."""

from __future__ import annotations

import copy
import json

from aiops.adapters.declared import declared_batch
from aiops.domain.declared import LAST_APPLIED, DeclaredObject, DeclaredQuery
from tests.contract.cluster.bench import Bench, ref, workload

PATIENCE = 150


def test_what_the_api_fills_in_is_no_difference_and_what_a_person_changes_is(bench: Bench):
    manifest = workload(bench, replicas=0)
    made = copy.deepcopy(manifest)
    made["metadata"]["annotations"] = {LAST_APPLIED: json.dumps(manifest)}
    bench.writer.create("Deployment", bench.namespace, made)
    view = bench.informer("Deployment", "HorizontalPodAutoscaler")
    assert view.wait_settled(PATIENCE)

    def fields(*objects: DeclaredObject) -> dict[str, tuple[str, str]]:
        batch = declared_batch(view, DeclaredQuery(objects), 1.0, source="kubernetes", context="default")
        assert not batch.warnings
        return {labels["field"]: (labels["declared"], labels["live"]) for labels in batch.labels}

    applied = DeclaredObject("Deployment", bench.namespace, "web")
    inline = DeclaredObject("Deployment", bench.namespace, "web", manifest)
    bench.until("the view shows it", lambda: view.find(ref(bench, "Deployment", "web")) is not None)
    assert fields(applied) == fields(inline) == {}
    assert fields(DeclaredObject("Deployment", bench.namespace, "gone")) == {"(object)": ("present", "absent")}
    image = {"op": "replace", "path": "/spec/template/spec/containers/0/image", "value": "web:2"}
    bench.writer.patch(ref(bench, "Deployment", "web"), [image])
    bench.until("the change is seen", lambda: fields(applied) == {"spec.template.spec.containers[app].image": ("web:1", "web:2")})
    bench.writer.patch(ref(bench, "Deployment", "web"), {"spec": {"paused": True}})
    assert set(fields(inline)) == {"spec.template.spec.containers[app].image"}
