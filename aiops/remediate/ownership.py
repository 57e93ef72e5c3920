"""Who else writes the fields that we would write: moving a lever that another controller holds starts a fight with it.

Pure. What each owner leaves on objects is from its own documentation: HorizontalPodAutoscaler `scaleTargetRef`; KEDA's `scaledobject.keda.sh/name`;
Argo CD's resource tracking (`argocd.argoproj.io/tracking-id`, `/instance`); Flux's `*.toolkit.fluxcd.io/name`; Argo Rollouts by ownerReferences;
everything else by managedFields (Kubernetes, "Server-Side Apply").
Neighbours: `facts` (`target.ownedBy`), the guard `ownership`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from aiops.domain.target import JsonObject
from aiops.remediate.objects import ClusterObjects, labels, marks, meta

OURS = frozenset({"aiops"})
"""Our field managers."""

_ARGO = ("argocd.argoproj.io/tracking-id", "argocd.argoproj.io/instance")
_FLUX = ("kustomize.toolkit.fluxcd.io/name", "helm.toolkit.fluxcd.io/name")
_KEDA = "scaledobject.keda.sh/name"
_LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
_GITOPS_MANAGERS: Mapping[str, frozenset[str]] = {
    "ArgoCD": frozenset({"argocd-controller", "argocd-application-controller"}),
    "Flux": frozenset({"kustomize-controller", "helm-controller"}),
}
_ROLLOUTS = frozenset({"rollouts-controller", "argo-rollouts"})
_HANDS = frozenset({"kubectl", "kubectl-scale", "kubectl-edit", "kubectl-patch"})
"""Managers of a person at the keyboard: `kubectl apply` or `scale` is a single write, not an owner that will write again."""


@dataclass(frozen=True, slots=True)
class Owner:
    """Who holds a field: `name` as `target.ownedBy` shows it, `reason` a CamelCase code, `detail` what was seen."""

    name: str
    reason: str
    detail: str


def replicas_owner(objects: ClusterObjects) -> Owner | None:
    """Who decides about `spec.replicas`; None if nobody but people and us."""
    target = objects.target
    if target is None:
        return None
    for scaler in objects.autoscalers:
        name = str(meta(scaler).get("name", ""))
        scaled = str(labels(scaler).get(_KEDA) or _made_by(scaler, "ScaledObject") or "")
        if scaled:
            return Owner(f"KEDA/{scaled}", "OwnedByKeda", f"the ScaledObject {scaled} scales it through the HorizontalPodAutoscaler {name}")
        return Owner(f"HorizontalPodAutoscaler/{name}", "OwnedByAutoscaler", f"the HorizontalPodAutoscaler {name} scales it")
    marked = labels(target).get(_KEDA) or marks(target).get(_KEDA)
    if marked:
        return Owner(f"KEDA/{marked}", "OwnedByKeda", f"{_KEDA} on the target names the ScaledObject {marked}")
    return _controller(target) or _gitops(target, ("spec", "replicas")) or _manager(target)


def template_owner(objects: ClusterObjects) -> Owner | None:
    """Who would put the pod template back; None if nobody. A mark of a restart is not part of what GitOps compares, a release is."""
    target = objects.target
    if target is None:
        return None
    return _controller(target) or _gitops(target, ("spec", "template"))


def controller_owner(objects: ClusterObjects) -> Owner | None:
    """A controller of the object itself (a Rollout, an operator), which puts back whatever we write."""
    return None if objects.target is None else _controller(objects.target)


def _controller(target: JsonObject) -> Owner | None:
    for reference in meta(target).get("ownerReferences") or ():
        if reference.get("controller"):
            kind, name = str(reference.get("kind", "")), str(reference.get("name", ""))
            group = str(reference.get("apiVersion", "")).rpartition("/")[0]
            reason = "OwnedByRollout" if group == "argoproj.io" else "OwnedByController"
            return Owner(f"{kind}/{name}", reason, f"it belongs to the {kind} {name}")
    return None


def _gitops(target: JsonObject, path: tuple[str, str]) -> Owner | None:
    everything = {**labels(target), **marks(target)}
    for tool, names in (("ArgoCD", _ARGO), ("Flux", _FLUX)):
        mark = next((m for m in names if everything.get(m)), None)
        if mark is not None and _declares(target, _GITOPS_MANAGERS[tool], path):
            application = str(everything[mark]).partition(":")[0]
            return Owner(f"{tool}/{application}", f"OwnedBy{tool}", f"{mark} says that {application} is its source, which declares {'.'.join(path)}")
    return None


def _declares(target: JsonObject, managers: frozenset[str], path: tuple[str, str]) -> bool:
    """Whether the tool's manifest holds the field: by its own managedFields, else by the last applied text; unknown counts as yes."""
    entries = [e for e in meta(target).get("managedFields") or () if e.get("manager") in managers and not e.get("subresource")]
    if entries:
        return any(holds(e, path) for e in entries)
    try:
        applied = json.loads(str(marks(target).get(_LAST_APPLIED, "")))
        return path[1] in (applied.get(path[0]) or {})
    except (ValueError, AttributeError, TypeError):
        return True


def _manager(target: JsonObject) -> Owner | None:
    """Another field manager that will write the count again: one that applies it, or a scaler behind `/scale`."""
    for entry in meta(target).get("managedFields") or ():
        manager = str(entry.get("manager", ""))
        if manager in OURS or not holds(entry, ("spec", "replicas")):
            continue
        if manager in _ROLLOUTS:
            return Owner(f"Rollouts/{manager}", "OwnedByRollout", f"{manager} writes spec.replicas")
        if entry.get("operation") == "Apply" and manager not in _HANDS:
            return Owner(f"Apply/{manager}", "OwnedByApply", f"{manager} declares spec.replicas by server-side apply")
        if entry.get("subresource") == "scale" and manager not in _HANDS:
            return Owner(f"Scaler/{manager}", "OwnedByScaler", f"{manager} writes spec.replicas through /scale")
        if any(manager in names for names in _GITOPS_MANAGERS.values()):
            return Owner(f"GitOps/{manager}", "OwnedByGitOps", f"{manager} writes spec.replicas")
    return None


def holds(entry: Mapping[str, Any], path: tuple[str, ...]) -> bool:
    """Whether a managedFields entry owns the field at `path` (or anything below it)."""
    node: Any = entry.get("fieldsV1") or {}
    for part in path:
        node = node.get(f"f:{part}") if isinstance(node, Mapping) else None
        if node is None:
            return False
    return True


def _made_by(obj: JsonObject, kind: str) -> str:
    return next((str(o.get("name", "")) for o in meta(obj).get("ownerReferences") or () if o.get("kind") == kind), "")
