"""What memory this process has, read as Linux says it."""

from __future__ import annotations

import math
import os
from pathlib import Path

import pytest

from aiops.adapters.memory import ProcessMemory

GIB = 2.0**30


def machine(root: Path, *, group: tuple[str, str] | None = None) -> Path:
    (root / "proc/self").mkdir(parents=True)
    (root / "proc/meminfo").write_text("MemTotal:        8388608 kB\nMemFree:         1000 kB\n")
    (root / "proc/self/statm").write_text("50000 25600 1000 1 0 3000 0\n")
    if group is not None:
        path = root / "sys/fs/cgroup" / group[0]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(group[1])
    return root


@pytest.mark.parametrize(
    ("group", "limit"),
    [
        (None, 8 * GIB),
        (("memory.max", "1073741824\n"), GIB),
        (("memory.max", "max\n"), 8 * GIB),
        (("memory/memory.limit_in_bytes", "536870912\n"), GIB / 2),
        (("memory/memory.limit_in_bytes", "9223372036854771712\n"), 8 * GIB),
        (("memory.max", "109951162777600\n"), 8 * GIB),
    ],
)
def test_the_limit_is_that_of_the_group_or_of_the_machine(tmp_path: Path, group: tuple[str, str] | None, limit: float) -> None:
    usage = ProcessMemory(root=machine(tmp_path, group=group)).usage()
    assert (usage.used, usage.limit) == (25600.0 * os.sysconf("SC_PAGE_SIZE"), limit)
    assert usage.share == pytest.approx(usage.used / limit)


def test_the_settings_own_number_wins_and_where_nothing_is_known_no_limit_holds(tmp_path: Path) -> None:
    assert ProcessMemory(5.0 * GIB, root=machine(tmp_path / "a")).usage().limit == 5.0 * GIB
    nowhere = ProcessMemory(root=tmp_path / "b").usage()
    assert (nowhere.used, nowhere.limit, nowhere.share) == (0.0, math.inf, 0.0)


def test_this_process_uses_some_memory_and_trimming_is_no_error() -> None:
    memory = ProcessMemory()
    memory.trim()
    assert 2.0**20 < memory.usage().used < memory.usage().limit
