"""What the Elasticsearch source makes of refusals, faults and half answers; the answers are those of a real node, replayed."""

from __future__ import annotations

import json
from typing import Any

import pytest
import responses

from aiops.adapters.clock import SystemClock
from aiops.adapters.elasticsearch import MAX_MESSAGE, ElasticsearchSource
from aiops.adapters.http import HttpClient, HttpOptions
from aiops.domain.errors import SourceError, SourceGarbledError, SourceRejectedError, SourceThrottledError, SourceUnavailableError
from aiops.domain.rule import LogQuery

URL = "http://logs.example:9200"
PRODUCT = {"X-Elastic-Product": "Elasticsearch"}
JSON = "application/vnd.elasticsearch+json;compatible-with=8"
SEARCH = f"{URL}/logs/_search"
QUERY = LogQuery("logs", 60)
GROUPED = LogQuery("logs", 60, group_by=("service",))


def source(**options: Any) -> ElasticsearchSource:
    clock = SystemClock()
    return ElasticsearchSource("logs", HttpClient("logs", HttpOptions(URL, **options), clock), clock)


def answer(url: str, body: Any, status: int = 200, headers: dict[str, str] | None = None, content_type: str = JSON) -> None:
    text = body if isinstance(body, str) else json.dumps(body)
    responses.post(url, body=text, status=status, headers=PRODUCT if headers is None else headers, content_type=content_type)


def found(total: int = 3, **more: Any) -> dict[str, Any]:
    shards = {"total": 2, "successful": 2, "skipped": 0, "failed": 0}
    return {"took": 1, "timed_out": False, "_shards": shards, "hits": {"total": {"value": total, "relation": "eq"}, "hits": []}, **more}


def error(kind: str, reason: str = "why") -> dict[str, Any]:
    return {"error": {"root_cause": [{"type": kind, "reason": reason}], "type": "search_phase_execution_exception", "reason": "all shards failed"}, "status": 0}


@pytest.mark.parametrize(
    ("status", "body", "kind", "reason"),
    [
        (400, error("parsing_exception"), SourceRejectedError, "BadQuery"),
        (401, error("security_exception"), SourceRejectedError, "Unauthorized"),
        (403, error("security_exception"), SourceRejectedError, "Forbidden"),
        (404, error("index_not_found_exception"), SourceRejectedError, "IndexMissing"),
        (429, error("circuit_breaking_exception", "[parent] Data too large"), SourceThrottledError, "Throttled"),
        (500, error("null_pointer_exception"), SourceUnavailableError, "ServerError"),
        (503, error("no_shard_available_action_exception"), SourceUnavailableError, "ServerError"),
        (503, {"error": {"root_cause": [], "type": "search_phase_execution_exception", "reason": "all shards failed"}}, SourceUnavailableError, "ServerError"),
        (502, "<html>Bad Gateway</html>", SourceUnavailableError, "ServerError"),
        (504, "", SourceUnavailableError, "Timeout"),
        (413, "too much", SourceRejectedError, "BadQuery"),
        (403, {"error": "a text"}, SourceRejectedError, "Forbidden"),
    ],
)
@responses.activate
def test_refusals_and_faults(status: int, body: Any, kind: type[SourceError], reason: str) -> None:
    answer(SEARCH, body, status, headers={"Retry-After": "7"})
    with pytest.raises(SourceError) as refused:
        source().counts(QUERY, 1000.0)
    assert (type(refused.value), refused.value.reason) == (kind, reason)
    assert len(responses.calls) == 1  # the client does not retry
    if isinstance(refused.value, SourceThrottledError):
        assert refused.value.retry_after == 7.0


@pytest.mark.parametrize(
    ("body", "headers", "content_type"),
    [
        ("", PRODUCT, JSON),
        ("{", PRODUCT, JSON),
        (json.dumps(found())[:-5], PRODUCT, JSON),
        ("[]", PRODUCT, JSON),
        ("{}", PRODUCT, JSON),
        (json.dumps({"hits": {"total": 3}}), PRODUCT, JSON),
        (json.dumps({"hits": []}), PRODUCT, JSON),
        (json.dumps(found(_shards="all")), PRODUCT, JSON),
        (json.dumps(found(timed_out="no")), PRODUCT, JSON),
        (json.dumps(found("three")), PRODUCT, JSON),  # type: ignore[arg-type]
        ("<html>login</html>", PRODUCT, "text/html"),
        ("<html>login</html>", {}, "text/html"),
        (json.dumps(found()), {}, JSON),  # something else answers in its place
    ],
)
@responses.activate
def test_garbage(body: str, headers: dict[str, str], content_type: str) -> None:
    answer(SEARCH, body, headers=headers, content_type=content_type)
    with pytest.raises(SourceGarbledError) as refused:
        source().counts(QUERY, 1000.0)
    assert refused.value.reason == "Garbled"


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"timed_out": True}, "timed out"),
        ({"_shards": {"total": 2, "failed": 1, "failures": [{"reason": {"type": "x", "reason": "disk"}}]}}, "1 of 2 shards failed: disk"),
        ({"_shards": {"total": 2, "failed": 1}}, "1 of 2 shards failed"),
        ({"_clusters": {"total": 2, "skipped": 1}}, "remote clusters"),
    ],
)
@responses.activate
def test_half_answers_are_partial(more: dict[str, Any], said: str) -> None:
    answer(SEARCH, found(**more))
    batch = source().counts(QUERY, 1000.0)
    assert batch.values.tolist() == [3.0]
    assert batch.partial
    assert said in batch.warnings[0]


