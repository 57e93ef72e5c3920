"""Guards about whether anything may be done here at all: paused, silenced, protected, opted out, not there."""

from __future__ import annotations

from collections.abc import Iterator
from fnmatch import fnmatchcase

from aiops.domain.incident import IncidentState
from aiops.domain.target import KINDS, JsonObject, TargetRef
from aiops.remediate.guards.contract import Answer, GuardInput, GuardLimits, UnknownFactError, allow, refuse
from aiops.remediate.guards.traits import acted_on, acts
from aiops.remediate.objects import labels, marks, meta
from aiops.remediate.picture import controller

SWITCH = "aiops/automation"
"""Label (or annotation) on an object or its namespace: `enabled` or `disabled`; the object's own decides."""


def paused(given: GuardInput, limits: GuardLimits) -> Answer:  # noqa: ARG001 (a guard's signature)
    """The kill switch stops acting; people are still told."""
    if not acts(given.plan):
        return allow("nothing but telling")
    if given.paused is None:
        raise UnknownFactError("whether automation is paused is not known")
    return refuse("Paused", given.paused_by or "automation is paused by a person") if given.paused else allow()


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
    """Namespaces that are nobody's to automate; names may hold `*`. A Node stands in the namespaces of the pods that a drain of it moves."""
    for target in acted_on(given.plan):
        for namespace in sorted(spaces(given, target)):
            hit = next((p for p in limits.protected_namespaces if fnmatchcase(namespace, p)), None)
            if hit is not None:
                where = "" if namespace == target.namespace else f" of {target}"
                return refuse("ProtectedNamespace", f"namespace {namespace}{where} is protected ({hit})")
    return allow()


def spaces(given: GuardInput, target: TargetRef) -> frozenset[str]:
    """The namespaces that a target stands in. Raises UnknownFactError if what runs on a Node is not known."""
    if target.namespace:
        return frozenset({target.namespace})
    if target.kind == "Namespace":
        return frozenset({target.name})
    if target.kind != "Node":
        return frozenset()
    return frozenset(str(meta(pod).get("namespace", "")) for pod in given.picture(target.context).hosted(target.name))


def opted(given: GuardInput, limits: GuardLimits) -> Answer:
    """The switch on the object, else on what controls it, else on its namespace; for a Node on itself and for each pod that a drain of it moves."""
    for target in acted_on(given.plan):
        obj = given.present(target)
        for place, chain in _chains(given, target, obj):
            answer = _switched(place, chain, limits)
            if not answer.allowed:
                return answer
    return allow()


def _chains(given: GuardInput, target: TargetRef, obj: JsonObject) -> Iterator[tuple[str, list[JsonObject]]]:
    picture = given.pictures.get(target.context)
    above = list(picture.chain(obj))[1:] if picture is not None else []
    if picture is None and controller(obj):
        raise UnknownFactError(f"what controls {target} is not known")
    space = [_namespace(given, target)] if target.namespace else []
    yield str(target), [obj, *above, *space]
    if target.kind == "Node":
        known = given.picture(target.context)
        for pod in known.hosted(target.name):
            namespace = str(meta(pod).get("namespace", ""))
            if namespace not in known.namespaces:
                raise UnknownFactError(f"namespace {namespace} is not in the view")
            yield f"{namespace}/pod/{meta(pod).get('name')} on {target}", [*known.chain(pod), known.namespaces[namespace]]


def _namespace(given: GuardInput, target: TargetRef) -> JsonObject:
    found = given.objects_of(target).namespace
    if found is None:
        raise UnknownFactError(f"namespace {target.namespace} is not in the view")
    return found


def _switched(place: str, chain: list[JsonObject], limits: GuardLimits) -> Answer:
    value, holder = next(((v, o) for o in chain if (v := _switch(o)) is not None), (None, None))
    on = place if holder is chain[0] else f"{str((holder or {}).get('kind') or 'namespace').lower()} {meta(holder or {}).get('name')} of {place}"
    if value == "disabled":
        return refuse("OptedOut", f"{SWITCH} is disabled on {on}")
    if value not in (None, "enabled"):
        return refuse("OptOutUnclear", f"{SWITCH} on {on} is {value!r}; allowed are enabled and disabled")
    if limits.opt_in and value is None:
        return refuse("NotOptedIn", f"{SWITCH}=enabled stands on neither {place} nor its namespace")
    return allow()


def _switch(obj: JsonObject) -> str | None:
    """The stricter of label and annotation, None if neither is there."""
    values = [str(m[SWITCH]) for m in (labels(obj), marks(obj)) if SWITCH in m]
    return next((v for v in values if v != "enabled"), values[0] if values else None)


def present(given: GuardInput, limits: GuardLimits) -> Answer:  # noqa: ARG001
    """The targets are there and are not being deleted."""
    for wanted in acted_on(given.plan):
        found = given.objects_of(wanted).target
        if found is None:
            return refuse("TargetVanished", f"{wanted} is not there")
        if found.get("kind", wanted.kind) != wanted.kind or wanted.kind not in KINDS:
            raise UnknownFactError(f"the object is no {wanted.kind}")
        if meta(found).get("deletionTimestamp"):
            return refuse("TargetTerminating", f"{wanted} is being deleted")
    return allow()
