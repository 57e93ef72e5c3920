"""HorizontalPodAutoscalers, as far as they go without metrics: the count is kept within the bounds; zero switches one off.

Follows the real controller where it has no metrics: https://kubernetes.io/docs/tasks/run-application/horizontal-pod-autoscale/#algorithm-details.
Neighbours: `deployment`, `statefulset` carry the count out.
"""

from __future__ import annotations

from aiops.domain.target import JsonObject

from .manager import Context

_SCALED = ("Deployment", "StatefulSet", "ReplicaSet")


class Autoscalers:
    """The controller."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def reconcile(self, autoscaler: JsonObject) -> None:
        """Bring the count of the target within the bounds, and write the status."""
        spec, meta = autoscaler["spec"], autoscaler["metadata"]
        reference = spec["scaleTargetRef"]
        target = self._context.state.find((reference["kind"], meta["namespace"], reference["name"])) if reference["kind"] in _SCALED else None
        if target is None or "deletionTimestamp" in meta:
            return
        present = target["spec"]["replicas"]
        wanted = present if not present else min(max(present, spec["minReplicas"]), spec["maxReplicas"])
        if wanted != present:
            self._context.put_spec(target, replicas=wanted)
        self._context.put_status(autoscaler, {"currentReplicas": (target.get("status") or {}).get("replicas", 0), "desiredReplicas": wanted})
