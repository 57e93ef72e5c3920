"""The scheduler and the kubelets: pods get a node, become ready, fail as they are told, and go.

What a pod does is chosen by annotations (usually in a pod template), the same ones that the testbed's fake kubelets follow:
`testbed.aiops/ready-after` ("3s"), `testbed.aiops/state` (NotReady, CrashLoopBackOff, OOMKilled, ImagePullBackOff),
`testbed.aiops/run-for` (how long a failing container runs: 1 s, 5 s for OOM), `testbed.aiops/back-off` (then waits: 5 s), `testbed.aiops/exit-code` (of a crash: 1).
Taking the annotation away lets the pod recover. A pod of a Job succeeds once it has run for `run-for` (1 s). Neighbours: `manager` calls it for each pod that changed or fell due.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from aiops.adapters.memory_cluster.objects import annotations_of, controller_of, is_true, seconds_of, with_condition
from aiops.adapters.memory_cluster.state import State
from aiops.adapters.patching import clone
from aiops.domain.target import JsonObject

from .events import Recorder
from .manager import Context

PREFIX = "testbed.aiops/"
STATES = ("NotReady", "CrashLoopBackOff", "OOMKilled", "ImagePullBackOff")
_TOLERATED = 300.0
"""Seconds that pods stay bound to a node which is not ready (the default toleration)."""
_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m)")


class Kubelet:
    """Scheduler and kubelets in one. `ready_after`, `terminate_after` are seconds."""

    def __init__(self, context: Context, ready_after: float, terminate_after: float) -> None:
        self._context = context
        self._ready_after = ready_after
        self._terminate_after = terminate_after
        self._since: dict[str, float] = {}
        self._next_node = 0
        self._events = Recorder(context)
        self.held: set[str] = set()
        """Uids of pods whose status was set by hand: left alone until they are deleted or let go."""

    def reconcile(self, pod: JsonObject) -> None:
        """One look; each transition changes the pod, so the queue comes back for the next one."""
        uid = pod["metadata"]["uid"]
        node_name = pod["spec"].get("nodeName")
        if not node_name:
            self._schedule(pod)
            return
        node = self._context.state.find(("Node", "", node_name))
        if node is None:
            self._forget(pod)
        elif not is_true(node, "Ready"):
            self._node_lost(pod, node)
        elif "deletionTimestamp" in pod["metadata"]:
            meta = pod["metadata"]
            marked = seconds_of(meta["deletionTimestamp"]) - meta.get("deletionGracePeriodSeconds", 0)
            self._at(pod, marked + min(self._terminate_after, meta.get("deletionGracePeriodSeconds", 0)), None)
        elif uid not in self.held:
            self._live(pod)

    def _forget(self, pod: JsonObject) -> None:
        meta = pod["metadata"]
        self._since.pop(meta["uid"], None)
        self.held.discard(meta["uid"])
        self._context.state.remove(("Pod", meta["namespace"], meta["name"]))

    def _schedule(self, pod: JsonObject) -> None:
        nodes = [n for n in self._context.state.all("Node") if _takes(n, pod)]
        at = self._context.state.now()
        status = dict(pod.get("status") or {})
        conditions = status.get("conditions") or []
        if not nodes:
            reason = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0 nodes are available"}
            status["conditions"] = with_condition(conditions, reason, at)
            self._context.put_status(pod, status)
            return
        node = nodes[self._next_node % len(nodes)]
        self._next_node += 1
        status["conditions"] = with_condition(conditions, {"type": "PodScheduled", "status": "True"}, at)
        self._since[pod["metadata"]["uid"]] = self._context.now()
        spec = {**pod["spec"], "nodeName": node["metadata"]["name"]}
        self._context.state.put({**pod, "metadata": dict(pod["metadata"]), "spec": spec, "status": status})

    def _node_lost(self, pod: JsonObject, node: JsonObject) -> None:
        """Not ready at once; given up after the toleration. Its kubelet is silent, so a deleted pod stays until the node is back or gone."""
        if is_true(pod, "Ready"):
            self._write(pod, ready=False, reason="NodeNotReady")
            return
        since = next(seconds_of(c.get("lastTransitionTime")) for c in node["status"]["conditions"] if c["type"] == "Ready")
        if "deletionTimestamp" not in pod["metadata"]:
            if since + _TOLERATED <= self._context.now():
                self._context.delete(pod)
            else:
                self._context.again(since + _TOLERATED, pod)

    def _at(self, pod: JsonObject, when: float, change: Mapping[str, Any] | None) -> None:
        """Make the change (None: remove the pod) once `when` has come."""
        if when > self._context.now():
            self._context.again(when, pod)
        elif change is None:
            self._forget(pod)
        else:
            self._write(pod, **change)

    def _live(self, pod: JsonObject) -> None:
        wish = annotations_of(pod).get(f"{PREFIX}state", "")
        status = pod.get("status") or {}
        since = self._since.setdefault(pod["metadata"]["uid"], self._context.now())
        if status.get("phase") == "Pending":
            self._pending(pod, wish, since)
        elif status.get("phase") == "Running":
            self._running(pod, wish, since)

    def _pending(self, pod: JsonObject, wish: str, since: float) -> None:
        reason = _waiting(pod)
        if wish == "NotReady":
            self._write(pod, phase="Running", ready=False, run=True, event="Unhealthy")
        elif wish == "CrashLoopBackOff":
            self._at(pod, since + self._seconds(pod, "run-for", 1.0), _crash(wish))
        elif wish == "ImagePullBackOff":
            if reason != "ImagePullBackOff":
                following = "ImagePullBackOff" if reason == "ErrImagePull" else "ErrImagePull"
                self._at(pod, since + 1.0, {"ready": False, "wait": following, "event": "Failed"})
        else:
            self._at(pod, since + self._seconds(pod, "ready-after", self._ready_after), {"phase": "Running", "ready": True, "run": True})

    def _running(self, pod: JsonObject, wish: str, since: float) -> None:
        if _waiting(pod) == "CrashLoopBackOff":
            restart = {"ready": wish not in ("CrashLoopBackOff", "NotReady"), "run": True, "restarted": True}
            self._at(pod, since + self._seconds(pod, "back-off", 5.0), restart)
        elif wish in ("CrashLoopBackOff", "OOMKilled"):
            self._at(pod, since + self._seconds(pod, "run-for", 5.0 if wish == "OOMKilled" else 1.0), _crash(wish))
        elif wish == "NotReady" and is_true(pod, "Ready"):
            self._write(pod, ready=False, event="Unhealthy")
        elif not wish and not is_true(pod, "Ready"):
            self._write(pod, ready=True)
        elif not wish and (controller_of(pod) or {}).get("kind") == "Job":
            self._at(pod, since + self._seconds(pod, "run-for", 1.0), {"ready": False, "phase": "Succeeded", "reason": "PodCompleted", "complete": True})

    def _seconds(self, pod: JsonObject, name: str, default: float) -> float:
        match = _DURATION.fullmatch(annotations_of(pod).get(f"{PREFIX}{name}", ""))
        return float(match[1]) * {"ms": 0.001, "s": 1.0, "m": 60.0}[match[2]] if match else default

    def _write(
        self,
        pod: JsonObject,
        *,
        ready: bool,
        phase: str = "",
        run: bool = False,
        wait: str = "",
        crashed: str = "",
        restarted: bool = False,
        complete: bool = False,
        event: str = "",
        reason: str = "ContainersNotReady",
    ) -> None:
        """One transition of all containers: into `running` or `waiting`, after a crash or not; with its conditions and its event."""
        at = self._context.state.now()
        self._since[pod["metadata"]["uid"]] = self._context.now()
        status: JsonObject = clone(pod.get("status") or {})
        old = {c["name"]: c for c in status.get("containerStatuses") or ()}
        containers = []
        for container in pod["spec"]["containers"]:
            new = {**_FRESH, **old.get(container["name"], {}), "name": container["name"], "image": container["image"], "ready": ready}
            if crashed:
                code = int(annotations_of(pod).get(f"{PREFIX}exit-code", "1"))
                ended = {"exitCode": 137 if crashed == "OOMKilled" else code, "reason": crashed, "startedAt": at, "finishedAt": at}
                new["lastState"] = {"terminated": ended}
            if wait:
                new |= {"started": False, "state": {"waiting": {"reason": wait, "message": f"{wait}: container={container['name']}"}}}
            elif complete:
                new |= {"started": False, "state": {"terminated": {"exitCode": 0, "reason": "Completed", "startedAt": at, "finishedAt": at}}}
            elif run:
                new |= {"started": True, "state": {"running": {"startedAt": at}}}
            new["restartCount"] += int(restarted)
            containers.append(new)
        status["containerStatuses"] = containers
        status["phase"] = phase or status.get("phase", "Pending")
        status.setdefault("startTime", at)
        status.setdefault("podIP", _address(pod["metadata"]["uid"]))
        conditions = with_condition(status.get("conditions") or [], {"type": "Initialized", "status": "True"}, at)
        for kind in ("Ready", "ContainersReady"):
            state = {"type": kind, "status": "True"} if ready else {"type": kind, "status": "False", "reason": reason}
            conditions = with_condition(conditions, state, at)
        status["conditions"] = conditions
        self._context.put_status(pod, status)
        if event:
            self._events.warn(pod, event, f"{wait or 'the readiness probe failed'}: {pod['metadata']['name']}")


_FRESH: JsonObject = {"restartCount": 0, "started": False, "state": {}}


def _crash(wish: str) -> JsonObject:
    return {
        "phase": "Running",
        "ready": False,
        "wait": "CrashLoopBackOff",
        "crashed": "OOMKilled" if wish == "OOMKilled" else "Error",
        "event": "BackOff",
    }


def _waiting(pod: JsonObject) -> str:
    """Why the first container waits; empty if it does not."""
    for container in (pod.get("status") or {}).get("containerStatuses") or ():
        return str(((container.get("state") or {}).get("waiting") or {}).get("reason", ""))
    return ""


def _takes(node: JsonObject, pod: JsonObject) -> bool:
    """Ready, not cordoned, no taint against it, and what the pod's selector wants."""
    spec = node.get("spec") or {}
    if not is_true(node, "Ready") or spec.get("unschedulable"):
        return False
    if any(t.get("effect") in ("NoSchedule", "NoExecute") for t in spec.get("taints") or ()):
        return False
    wanted: Mapping[str, str] = pod["spec"].get("nodeSelector") or {}
    return wanted.items() <= (node["metadata"].get("labels") or {}).items()


def _address(uid: str) -> str:
    number = int(uid[:6], 16)
    return f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}"


def let_go(state: State, kubelet: Kubelet, uid: str) -> None:
    """End of a status set by hand: the pod's containers are looked at again."""
    kubelet.held.discard(uid)
    for pod in state.all("Pod"):
        if pod["metadata"]["uid"] == uid:
            state.put({**pod, "metadata": dict(pod["metadata"])})
