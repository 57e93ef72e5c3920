"""Fixtures that every test may ask for: the real servers of `tests/testbed`."""

from __future__ import annotations

import os

# Of the window that a runner stands in; what commands print must not depend on it here.
os.environ.pop("COLUMNS", None)

pytest_plugins = ["tests.testbed.fixtures"]
