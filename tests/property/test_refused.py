"""Refused means that nothing is written: whatever happens in whatever order, counted in the cluster's own write log.

Two oracles watch the product's real composition. One knows when acting was forbidden (paused, opted out, frozen) and looks at the times of the
writes. The other listens to each answer given before an effect: a write needs one that allowed it.
"""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from aiops.domain.command import CommandKind
from aiops.domain.execution import EntryKind, Execution
from aiops.domain.outcome import Verdict
from aiops.domain.plan import PlannedStep
from aiops.domain.target import TargetRef
from aiops.pipeline.guarding import Guarding
from aiops.settings import FreezeSettings, GuardSettings
from tests.scenarios.stage import CHECKOUT, RUNBOOK, SEARCH, START, Stage

FROZEN = (START + 240.0, START + 300.0)
FREEZE = FreezeSettings.model_validate({"name": "release", "from": "2026-01-01T09:37:20+00:00", "until": "2026-01-01T09:38:20+00:00"})
LIMITS = GuardSettings(freezes=(FREEZE,), target_cooldown=5.0, loop_limit=4)


@contextmanager
def listening() -> Iterator[Counter[str]]:
    """By target: effects that were allowed and not written yet. Below nothing is never right."""
    allowed: Counter[str] = Counter()
    real: Callable[[Guarding, Execution, PlannedStep | None], Verdict | None] = Guarding.permit

    def heard(self: Guarding, execution: Execution, step: PlannedStep | None = None) -> Verdict | None:
        verdict = real(self, execution, step)
        if verdict is None or not verdict.refuses:
            allowed[execution.target] += 1
        return verdict

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Guarding, "permit", heard)
        yield allowed


class World:
    """The stage and what people do to it; `forbidden` are spans in which nothing but an undo may be written, `paused` such without even that."""

    def __init__(self, folder: Path, mode: str) -> None:
        self.stage = Stage(folder, runbooks=(RUNBOOK.replace("mode: auto", f"mode: {mode}"),), settings={"guards": LIMITS})
        self.forbidden: list[tuple[float, float]] = [FROZEN]
        self.paused: list[tuple[float, float]] = []
        self.since: dict[str, float] = {}

    def do(self, what: str) -> None:
        stage, now = self.stage, self.stage.time.now()
        match what:
            case "trouble" | "more trouble":
                stage.load["checkout" if what == "trouble" else "search"] = 95.0
            case "calm":
                stage.load |= {"checkout": 40.0, "search": 40.0}
            case "pause":
                stage.core.paused.signals.pause()
                self.since.setdefault(what, now)
            case "resume" if "pause" in self.since:
                stage.core.paused.signals.resume()
                self.paused.append((self.since.pop("pause"), now))
            case "opt out":
                self._switch("disabled")
                self.since.setdefault(what, now)
            case "opt in" if "opt out" in self.since:
                self._switch("enabled")
                self.forbidden.append((self.since.pop("opt out"), now))
            case "dark" | "light":
                stage.metrics.dark = what == "dark"
            case "person":
                stage.cluster.writer("ann", "kubectl").patch(CHECKOUT, {"spec": {"replicas": 2}})
            case "approve" | "undo":
                for run in stage.runs[-2:]:
                    stage.ask(CommandKind.APPROVE if what == "approve" else CommandKind.UNDO, run.id)
            case "cluster breaks":
                for pod in stage.cluster.view().objects("Pod", "shop")[:2]:
                    stage.cluster.set_pod_condition(TargetRef("Pod", "shop", pod["metadata"]["name"]), "Ready", "False")

    def _switch(self, value: str) -> None:
        self.stage.cluster.apply({"kind": "Namespace", "metadata": {"name": "shop", "labels": {"aiops/automation": value}}})

    def finish(self) -> None:
        end = self.stage.time.now() + 1.0
        self.paused += [(at, end) for what, at in self.since.items() if what == "pause"]
        self.forbidden += [(at, end) for what, at in self.since.items() if what == "opt out"]


EVENTS = ["trouble", "more trouble", "calm", "pause", "resume", "opt out", "opt in", "dark", "light", "person", "approve", "undo", "cluster breaks"]


def within(at: float, spans: list[tuple[float, float]]) -> bool:
    return any(begin <= at < end for begin, end in spans)


def forward(stage: Stage, write: Any) -> bool:
    """Whether the write carries the key of an intent to act; what else there is carries that of an undo."""
    entries = [e for run in stage.runs for e in stage.store.real.journal(run.id)]
    keys = {e.data["key"] for e in entries if e.kind is EntryKind.INTENT}
    stamped = [value for o in write.body for value in ([o["value"]] if isinstance(o.get("value"), str) else (o.get("value") or {}).values() if isinstance(o.get("value"), dict) else [])]
    assert keys.union(e.data["key"] for e in entries if e.kind is EntryKind.UNDO_INTENT and "key" in e.data).intersection(stamped), write
    return not keys.isdisjoint(stamped)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.sampled_from(["auto", "auto", "approve"]),
    st.lists(st.tuples(st.sampled_from(EVENTS), st.sampled_from([1, 7, 20, 45])), min_size=3, max_size=12),
)
def test_for_any_order_of_events_refused_means_that_nothing_is_written(mode: str, events: list[tuple[str, int]]) -> None:
    with tempfile.TemporaryDirectory() as folder, listening() as allowed:
        world = World(Path(folder), mode)
        world.stage.run(60)
        for what, seconds in [("trouble", 5), *events]:
            world.do(what)
            world.stage.run(seconds, errors=True)
        world.finish()
        writes = world.stage.writes()
        for write in writes:
            assert not within(write.time, world.paused), (write, world.stage.told())
            assert not within(write.time, world.forbidden) or not forward(world.stage, write), (write, world.stage.told())
        by_target = Counter(str(write.ref) for write in writes)
        assert all(count <= allowed[target] for target, count in by_target.items()), (by_target, allowed, world.stage.told())
        assert by_target.keys() <= {str(CHECKOUT), str(SEARCH)}
        world.stage.store.real.close()


def test_the_oracles_see_writes_and_frozen_time_is_where_they_think(tmp_path: Path) -> None:
    with listening() as allowed:
        world = World(tmp_path, "auto")
        world.stage.run(60)
        world.do("trouble")
        world.stage.run(30)
        assert [forward(world.stage, w) for w in world.stage.writes()] == [True]
        assert allowed[str(CHECKOUT)] == 1
        world.do("calm")
        world.stage.run(FROZEN[0] - world.stage.time.now() + 2)
        world.do("more trouble")
        world.stage.run(30)
        assert "Frozen" in world.stage.reasons()
        assert len(world.stage.writes()) == 1
        world.stage.run(60)
        assert [w.ref for w in world.stage.writes()] == [CHECKOUT, SEARCH]
