"""Fixtures that every test may ask for: the real servers of `tests/testbed`."""

from __future__ import annotations

pytest_plugins = ["tests.testbed.fixtures"]
