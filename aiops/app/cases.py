"""`aiops test`: authors' unit tests through the live pipeline, in virtual time, over an in-memory cluster and the dry-run writer.

Neighbours: `definitions.schema_cases` is the format; `app.compose` wires the same rooms as for the daemon.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from aiops.adapters.memory_cluster import MemoryCluster
from aiops.adapters.memory_logs import MemoryLogs
from aiops.adapters.memory_notifier import MemoryNotifier
from aiops.adapters.memory_prometheus import MemoryPrometheus
from aiops.adapters.memory_prometheus.notation import NotationError, fill
from aiops.adapters.memory_prometheus.store import MemorySeriesStore
from aiops.adapters.objects import CachedObjectSource
from aiops.adapters.schedule_virtual import VirtualTime
from aiops.adapters.snapshots import MemorySnapshots
from aiops.adapters.store import open_store
from aiops.app.check import load_or_raise
from aiops.app.compose import Outside, assemble, start
from aiops.app.virtual import rehearsal_on, replay_settings
from aiops.definitions.loader import Definitions
from aiops.definitions.problems import validate
from aiops.definitions.schema_cases import CaseFileModel, CaseModel, ExpectModel
from aiops.definitions.yaml_tree import Document, read_documents
from aiops.domain.errors import AiopsError, DefinitionError, Problem
from aiops.domain.incident import Incident
from aiops.pipeline.poller import Sources
from aiops.ports.storage import Reading
from aiops.ports.telemetry import NullTelemetry
from aiops.settings import Settings

EPOCH = 1_767_225_600.0
"""2026-01-01T00:00:00Z: tests begin at a fixed time, so that what depends on the time of day is the same each run."""
AGED = 7 * 86400.0
"""Objects of a test are this old at its start, unless the test makes them during it: no release is fresh by accident."""


@dataclass(frozen=True, slots=True)
class CaseResult:
    """One test: no `failures` is a pass. Each failure says what was expected and what was there."""

    file: str
    line: int
    name: str
    failures: tuple[str, ...]


def run_cases(paths: Sequence[Path], settings: Settings) -> list[CaseResult]:
    """All tests below these files and folders, over the settings' rules and runbooks. Raises DefinitionError with every problem."""
    definitions = load_or_raise(settings)
    problems: list[Problem] = [Problem(str(p), 1, "path", "there is no such file or folder") for p in paths if not p.exists()]
    files = sorted({f for p in paths for f in ([p] if p.is_file() else p.rglob("*.test.yaml"))})
    found: list[tuple[str, int, CaseModel]] = []
    for file in files:
        found += _read(file, problems)
    if problems:
        raise DefinitionError(tuple(problems))
    return [CaseResult(file, line, case.name, tuple(_run(case, definitions, settings))) for file, line, case in found]


def beside(settings: Settings) -> tuple[Path, ...]:
    """Where the tests of the settings' rules and runbooks are: in their folders, or beside a file as NAME.test.yaml."""
    paths = [Path(text) for text in (*settings.rules, *settings.runbooks)]
    return tuple(found for p in paths if (found := p.with_suffix(".test.yaml") if p.is_file() else p).exists())


def _read(file: Path, problems: list[Problem]) -> Iterator[tuple[str, int, CaseModel]]:
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        problems.append(Problem(str(file), 1, "document", f"cannot be read: {error}"))
        return
    documents, wrong = read_documents(text, str(file))
    problems += wrong
    for document in documents:
        model = validate(CaseFileModel, document.data, str(file), document)
        if isinstance(model, list):
            problems += model
            continue
        for index, case in enumerate(model.tests):
            problems += _notation(case, str(file), document, index)
            yield str(file), document.line(("tests", index)), case


def _notation(case: CaseModel, file: str, document: Document, index: int) -> Iterator[Problem]:
    for place, one in enumerate(case.series):
        try:
            fill(MemorySeriesStore(), one.series, one.values, start=0.0, interval=1.0)
        except NotationError as error:
            yield Problem(file, document.line(("tests", index, "series", place)), f"tests[{index}].series[{place}]", str(error))


