"""The kill switch: each of its parts alone, with its reason; what is configured and cannot be read counts as on."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import pytest

from aiops.adapters.memory_cluster import MemoryCluster
from aiops.adapters.schedule_virtual import VirtualTime
from aiops.adapters.store import open_store
from aiops.domain.command import CommandKind
from aiops.domain.errors import ClusterUnavailableError, StoreError
from aiops.domain.target import TargetRef
from aiops.pipeline.killswitch import PAUSED, STALE_AFTER, ConfigMapKey, KillSwitch, SignalSwitch
from aiops.ports.storage import Changes
from aiops.settings import PauseSettings
from tests.scenarios.stage import RUNBOOK, FlakyStore, Stage

REF = TargetRef("ConfigMap", "ops", "aiops-pause")


@pytest.fixture
def time() -> VirtualTime:
    return VirtualTime(1_800_000_000.0)


@pytest.fixture
def store() -> FlakyStore:
    return FlakyStore(open_store("sqlite:///:memory:"))


def config_map(cluster: MemoryCluster, **data: str) -> None:
    cluster.apply({"kind": "ConfigMap", "metadata": {"name": "aiops-pause", "namespace": "ops"}, "data": data})


def test_off(time: VirtualTime, store: Any) -> None:
    switch = KillSwitch(store, time)
    assert (switch(), switch.why(), switch.remote) == (False, "", False)


def test_a_file_works_without_the_store(time: VirtualTime, store: FlakyStore, tmp_path: Path) -> None:
    switch = KillSwitch(store, time, file=tmp_path / "pause")
    store.broken = "all"
    with pytest.raises(StoreError):
        switch()
    (tmp_path / "pause").touch()
    assert "pause file" in switch.why()


def test_what_a_person_stored_is_told_with_who_and_why(time: VirtualTime, store: Any) -> None:
    switch = KillSwitch(store, time)
    store.write(Changes(values={PAUSED: {"by": "ann", "reason": "migration"}}))
    assert switch.why() == "paused by ann: migration"
    store.write(Changes(values={PAUSED: {}}))
    assert switch.why() == "paused by somebody"
    store.write(Changes(values={PAUSED: None}))
    assert not switch()


def test_signals_pause_and_resume_this_process_and_need_nothing_else(time: VirtualTime, store: FlakyStore) -> None:
    signals = SignalSwitch()
    switch = KillSwitch(store, time, signals=signals)
    before = [signal.signal(signal.SIGUSR1, signals.pause), signal.signal(signal.SIGUSR2, signals.resume)]
    try:
        os.kill(os.getpid(), signal.SIGUSR1)
        store.broken = "all"
        assert "SIGUSR1" in switch.why()
        os.kill(os.getpid(), signal.SIGUSR2)
        store.broken = ""
        assert not switch()
    finally:
        signal.signal(signal.SIGUSR1, before[0])
        signal.signal(signal.SIGUSR2, before[1])


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ({"paused": "false"}, ""), ({"paused": " FALSE\n"}, ""), ({"paused": "true"}, "true"), ({"paused": ""}, "neither true nor false"),
        ({"paused": "no"}, "neither true nor false"), ({"pausd": "false"}, "is not there"), ({}, "is not there"),
    ],
)  # fmt: skip
def test_only_a_clear_no_in_the_config_map_lets_anything_be_done(time: VirtualTime, store: Any, data: dict[str, str], words: str) -> None:
    cluster = MemoryCluster(time)
    config_map(cluster, **data)
    switch = KillSwitch(store, time, config_map=ConfigMapKey(REF, "paused", cluster.reader.get))
    assert "not read yet" in switch.why()
    said = switch.why(fresh=True)
    assert bool(said) is bool(words)
    assert words in said
    assert not said or said.startswith("ConfigMap ops/aiops-pause, key paused: ")


def test_a_config_map_that_cannot_be_read_counts_as_on(time: VirtualTime, store: Any) -> None:
    cluster = MemoryCluster(time)

    def silent(_ref: TargetRef) -> Any:
        raise ClusterUnavailableError("Timeout", "no answer")

    assert "cannot be read" in KillSwitch(store, time, config_map=ConfigMapKey(REF, "paused", cluster.reader.get)).why(fresh=True)
    config_map(cluster, paused="false")
    assert "cannot be read" in KillSwitch(store, time, config_map=ConfigMapKey(REF, "paused", silent)).why(fresh=True)
    switch = KillSwitch(store, time, config_map=ConfigMapKey(REF, "paused", cluster.reader.get))
    switch.look()
    assert not switch()
    time.run_until(time.now() + STALE_AFTER + 1)
    assert "was not read for" in switch.why()
    switch.look()
    assert not switch()


# --- the daemon


def staged(folder: Path) -> Stage:
    stage = Stage(folder, settings={"pause_config_map": PauseSettings(namespace="ops", name="aiops-pause")})
    config_map(stage.cluster, paused="false")
    return stage.run(60)


def test_a_config_map_stops_the_daemon_and_lets_it_go_on(tmp_path: Path) -> None:
    stage = staged(tmp_path)
    config_map(stage.cluster, paused="true")
    stage.run(10)
    stage.load["checkout"] = 95.0
    stage.run(60)
    assert (stage.writes(), "Paused" in stage.reasons()) == ([], True)
    words = {d.detail for d in stage.store.real.decisions(limit=1000) if d.reason == "Paused"}
    assert words == {"ConfigMap ops/aiops-pause, key paused: true"}
    config_map(stage.cluster, paused="false")
    stage.run(60)
    assert len(stage.writes()) == 1, stage.told()


def test_it_is_asked_again_just_before_the_effect_and_before_an_undo(tmp_path: Path) -> None:
    stage = Stage(
        tmp_path, runbooks=(RUNBOOK.replace("mode: auto", "mode: approve"),), settings={"pause_config_map": PauseSettings(namespace="ops", name="aiops-pause")}
    )
    config_map(stage.cluster, paused="false")
    stage.run(60)
    stage.load["checkout"] = 95.0
    run = stage.until("awaiting-approval")
    config_map(stage.cluster, paused="true")  # not read by the job yet when the approval comes
    stage.ask(CommandKind.APPROVE, run.id)
    stage.run(10)
    result = stage.run_of(run.id).result
    assert result is not None
    assert (result.reason, stage.writes()) == ("Paused", [])


def test_nothing_is_undone_while_it_is_on_and_everything_else_may_stand_in_the_way(tmp_path: Path) -> None:
    stage = staged(tmp_path)
    stage.load["checkout"] = 95.0
    run = stage.until("verifying")
    assert stage.replicas() == 3
    stage.core.paused.signals.pause()
    stage.ask(CommandKind.UNDO, run.id)
    stage.run(30)
    assert (len(stage.writes()), stage.replicas()) == (1, 3), stage.told()
    stage.core.paused.signals.resume()
    stage.cluster.apply({"kind": "Namespace", "metadata": {"name": "shop", "labels": {"aiops/automation": "disabled"}}})
    stage.metrics.dark = True
    stage.ask(CommandKind.UNDO, run.id)
    stage.run(30)
    assert stage.replicas() == 2, stage.told()
