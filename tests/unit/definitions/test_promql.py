"""PromQL is checked at load, with the place where it can be told."""

from __future__ import annotations

import pytest

from aiops.definitions.promql import check_promql


@pytest.mark.parametrize(
    "text",
    ["up", "1", "sum by (a) (rate(x[1m])) > bool 0", "x{a=~`\\d+`}", "x{a='`', b=`\"`}", "# a `comment\nup", "max_over_time(rate(x[1m])[10m:1m])"],
)
def test_what_parses(text: str) -> None:
    check_promql(text)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("sum(rate(x[1m]", "at 1:9: unclosed left parenthesis"),
        ("a\n + foo(x)", "at 2:4: unknown function with name 'foo'"),
        ("rate(x)", "at 1:1: expected type matrix"),
        ('x{a="b}', "at 1:5: unterminated quoted string"),
        ("sum(x))", "at 1:7"),
        ("sum by (a)(x) >", "does not parse"),
        ("", "does not parse"),
        ("x[5m]", "gives a range"),
        ("x[5m:1m]", "gives a range"),
        ('"text"', "only a text"),
        ("x + " * 3000 + "x", "at most 8192"),
    ],
)
def test_what_does_not(text: str, words: str) -> None:
    with pytest.raises(ValueError) as caught:
        check_promql(text)
    assert words in str(caught.value)
