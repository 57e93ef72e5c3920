"""Tests; a package so that `python -m tests.testbed` works from a clone."""
