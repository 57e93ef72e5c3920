"""Guards about whether anything may be done here at all: paused, silenced, protected, opted out, not there."""

from __future__ import annotations

from fnmatch import fnmatchcase

from aiops.domain.incident import IncidentState
from aiops.domain.target import KINDS, JsonObject
from aiops.remediate.guards.contract import Answer, GuardInput, GuardLimits, UnknownFactError, allow, refuse
from aiops.remediate.guards.traits import acts
from aiops.remediate.objects import labels, marks, meta

SWITCH = "aiops/automation"
"""Label (or annotation) on an object or its namespace: `enabled` or `disabled`; the object's own decides."""


def paused(given: GuardInput, limits: GuardLimits) -> Answer:  # noqa: ARG001 (a guard's signature)
    """The kill switch stops acting; people are still told."""
    if not acts(given.plan):
        return allow("nothing but telling")
    if given.paused is None:
        raise UnknownFactError("whether automation is paused is not known")
    return refuse("Paused", "automation is paused by a person") if given.paused else allow()


def silenced(given: GuardInput, limits: GuardLimits) -> Answer:  # noqa: ARG001
    """A person's silence, another incident that explains this one, or an incident that is over."""
    incident = given.incident
    if incident.state is IncidentState.RESOLVED:
        return refuse("IncidentResolved", "the incident is resolved")
    if incident.inhibited_by:
        return refuse("Inhibited", f"incident {incident.inhibited_by} explains this one")
    if incident.silenced_by:
        return refuse("Silenced", f"by silence {incident.silenced_by}")
    if given.silences is None:
        raise UnknownFactError("silences are not known")
    for silence in given.silences:
        in_force = silence.starts_at <= given.now < silence.ends_at
        if in_force and all(incident.labels.get(k) == v for k, v in silence.matchers.items()):
            return refuse("Silenced", f"by silence {silence.id} of {silence.by}")
    return allow()


def protected_namespace(given: GuardInput, limits: GuardLimits) -> Answer:
    """Namespaces that are nobody's to automate; names may hold `*`."""
    namespace = given.plan.target.namespace
    if not acts(given.plan) or not namespace:
        return allow()
    hit = next((p for p in limits.protected_namespaces if fnmatchcase(namespace, p)), None)
    return allow() if hit is None else refuse("ProtectedNamespace", f"namespace {namespace} is protected ({hit})")


def opted(given: GuardInput, limits: GuardLimits) -> Answer:
    """The switch on the object, or else on its namespace."""
    if not acts(given.plan):
        return allow("nothing but telling")
    if given.objects.target is None:
        raise UnknownFactError(f"{given.plan.target} is not in the view")
    place, value = "the target", _switch(given.objects.target)
    if value is None and given.plan.target.namespace:
        if given.objects.namespace is None:
            raise UnknownFactError(f"namespace {given.plan.target.namespace} is not in the view")
        place, value = f"namespace {given.plan.target.namespace}", _switch(given.objects.namespace)
    if value == "disabled":
        return refuse("OptedOut", f"{SWITCH} is disabled on {place}")
    if value not in (None, "enabled"):
        return refuse("OptOutUnclear", f"{SWITCH} on {place} is {value!r}; allowed are enabled and disabled")
    if limits.opt_in and value is None:
        return refuse("NotOptedIn", f"{SWITCH}=enabled stands on neither the target nor its namespace")
    return allow()


def _switch(obj: JsonObject) -> str | None:
    """The stricter of label and annotation, None if neither is there."""
    values = [str(m[SWITCH]) for m in (labels(obj), marks(obj)) if SWITCH in m]
    return next((v for v in values if v != "enabled"), values[0] if values else None)


def present(given: GuardInput, limits: GuardLimits) -> Answer:  # noqa: ARG001
    """The target is there and is not being deleted."""
    if not acts(given.plan):
        return allow("nothing but telling")
    target = given.objects.target
    if target is None:
        return refuse("TargetVanished", f"{given.plan.target} is not there")
    if target.get("kind", given.plan.target.kind) != given.plan.target.kind or given.plan.target.kind not in KINDS:
        raise UnknownFactError(f"the object is no {given.plan.target.kind}")
    if meta(target).get("deletionTimestamp"):
        return refuse("TargetTerminating", f"{given.plan.target} is being deleted")
    return allow()
