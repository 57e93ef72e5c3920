"""Who else writes the fields that we would write: moving a lever that another controller holds starts a fight with it.

Pure. What each owner leaves on objects is from its own documentation: HorizontalPodAutoscaler `scaleTargetRef`; KEDA's `scaledobject.keda.sh/name`;
Argo CD's resource tracking (`argocd.argoproj.io/tracking-id`, `/instance`, `app.kubernetes.io/instance`); Flux's `*.toolkit.fluxcd.io/name`, and the
annotations by which it is told to leave an object alone; Argo Rollouts by ownerReferences, of the object or (`workloadRef`) of ReplicaSets made from
its template; the VerticalPodAutoscaler's `vpaUpdates` on pods; everything else by managedFields (Kubernetes, "Server-Side Apply").
What is decided for each is in docs/adr/0013. Neighbours: `facts` (`target.ownedBy`), the guard `ownership`, actions on what is not in the view.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from aiops.domain.plan import PlannedStep
from aiops.domain.target import JsonObject
from aiops.remediate.autoscaling import Stuck, moved
from aiops.remediate.guards.traits import PAUSED, REPLICAS, RESOURCES, RESTART, TEMPLATE, late_count, scaled, traits
from aiops.remediate.objects import ClusterObjects, labels, marks, meta, wanted_replicas

OURS = frozenset({"aiops"})
"""Our field managers."""

IGNORED = "aiops/gitops-ignores"
"""Annotation by which people say which fields their GitOps tool leaves alone: `spec.replicas, spec.template`, or `*`. Argo CD's own `ignoreDifferences` stand elsewhere."""

_ARGO = ("argocd.argoproj.io/tracking-id", "argocd.argoproj.io/instance")
_INSTANCE = "app.kubernetes.io/instance"
"""Argo CD's tracking label where it is configured so; Helm writes it too, so it counts only beside a field that Argo CD wrote."""
_FLUX = ("kustomize.toolkit.fluxcd.io/name", "helm.toolkit.fluxcd.io/name")
_FLUX_OFF = {
    "kustomize.toolkit.fluxcd.io/reconcile": ("disabled",), "kustomize.toolkit.fluxcd.io/ssa": ("Ignore", "IfNotPresent"),
    "helm.toolkit.fluxcd.io/driftDetection": ("disabled",),
}
_KEDA = "scaledobject.keda.sh/name"
_VPA = "vpaUpdates"
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
        return _keda(scaler) or Owner(f"HorizontalPodAutoscaler/{name}", "OwnedByAutoscaler", f"the HorizontalPodAutoscaler {name} scales it")
    marked = labels(target).get(_KEDA) or marks(target).get(_KEDA)
    if marked:
        return Owner(f"KEDA/{marked}", "OwnedByKeda", f"{_KEDA} on the target names the ScaledObject {marked}")
    return controller_owner(objects) or _gitops(target, ("spec", "replicas")) or _manager(target)


def template_owner(objects: ClusterObjects) -> Owner | None:
    """Who would put the pod template back; None if nobody. A mark of a restart is not part of what GitOps compares, a release is."""
    target = objects.target
    return None if target is None else controller_owner(objects) or _gitops(target, ("spec", "template"))


def controller_owner(objects: ClusterObjects) -> Owner | None:
    """A controller of the object itself (a Rollout, an operator), which puts back whatever we write."""
    if objects.target is None:
        return None
    for made in objects.rollouts:
        name = _made_by(made, "Rollout")
        return Owner(f"Rollout/{name}", "OwnedByRollout", f"the Rollout {name} takes its template from it and runs the pods")
    return _controller(objects.target)


def resources_owner(objects: ClusterObjects) -> Owner | None:
    """A VerticalPodAutoscaler that sets the requests of the target's pods, whatever the template says."""
    told = next((str(marks(p)[_VPA]) for p in objects.pods if marks(p).get(_VPA)), "")
    return Owner("VerticalPodAutoscaler", "OwnedByVpa", f"a VerticalPodAutoscaler sets its resources: {told}") if told else None


def vertical_owner(autoscalers: Iterable[JsonObject], kind: str, name: str) -> Owner | None:
    """The VerticalPodAutoscaler of a workload, unless it only recommends."""
    for scaler in autoscalers:
        spec = scaler.get("spec") or {}
        reference = spec.get("targetRef") or {}
        if (reference.get("kind"), reference.get("name")) == (kind, name) and (spec.get("updatePolicy") or {}).get("updateMode") != "Off":
            own = str(meta(scaler).get("name", ""))
            return Owner(f"VerticalPodAutoscaler/{own}", "OwnedByVpa", f"the VerticalPodAutoscaler {own} sets its resources")
    return None


