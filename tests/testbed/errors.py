"""The one error of the testbed; raised by every module here, shown as a single line by `python -m tests.testbed`."""

from __future__ import annotations


class TestbedError(RuntimeError):
    """Something the testbed needs is missing, would not build or would not start. The first line says which."""

    # pytest collects classes whose names begin with Test; this one is not a test.
    __test__ = False
