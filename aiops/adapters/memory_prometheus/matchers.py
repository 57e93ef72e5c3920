"""Label matchers, with regular expressions as Prometheus reads them: anchored at both ends, and safe to run.

Neighbours: `syntax` makes matchers from a query, `store` selects series with them, `label_functions` shares `compiled`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache

MAX_PATTERN = 1000
MAX_SUBJECT = 4096
NAME = "__name__"

_POSIX = {
    "[:alnum:]": "0-9A-Za-z", "[:alpha:]": "A-Za-z", "[:digit:]": "0-9", "[:lower:]": "a-z", "[:upper:]": "A-Z",
    "[:space:]": r"\t\n\v\f\r ", "[:word:]": "0-9A-Za-z_", "[:xdigit:]": "0-9A-Fa-f", "[:punct:]": r"!-/:-@\[-`{-~",
}  # fmt: skip
# Look-around and back-references are not in RE2; Python would accept them, and then the two sources would disagree.
_NOT_RE2 = re.compile(r"\(\?(?:[=!#(>]|<[=!]|P=)|[*+?}]\+")
_BACK_REFERENCE = re.compile(r"\\[1-9]")
# A repetition of a group that holds one itself: the shape that makes a backtracking matcher exponential. Up to four times is no harm.
_REPEATED_GROUP_END = re.compile(r"\)(?:[*+]|\{\d*,\d*\}|\{(?:[5-9]|\d\d+)\})")
_INNER_REPEAT = re.compile(r"[*+]|\{\d*,\d*\}|\|")


class Op(StrEnum):
    """The four ways to match a label."""

    EQUAL = "="
    NOT_EQUAL = "!="
    REGEX = "=~"
    NOT_REGEX = "!~"


class PatternError(ValueError):
    """A regular expression that is wrong, or that could run without end."""


@lru_cache(maxsize=1024)
def compiled(pattern: str) -> re.Pattern[str]:
    """The pattern for `fullmatch`. PatternError if it is longer than `MAX_PATTERN`, not RE2, or repeats a group that repeats or branches inside.

    RE2 runs in linear time; Python's `re` does not, hence the last bound. It refuses some patterns that Prometheus takes
    (`(a|b)*`, `(a+b)+`): a stated refusal is better than a daemon that hangs on a hostile label value.
    """
    if len(pattern) > MAX_PATTERN:
        raise PatternError(f"regular expression of {len(pattern)} characters, at most {MAX_PATTERN} are allowed")
    bare = _without_escapes_and_classes(pattern)
    if _NOT_RE2.search(bare) or _BACK_REFERENCE.search(pattern.replace("\\\\", "")):
        raise PatternError(f"regular expression {pattern!r}: look-around, back-references and possessive repetition are not allowed")
    for end in _REPEATED_GROUP_END.finditer(bare):
        if _INNER_REPEAT.search(_group_before(bare, end.start())):
            raise PatternError(f"regular expression {pattern!r}: a repeated group may not repeat or branch inside")
    for posix, python in _POSIX.items():
        pattern = pattern.replace(posix, python)
    try:
        # RE2's \w, \d, \s and \b are ASCII.
        return re.compile(pattern.replace(r"\z", r"\Z"), re.ASCII)
    except (re.error, OverflowError, RecursionError) as error:
        raise PatternError(f"regular expression {pattern!r}: {error}") from error


def full_match(pattern: re.Pattern[str], value: str) -> re.Match[str] | None:
    """Match the whole value. PatternError for a value longer than `MAX_SUBJECT`: quadratic patterns stay bounded so."""
    if len(value) > MAX_SUBJECT:
        raise PatternError(f"label value of {len(value)} characters, at most {MAX_SUBJECT} are matched by a regular expression")
    return pattern.fullmatch(value)


def _without_escapes_and_classes(pattern: str) -> str:
    """The pattern with escapes and character classes replaced by `x`, so that brackets and repetitions found are real ones."""
    without_escapes = re.sub(r"\\.", "x", pattern, flags=re.DOTALL)
    for posix in _POSIX:
        without_escapes = without_escapes.replace(posix, "x")
    return re.sub(r"\[\^?\]?[^\]]*\]", "x", without_escapes)


def _group_before(bare: str, end: int) -> str:
    """The text inside the group that closes at `end`."""
    depth = 0
    for position in range(end, -1, -1):
        depth += {")": 1, "(": -1}.get(bare[position], 0)
        if depth == 0:
            return bare[position + 1 : end]
    return bare[:end]


@dataclass(frozen=True, slots=True)
class Matcher:
    """One condition on one label; a label that is not there is the empty string."""

    name: str
    op: Op
    value: str

    def holds(self, labels: Mapping[str, str]) -> bool:
        """Whether the series with these labels (name under `__name__`) matches. Raises PatternError."""
        have = labels.get(self.name, "")
        if self.op is Op.EQUAL:
            return have == self.value
        if self.op is Op.NOT_EQUAL:
            return have != self.value
        return (full_match(compiled(self.value), have) is not None) == (self.op is Op.REGEX)
