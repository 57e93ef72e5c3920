"""Sight and claims: banks over a reload, snapshots over a restart, whom claims are about, how well sources are seen."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest

from aiops.app.check import load_or_raise
from aiops.app.compose import take
from aiops.correlate.sight import SightPolicy, SightState
from aiops.domain.decision import Decision
from aiops.domain.decision import Stage as Room
from aiops.domain.errors import StoreError
from aiops.domain.series import SampleBatch
from aiops.domain.signal import Signal, SignalState
from aiops.pipeline.observe import identity, snapshot_name
from aiops.pipeline.watchfulness import Watchfulness
from aiops.ports.cluster import Sight
from aiops.ports.telemetry import NullTelemetry
from tests.scenarios.stage import CHECKOUT, RULES, RUNBOOK, Stage

WATCHING = RUNBOOK.replace("mode: auto", "mode: observe")


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    return Stage(tmp_path, runbooks=(WATCHING,)).run(60)


def rule_of(stage: Stage, text: str) -> object:
    stage.write_rules(text)
    return load_or_raise(stage.settings).rules[0]


@pytest.mark.parametrize(
    ("change", "same"),
    [
        (("summary:", "description: words\n    summary:"), True),
        (('"{{ labels.workload }} is busy"', '"other words"'), True),
        (("severity: warning", "severity: warning\n    expose: 5\n    backfill: 1d"), True),
        (("above: 80", "above: 81"), False),
        (("for: 5s", "for: 6s"), False),
        (("query: load", "query: load + 0"), False),
        (("severity: warning", "severity: critical"), False),
    ],
)
def test_a_bank_is_kept_unless_what_it_learns_from_changed(stage: Stage, change: tuple[str, str], same: bool) -> None:
    before = stage.core.flow._rules["busy"]
    after = load_or_raise(stage.settings).rules[0]
    assert snapshot_name(after) == snapshot_name(before)
    stage.write_rules(RULES.replace(*change))
    changed = load_or_raise(stage.settings).rules[0]
    assert (identity(changed) == identity(before)) is same
    assert (stage.core.flow.parts.observer.set_rules([changed]) == frozenset()) is same


def test_what_was_learned_and_claimed_is_there_after_a_restart(stage: Stage) -> None:
    stage.load["checkout"] = 95.0
    stage.run(20)
    stage.core.flow.parts.observer.save()
    stage.restart()
    observer = stage.core.flow.parts.observer
    assert [f.state for f in observer.firing(stage.core.flow._rules["busy"])] == [SignalState.FIRING]
    stage.load["checkout"] = 40.0
    stage.run(100)
    last = stage.incidents[0]
    assert (last.state.value, last.transitions[-1].reason) == ("resolved", "Recovered"), stage.told()


def test_of_a_label_that_has_no_end_a_bounded_part_is_kept(stage: Stage) -> None:
    stage.load["x" * 10_000] = stage.load["a\x1b[2J\nb"] = 95.0
    stage.run(20)
    kept = sorted(i.labels["workload"] for i in stage.incidents)
    assert [(len(text), text.isprintable()) for text in kept] == [(7, True), (1024, True)]
    assert [i.target for i in stage.incidents] == [None, None]


def test_a_claim_that_only_the_snapshot_knows_is_told_after_a_restart(stage: Stage) -> None:
    stage.load["checkout"] = 95.0
    stage.store.broken = "all"
    stage.run(30, errors=True)
    stage.core.flow.parts.observer.save()
    stage.store.broken = ""
    stage.errors.clear()
    stage.restart().run(20)
    assert [i.target for i in stage.incidents] == [CHECKOUT], stage.told()


def test_a_snapshot_that_cannot_be_read_is_a_cold_start_and_no_crash(stage: Stage) -> None:
    stage.load["checkout"] = 95.0
    stage.run(30)
    stage.snapshots.save(snapshot_name(stage.core.flow._rules["busy"]), b"no snapshot at all")
    stage.restart().run(60)
    assert [i.state.value for i in stage.incidents] == ["open"]


def test_one_snapshot_that_cannot_be_written_does_not_keep_the_others(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    stage.write_rules(RULES + RULES.partition("rules:\n")[2].replace("name: busy", "name: second"))
    take(stage.core, load_or_raise(stage.settings))
    kept: list[str] = []

    def save(name: str, data: bytes) -> None:
        if not kept:
            kept.append("failed")
            raise StoreError("disk full")
        kept.append(name)
        assert data

    monkeypatch.setattr(stage.snapshots, "save", save)
    with pytest.raises(StoreError, match="disk full"):
        stage.core.flow.parts.observer.save()
    assert len(kept) == 2


def test_the_end_of_a_claim_is_about_whom_its_beginning_was(tmp_path: Path) -> None:
    owner = RULES.replace("target: {kind: Deployment,", "target: {kind: Pod, owner: true,").replace('{{ labels.workload }}"}', '{{ labels.workload }}"}')
    stage = Stage(tmp_path, rules=owner, runbooks=(WATCHING,)).run(30)
    pod = next(p["metadata"]["name"] for p in stage.core.flow.parts.views["default"].objects("Pod") if p["metadata"]["name"].startswith("checkout"))
    stage.load[pod] = 95.0
    stage.run(30)
    assert [i.target for i in stage.incidents] == [CHECKOUT], stage.told()
    stage.cluster.remove(CHECKOUT.__class__("Pod", "shop", pod))
    stage.load[pod] = 10.0
    stage.run(120)
    assert [i.state.value for i in stage.incidents] == ["resolved"], stage.told()


# Sight

def answer(at: float) -> SampleBatch:
    return SampleBatch("prometheus", "q", at, ({"a": "b"},), np.array([at]), np.array([1.0]))


def failure(at: float) -> Decision:
    return Decision(at, Room.POLL, "busy", passed=False, reason="Timeout", detail="no answer")


def test_dark_once_and_over_once() -> None:
    watch = Watchfulness({"prometheus": SightPolicy(dark_after=60.0)}, NullTelemetry(), 0.0)
    assert watch.answered("prometheus", answer(5.0), 5.0, None) == ()
    assert watch.all()["prometheus"].state is SightState.OK
    told = [s for at in range(10, 200, 5) for s in (*watch.failed(failure(float(at)), "prometheus"), *watch.look({}, float(at)))]
    assert [(s.rule, s.state) for s in told] == [("SourceDark", SignalState.FIRING)]
    over = [s for at in range(200, 230, 5) for s in watch.answered("prometheus", answer(float(at)), float(at), None)]
    assert [(s.rule, s.state) for s in over] == [("SourceDark", SignalState.CLEARED)]


def test_silence_is_dark_too() -> None:
    watch = Watchfulness({"prometheus": SightPolicy(dark_after=60.0)}, NullTelemetry(), 0.0)
    watch.answered("prometheus", answer(5.0), 5.0, None)
    assert [s.rule for at in range(6, 120) for s in watch.look({}, float(at))] == ["SourceDark"]


class Window:
    """A view that is seen as it was last told."""

    def __init__(self) -> None:
        self.seen = Sight(synced=True, seen_at=0.0, errors={})

    def sight(self) -> Sight:
        return self.seen


def test_a_cluster_that_comes_back_kind_by_kind_is_dark_once_and_over_once() -> None:
    """The oldest contact of all kinds moves on while it is still old: the claim stands, and its end is not told as older than its beginning."""
    watch, window = Watchfulness({"cluster/default": SightPolicy(dark_after=60.0)}, NullTelemetry(), 0.0), Window()
    told: list[Signal] = []
    states = []
    for at in range(1, 140):
        oldest = 5.0 if at < 70 else 8.0 if at < 100 else at - 8.0
        window.seen = Sight(synced=True, seen_at=min(oldest, float(at)), errors={"Pod": "TimedOut: no answer"} if 40 < at < 100 else {})
        told += watch.look(cast("Any", {"default": window}), float(at))
        states.append(watch.all()["cluster/default"].state.value)
    assert [(s.rule, s.state, s.at) for s in told] == [("SourceDark", SignalState.FIRING, 65.0), ("SourceDark", SignalState.CLEARED, 100.0)]
    assert [(states[at - 1], at) for at in (40, 41, 64, 65, 99, 100)] == [("ok", 40), ("failing", 41), ("failing", 64), ("dark", 65), ("dark", 99), ("ok", 100)]
    assert "NotSeen" in told[0].summary
    assert told[0].evidence.lines == ("Pod: TimedOut: no answer",)


def test_a_source_that_no_policy_names_is_watched_all_the_same() -> None:
    watch = Watchfulness({}, NullTelemetry(), 0.0)
    assert watch.failed(failure(1.0), "mimir") == ()
    assert watch.all()["mimir"].state is SightState.FAILING
