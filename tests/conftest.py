"""Fixtures that every test may ask for: the real servers of `tests/testbed`. How a run is split among processes, and where lines are counted."""

from __future__ import annotations

import os
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest
from coverage import Coverage
from xdist.scheduler import LoadScopeScheduling

# Of the window that a runner stands in; what commands print must not depend on it here.
os.environ.pop("COLUMNS", None)

pytest_plugins = ["tests.testbed.fixtures"]

HERE = Path(__file__).parent

# Files that share servers run in one process, so that each server starts once; all others go file by file.
GROUPS = {
    "servers": (
        "contract/alerts", "contract/cache", "contract/cluster", "contract/sources/test_log_contract.py", "integration/test_alertmanager.py",
        "integration/test_deploy.py", "integration/test_elasticsearch.py", "integration/test_kill_execution.py", "integration/test_prometheus.py",
        "integration/test_testbed.py", "integration/test_world.py",
    ),
    "metrics": ("contract/sources/test_metric",),
    "postgres": ("contract/store",),
}  # fmt: skip
# These wait for servers and for time to pass, so they begin first and the others fill the time.
FIRST = ("integration/test_hard_times.py", "integration/test_loop.py", *GROUPS["servers"], "integration/test_two_daemons.py", "integration/test_image.py")

# Minutes of virtual time, thousands of random histories, and what waits for servers: counting each line would nearly double what they cost,
# and the lines are those of the tests that are counted.
UNCOUNTED = (
    "integration", "docs", "scenarios/test_faults.py", "scenarios/test_hands_off.py", "scenarios/test_remediation.py", "scenarios/test_shipped_tests.py",
    "property/test_crash.py",
)  # fmt: skip

# Pure arithmetic that shares nothing, and long: test by test, so that no process is left alone with a file of minutes at the end.
SINGLY = tuple(f"scenarios/test_{name}.py" for name in ("faults", "hands_off", "remediation", "shipped_tests"))


class Grouped(LoadScopeScheduling):  # type: ignore[misc]  # it ships no types
    """Work for `pytest -n`: a file at a time, the files of a group together, and those of `SINGLY` test by test."""

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0]
        if _within(file, SINGLY):
            return nodeid
        return next((name for name, parts in GROUPS.items() if _within(file, parts)), file)


def _within(file: str, parts: tuple[str, ...]) -> bool:
    return file.removeprefix("tests/").startswith(parts)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Grouped:
    """See `Grouped`."""
    return Grouped(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """In the order of `FIRST`, then as they were."""
    ranks = {part: rank for rank, part in enumerate(FIRST)}

    def rank(item: pytest.Item) -> int:
        file = item.path.relative_to(HERE).as_posix()
        return next((ranks[part] for part in FIRST if file.startswith(part)), len(FIRST))

    items.sort(key=rank)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """With `--cov`, count no lines while a test of `UNCOUNTED` runs."""
    counting = Coverage.current()
    if counting is None or not item.path.relative_to(HERE).as_posix().startswith(UNCOUNTED):
        return (yield)
    counting.stop()
    try:
        return (yield)
    finally:
        counting.start()
