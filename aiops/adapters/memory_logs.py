"""`LogSource` over records in memory: for simulation in virtual time, replay of recordings, and tests of rules.

It answers as Elasticsearch does for keyword fields and an analysed message. Neighbours: `ports.sources` is the contract,
`adapters.elasticsearch` the real one.
"""

from __future__ import annotations

import re
import threading
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from aiops.domain.errors import SourceRejectedError
from aiops.domain.rule import LogQuery, bucket_of
from aiops.domain.series import LogLine, SampleBatch

# What the standard analyser's rules (Unicode UAX #29) come to: letters, digits and underscores are words; between two letters an
# apostrophe, a full stop or a colon holds a word together, between two digits a comma, semicolon, full stop or apostrophe;
# an ideograph or a hiragana is a word of its own.
_SINGLE = "\u3040-\u309f\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
# Numbers that are no digits (superscripts, fractions, circled ones): \w takes them, the analyser does not.
_NO_DIGIT = "\u00b2\u00b3\u00b9\u00bc-\u00be\u2070\u2074-\u2079\u2080-\u2089\u2150-\u215f\u2189\u2460-\u249b\u24ea-\u24ff\u2776-\u2793"
_PART = rf"(?:[^\W{_SINGLE}{_NO_DIGIT}]|(?<=\w)[\u0300-\u036f])+"
_LETTER, _DIGIT = r"[^\W\d_]", r"\d"
_JOINT = rf"(?:(?<={_DIGIT})[.,;'\u2019](?={_DIGIT})|(?<={_LETTER})[.:'\u2019·](?={_LETTER}))"
_WORD = re.compile(rf"[{_SINGLE}]|{_PART}(?:{_JOINT}{_PART})*")
_MAX_WORD = 255


def words(text: str) -> list[str]:
    """The terms of a text as Elasticsearch's standard analyser makes them: lower case, split at what is no letter or digit.

    One known difference: Elasticsearch takes an emoji for a word, here it is none.
    """
    found: list[str] = []
    for word in _WORD.findall(text):
        if not word.strip("_"):
            continue
        # Character by character, as Lucene does: no final sigma, no dot above.
        lowered = "".join(character.lower()[0] for character in word)
        found.extend(lowered[i : i + _MAX_WORD] for i in range(0, len(lowered), _MAX_WORD))
    return found


def holds_phrase(text: str, phrase: str) -> bool:
    """Whether the words of `phrase` stand in `text` one after the other. A phrase without any word holds nowhere, as in Elasticsearch."""
    wanted = words(phrase)
    if not wanted:
        return False
    have = words(text)
    return any(have[i : i + len(wanted)] == wanted for i in range(len(have) - len(wanted) + 1))


@dataclass(frozen=True, slots=True)
class _Record:
    at: float
    index: str
    message: str
    fields: Mapping[str, str]


