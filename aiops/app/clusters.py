"""From settings to clusters: readers, informers, and writers that write or only record. Neighbours: the daemon, and `app.planned`."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from pathlib import Path

from aiops.adapters.dry_run import DryRunWriter
from aiops.adapters.kubernetes import Informer, KubernetesReader, KubernetesWriter, connect
from aiops.domain.errors import ClusterError
from aiops.ports.clock import Clock
from aiops.ports.cluster import Cluster
from aiops.settings import ClusterSettings, Settings


@dataclass
class BuiltClusters:
    """By context. `acting` is empty unless writing was asked for; informers are not started."""

    acting: dict[str, Cluster] = field(default_factory=dict)
    rehearsal: dict[str, Cluster] = field(default_factory=dict)
    informers: dict[str, Informer] = field(default_factory=dict)


def build_clusters(settings: Settings, clock: Clock, *, act: bool) -> BuiltClusters:
    """Every cluster of the settings. Raises ClusterError, naming the cluster."""
    built = BuiltClusters()
    for place, one in enumerate(settings.clusters):
        # Rules name no cluster: the first one is what they mean.
        _build("default" if place == 0 else one.name, one, clock, built, act=act)
    return built


def _build(context: str, one: ClusterSettings, clock: Clock, built: BuiltClusters, *, act: bool) -> None:
    try:
        connection = connect(context, clock, kubeconfig=Path(one.kubeconfig) if one.kubeconfig else None, kube_context=one.context)
    except ClusterError as error:
        raise ClusterError(error.reason, f"cluster {one.name}: {error.detail}", error.status) from error
    reader = KubernetesReader(connection)
    # Spread of retries needs no secrecy.
    informer = Informer(
        reader, clock, context=context, namespace=one.namespaces[0] if len(one.namespaces) == 1 else "",
        jitter=random.Random().random, interrupt=connection.interrupt,  # noqa: S311
    )
    dry = DryRunWriter(reader, KubernetesWriter(connection, dry_run=True))
    built.informers[context] = informer
    built.rehearsal[context] = Cluster(context, reader, dry, informer, simulated=True, facts={})
    if act:
        built.acting[context] = Cluster(context, reader, KubernetesWriter(connection), informer, simulated=False, facts={})
