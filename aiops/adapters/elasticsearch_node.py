"""The node of the Elasticsearch client's transport, over our own HTTP client; and what Elasticsearch's error bodies mean to us.

Neighbours: `adapters.elasticsearch` gives it to the client, `adapters.http` carries the requests.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import msgspec

from aiops.adapters.http import HttpClient
from aiops.domain.errors import SourceError, SourceRejectedError, SourceUnavailableError

_UNAVAILABLE_TYPES = frozenset({"no_shard_available_action_exception", "cluster_block_exception", "master_not_discovered_exception"})


class _Reply(NamedTuple):
    """What the transport takes from a node."""

    meta: Any
    body: bytes


def node_class(http: HttpClient) -> Any:
    """A node class for the client's transport, bound to one HttpClient."""
    from elastic_transport import ApiResponseMeta, BaseNode, HttpHeaders

    class Node(BaseNode):
        """Sends by HttpClient; only 2xx reach the client, all else is raised here."""

        _CLIENT_META_HTTP_CLIENT = ("rq", "2")

        def perform_request(self, method: str, target: str, body: bytes | None = None, headers: Any = None, request_timeout: Any = None) -> Any:
            del request_timeout
            target = target.removeprefix(self.path_prefix) if self.path_prefix else target
            answer = http.call(method, target, body=body or None, headers={str(k): str(v) for k, v in (headers or {}).items()})
            if not 200 <= answer.status < 300:
                raise failure(http, answer.status, answer.headers, answer.body)
            meta = ApiResponseMeta(status=answer.status, http_version="1.1", headers=HttpHeaders(answer.headers), duration=0.0, node=self.config)
            return _Reply(meta, answer.body)

    return Node


def failure(http: HttpClient, status: int, headers: Mapping[str, str], body: bytes) -> SourceError:
    """The error for a status other than 2xx, with the type and reason that Elasticsearch gives."""
    try:
        error = msgspec.json.decode(body).get("error")
        first = (error.get("root_cause") or [error])[0]
        kind, text = str(first.get("type", "")), f"{first.get('type')}: {first.get('reason')}"
    except (ValueError, AttributeError, IndexError, KeyError, TypeError):
        return http.error_for(status, headers, body.decode(errors="replace"))
    if kind == "index_not_found_exception":
        return SourceRejectedError(http.name, "IndexMissing", http.scrubbed(text))
    if kind in _UNAVAILABLE_TYPES:
        return SourceUnavailableError(http.name, "ServerError", http.scrubbed(text))
    return http.error_for(status, headers, text)
