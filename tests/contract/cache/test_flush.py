"""Flushing by pattern: what matches goes, the rest stays, bounds hold, and nothing takes everything."""

from __future__ import annotations

import pytest

from aiops.adapters.dry_run import DryRunCache
from aiops.adapters.memory_cache import MemoryCache
from aiops.adapters.redis_cache import RedisCache
from tests.contract.cache.conftest import Fill


def left(cache: MemoryCache | RedisCache) -> int:
    """How many of the test's keys are there."""
    return sum(cache.count(pattern, limit=100_000).matched for pattern in ("catalog:*", "user:*", "odd*"))


def test_what_matches_goes_and_the_rest_stays(fill: Fill):
    cache = fill("catalog:1", "catalog:2", "user:1")
    result = cache.flush("catalog:*")
    assert (result.matched, result.removed, result.finished, result.applied) == (2, 2, True, True)
    assert set(result.sample) == {"catalog:1", "catalog:2"}
    assert left(cache) == 1
    again = cache.flush("catalog:*")
    assert (again.matched, again.removed, again.finished, again.sample) == (0, 0, True, ())


def test_many_keys_go_in_batches(fill: Fill):
    cache = fill(*(f"catalog:{n}" for n in range(2500)), "user:1")
    result = cache.flush("catalog:*", batch=100)
    assert (result.matched, result.removed, result.finished, len(result.sample)) == (2500, 2500, True, 5)
    assert left(cache) == 1


def test_the_limit_is_kept_and_told(fill: Fill):
    cache = fill(*(f"catalog:{n}" for n in range(50)))
    result = cache.flush("catalog:*", batch=7, limit=20)
    assert (result.matched, result.removed, result.finished) == (20, 20, False)
    assert left(cache) == 30


def test_a_limit_that_is_just_enough_is_no_cut(fill: Fill):
    cache = fill(*(f"catalog:{n}" for n in range(20)))
    result = cache.flush("catalog:*", limit=20)
    assert (result.removed, result.finished) == (20, True)


def test_a_dry_run_counts_and_removes_nothing(fill: Fill):
    cache = fill(*(f"catalog:{n}" for n in range(1200)), "user:1")
    dry = DryRunCache(cache)
    assert dry.name == "catalog"
    result = dry.flush("catalog:*", batch=50)
    assert (result.matched, result.removed, result.finished, result.applied) == (1200, 0, True, False)
    assert not dry.flush("catalog:*", limit=10).finished
    assert left(cache) == 1201


@pytest.mark.parametrize("pattern", ["*", "**", "?*", "*?*", "", "[a-z]*", "[^x]*", "*\n", "x" * 2000])
def test_a_pattern_for_everything_is_refused(fill: Fill, pattern: str):
    cache = fill("catalog:1")
    for attempt in (cache.flush, DryRunCache(cache).flush):
        with pytest.raises(ValueError, match=r"pattern"):
            attempt(pattern)
    assert left(cache) == 1


def test_everything_goes_if_that_is_said(fill: Fill):
    cache = fill(*(f"catalog:{n}" for n in range(300)), "user:1")
    assert DryRunCache(cache).flush("*", everything=True).matched == 301
    result = cache.flush("*", everything=True, batch=100)
    assert (result.removed, result.finished, left(cache)) == (301, True, 0)


@pytest.mark.parametrize("bounds", [{"batch": 0}, {"limit": 0}, {"batch": -1}])
def test_bounds_that_are_none_are_refused(fill: Fill, bounds: dict[str, int]):
    with pytest.raises(ValueError, match="at least 1"):
        fill("catalog:1").flush("catalog:*", batch=bounds.get("batch", 1), limit=bounds.get("limit", 1))


@pytest.mark.parametrize(
    ("pattern", "matching"),
    [
        ("odd?", {"odd1", "odd*", "odd]"}),
        ("odd[12]", {"odd1"}),
        ("odd[0-9]", {"odd1"}),
        ("odd[^1]", {"odd*", "odd]"}),
        ("odd\\*", {"odd*"}),
        ("odd[*]", {"odd*"}),
        ("odd[\\]]", {"odd]"}),
        ("odd:*:end", {"odd:a:end", "odd:b\nc:end"}),
        ("ODD*", set()),
        ("odd.*", set()),
        ("odd(1|2)", set()),
    ],
)
def test_patterns_are_redis_globs(fill: Fill, pattern: str, matching: set[str]):
    keys = {"odd1", "odd*", "odd]", "odd:a:end", "odd:b\nc:end", "odd"}
    cache = fill(*keys)
    assert set(cache.flush(pattern).sample) == matching
    assert left(cache) == len(keys) - len(matching)
