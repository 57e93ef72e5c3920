"""Disruption budgets: their status, and whether they let a pod be evicted now. Neighbours: `server` (eviction), `controllers` (status).

Rules of https://kubernetes.io/docs/tasks/run-application/configure-pdb/; the default `unhealthyPodEvictionPolicy`, IfHealthyBudget, holds.
"""

from __future__ import annotations

from aiops.adapters.patching import clone
from aiops.domain.errors import ClusterUnavailableError, DisruptionRefusedError
from aiops.domain.target import JsonObject

from .objects import controller_of, is_true, labels_of, share
from .selectors import matches
from .state import State


def admit(state: State, pod: JsonObject) -> JsonObject | None:
    """The budget to spend from, or None if none covers the pod. Raises DisruptionRefusedError (429)."""
    budgets = [
        b for b in state.all("PodDisruptionBudget", pod["metadata"]["namespace"]) if matches(b["spec"].get("selector"), labels_of(pod))
    ]
    if pod.get("status", {}).get("phase") != "Running" or "deletionTimestamp" in pod["metadata"] or not budgets:
        return None
    if len(budgets) > 1:
        raise ClusterUnavailableError(
            "InternalError", "This pod has more than one PodDisruptionBudget, which the eviction API does not support", 500
        )
    budget = budgets[0]
    status = budget.get("status") or {}
    healthy, wanted = status.get("currentHealthy", 0), status.get("desiredHealthy", 0)
    always = budget["spec"].get("unhealthyPodEvictionPolicy") == "AlwaysAllow"
    if not is_true(pod, "Ready") and (always or healthy >= wanted):
        return None
    name = budget["metadata"]["name"]
    if status.get("observedGeneration", 0) < budget["metadata"].get("generation", 1):
        raise DisruptionRefusedError("TooManyRequests", f"The disruption budget {name} is still being processed by the server.", 429)
    if status.get("disruptionsAllowed", 0) < 1:
        why = f"The disruption budget {name} needs {wanted} healthy pods and has {healthy} currently"
        raise DisruptionRefusedError("TooManyRequests", f"Cannot evict pod as it would violate the pod's disruption budget. {why}", 429)
    return budget


def spent(budget: JsonObject, pod: JsonObject, at: str) -> JsonObject:
    """The budget after one eviction: the next one waits until the controller has counted again."""
    new: JsonObject = clone(budget)
    new["status"]["disruptionsAllowed"] -= 1
    new["status"].setdefault("disruptedPods", {})[pod["metadata"]["name"]] = at
    return new


def status_of(state: State, budget: JsonObject) -> JsonObject:
    """The status that the disruption controller would write now."""
    spec, meta = budget["spec"], budget["metadata"]
    covered = [p for p in state.all("Pod", meta["namespace"]) if matches(spec.get("selector"), labels_of(p))]
    covered = [p for p in covered if p.get("status", {}).get("phase") not in ("Succeeded", "Failed")]
    expected = _expected(state, covered)
    if "maxUnavailable" in spec:
        wanted = max(0, expected - share(spec["maxUnavailable"], expected, up=True))
    else:
        minimum = spec.get("minAvailable", 1)
        expected = expected if isinstance(minimum, str) else len(covered)
        wanted = share(minimum, expected, up=True)
    healthy = sum(1 for p in covered if is_true(p, "Ready") and "deletionTimestamp" not in p["metadata"])
    return {
        "currentHealthy": healthy,
        "desiredHealthy": wanted,
        "disruptionsAllowed": max(0, healthy - wanted) if expected else 0,
        "expectedPods": expected,
        "observedGeneration": meta.get("generation", 1),
    }


def _expected(state: State, pods: list[JsonObject]) -> int:
    """The sum of the replicas that the pods' controllers want; a pod without one counts as itself."""
    total, seen = 0, set()
    for pod in pods:
        owner = controller_of(pod)
        if owner is None:
            total += 1
        elif owner["uid"] not in seen:
            seen.add(owner["uid"])
            found = state.find((owner["kind"], pod["metadata"]["namespace"], owner["name"]))
            # A ReplicaSet of a Deployment stands for its Deployment: the new and the old one share its count.
            above = controller_of(found) if found else None
            if found and above and (parent := state.find((above["kind"], pod["metadata"]["namespace"], above["name"]))):
                if above["uid"] in seen:
                    continue
                seen.add(above["uid"])
                found = parent
            total += found["spec"].get("replicas", 1) if found else 1
    return total
