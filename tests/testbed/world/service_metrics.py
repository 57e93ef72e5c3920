"""What a service's own exporter tells: names and labels as docs/world.md has them. Pure. Neighbours: `service_model` counts, `simulation` asks.

The label sets are one tuple that stays the very same while the pods do, so a reader may know what it has seen.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from tests.testbed.world.queueing import BOUNDS
from tests.testbed.world.service_model import CALL_CODES, CODES, RESULTS, ServiceModel, Slots

Labels = Mapping[str, str]
_LE = (*(f"{bound:g}" for bound in BOUNDS), "+Inf")


class ServiceExporter:
    """Label sets and values of one service; `extra` labels go onto each series, as those of a scrape target do."""

    def __init__(self, model: ServiceModel, extra: Labels) -> None:
        self._model, self._extra = model, dict(extra)
        self._slots: Slots | None = None
        self._labels: tuple[Labels, ...] = ()

    def read(self) -> tuple[tuple[Labels, ...], np.ndarray]:
        """The series and their values now."""
        model, slots = self._model, self._model.slots
        if slots is not self._slots:
            if self._slots is None or slots.ids != self._slots.ids:
                self._labels = self._make()
            self._slots = slots
        count = len(slots.pods)
        own = [np.array([*model.queues(), *([model.drift] if model.service.scheduler else [])]), *model.caches.values()]
        if not count:
            return self._labels, np.concatenate(own)
        busy = np.where(slots.ready, slots.busy, 0.0)
        parts = (slots.codes, slots.buckets, slots.seconds[:, None], slots.buckets[:, -1:], slots.calls.reshape(count, -1), busy[:, None])
        return self._labels, np.concatenate([np.hstack(parts).ravel(), *own])

    def _make(self) -> tuple[Labels, ...]:
        service, found = self._model.service, []
        place = {**self._extra, "namespace": service.namespace}

        def add(name: str, workload: str = service.name, **labels: str) -> None:
            found.append({"__name__": name, **place, "workload": workload, **labels})

        for pod in self._model.slots.pods:
            for code in CODES:
                add("http_requests_total", workload=pod.workload, pod=pod.name, code=code)
            for bound in _LE:
                add("http_request_duration_seconds_bucket", workload=pod.workload, pod=pod.name, le=bound)
            add("http_request_duration_seconds_sum", workload=pod.workload, pod=pod.name)
            add("http_request_duration_seconds_count", workload=pod.workload, pod=pod.name)
            for dependency in service.dependencies:
                for code in CALL_CODES:
                    add("http_client_requests_total", workload=pod.workload, pod=pod.name, dependency=dependency.name, code=code)
            add("worker_utilization_ratio", workload=pod.workload, pod=pod.name)
        for _, name in service.places:
            add("queue_length", workload=name, queue=service.queue or "requests")
        if service.scheduler:
            add("scheduler_model_psi")
        for cache in service.caches:
            for result in RESULTS:
                add("cache_requests_total", cache=cache.name, result=result)
        return tuple(found)