@pytest.mark.parametrize("groups", [{}, {"buckets": None}, {"buckets": [{}]}, {"buckets": [{"key": "cart", "doc_count": 1}]}, {"buckets": [{"key": {"0": "cart"}}]}, {"buckets": [{"key": {"0": "cart"}, "doc_count": "many"}]}])
@responses.activate
def test_groups_of_a_wrong_shape_are_garbled(groups: dict[str, Any]) -> None:
    answer(f"{URL}/logs/_field_caps", {"indices": ["logs"], "fields": {"service": {"keyword": {"type": "keyword"}}}})
    answer(SEARCH, found(aggregations={"groups": groups}))
    with pytest.raises(SourceGarbledError, match="Garbled"):
        source().counts(GROUPED, 1000.0)


@pytest.mark.parametrize("hit", [{}, {"sort": []}, {"sort": ["soon", 1]}, {"sort": [None, 1]}, {"sort": [1, 2], "_source": ["a"]}, "hit"])
@responses.activate
def test_records_of_a_wrong_shape_are_garbled_and_the_point_in_time_is_given_back(hit: Any) -> None:
    answer(f"{URL}/logs/_pit", {"id": "p1"})
    answer(f"{URL}/_search", found(pit_id="p1", hits={"hits": [hit]}))
    closing = responses.delete(f"{URL}/_pit", json={"succeeded": True}, headers=PRODUCT)
    with pytest.raises(SourceGarbledError, match="Garbled"):
        source().samples(QUERY, 0.0, 1000.0, 10)
    assert closing.call_count == 1


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"timed_out": True}, "timed out"), ({"_shards": {"total": 2, "failed": 1, "failures": [{"reason": {"reason": "disk"}}]}}, "1 of 2 shards failed: disk"),
        ({"_clusters": {"total": 2, "skipped": 1}}, "remote clusters"),
    ],
)  # fmt: skip
@responses.activate
def test_half_of_the_lines_is_no_whole_answer_but_is_shown_to_people(more: dict[str, Any], said: str) -> None:
    answer(f"{URL}/logs/_pit", {"id": "p1"})
    answer(f"{URL}/_search", found(pit_id="p1", hits={"hits": [{"sort": [5000, 1], "_source": {"message": "hello"}}]}, **more))
    closing = responses.delete(f"{URL}/_pit", json={"succeeded": True}, headers=PRODUCT)
    assert [line.text for line in source().samples(QUERY, 0.0, 1000.0, 10)] == ["hello"]
    with pytest.raises(SourceUnavailableError, match=said) as refused:
        source().samples(QUERY, 0.0, 1000.0, 10, whole=True)
    assert refused.value.reason == "Partial"
    assert closing.call_count == 2


@responses.activate
def test_of_a_line_of_a_megabyte_the_beginning_is_kept() -> None:
    answer(f"{URL}/logs/_pit", {"id": "p1"})
    answer(f"{URL}/_search", found(pit_id="p1", hits={"hits": [{"sort": [5000, 1], "_source": {"message": "x" * 1_000_000}}]}))
    responses.delete(f"{URL}/_pit", json={"succeeded": True}, headers=PRODUCT)
    assert len(source().samples(QUERY, 0.0, 1000.0, 10)[0].text) == MAX_MESSAGE


@responses.activate
def test_a_point_in_time_that_cannot_be_closed_is_no_failure() -> None:
    answer(f"{URL}/logs/_pit", {"id": "p1"})
    answer(f"{URL}/_search", found(pit_id="p1", hits={"hits": [{"sort": [5000, 1], "_source": {"message": "hello", "a": {"b": [1, "x"]}, "none": None}}]}))
    responses.delete(f"{URL}/_pit", status=500)
    (line,) = source().samples(QUERY, 0.0, 1000.0, 10)
    assert (line.at, line.text, line.fields) == (5.0, "hello", {"a.b": '[1,"x"]'})


@responses.activate
def test_fields_are_looked_up_once_in_a_while() -> None:
    answer(f"{URL}/logs/_field_caps", {"indices": ["logs"], "fields": {"service": {"text": {"type": "text"}}, "service.keyword": {"keyword": {"type": "keyword"}}}})
    answer(SEARCH, found(aggregations={"groups": {"buckets": [{"key": {"0": "cart"}, "doc_count": 2}]}}))
    logs = source()
    for _ in range(3):
        assert [dict(labels) for labels in logs.counts(GROUPED, 1000.0).labels] == [{"service": "cart"}]
    asked = [call.request for call in responses.calls]
    assert sum("_field_caps" in str(request.url) for request in asked) == 1
    assert json.loads(asked[-1].body or b"")["aggs"]["groups"]["composite"]["sources"][0]["0"]["terms"]["field"] == "service.keyword"
