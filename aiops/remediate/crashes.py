"""Why containers of a workload do not stay up, from what their pods say; what changed in the configuration that they read; whether a release changed a probe.

Pure. Causes: `image` (it cannot be had), `configuration` (what the container names is not there or cannot be used; or it ended by itself soon after a
ConfigMap that it reads was changed), `memory` (killed by its limit), `probe` (killed by the kubelet, which does so when a liveness or startup probe
fails), `program` (it ended by itself). Reasons as the kubelet writes them into `containerStatuses`; exit codes 128 + signal (POSIX): 137 is SIGKILL, 143
SIGTERM. Neighbours: `objects`, `facts` (`target.crashes`, `target.crashCauses`, `target.configChanges`, `target.probeChanged`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from aiops.domain.errors import trimmed
from aiops.domain.target import JsonObject
from aiops.remediate.objects import ClusterObjects, marks, meta, seconds
from aiops.remediate.releases import REVISION, Release

_IMAGE = frozenset({"ImagePullBackOff", "ErrImagePull", "InvalidImageName", "ErrImageNeverPull", "ImageInspectError", "RegistryUnavailable"})
_CONFIGURATION = frozenset({"CreateContainerConfigError", "CreateContainerError", "RunContainerError"})
_KILLED = (137, 143)
_LATELY = 120.0
"""Seconds after its end for which a container that runs again is in a crash loop still."""
_CHANGED = 1800.0
"""Seconds for which a change of a ConfigMap is a recent one."""
_MOST = 10


def crashes(objects: ClusterObjects, now: float) -> tuple[list[str], list[str]]:
    """Causes, each once, sorted; and a line for each container that does not stay up and why, at most ten. `now` in Unix seconds."""
    found = [one for pod in objects.pods for status in _containers(pod) if (one := _crash(status, now)) is not None]
    causes = {cause for cause, _ in found}
    if "program" in causes and config_changes(objects, now):
        causes.add("configuration")
    return sorted(causes), list(dict.fromkeys(line for _, line in found))[:_MOST]


def config_changes(objects: ClusterObjects, now: float) -> list[str]:
    """A line for each ConfigMap that the pods read and that was changed within the last half hour, the latest first."""
    changed = sorted(((at, who, meta(config).get("name")) for config in objects.configs for at, who in [changed_at(config)]), key=lambda one: -one[0])
    return [f"ConfigMap {name} was changed {now - at:.0f} s ago by {who}" for at, who, name in changed if now - at < _CHANGED][:_MOST]


def probe_changed(objects: ClusterObjects, release: Release) -> bool:
    """Whether the running release has other probes than the one before it, in containers that both have."""
    new, old = (_probes(objects, number) for number in (release.revision, release.previous))
    return any(new[name] != old[name] for name in new.keys() & old.keys())


def _containers(pod: JsonObject) -> Iterator[Mapping[str, Any]]:
    status = pod.get("status") or {}
    yield from status.get("initContainerStatuses") or ()
    yield from status.get("containerStatuses") or ()


def _crash(status: Mapping[str, Any], now: float) -> tuple[str, str] | None:
    """Cause and words for one container; None while it stays up."""
    state, name = status.get("state") or {}, status.get("name", "")
    waiting = state.get("waiting") or {}
    reason = str(waiting.get("reason", ""))
    if reason in _IMAGE:
        return "image", f"{name}: {reason}: {trimmed(str(waiting.get('message') or status.get('image') or ''), 160)}"
    if reason in _CONFIGURATION:
        return "configuration", f"{name}: {reason}: {trimmed(str(waiting.get('message') or ''), 160)}"
    ended = (status.get("lastState") or {}).get("terminated") or {}
    at = seconds(ended.get("finishedAt"))
    again = int(status.get("restartCount") or 0) >= 2 and at is not None and now - at <= _LATELY
    if not ended or not (reason == "CrashLoopBackOff" or again):
        return None
    code = int(ended.get("exitCode") or 0)
    if ended.get("reason") == "OOMKilled":
        return "memory", f"{name}: killed for more memory than its limit"
    if code in _KILLED:
        return "probe", f"{name}: killed by the kubelet (exit {code}), as when a liveness or startup probe fails"
    return "program", f"{name}: ended by itself with exit {code}"


def changed_at(config: JsonObject) -> tuple[float, str]:
    """When, and by which field manager; the epoch where the object does not say it."""
    written = [(at, str(e.get("manager", ""))) for e in meta(config).get("managedFields") or () if (at := seconds(e.get("time"))) is not None]
    made = seconds(meta(config).get("creationTimestamp"))
    return max(written, default=(made or 0.0, "whoever made it"))


def _probes(objects: ClusterObjects, number: int) -> Mapping[str, Sequence[Any]]:
    """Probes by container of one kept revision; empty if it is not there."""
    for revision in objects.revisions:
        spec = revision.get("spec") if "spec" in revision else (revision.get("data") or {}).get("spec")
        if number and str(number) == str(marks(revision).get(REVISION) or revision.get("revision")):
            containers = (((spec or {}).get("template") or {}).get("spec") or {}).get("containers") or ()
            return {str(c["name"]): [c.get(kind) for kind in ("livenessProbe", "readinessProbe", "startupProbe")] for c in containers}
    return {}
