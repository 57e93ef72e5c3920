"""Regular expressions: those of RE2, anchored, and none that can run without end."""

from __future__ import annotations

import pytest

from aiops.adapters.memory_prometheus import MemoryPrometheus, MemorySeriesStore
from aiops.adapters.memory_prometheus.matchers import MAX_PATTERN, MAX_SUBJECT, PatternError, compiled, full_match
from aiops.domain.errors import SourceRejectedError


@pytest.mark.parametrize(
    ("pattern", "value", "matches"),
    [
        ("a", "ab", False),
        ("a|b", "b", True),
        ("a|ab", "ab", True),
        (".*", "", True),
        (".*", "two\nlines", False),
        ("(?s).*", "two\nlines", True),
        ("a$", "a\n", False),
        (r"\d+", "12", True),
        (r"\d+", "\u0661", False),
        (r"\w+", "é", False),
        ("(?i)ABC", "abc", True),
        ("[[:digit:]]+x", "12x", True),
        ("[^[:space:]]+", "a b", False),
        (r"[(+*]+\)", "(+*)", True),
        (r"(25[0-5]|2[0-4]\d|1?\d?\d)(\.\d{1,3}){3}", "10.0.0.255", True),
        ("(abc)+", "abcabc", True),
        ("(foo|bar)?x", "barx", True),
        (r"a\.b\\c", "a.b\\c", True),
    ],
)
def test_matching(pattern: str, value: str, matches: bool) -> None:
    assert (full_match(compiled(pattern), value) is not None) is matches


@pytest.mark.parametrize(
    ("pattern", "why"),
    [
        ("(", "missing"),
        ("(a+)+", "repeated group"),
        ("(a*)*b", "repeated group"),
        ("((a|aa)x?)*", "repeated group"),
        ("(?:.*a){20}", "repeated group"),
        ("(.*,){11,}", "repeated group"),
        ("(a|a)+", "repeated group"),
        (r"(a)\1", "back-references"),
        ("(?=a)b", "look-around"),
        ("(?<!a)b", "look-around"),
        ("a++", "possessive"),
        ("x" * (MAX_PATTERN + 1), "characters"),
    ],
)
def test_refused_patterns_say_why(pattern: str, why: str) -> None:
    with pytest.raises(PatternError, match=why):
        compiled(pattern)


def test_long_values_are_refused_not_tried() -> None:
    with pytest.raises(PatternError, match=str(MAX_SUBJECT)):
        full_match(compiled(".*"), "a" * (MAX_SUBJECT + 1))


@pytest.mark.parametrize(
    "query", ['x{a=~"(b+)+"}', 'x{a=~".*"}', 'label_replace(x, "c", "", "a", "(b*)*c")', 'label_replace(x, "c", "", "a", ".*")']
)
def test_through_a_query_it_is_a_refused_query(query: str) -> None:
    store = MemorySeriesStore()
    store.append({"__name__": "x", "a": "b" * (MAX_SUBJECT + 1)}, 1, 1)
    with pytest.raises(SourceRejectedError) as caught:
        MemoryPrometheus("m", store).instant(query, 1)
    assert caught.value.reason == "BadQuery"
