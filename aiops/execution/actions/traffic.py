"""What moving traffic away and back share: which lever is meant, and a look at the side that is to take it, before anything is moved.

A side that is dead, failing or out of sight takes no traffic. Neighbours: `shift_traffic`, `failback_traffic`; `levers` makes the patches,
`measuring` asks the side's own level.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from aiops.domain.errors import ClusterError, SourceError
from aiops.domain.outcome import Outcome, Result
from aiops.domain.runbook import ParamSpec, Permission
from aiops.domain.target import JsonObject, TargetRef
from aiops.execution.actions import measuring
from aiops.execution.actions.contract import Context
from aiops.execution.actions.levers import SERVICE_NAME, Book, Lever

BOOK = Book("aiops/traffic-before")
KINDS = ("Service", "EndpointSlice", "ConfigMap")
PERMISSIONS = (
    Permission("", "services", ("get", "patch")), Permission("discovery.k8s.io", "endpointslices", ("get", "list", "patch")),
    Permission("", "configmaps", ("get", "patch")), Permission("", "pods", ("list",)),
)  # fmt: skip
KEY = ParamSpec("string", "key of a ConfigMap, where the target is one")
SIDE = {
    "endpoints": ParamSpec("string", "Service whose ready endpoints are counted; of a Service's selector the pods, of an EndpointSlice its own count if it is not given"),
    "endpointsNamespace": ParamSpec("string", "namespace of that Service; the target's if it is not given"),
    "endpointsContext": ParamSpec("string", "cluster of that Service; the target's if it is not given"),
    "endpointsZone": ParamSpec("string", "only endpoints of this zone count"),
    "minimumReady": ParamSpec("int", "so many must be ready there", default=1, minimum=1, maximum=100_000),
    "source": measuring.SOURCE,
    "worst": measuring.WORST,
}
"""How the side that is to take the traffic is looked at."""


def lever(target: TargetRef, arguments: Mapping[str, Any]) -> Lever:
    """Raises ValueError."""
    key = str(arguments.get("key") or "")
    if (target.kind == "ConfigMap") != bool(key):
        raise ValueError("`key` is for a ConfigMap, and a ConfigMap needs one")
    return Lever("data", key) if key else Lever("selector" if target.kind == "Service" else "service")


def side_of(found: Lever, arguments: Mapping[str, Any], value: Any) -> dict[str, Any]:
    """What is to be counted, JSON-ready, for a side on which the lever stands at `value`. Raises ValueError if that is not said."""
    side = {name: arguments[name] for name in SIDE if arguments.get(name) is not None}
    if found.what == "selector" and "endpoints" not in side:
        side["pods"] = value
    elif found.what == "data" and "endpoints" not in side:
        raise ValueError("`endpoints` must name the Service behind a ConfigMap's value, or nobody can tell whether that side is alive")
    return side


def ready(context: Context, side: Mapping[str, Any], obj: JsonObject) -> int:
    """How many are ready on a side. Raises ClusterError; KeyError for a cluster that is not there."""
    cluster = context.clusters[side["endpointsContext"]] if "endpointsContext" in side else context.cluster
    namespace = str(side.get("endpointsNamespace") or context.target.namespace)
    if "endpoints" in side:
        slices: Iterable[JsonObject] = cluster.reader.list("EndpointSlice", namespace, label_selector=f"{SERVICE_NAME}={side['endpoints']}").items
        return _endpoints(slices, str(side.get("endpointsZone") or ""))
    if "pods" in side:
        selector = ",".join(f"{name}={value}" for name, value in sorted(side["pods"].items()))
        return sum(map(_pod_ready, cluster.reader.list("Pod", namespace, label_selector=selector).items))
    return _endpoints([obj], str(side.get("endpointsZone") or ""))


def _endpoints(slices: Iterable[JsonObject], zone: str) -> int:
    """Ready endpoints, each address once; an endpoint that says nothing of its readiness counts as ready, as the API has it."""
    found: set[str] = set()
    for one in slices:
        for endpoint in one.get("endpoints") or ():
            if (endpoint.get("conditions") or {}).get("ready") is not False and (not zone or endpoint.get("zone") == zone):
                found.update(endpoint.get("addresses") or ())
    return len(found)


def _pod_ready(pod: JsonObject) -> bool:
    conditions = (pod.get("status") or {}).get("conditions") or ()
    return not pod["metadata"].get("deletionTimestamp") and any(c.get("type") == "Ready" and c.get("status") == "True" for c in conditions)


def unfit(context: Context, side: Mapping[str, Any], obj: JsonObject, name: str) -> Result | None:
    """Why this side can take no traffic, or None. `name` begins the reason: FarSide, NearSide. What cannot be seen is not alive."""
    try:
        count = ready(context, side, obj)
    except KeyError:
        return Result(Outcome.ERROR, "UnknownCluster", f"no cluster {side.get('endpointsContext')!r} in the settings")
    except ClusterError as error:
        return Result(Outcome.FAILED, f"{name}Unseen", str(error))
    least = int(side.get("minimumReady") or 1)
    if count < least:
        return Result(Outcome.FAILED, f"{name}Dead", f"{count} are ready there, {least} are needed")
    return None


def unhealthy(context: Context, arguments: Mapping[str, Any], name: str) -> Result | None:
    """Why the level of this side is not good, or None; without `promql` nothing is asked."""
    if not arguments.get("promql"):
        return None
    try:
        level = measuring.ask(context, arguments)
        why = measuring.healthy_for(context, arguments, float(arguments.get("for") or 0.0))
    except SourceError as error:
        return Result(Outcome.FAILED, f"{name}Unseen", str(error))
    if level.value is None:
        return Result(Outcome.FAILED, f"{name}Unseen", "its level has no value")
    return Result(Outcome.FAILED, f"{name}Failing", why) if why else None
