"""Revisions of a workload: which release runs, since when, and to which one it could go back. Pure.

A restart makes a new revision of the same release: the template differs in the mark of `kubectl rollout restart` only. Age and predecessor are
therefore those of the *release*, or every restart would look like a fresh roll-out that could be rolled back.
Neighbours: `facts`; `execution.actions.rollback` chooses by the same rule.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from aiops.domain.target import JsonObject
from aiops.remediate.objects import ClusterObjects, condition, marks, meta, seconds

REVISION = "deployment.kubernetes.io/revision"
HISTORY = "deployment.kubernetes.io/revision-history"
RESTARTED_AT = "kubectl.kubernetes.io/restartedAt"
HASH_LABEL = "pod-template-hash"
UNKNOWN_AGE = 1e9
"""Seconds (some 30 years): what is not known to be fresh does not count as fresh."""


@dataclass(frozen=True, slots=True)
class Revision:
    """One kept revision. `substance` is its template without marks of restarts; `reused`: it ran before and was gone back to."""

    number: int
    name: str
    created: float | None
    substance: str
    reused: bool


@dataclass(frozen=True, slots=True)
class Release:
    """What runs: 0 and `UNKNOWN_AGE` where it is not known. `previous` is 0 if there is nothing older to go back to.

    It is also 0 right after a rollback: the newest older revision is then the very release that was abandoned.
    """

    revision: int = 0
    previous: int = 0
    age: float = UNKNOWN_AGE
    name: str = ""


def running_release(objects: ClusterObjects, now: float) -> Release:
    """The release of the running revision (`now` in Unix seconds)."""
    target = objects.target
    if target is None:
        return Release()
    kept = sorted(_revisions(target, objects.revisions), key=lambda r: r.number, reverse=True)
    present = _present(target, kept)
    if present is None:
        return Release()
    older = [r for r in kept if r.number < present.number]
    same = [present]
    for revision in older:
        if revision.substance != present.substance:
            break
        same.append(revision)
    below = older[len(same) - 1 :]
    reused = any(r.reused for r in same) or _came_back(same, below)
    previous = 0 if reused or not below else below[0].number
    return Release(present.number, previous, _age(target, same, below, now, reused=reused), present.name)


def _age(target: JsonObject, same: Sequence[Revision], below: Sequence[Revision], now: float, *, reused: bool) -> float:
    created = same[-1].created
    if created is None:
        return UNKNOWN_AGE
    if reused:
        # It ran before: its objects are older than its present reign, which began after what it replaced was made.
        later = [r.created for r in below[:1]] + [r.created for r in same[:-1]]
        progressing = condition(target, "Progressing")
        if progressing is not None and len(same) == 1:
            later.append(seconds(progressing.get("lastUpdateTime")))
        created = max([created, *(t for t in later if t is not None)])
    return max(0.0, now - created)


def _came_back(same: Sequence[Revision], below: Sequence[Revision]) -> bool:
    """The controller renumbers what it reuses: made before the revision it replaced, yet numbered after it."""
    oldest = same[-1].created
    return bool(below) and oldest is not None and below[0].created is not None and oldest < below[0].created


def _present(target: JsonObject, kept: Sequence[Revision]) -> Revision | None:
    if target.get("kind") == "Deployment":
        number = _number(marks(target).get(REVISION))
        return next((r for r in kept if r.number == number), None)
    name = (target.get("status") or {}).get("updateRevision")
    if name is None:
        # A DaemonSet does not say it; its controller always runs the newest.
        return kept[0] if kept else None
    return next((r for r in kept if r.name == name), None)


def _revisions(target: JsonObject, objects: Sequence[JsonObject]) -> list[Revision]:
    deployment = target.get("kind") == "Deployment"
    found = []
    for obj in objects:
        number = _number(marks(obj).get(REVISION)) if deployment else _number(obj.get("revision"))
        spec = obj.get("spec") if deployment else (obj.get("data") or {}).get("spec")
        if number:
            created = seconds(meta(obj).get("creationTimestamp"))
            found.append(
                Revision(number, str(meta(obj).get("name", "")), created, substance((spec or {}).get("template") or {}), bool(marks(obj).get(HISTORY)))
            )
    return found


def _number(value: Any) -> int:
    text = str(value)
    return int(text) if text.isascii() and text.isdigit() else 0


def substance(template: JsonObject) -> str:
    """What makes a release of a pod template, as canonical JSON: without the controller's label and marks of restarts."""
    bare = {k: v for k, v in template.items() if k not in ("metadata", "$patch")}
    metadata = copy.deepcopy(dict(template.get("metadata") or {}))
    metadata.pop("creationTimestamp", None)
    for field, ignored in (("labels", HASH_LABEL), ("annotations", RESTARTED_AT)):
        left = {k: v for k, v in (metadata.pop(field, None) or {}).items() if k != ignored}
        if left:
            metadata[field] = left
    return json.dumps({**bare, "metadata": metadata}, sort_keys=True)