class MemoryLogs:
    """Log records by time, within `retention` seconds of the newest. Safe for several threads."""

    def __init__(self, name: str, *, indices: Sequence[str] = ("logs",), retention: float = 24 * 3600.0) -> None:
        """`indices` exist from the start, others from their first record: asking for one that does not exist is refused."""
        self._name = name
        self._indices = set(indices)
        self._retention = retention
        self._times: list[float] = []
        self._records: list[_Record] = []
        self._lock = threading.Lock()

    @property
    def name(self) -> str:
        """As rules name it."""
        return self._name

    def add(self, at: float, message: str, fields: Mapping[str, str] | None = None, *, index: str = "logs") -> None:
        """Keep one record of time `at` (Unix seconds, kept to the millisecond as Elasticsearch's date fields); any order, quickest in rising order."""
        stamp = round(at * 1000) / 1000
        record = _Record(stamp, index, message, dict(fields or {}))
        with self._lock:
            self._indices.add(index)
            if not self._times or stamp >= self._times[-1]:
                self._times.append(stamp)
                self._records.append(record)
            else:
                place = bisect_left(self._times, stamp)
                self._times.insert(place, stamp)
                self._records.insert(place, record)
            oldest = bisect_left(self._times, self._times[-1] - self._retention)
            # Cutting the front costs the whole list, so it waits until a good part of it is due.
            if oldest > 1000 and oldest > len(self._times) // 4:
                del self._times[:oldest]
                del self._records[:oldest]

    def counts(self, query: LogQuery, at: float) -> SampleBatch:
        """Records with `at - window <= t < at` for each group. `partial` when there are more than `max_groups`: the largest are kept.

        Without `group_by` the answer is one series without labels, and none when nothing matched. A record without one of the
        `group_by` fields belongs to the group without that label. SourceRejectedError (IndexMissing) if there is no such index.
        """
        groups: dict[tuple[tuple[str, str], ...], int] = {}
        for record in self._matching(query, at - query.window, at, patterns_must_match=True):
            found = [(name, _field(query, record, name)) for name in query.group_by]
            found += [(name, self._bucket(record, name, width)) for name, width in query.histogram.items()]
            key = tuple(sorted((name, value) for name, value in found if value is not None))
            groups[key] = groups.get(key, 0) + 1
        ranked = sorted(groups.items(), key=lambda item: (-item[1], item[0]))
        kept = sorted(ranked[: query.max_groups])
        partial = len(ranked) > len(kept)
        labels = tuple(dict(key) for key, _ in kept)
        warnings = (f"more than {query.max_groups} groups: the largest are kept",) if partial else ()
        counts = np.array([count for _, count in kept], dtype=np.float64)
        return SampleBatch(self._name, str(query), at, labels, np.full(len(kept), at), counts, warnings, partial)

    def _bucket(self, record: _Record, name: str, width: float) -> str | None:
        text = record.fields.get(name)
        try:
            return None if text is None else bucket_of(float(text), width)
        except (ValueError, OverflowError) as error:
            raise SourceRejectedError(self._name, "BadQuery", f"field {name!r} is no number: {text!r}") from error

    def samples(self, query: LogQuery, start: float, end: float, limit: int, *, whole: bool = False) -> Sequence[LogLine]:
        """At most `limit` records with `start <= t < end`, oldest first. SourceRejectedError (IndexMissing) if a named index is missing.

        A pattern that fits no index gives no records: Elasticsearch opens a point in time on nothing without complaint.
        """
        del whole  # memory has all of it
        found = self._matching(query, start, end, patterns_must_match=False)[: max(0, limit)]
        return tuple(LogLine(record.at, record.message, dict(record.fields)) for record in found)

    def _matching(self, query: LogQuery, start: float, end: float, *, patterns_must_match: bool) -> list[_Record]:
        # Bounds to the millisecond too: half of a record's stamp cannot lie inside.
        first, last = round(start * 1000) / 1000, round(end * 1000) / 1000
        with self._lock:
            indices = self._resolved(query.index, patterns_must_match=patterns_must_match)
            found = self._records[bisect_left(self._times, first) : bisect_left(self._times, last)]
        return [record for record in found if record.index in indices and _matches(query, record)]

    def _resolved(self, wanted: str, *, patterns_must_match: bool) -> set[str]:
        """The indices that an expression names: names, with `*`, several by commas. Each name must exist; a pattern only if so asked."""
        named: set[str] = set()
        for part in wanted.split(","):
            pattern = re.compile(".*".join(map(re.escape, part.split("*"))), re.DOTALL)
            found = {index for index in self._indices if pattern.fullmatch(index)}
            if not found and (patterns_must_match or "*" not in part):
                raise SourceRejectedError(self._name, "IndexMissing", f"no such index [{part}]")
            named |= found
        return named


def _matches(query: LogQuery, record: _Record) -> bool:
    if any(_field(query, record, name) not in allowed for name, allowed in query.where.items()):
        return False
    if any(_field(query, record, name) in refused for name, refused in query.exclude.items()):
        return False
    return not query.phrase or holds_phrase(record.message, query.phrase)


def _field(query: LogQuery, record: _Record, name: str) -> str | None:
    return record.message if name == query.message_field else record.fields.get(name)
