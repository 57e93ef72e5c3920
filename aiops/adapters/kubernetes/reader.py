"""Reads of a real API server. Neighbours: `ports.cluster`, `connection`, `informer` (which lives on `list` and `watch`)."""

from __future__ import annotations

from collections.abc import Iterator

from aiops.domain.errors import ClusterUnavailableError, GoneError
from aiops.domain.target import JsonObject, TargetRef
from aiops.ports.cluster import ListPage, WatchEvent

from .connection import Connection
from .errors import refusal
from .paths import collection, item, kind_of

_PAGE = 500
_MOST_STARTS = 3
"""How often a list is begun anew, when its pages expired on the way."""
_GRACE = 5.0
"""Seconds of silence allowed beyond the time at which the server should have ended a watch."""


class KubernetesReader:
    """`ports.cluster.ClusterReader`. `timeout` (seconds) bounds each request but watches."""

    def __init__(self, connection: Connection, *, timeout: float = 10.0, page: int = _PAGE) -> None:
        self._connection = connection
        self._timeout = timeout
        self._page = page

    def get(self, ref: TargetRef) -> JsonObject:
        """See the port."""
        return self._connection.request("GET", item(ref), timeout=self._timeout)

    def list(self, kind: str, namespace: str = "", *, label_selector: str = "", field_selector: str = "") -> ListPage:
        """See the port. Pages that expire in the middle (410) are begun anew, three times at most."""
        query = {"labelSelector": label_selector, "fieldSelector": field_selector}
        query = {k: v for k, v in query.items() if v} | {"limit": str(self._page)}
        for attempt in range(_MOST_STARTS):
            try:
                return self._pages(kind, namespace, query)
            except GoneError:
                if attempt + 1 == _MOST_STARTS:
                    raise
        raise AssertionError("unreachable")

    def _pages(self, kind_name: str, namespace: str, query: dict[str, str]) -> ListPage:
        kind, path, items, following = kind_of(kind_name), collection(kind_name, namespace), [], ""
        while True:
            answer = self._connection.request(
                "GET", path, query=query | ({"continue": following} if following else {}), timeout=self._timeout
            )
            meta, found = answer.get("metadata"), answer.get("items") or []
            if not isinstance(meta, dict) or not isinstance(found, list) or not isinstance(meta.get("resourceVersion"), str):
                raise ClusterUnavailableError("Garbled", f"the answer to a list of {kind.plural} is no list")
            # The items of a list come without saying what they are.
            items += [{"apiVersion": kind.api_version, "kind": kind.name, **obj} for obj in found]
            following = meta.get("continue") or ""
            if not following:
                return ListPage(tuple(items), meta["resourceVersion"])

    def watch(self, kind: str, resource_version: str, *, namespace: str = "", timeout: float = 300.0) -> Iterator[WatchEvent]:
        """See the port. Asks for bookmarks, so that a quiet kind's position moves on too."""
        query = {"watch": "true", "resourceVersion": resource_version, "timeoutSeconds": str(max(1, round(timeout)))}
        query["allowWatchBookmarks"] = "true"
        for event in self._connection.lines(collection(kind, namespace), query, silence=timeout + _GRACE):
            obj = event.get("object")
            if not isinstance(obj, dict):
                raise ClusterUnavailableError("Garbled", "an event of the watch carries no object")
            if event.get("type") == "ERROR":
                code = obj.get("code")
                raise refusal(code if isinstance(code, int) else 500, obj)
            yield WatchEvent(str(event.get("type")), obj)

    def can(self, verb: str, group: str, resource: str, namespace: str, *, subresource: str = "", name: str = "") -> bool:
        """See the port."""
        wanted = {"verb": verb, "group": group, "resource": resource, "namespace": namespace, "subresource": subresource, "name": name}
        body = {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SelfSubjectAccessReview",
            "spec": {"resourceAttributes": {k: v for k, v in wanted.items() if v}},
        }
        answer = self._connection.request(
            "POST", "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", body=body, timeout=self._timeout
        )
        status = answer.get("status")
        return isinstance(status, dict) and status.get("allowed") is True

    def interrupt(self) -> None:
        """Break off all watches, from any thread."""
        self._connection.interrupt()
