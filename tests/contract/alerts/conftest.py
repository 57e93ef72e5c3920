"""`bench`: silences with the clock they live by, in memory and on a real Alertmanager."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from aiops.adapters.alertmanager_silences import AlertmanagerSilences
from aiops.adapters.clock import SystemClock
from aiops.adapters.memory_alerts import MemorySilences
from aiops.adapters.schedule_virtual import VirtualTime
from aiops.ports.alerts import Silences
from aiops.ports.clock import Clock


@dataclass
class Bench:
    silences: Silences
    clock: Clock


@pytest.fixture(params=["memory", "alertmanager"])
def bench(request: pytest.FixtureRequest) -> Iterator[Bench]:
    clock: Clock = VirtualTime(1_800_000_000.0) if request.param == "memory" else SystemClock()
    if request.param == "memory":
        yield Bench(MemorySilences(clock), clock)
    else:
        server = request.getfixturevalue("alertmanager")
        yield Bench(AlertmanagerSilences(server.url, clock), clock)
