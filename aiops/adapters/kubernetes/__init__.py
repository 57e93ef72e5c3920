"""A real Kubernetes cluster: reader, writer and cached view over the `kubernetes` package. Neighbours: `ports.cluster`, `adapters.memory_cluster`."""

from .connection import Connection, TokenFile, connect
from .events import emit_event, event_body
from .informer import DEFAULT_KINDS, Informer
from .reader import KubernetesReader
from .writer import FIELD_MANAGER, KubernetesWriter

__all__ = [
    "DEFAULT_KINDS",
    "FIELD_MANAGER",
    "Connection",
    "Informer",
    "KubernetesReader",
    "KubernetesWriter",
    "TokenFile",
    "connect",
    "emit_event",
    "event_body",
]
