"""The live world's eyes and hands on a Kubernetes API: a few calls, and a list and watch of what it simulates. Neighbour: `live`."""

from __future__ import annotations

import json
import logging
import ssl
import threading
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.testbed import web
from tests.testbed.errors import TestbedError
from tests.testbed.world.cluster_state import ClusterState, read_state

log = logging.getLogger("world")
MERGE, JSON = "application/merge-patch+json", "application/json-patch+json"
_WATCHED = {
    "Deployment": "/apis/apps/v1/deployments",
    "Pod": "/api/v1/pods",
    "Node": "/api/v1/nodes",
    "Job": "/apis/batch/v1/jobs",
    "Service": "/api/v1/services",
}
PLACES = {"ConfigMap": "/api/v1", "PersistentVolumeClaim": "/api/v1", "CronJob": "/apis/batch/v1", "Service": "/api/v1"}
PLURALS = {"ConfigMap": "configmaps", "PersistentVolumeClaim": "persistentvolumeclaims", "CronJob": "cronjobs", "Service": "services"}


def node_ready(*, ready: bool) -> dict[str, Any]:
    """A merge patch of a node: the label by which its fake kubelet plays one that is not ready."""
    return {"metadata": {"labels": {"node-not-ready.stage.kwok.x-k8s.io": None if ready else "true"}}}

_WATCH_S = 3
"""A watch is ended by the server so often, and taken up where it was; so stopping waits no longer than that."""


class Api:
    """One API server, as one account."""

    def __init__(self, url: str, ca_file: Path, token: str) -> None:
        self.url, self.ca_file = url, ca_file
        self.headers = {"Authorization": f"Bearer {token}", "Accept": "application/json", "User-Agent": "world"}

    def call(self, method: str, path: str, body: Any = None, *, content_type: str = "application/json") -> tuple[int, Any]:
        """(status, decoded answer). OSError when nothing answers."""
        payload = None if body is None else json.dumps(body).encode()
        headers = self.headers | ({"Content-Type": content_type} if payload else {})
        answer = web.call(method, f"{self.url}{path}", body=payload, headers=headers, ca_file=self.ca_file)
        return answer.status, answer.json() if answer.body else None

    def create(self, path: str, body: Mapping[str, Any]) -> bool:
        """Create an object unless it is there; whether it was made. TestbedError when it is refused."""
        status, answer = self.call("POST", path, body)
        if status not in (200, 201, 409):
            raise TestbedError(f"POST {path} answered {status}: {(answer or {}).get('message')}")
        return status != 409


class Watched:
    """A picture of Deployments, pods and nodes, kept by list and watch in a thread for each kind."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self._lock = threading.Lock()
        self._objects: dict[str, dict[str, Any]] = {kind: {} for kind in _WATCHED}
        self._synced: set[str] = set()
        self._changed = True
        self._state = ClusterState({}, {}, ())
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._run, args=(kind,), name=f"world-{kind}", daemon=True) for kind in _WATCHED]
        context = ssl.create_default_context(cafile=str(api.ca_file))
        self._opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context))

    def start(self) -> None:
        """Begin to watch."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """End, within a few seconds."""
        self._stop.set()
        for thread in self._threads:
            thread.join(timeout=_WATCH_S + 5)

    @property
    def synced(self) -> bool:
        """Whether each kind was listed."""
        return len(self._synced) == len(_WATCHED)

    def state(self) -> ClusterState:
        """The picture now; the very same object while nothing changed."""
        with self._lock:
            if self._changed:
                self._changed = False
                self._state = read_state(*(list(self._objects[kind].values()) for kind in _WATCHED))
            return self._state

    def _run(self, kind: str) -> None:
        failing = False
        version = ""
        while not self._stop.is_set():
            try:
                version = self._follow(kind, version) if version else self._list(kind)
                failing = False
            except (OSError, ValueError, TestbedError) as error:
                version = ""
                if not failing:
                    log.warning("watch of %s fails: %s", kind, error)
                failing = True
                self._stop.wait(0.5)

    def _list(self, kind: str) -> str:
        status, answer = self._api.call("GET", _WATCHED[kind])
        if status != 200:
            raise TestbedError(f"list of {kind} answered {status}: {(answer or {}).get('message')}")
        with self._lock:
            self._objects[kind] = {item["metadata"]["uid"]: item for item in answer["items"]}
            self._changed = True
        self._synced.add(kind)
        return str(answer["metadata"]["resourceVersion"])

    def _follow(self, kind: str, version: str) -> str:
        """Events until the server ends the watch; the version to go on from, empty when it is too old."""
        query = f"watch=true&resourceVersion={version}&timeoutSeconds={_WATCH_S}&allowWatchBookmarks=true"
        request = urllib.request.Request(f"{self._api.url}{_WATCHED[kind]}?{query}", headers=self._api.headers)
        with self._opener.open(request, timeout=_WATCH_S + 10) as response:
            for line in response:
                event = json.loads(line)
                if event["type"] == "ERROR":
                    return ""
                version = event["object"]["metadata"]["resourceVersion"]
                self._note(kind, event["type"], event["object"])
        return version

    def _note(self, kind: str, change: str, obj: Any) -> None:
        if change == "BOOKMARK":
            return
        with self._lock:
            if change == "DELETED":
                self._objects[kind].pop(obj["metadata"]["uid"], None)
            else:
                self._objects[kind][obj["metadata"]["uid"]] = obj
            # Heartbeats of nodes change nothing that is simulated.
            if kind != "Node" or change != "MODIFIED" or _conditions(obj) != _conditions_of(self._state, obj):
                self._changed = True


def _conditions(obj: Any) -> list[tuple[str, str]]:
    return [(c["type"], c["status"]) for c in (obj.get("status") or {}).get("conditions") or ()]


def _conditions_of(state: ClusterState, obj: Any) -> list[tuple[str, str]]:
    return next((list(node.conditions) for node in state.nodes if node.name == obj["metadata"]["name"]), [])
