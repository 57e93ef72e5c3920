"""`bench`: each test of this folder runs over the cluster in memory and over a real one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.contract.cluster.bench import Bench, MemoryBench, RealBench


@pytest.fixture(params=["memory", "kubernetes"])
def bench(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Bench]:
    if request.param == "memory":
        memory = MemoryBench()
        yield memory
        memory.close()
        return
    real = RealBench(request.getfixturevalue("plane"), tmp_path)
    try:
        yield real
    finally:
        real.close()
