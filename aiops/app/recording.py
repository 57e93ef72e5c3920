"""`aiops record`: cluster changes as they happen, then the metrics and log counts of the span.

Neighbours: `replay.record` and `replay.bundle`; which series are kept follows from the rules and runbooks of the settings.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Iterable
from pathlib import Path

from aiops.adapters.clock import SystemClock
from aiops.adapters.kubernetes import Informer, KubernetesReader, connect
from aiops.app.check import load_or_raise
from aiops.app.sources import build_sources
from aiops.definitions.loader import Definitions
from aiops.definitions.promql import metric_names
from aiops.definitions.templates import sample_of
from aiops.domain.errors import DefinitionError, Problem
from aiops.domain.rule import PromQuery
from aiops.replay.bundle import Manifest, write_bundle
from aiops.replay.record import RECORDED_KINDS, ClusterRecorder, collect
from aiops.settings import Settings


def record(
    folder: Path, settings: Settings, *, seconds: float, lookback: float, description: str, tick: Callable[[float], object],
    stop: threading.Event | None = None,
) -> Manifest:
    """Record `seconds` from now on (or until `stop`, or Ctrl-C) and write the bundle. Raises DefinitionError, SourceError, ClusterError, FileExistsError."""
    if (folder / "manifest.json").exists():
        raise FileExistsError(f"{folder} holds a bundle already")
    definitions, clock = load_or_raise(settings), SystemClock()
    sources = build_sources(settings, clock)
    if not sources.raw or not settings.clusters:
        raise DefinitionError((Problem("settings", 1, "sources", "a recording needs a Prometheus and a cluster"),))
    raw = next(iter(sources.raw.values()))
    logs = next(iter(sources.logs.values()), None)
    one = settings.clusters[0]
    connection = connect("default", clock, kubeconfig=Path(one.kubeconfig) if one.kubeconfig else None, kube_context=one.context)
    informer = Informer(
        KubernetesReader(connection), clock, kinds=RECORDED_KINDS, whole=True, jitter=random.Random().random, interrupt=connection.interrupt,  # noqa: S311
    )
    ending = stop or threading.Event()
    recorder = ClusterRecorder(informer)
    informer.start()
    try:
        informer.wait_settled(15.0)
        start = clock.now()
        recorder.look(start)
        try:
            while (gone := clock.now() - start) < seconds and not ending.wait(0.5):
                recorder.look(clock.now())
                tick(gone / seconds)
        except KeyboardInterrupt:
            pass
        end = clock.now()
        bundle = collect(description, (start, end), lookback, kept(definitions, raw.name), definitions.rules, raw, logs, recorder, one.name)
    finally:
        informer.stop()
        for close in sources.closers:
            close()
    write_bundle(folder, bundle)
    return bundle.manifest


def kept(definitions: Definitions, source: str) -> Iterable[str]:
    """Every metric that rules of this source and verifications stand on, whole: a rule changed later may ask for other labels."""
    queries = []
    for rule in definitions.rules:
        if isinstance(rule.query, PromQuery) and rule.source == source:
            queries += [rule.query.text, rule.volume_query or "vector(0)"]
    queries += [sample_of(r.verify.query) for r in definitions.runbooks if r.verify is not None and r.verify.source == source]
    return sorted({name for query in queries for name in metric_names(query)})
