"""What was changed about a workload of late: a release, a restart, a ConfigMap that it reads, its number of replicas, by whom. Pure; objects as the API has them.

Most troubles follow a change, so an incident shows what changed before it began. Who wrote what, and when, is read from managedFields, which tell of each
manager its last write only. Neighbours: `releases`, `crashes`, `rollouts`; `pipeline.context` attaches the answer to incidents.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from aiops.domain.errors import trimmed
from aiops.domain.incident import RecentChange
from aiops.domain.target import JsonObject
from aiops.remediate.crashes import changed_at
from aiops.remediate.objects import ClusterObjects, marks, meta, seconds
from aiops.remediate.releases import RESTARTED_AT, REVISION, running_release
from aiops.remediate.rollouts import rolling, settled, stuck

RECENT = 3600.0
"""Seconds for which a change is a recent one."""
MOST = 10
_SCALES = "f:replicas"


def recent_changes(objects: ClusterObjects, now: float, within: float = RECENT) -> tuple[RecentChange, ...]:
    """Of the last `within` seconds before `now` (Unix seconds), the latest first, at most ten."""
    if objects.target is None:
        return ()
    found = [*_release(objects, now), *_restart(objects.target), *_configuration(objects), *_scaled(objects)]
    return tuple(sorted((c for c in found if 0.0 <= now - c.at <= within), key=lambda c: (-c.at, c.words)))[:MOST]


def roll_out(objects: ClusterObjects, now: float, grace: float) -> str:
    """That the target is being rolled out and may yet come up, or came up no longer than `grace` seconds ago; else empty.

    One that is stuck (its containers crash, or its progress deadline has passed) is no explanation of trouble but the trouble.
    """
    target = objects.target
    if target is None:
        return ""
    name = f"{str(target.get('kind', '')).lower()}/{meta(target).get('namespace', '')}/{meta(target).get('name', '')}"
    if rolling(target):
        return "" if stuck(objects, running_release(objects, now).name) else f"{name} is being rolled out"
    since = settled(target, now)
    return f"{name} was rolled out {since:.0f} s ago" if since < grace else ""


def _release(objects: ClusterObjects, now: float) -> Iterator[RecentChange]:
    release = running_release(objects, now)
    if objects.target is None or release.age > now:
        return
    old, new = (_template(objects, number) for number in (release.previous, release.revision))
    if old is None and release.previous == 0 and _age(objects.target, now) - release.age < 60.0:
        return  # the first one: the workload was made then
    what = _difference(old, new) if old is not None and new is not None else "a revision that ran before"
    yield RecentChange(now - release.age, "release", trimmed(f"revision {release.revision}: {what}", 200), _writer(objects.target, "f:template"))


def _restart(target: JsonObject) -> Iterator[RecentChange]:
    template = (target.get("spec") or {}).get("template") or {}
    at = seconds(marks(template).get(RESTARTED_AT))
    if at is not None:
        yield RecentChange(at, "restart", "all pods were restarted", _writer(target, "f:template"))


def _configuration(objects: ClusterObjects) -> Iterator[RecentChange]:
    for config in objects.configs:
        at, who = changed_at(config)
        yield RecentChange(at, "configuration", trimmed(f"ConfigMap {meta(config).get('name')} was changed", 200), who)


def _scaled(objects: ClusterObjects) -> Iterator[RecentChange]:
    target = objects.target or {}
    wanted = (target.get("spec") or {}).get("replicas")
    for entry in meta(target).get("managedFields") or ():
        fields, at = (entry.get("fieldsV1") or {}).get("f:spec") or {}, seconds(entry.get("time"))
        # Whoever wrote the template too made or released it, and the replicas came along.
        if at is not None and _SCALES in fields and "f:template" not in fields:
            yield RecentChange(at, "scale", f"replicas set to {wanted}", str(entry.get("manager", "")))
    for scaler in objects.autoscalers:
        status = scaler.get("status") or {}
        at = seconds(status.get("lastScaleTime"))
        if at is not None:
            yield RecentChange(at, "scale", f"the autoscaler went to {status.get('desiredReplicas')} replicas", str(meta(scaler).get("name", "")))


def _age(target: JsonObject, now: float) -> float:
    made = seconds(meta(target).get("creationTimestamp"))
    return now - made if made is not None else 1e9


def _template(objects: ClusterObjects, number: int) -> JsonObject | None:
    for revision in objects.revisions:
        if number and str(number) == str(marks(revision).get(REVISION) or revision.get("revision")):
            spec = revision.get("spec") if "spec" in revision else (revision.get("data") or {}).get("spec")
            return (spec or {}).get("template") or None
    return None


def _difference(old: JsonObject, new: JsonObject) -> str:
    """What differs, without values of variables: they may be secret."""
    said = []
    before, after = _containers(old), _containers(new)
    for name, container in after.items():
        former = before.get(name)
        if former is None:
            said.append(f"container {name} is new")
        elif former.get("image") != container.get("image"):
            said.append(f"image of {name} from {former.get('image')} to {container.get('image')}")
        elif former != container:
            keys = sorted(key for key in former.keys() | container.keys() if former.get(key) != container.get(key))
            said.append(f"{', '.join(keys)} of {name}")
    said += [f"container {name} is gone" for name in before.keys() - after.keys()]
    return "; ".join(said) or "its template changed"


def _containers(template: JsonObject) -> Mapping[str, JsonObject]:
    return {str(c.get("name", "")): c for c in (template.get("spec") or {}).get("containers") or ()}


def _writer(obj: JsonObject, field: str) -> str:
    """The field manager that wrote below `spec.FIELD` last; empty where the object does not say it."""
    found: list[tuple[float, str]] = []
    for entry in meta(obj).get("managedFields") or ():
        spec: Mapping[str, Any] = (entry.get("fieldsV1") or {}).get("f:spec") or {}
        at = seconds(entry.get("time"))
        if at is not None and field in spec:
            found.append((at, str(entry.get("manager", ""))))
    return max(found, default=(0.0, ""))[1]