def _run(case: CaseModel, definitions: Definitions, settings: Settings) -> Iterator[str]:
    errors: list[str] = []
    time = VirtualTime(EPOCH - AGED, on_error=lambda name, error: errors.append(f"{name}: {type(error).__name__}: {error}"))
    cluster = MemoryCluster(time)
    try:
        for obj in case.objects:
            cluster.apply(obj)
    except AiopsError as error:
        yield f"objects: {error}"
        return
    cluster.settle()
    time.run_until(EPOCH - AGED + 60)
    cluster.settle()
    time.run_until(EPOCH)
    cluster.settle()
    samples = MemorySeriesStore(retention=30 * 86400.0)
    for one in case.series:
        fill(samples, one.series, one.values, start=EPOCH, interval=case.interval)
    store = open_store("sqlite:///:memory:")
    try:
        _compose(time, cluster, samples, store, definitions, settings)
        for expect in sorted(case.expect, key=lambda e: e.at):
            time.run_until(EPOCH + expect.at)
            yield from (f"at {expect.at:g} s: {words}" for words in compare(expect, store))
        yield from errors
    finally:
        store.close()


def _compose(time: VirtualTime, cluster: MemoryCluster, samples: MemorySeriesStore, store: Any, definitions: Definitions, settings: Settings) -> None:
    view = cluster.view()
    rehearsal = rehearsal_on(cluster, time)
    metrics, logs = MemoryPrometheus("prometheus", samples), MemoryLogs("elasticsearch", indices=("logs-test",))
    outside = Outside(
        clock=time, schedule=time, store=store, telemetry=NullTelemetry(), snapshots=MemorySnapshots(),
        sources=Sources({"prometheus": metrics}, {"elasticsearch": logs}, {"kubernetes": CachedObjectSource(view, time)}), views={"default": view},
        acting=rehearsal, rehearsal=rehearsal, notifier=MemoryNotifier(),
    )
    core = assemble(outside, replay_settings(settings), dry_run=True, owner="test", reload=lambda: "")
    start(core, definitions)


def compare(expect: ExpectModel, store: Reading) -> Iterator[str]:
    """Each difference in words: what was expected, and what there was."""
    incidents = list(reversed(store.incidents()))
    if expect.incidents is not None:
        there = [_shown(i) for i in incidents if i.active or _wants_resolved(expect)]
        wanted = [{k: v for k, v in m.model_dump(exclude_none=True).items() if v != ""} for m in expect.incidents]
        yield from _differences("incidents", wanted, there)
    runs = list(reversed(store.executions()))
    if expect.actions is not None:
        there = [
            {"runbook": r.plan.runbook, "action": s.action, "target": r.target, "arguments": dict(s.arguments)} for r in runs for s in r.plan.steps
        ]
        wanted = [{k: v for k, v in m.model_dump(exclude_none=True).items() if v != ""} for m in expect.actions]
        yield from _differences("actions", wanted, there)
    if expect.refusals is not None:
        said = {
            (d.subject.split("/")[0], d.reason)
            for d in store.decisions(limit=100_000) if d.stage.value == "decide" and "/" in d.subject and not d.passed
        }
        there = [{"runbook": runbook, "reason": reason} for runbook, reason in sorted(said)]
        yield from _differences("refusals", [m.model_dump() for m in expect.refusals], there)


def _wants_resolved(expect: ExpectModel) -> bool:
    return any(m.state == "resolved" for m in expect.incidents or ())


def _shown(incident: Incident) -> dict[str, Any]:
    return {
        "target": str(incident.target or ""),
        "symptoms": list(incident.symptoms),
        "rules": sorted({s.rule for s in incident.firing}),
        "severity": incident.severity.value,
        "state": incident.state.value,
    }


def _differences(what: str, wanted: list[dict[str, Any]], there: list[dict[str, Any]]) -> Iterator[str]:
    left = list(there)
    for one in wanted:
        match = next((t for t in left if _fits(one, t)), None)
        if match is None:
            yield f"{what}: expected {_line(one)}\n      there is {_lines(there)}"
        else:
            left.remove(match)
    if not wanted and there:
        yield f"{what}: expected none\n      there is {_lines(there)}"


def _fits(wanted: Mapping[str, Any], there: Mapping[str, Any]) -> bool:
    return all(_same(key, value, there.get(key)) for key, value in wanted.items())


def _same(key: str, wanted: Any, there: Any) -> bool:
    if key in ("symptoms", "rules"):
        return set(wanted) <= set(there or ())
    if key == "arguments":
        return all((there or {}).get(name) == value for name, value in wanted.items())
    return bool(wanted == there)


def _line(value: Mapping[str, Any]) -> str:
    return str(yaml.safe_dump(dict(value), default_flow_style=True, width=10_000, sort_keys=False)).strip()


def _lines(values: list[dict[str, Any]]) -> str:
    return "nothing" if not values else "\n               ".join(_line(v) for v in values)
