"""`LogSource` over Elasticsearch 8: counts by composite aggregation, samples by search_after within a point in time.

The official client builds and reads the requests; its node is ours (`elasticsearch_node`), so deadline, size, TLS, credentials and errors are those of
`adapters.http`. The client never retries: the breaker and the next poll do. Neighbours: `adapters.memory_logs` is the same in memory.

A record belongs to a group by exact values. A field that is mapped as analysed text is read through its `.keyword` sub-field, as Elasticsearch's
own dynamic mapping makes it; a text field without one is refused with its name.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import msgspec
import numpy as np

from aiops.adapters.elasticsearch_node import node_class
from aiops.adapters.http import HttpClient
from aiops.domain.errors import SourceError, SourceGarbledError, SourceRejectedError, SourceUnavailableError
from aiops.domain.rule import LogQuery
from aiops.domain.series import LogLine, SampleBatch
from aiops.ports.clock import Clock

T = TypeVar("T")

PAGE = 1000
# Groups beyond `max_groups` are still read, up to this many times as many, so that those kept are the largest and not the first by name.
LOOK_BEYOND = 10
KEEP_ALIVE = "1m"
MAX_FIELDS = 100
MAX_FIELD_TEXT = 2000
MAX_MESSAGE = 20_000
MAPPING_SECONDS = 300.0
_ANALYSED = frozenset({"text", "match_only_text", "annotated_text"})


@dataclass(frozen=True, slots=True)
class _Asked:
    """A query with its fields resolved to those that hold exact values."""

    query: LogQuery
    exact: Mapping[str, str]

    def filter(self, start: float, end: float) -> dict[str, Any]:
        """Records with start <= t < end (Unix seconds, to the millisecond) that the query selects."""
        query = self.query
        span = {"gte": round(start * 1000), "lt": round(end * 1000), "format": "epoch_millis"}
        must: list[dict[str, Any]] = [{"range": {query.time_field: span}}]
        must += [{"terms": {self.exact[field]: list(values)}} for field, values in query.where.items()]
        if query.phrase:
            must.append({"match_phrase": {query.message_field: query.phrase}})
        forbidden = [{"terms": {self.exact[field]: list(values)}} for field, values in query.exclude.items()]
        return {"bool": {"filter": must, "must_not": forbidden}}


class _Bucket(msgspec.Struct):
    key: dict[str, Any]
    doc_count: int


class _Groups(msgspec.Struct):
    buckets: list[_Bucket]
    after_key: dict[str, Any] | None = None


class _Failure(msgspec.Struct):
    reason: dict[str, Any] = {}


class _Shards(msgspec.Struct):
    total: int = 0
    failed: int = 0
    failures: list[_Failure] = []


class _About(msgspec.Struct, rename={"shards": "_shards", "clusters": "_clusters"}):
    """What an answer says about its own completeness."""

    timed_out: bool = False
    shards: _Shards = msgspec.field(default_factory=_Shards)
    clusters: dict[str, Any] = {}


class ElasticsearchSource:
    """One Elasticsearch. Safe to use from several threads."""

    def __init__(self, name: str, http: HttpClient, clock: Clock) -> None:
        # Deferred: the client takes 0.4 s to import, and not every installation reads logs.
        from elasticsearch import Elasticsearch

        self._name, self._http, self._clock = name, http, clock
        self._client = Elasticsearch(http.options.url, node_class=node_class(http), max_retries=0, retry_on_timeout=False)
        self._lock = threading.Lock()
        self._mappings: dict[tuple[str, ...], tuple[float, Mapping[str, str]]] = {}

    @property
    def name(self) -> str:
        """As rules name it."""
        return self._name

    @property
    def last_skew(self) -> float | None:
        """Always None in practice: Elasticsearch sends no `Date`."""
        return self._http.last_skew

    def close(self) -> None:
        """Close the pooled connections."""
        self._http.close()

    def counts(self, query: LogQuery, at: float) -> SampleBatch:
        """Count of records with `at - window <= t < at` for each group; partial if shards failed, time ran out or groups were cut.

        A record without one of the fields belongs to the group without that label. Raises the SourceError family.
        """
        asked = self._asked(query)
        warnings: dict[str, None] = {}
        found = dict[tuple[tuple[str, str], ...], float]()
        for labels, count in self._grouped(asked, at, warnings) if query.group_by or query.histogram else self._total(asked, at, warnings):
            key = tuple(sorted(labels.items()))
            found[key] = found.get(key, 0.0) + count
        kept = sorted(sorted(found.items(), key=lambda item: (-item[1], item[0]))[: query.max_groups])
        if len(found) > len(kept):
            warnings[f"more than {query.max_groups} groups: the largest are kept"] = None
        values = np.array([count for _, count in kept], dtype=np.float64)
        labels_of = tuple(dict(key) for key, _ in kept)
        return SampleBatch(self._name, str(query), at, labels_of, np.full(len(kept), at), values, tuple(warnings), bool(warnings))

    def samples(self, query: LogQuery, start: float, end: float, limit: int, *, whole: bool = False) -> Sequence[LogLine]:
        """See the port: `start <= t < end`. Raises the SourceError family."""
        if limit <= 0:
            return ()
        asked, lines = self._asked(query), list[LogLine]()
        pit = str(_at(self._name, self._call(self._client.open_point_in_time, index=query.index, keep_alive=KEEP_ALIVE), "id"))
        try:
            after: list[Any] | None = None
            while len(lines) < limit:
                size = min(PAGE, limit - len(lines))
                answer = self._search(
                    pit={"id": pit, "keep_alive": KEEP_ALIVE},
                    size=size,
                    query=asked.filter(start, end),
                    # A date with nanoseconds is sorted as one with milliseconds, so that all indices of a pattern agree.
                    sort=[{query.time_field: {"order": "asc", "numeric_type": "date"}}, {"_shard_doc": "asc"}],
                    track_total_hits=False,
                    **({"search_after": after} if after else {}),
                )
                missing: dict[str, None] = {}
                self._note(answer, missing)
                if whole and missing:
                    raise SourceUnavailableError(self._name, "Partial", "; ".join(missing))
                hits = _shaped(self._name, _at(self._name, answer, "hits", "hits"), list[Any])
                lines += [self._line(hit, query) for hit in hits]
                if len(hits) < size:
                    break
                after, pit = hits[-1]["sort"], str(answer.get("pit_id", pit))
        finally:
            self._forget(pit)
        return lines

    def _line(self, hit: Any, query: LogQuery) -> LogLine:
        try:
            fields = dict(_flat(hit.get("_source") or {}))
            return LogLine(float(hit["sort"][0]) / 1000, fields.pop(query.message_field, "")[:MAX_MESSAGE], _bounded(fields))
        except (KeyError, IndexError, TypeError, ValueError, AttributeError) as error:
            raise SourceGarbledError(self._name, "Garbled", f"a record has no time: {type(error).__name__}") from error

    def _grouped(self, asked: _Asked, at: float, warnings: dict[str, None]) -> Iterator[tuple[dict[str, str], float]]:
        """Every group, page by page, in the order of names; ends early after LOOK_BEYOND times the bound."""
        query, seen = asked.query, 0
        after: dict[str, Any] | None = None
        fields = list(query.group_by)
        sources: list[dict[str, Any]] = [{str(i): {"terms": {"field": asked.exact[field], "missing_bucket": True}}} for i, field in enumerate(fields)]
        sources += [{field: {"histogram": {"field": field, "interval": width, "missing_bucket": True}}} for field, width in query.histogram.items()]
        while True:
            composite: dict[str, Any] = {"size": min(PAGE, query.max_groups + 1), "sources": sources}
            if after is not None:
                composite["after"] = after
            groups = {"groups": {"composite": composite}}
            answer = self._search(index=query.index, size=0, query=asked.filter(at - query.window, at), aggs=groups, track_total_hits=False)
            self._note(answer, warnings)
            found = _shaped(self._name, _at(self._name, answer, "aggregations", "groups"), _Groups)
            for bucket in found.buckets:
                named = {field: _plain(bucket.key[str(i)]) for i, field in enumerate(fields) if bucket.key.get(str(i)) is not None}
                named |= {field: f"{bucket.key[field]:.12g}" for field in query.histogram if bucket.key.get(field) is not None}
                yield named, float(bucket.doc_count)
            seen, after = seen + len(found.buckets), found.after_key
            if after is None or not found.buckets:
                return
            if seen > query.max_groups * LOOK_BEYOND:
                warnings[f"more than {seen} groups: not all were looked at"] = None
                return

    def _total(self, asked: _Asked, at: float, warnings: dict[str, None]) -> Iterator[tuple[dict[str, str], float]]:
        query = asked.query
        answer = self._search(index=query.index, size=0, query=asked.filter(at - query.window, at), track_total_hits=True)
        self._note(answer, warnings)
        count = _shaped(self._name, _at(self._name, answer, "hits", "total", "value"), float)
        if count > 0:
            yield {}, count

    def _note(self, answer: Any, warnings: dict[str, None]) -> None:
        """What the answer says about its own incompleteness."""
        about = _shaped(self._name, answer, _About)
        if about.shards.failed:
            why = next((f.reason.get("reason") for f in about.shards.failures), None) or "no reason given"
            warnings[self._http.scrubbed(f"{about.shards.failed} of {about.shards.total} shards failed: {why}")] = None
        if about.timed_out:
            warnings["the search timed out before every shard had answered"] = None
        if any(about.clusters.get(state) for state in ("skipped", "partial", "failed")):
            warnings["remote clusters were left out"] = None

    def _asked(self, query: LogQuery) -> _Asked:
        fields = tuple(sorted({*query.where, *query.exclude, *query.group_by}))
        if not fields:
            return _Asked(query, {})
        key = (query.index, *fields)
        with self._lock:
            read_at, exact = self._mappings.get(key, (0.0, None))
        if exact is None or self._clock.monotonic() - read_at > MAPPING_SECONDS:
            exact = self._exact_fields(query.index, fields)
            with self._lock:
                self._mappings[key] = (self._clock.monotonic(), exact)
        return _Asked(query, exact)

    def _exact_fields(self, index: str, fields: Sequence[str]) -> Mapping[str, str]:
        asked = [name for field in fields for name in (field, f"{field}.keyword")]
        answer = self._call(self._client.field_caps, index=index, fields=asked, allow_no_indices=False)
        known = _shaped(self._name, _at(self._name, answer, "fields"), dict[str, dict[str, Any]])
        exact = {}
        for field in fields:
            if _ANALYSED.isdisjoint(known.get(field, {})):
                exact[field] = field
            elif known.get(f"{field}.keyword"):
                exact[field] = f"{field}.keyword"
            else:
                text = f"field {field!r} of {index!r} is analysed text without a .keyword sub-field: exact values cannot be compared"
                raise SourceRejectedError(self._name, "BadQuery", text)
        return exact

    def _search(self, **body: Any) -> Any:
        # The server stops before we leave, and then says so with `timed_out`.
        timeout = f"{max(int(self._http.options.deadline * 800), 1)}ms"
        where = {} if "pit" in body else {"allow_no_indices": False}
        return self._call(self._client.search, timeout=timeout, **where, **body)

    def _call(self, method: Any, **arguments: Any) -> Any:
        from elastic_transport import SerializationError, TransportError
        from elasticsearch import ApiError, UnsupportedProductError

        try:
            answer = method(**arguments)
        except (SerializationError, UnsupportedProductError) as error:
            raise SourceGarbledError(self._name, "Garbled", self._http.scrubbed(str(error))) from error
        except (ApiError, TransportError) as error:  # our node raises its own; what is left is the client's
            raise SourceUnavailableError(self._name, "Unreachable", type(error).__name__) from error
        if not isinstance(answer.body, dict):
            raise SourceGarbledError(self._name, "Garbled", "the answer is no object")
        return answer.body

    def _forget(self, pit: str) -> None:
        """Let the server free the point in time now; if it does not hear us, it does so by itself after KEEP_ALIVE."""
        try:
            self._call(self._client.close_point_in_time, id=pit)
        except SourceError:
            return


def _at(name: str, answer: Any, *path: str) -> Any:
    """What stands at that path of an answer. Raises SourceGarbledError if nothing does."""
    for step in path:
        if not isinstance(answer, Mapping) or step not in answer:
            raise SourceGarbledError(name, "Garbled", f"the answer has no {'.'.join(path)}")
        answer = answer[step]
    return answer


def _shaped(name: str, value: Any, shape: type[T]) -> T:
    """The value in this shape. Raises SourceGarbledError if it is of another."""
    try:
        return msgspec.convert(value, shape)
    except msgspec.ValidationError as error:
        raise SourceGarbledError(name, "Garbled", str(error)) from error


def _flat(source: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    for name, value in source.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{name}.")
        elif value is not None:
            yield f"{prefix}{name}", _plain(value)


def _bounded(fields: Mapping[str, str]) -> dict[str, str]:
    return {name: text[:MAX_FIELD_TEXT] for name, text in list(fields.items())[:MAX_FIELDS]}


def _plain(value: Any) -> str:
    """A field's value as a label's text: as JSON writes it, texts without quotes."""
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()