def lever_owner(autoscalers: Sequence[JsonObject]) -> Owner | None:
    """Who else moves the bounds of a workload's autoscalers; None if it is one that we may move."""
    names = ", ".join(str(meta(a).get("name", "")) for a in autoscalers)
    if len(autoscalers) > 1:
        return Owner(f"HorizontalPodAutoscaler/{names}", "OwnedByAutoscaler", f"several HorizontalPodAutoscalers scale it: {names}")
    return next((o for a in autoscalers for o in (_keda(a) or _controller(a) or _gitops(a, ("spec", "minReplicas")),) if o), None)


def config_owner(config: JsonObject) -> Owner | None:
    """Who would put the data of a ConfigMap back."""
    return _controller(config) or _gitops(config, ("data",))


def owner_of_writes(objects: ClusterObjects, steps: Iterable[PlannedStep]) -> Owner | None:
    """Who owns what these steps would write on the target; None if they may go on. A count that an autoscaler owns is moved by the autoscaler's bounds."""
    for step in steps:
        fields = traits(step.action).writes
        found = _count_owner(objects, step) if REPLICAS in fields else None
        found = found or (template_owner(objects) if TEMPLATE in fields else None)
        found = found or (resources_owner(objects) if RESOURCES in fields else None)
        found = found or (_gitops(objects.target, ("spec", "paused")) if PAUSED in fields and objects.target is not None else None)
        found = found or (controller_owner(objects) if fields & {REPLICAS, RESTART, TEMPLATE, PAUSED} else None)
        if found is not None:
            return found
    return None


def _count_owner(objects: ClusterObjects, step: PlannedStep) -> Owner | None:
    owner = replicas_owner(objects)
    if owner is None or owner.reason != "OwnedByAutoscaler" or objects.target is None:
        return owner
    if other := controller_owner(objects) or lever_owner(objects.autoscalers):
        return other
    if late_count(step):
        return None
    present = wanted_replicas(objects.target)
    bounds = moved(objects.autoscalers[0], present, scaled(present, step.arguments), step.arguments)
    return Owner(owner.name, owner.reason, f"{owner.detail}; {bounds.detail}") if isinstance(bounds, Stuck) else None


def _keda(scaler: JsonObject) -> Owner | None:
    scaled_object = str(labels(scaler).get(_KEDA) or _made_by(scaler, "ScaledObject") or "")
    if not scaled_object:
        return None
    words = f"the ScaledObject {scaled_object} scales it through the HorizontalPodAutoscaler {meta(scaler).get('name', '')}"
    return Owner(f"KEDA/{scaled_object}", "OwnedByKeda", words)


def _controller(target: JsonObject) -> Owner | None:
    for reference in meta(target).get("ownerReferences") or ():
        if reference.get("controller"):
            kind, name = str(reference.get("kind", "")), str(reference.get("name", ""))
            group = str(reference.get("apiVersion", "")).rpartition("/")[0]
            reason = "OwnedByRollout" if group == "argoproj.io" else "OwnedByController"
            return Owner(f"{kind}/{name}", reason, f"it belongs to the {kind} {name}")
    return None


def _gitops(target: JsonObject, path: tuple[str, ...]) -> Owner | None:
    everything, dotted = {**labels(target), **marks(target)}, ".".join(path)
    ignored = {part.strip() for part in str(marks(target).get(IGNORED, "")).split(",")}
    if ignored & {dotted, "*"}:
        return None
    for tool, names in (("ArgoCD", _ARGO), ("Flux", _FLUX)):
        if tool == "Flux" and any(everything.get(name) in values for name, values in _FLUX_OFF.items()):
            continue
        mark = next((m for m in names if everything.get(m)), None)
        if mark is None and not _writes(target, _GITOPS_MANAGERS[tool]):
            continue
        mark = mark or (_INSTANCE if everything.get(_INSTANCE) else None)
        if _declares(target, _GITOPS_MANAGERS[tool], path):
            application = str(everything[mark]).partition(":")[0] if mark else "?"
            seen = f"{mark} says that {application} is its source, which declares {dotted}" if mark else f"it was written by {tool}, which declares {dotted}"
            return Owner(f"{tool}/{application}", f"OwnedBy{tool}", seen)
    return None


def _writes(target: JsonObject, managers: frozenset[str]) -> bool:
    """Whether one of these managers wrote any part of the object itself."""
    return any(e.get("manager") in managers and not e.get("subresource") for e in meta(target).get("managedFields") or ())


def _declares(target: JsonObject, managers: frozenset[str], path: tuple[str, ...]) -> bool:
    """Whether the tool's manifest holds the field: by its own managedFields, else by the last applied text; unknown counts as yes."""
    entries = [e for e in meta(target).get("managedFields") or () if e.get("manager") in managers and not e.get("subresource")]
    if entries:
        return any(holds(e, path) for e in entries)
    try:
        node = json.loads(str(marks(target).get(_LAST_APPLIED, "")))
        for part in path[:-1]:
            node = node.get(part) or {}
        return path[-1] in node
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
