"""A query that sums up, asked again for each part: every aggregation keeps one label more.

`sum by (namespace, workload) (rate(x[1m]))` by `pod` becomes `sum by (namespace, workload, pod) (rate(x{namespace="shop",workload="cart"}[1m]))`: the labels of
the series in question are put into the selectors, so that only its own parts are read. That is the same only where nothing between selector and answer renames or
matches labels; what does is not broken down. Works on the parser's own spelling, in which each selector has braces. Neighbours: `pipeline.contributors` asks.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache

from aiops.definitions.promql import MAX_LENGTH, requoted

_NOT = re.compile(
    r"\b(?:on|ignoring|group_left|group_right|without|topk|bottomk|limitk|limit_ratio|count_values)\s*\(|\b(?:label_replace|label_join|scalar|absent|absent_over_time)\s*\("
)
_AGGREGATION = re.compile(r"\b(sum|avg|min|max|count|group|stddev|stdvar|quantile)\b(?:\s*by\s*\(([^()]*)\))?\s*\(")
_STRING = re.compile(r"""#[^\n]*|"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'""")
_SELECTOR = re.compile(r"(?:[A-Za-z_:][A-Za-z0-9_:]*)?\{[^{}]*\}")
_BRACE = re.compile(r"\{(\s*\})?")
_MARK = "aiopsString"
_PLACE = re.compile(rf'"{_MARK}(\d+)"')


@dataclass(frozen=True, slots=True)
class Summed:
    """A query with at least one aggregation. `kept`: labels that every aggregation keeps, which are those of the answer that selectors have too."""

    text: str
    strings: tuple[str, ...]
    kept: frozenset[str]

    def by(self, label: str, series: Mapping[str, str]) -> str:
        """The query for each value of one label, of this series alone."""
        grown = _AGGREGATION.sub(lambda m: _grown(m, label), self.text)
        return self._narrowed(grown, series)

    def labels(self, candidates: Iterable[str], series: Mapping[str, str]) -> str:
        """What its first selector finds of this series, told apart by these labels."""
        first = _SELECTOR.search(self.text)
        assert first is not None, "summed() takes no query without one"
        selector = first[0]
        return self._narrowed(f"count by ({', '.join(candidates)}) ({selector})", series)

    def _narrowed(self, text: str, series: Mapping[str, str]) -> str:
        """With the series' labels in every selector, and all strings in their places: at once, so that none of them is taken for anything else."""
        own, strings = self._own(series), list(self.strings)
        added = ""
        for name, value in sorted(own.items()):
            added += f'{"," if added else ""}{name}="{_MARK}{len(strings)}"'
            strings.append(_quoted(value))
        if added:
            text = _BRACE.sub(lambda m: f"{{{added}}}" if m[1] else f"{{{added},", text)
        return _PLACE.sub(lambda m: strings[int(m[1])], text)

    def _own(self, series: Mapping[str, str]) -> dict[str, str]:
        return {name: value for name, value in series.items() if name in self.kept}


@lru_cache(maxsize=1024)
def summed(query: str) -> Summed | None:
    """None if it sums nothing up, or cannot be broken down."""
    if len(query) > MAX_LENGTH:
        return None
    import promql_parser  # deferred: only rules that ask PromQL need it

    # The parser spells strings without their escapes, so they are kept aside while it has the text.
    strings: list[str] = []

    def aside(match: re.Match[str]) -> str:
        if match[0].startswith("#"):
            return " "
        strings.append(match[0])
        return f'"{_MARK}{len(strings) - 1}"'

    try:
        text = str(promql_parser.parse(_STRING.sub(aside, requoted(query))))
    except ValueError:
        return None
    found = [frozenset(_names(m[2] or "")) for m in _AGGREGATION.finditer(text)]
    if not found or _NOT.search(text) or not _SELECTOR.search(text):
        return None
    return Summed(text, tuple(strings), frozenset.intersection(*found))


def _names(text: str) -> list[str]:
    return [name for part in text.split(",") if (name := part.strip())]


def _grown(match: re.Match[str], label: str) -> str:
    names = _names(match[2] or "")
    return f"{match[1]} by ({', '.join([*names, *([] if label in names else [label])])}) ("


def _quoted(value: str) -> str:
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'
