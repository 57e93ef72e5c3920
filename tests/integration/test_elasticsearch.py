"""The Elasticsearch source against a real node, open and with security on."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from aiops.adapters.clock import SystemClock
from aiops.adapters.elasticsearch import ElasticsearchSource
from aiops.adapters.http import HttpClient, HttpOptions
from aiops.domain.errors import SourceRejectedError, SourceUnavailableError
from aiops.domain.rule import LogQuery
from tests.testbed.elasticsearch import Elasticsearch
from tests.testbed.process import Server, eventually

AT = 1_790_000_000.0
KEYWORD = {"type": "keyword"}
MAPPING = {"@timestamp": {"type": "date"}, "message": {"type": "text"}, "level": KEYWORD, "service": KEYWORD, "pod": KEYWORD, "code": {"type": "integer"}}


def source_for(url: str, **options: Any) -> ElasticsearchSource:
    clock = SystemClock()
    return ElasticsearchSource("logs", HttpClient("logs", HttpOptions(url, deadline=60.0, **options), clock), clock)


def put(server: Elasticsearch, index: str, records: list[dict[str, Any]], mapping: dict[str, Any] | None = None, shards: int = 1) -> None:
    properties = MAPPING if mapping is None else mapping
    body = {"settings": {"number_of_replicas": 0, "number_of_shards": shards}, "mappings": {"properties": properties}}
    status, answer = server.request("PUT", f"/{index}", body)
    assert status == 200, answer
    if records:
        lines: list[dict[str, Any]] = []
        for record in records:
            lines += [{"index": {}}, record]
        status, answer = server.request("POST", f"/{index}/_bulk?refresh=true", lines)
        assert status == 200, answer
        assert not answer["errors"], answer


def record(offset: float, message: str = "request failed", **fields: Any) -> dict[str, Any]:
    return {"@timestamp": round((AT + offset) * 1000), "message": message, **fields}


@pytest.fixture
def index(elasticsearch: Elasticsearch) -> Iterator[str]:
    name = f"logs-{uuid.uuid4().hex[:10]}"
    yield name
    elasticsearch.request("DELETE", f"/{name}*")


def by_labels(batch: Any) -> dict[tuple[tuple[str, str], ...], float]:
    return {tuple(sorted(labels.items())): float(value) for labels, value in zip(batch.labels, batch.values, strict=True)}


def test_counts_are_grouped_within_the_half_open_window(elasticsearch: Elasticsearch, index: str) -> None:
    put(elasticsearch, index, [
        record(-60, level="error", service="cart"),
        record(-0.001, level="error", service="cart"),
        record(-30, level="error", service="pay"),
        record(-60.001, level="error", service="cart"),  # just before the window
        record(0, level="error", service="cart"),  # at its end, which is open
        record(-10, level="info", service="cart"),
        record(-10, level="error"),  # no service
    ])  # fmt: skip
    source = source_for(elasticsearch.url)
    batch = source.counts(LogQuery(f"{index}*", 60, where={"level": ("error", "fatal")}, group_by=("service",)), AT)
    assert by_labels(batch) == {(("service", "cart"),): 2, (("service", "pay"),): 1, (): 1}
    assert not batch.partial
    assert set(batch.times) == {AT}
    without = source.counts(LogQuery(index, 60, exclude={"level": ("error",)}), AT)
    assert by_labels(without) == {(): 1}
    assert len(source.counts(LogQuery(index, 60, where={"level": ("nothing",)}), AT)) == 0
    assert len(source.counts(LogQuery(index, 60, where={"level": ("nothing",)}, group_by=("service",)), AT)) == 0


def test_a_phrase_is_words_in_order(elasticsearch: Elasticsearch, index: str) -> None:
    put(elasticsearch, index, [record(-1, "Connection REFUSED by peer"), record(-1, "refused connection"), record(-1, "connection was refused")])
    assert by_labels(source_for(elasticsearch.url).counts(LogQuery(index, 60, phrase="connection refused"), AT)) == {(): 1}


def test_text_fields_of_the_dynamic_mapping_are_read_through_their_keyword(elasticsearch: Elasticsearch, index: str) -> None:
    put(elasticsearch, index, [record(-1, kubernetes={"pod": "cart-7d9f-x1"}, code=503)] * 2, mapping={"@timestamp": {"type": "date"}})
    query = LogQuery(index, 60, where={"kubernetes.pod": ("cart-7d9f-x1",)}, group_by=("kubernetes.pod", "code"))
    assert by_labels(source_for(elasticsearch.url).counts(query, AT)) == {(("code", "503"), ("kubernetes.pod", "cart-7d9f-x1")): 2}


def test_text_without_a_keyword_is_refused_by_name(elasticsearch: Elasticsearch, index: str) -> None:
    put(elasticsearch, index, [record(-1)])
    with pytest.raises(SourceRejectedError, match=r"BadQuery: field 'message' .* \.keyword"):
        source_for(elasticsearch.url).counts(LogQuery(index, 60, group_by=("message",)), AT)


def test_of_too_many_groups_the_largest_are_kept_and_it_is_said(elasticsearch: Elasticsearch, index: str) -> None:
    records = [record(-1, service=f"s{i:02d}") for i in range(20)] + [record(-1, service="s19")] * 3 + [record(-1, service="s07")]
    put(elasticsearch, index, records)
    batch = source_for(elasticsearch.url).counts(LogQuery(index, 60, group_by=("service",), max_groups=2), AT)
    assert by_labels(batch) == {(("service", "s07"),): 2, (("service", "s19"),): 4}
    assert batch.partial
    assert "more than 2 groups" in batch.warnings[0]


def test_failed_shards_make_the_answer_partial(elasticsearch: Elasticsearch, index: str) -> None:
    put(elasticsearch, f"{index}-a", [record(-1, status="down")], mapping={**MAPPING, "status": KEYWORD})
    put(elasticsearch, f"{index}-b", [record(-1, status=5)], mapping={**MAPPING, "status": {"type": "long"}})
    batch = source_for(elasticsearch.url).counts(LogQuery(f"{index}-*", 60, where={"status": ("down",)}), AT)
    assert by_labels(batch) == {(): 1}
    assert batch.partial
    assert "1 of 2 shards failed" in batch.warnings[0]


@pytest.mark.parametrize("pattern", ["{}", "{}-*"])
def test_a_missing_index_is_said(elasticsearch: Elasticsearch, index: str, pattern: str) -> None:
    name = pattern.format(index)
    source = source_for(elasticsearch.url)
    for query in (LogQuery(name, 60), LogQuery(name, 60, group_by=("service",))):
        with pytest.raises(SourceRejectedError, match="IndexMissing"):
            source.counts(query, AT)
    with pytest.raises(SourceRejectedError, match="IndexMissing"):
        source.samples(LogQuery(index, 60), AT - 60, AT, 10)


def test_samples_come_oldest_first_over_several_pages(elasticsearch: Elasticsearch, index: str) -> None:
    # Many share one millisecond, so pages must be cut between equals without losing or doubling any.
    put(elasticsearch, index, [record(-50 + i // 500, f"line {i}", service="cart", code=i) for i in range(2300)], shards=3)
    source = source_for(elasticsearch.url)
    lines = source.samples(LogQuery(index, 60, where={"service": ("cart",)}), AT - 60, AT, 5000)
    assert sorted(int(line.fields["code"]) for line in lines) == list(range(2300))
    assert [line.at for line in lines] == sorted(line.at for line in lines)
    assert lines[0].at == AT - 50
    assert lines[0].fields["service"] == "cart"
    assert lines[0].text == f"line {lines[0].fields['code']}"
    assert len(source.samples(LogQuery(index, 60), AT - 60, AT, 7)) == 7
    assert source.samples(LogQuery(index, 60), AT - 60, AT, 0) == ()
    open_contexts = elasticsearch.request("GET", "/_nodes/stats/indices/search")[1]["nodes"]
    assert sum(node["indices"]["search"]["open_contexts"] for node in open_contexts.values()) == 0


def test_hostile_values_stay_values(elasticsearch: Elasticsearch, index: str) -> None:
    hostile = '"}} OR 1=1 {{ x }} \u202e \u0007'
    put(elasticsearch, index, [record(-1, hostile, service=hostile)])
    source = source_for(elasticsearch.url)
    assert by_labels(source.counts(LogQuery(index, 60, where={"service": (hostile,)}, group_by=("service",)), AT)) == {(("service", hostile),): 1}
    assert source.samples(LogQuery(index, 60), AT - 60, AT, 10)[0].text == hostile


def test_an_index_name_cannot_reach_another_path(elasticsearch: Elasticsearch) -> None:
    with pytest.raises(SourceRejectedError):
        source_for(elasticsearch.url).counts(LogQuery("../_cluster/health?x=", 60), AT)


def frozen(server: Server) -> bool:
    """Freeze it and see that every thread has stopped: the signal takes its time on a busy machine."""
    server.freeze()
    return all(status.read_text().rpartition(")")[2].split()[0] == "T" for status in Path(f"/proc/{server.pid}/task").glob("*/stat"))


def test_a_server_that_hangs_is_a_timeout(elasticsearch: Elasticsearch, index: str) -> None:
    put(elasticsearch, index, [record(-1)])
    clock = SystemClock()
    source = ElasticsearchSource("logs", HttpClient("logs", HttpOptions(elasticsearch.url, deadline=0.5), clock), clock)
    try:
        eventually(lambda: frozen(elasticsearch.server), what="it hangs")
        with pytest.raises(SourceUnavailableError, match="Timeout"):
            source.counts(LogQuery(index, 60), AT)
    finally:
        elasticsearch.server.thaw()
    assert len(source_for(elasticsearch.url).counts(LogQuery(index, 60), AT)) == 1


def test_credentials_by_api_key_and_basic(elasticsearch_secure: Elasticsearch, tmp_path: Path) -> None:
    server, index = elasticsearch_secure, f"logs-{uuid.uuid4().hex[:10]}"
    put(server, index, [record(-1, service="cart")])
    secret = tmp_path / "secret"
    query = LogQuery(index, 60, group_by=("service",))

    secret.write_text(server.password + "\n")
    assert len(source_for(server.url, username=server.user, password_file=str(secret)).counts(query, AT)) == 1

    reader = {"reader": {"indices": [{"names": ["logs-*"], "privileges": ["read"]}]}}
    secret.write_text(server.api_key("reader", roles=reader))
    by_key = source_for(server.url, api_key_file=str(secret))
    assert len(by_key.counts(query, AT)) == 1
    assert len(by_key.samples(query, AT - 60, AT, 10)) == 1

    stranger = {"stranger": {"indices": [{"names": ["other-*"], "privileges": ["read"]}]}}
    secret.write_text(server.api_key("stranger", roles=stranger))
    with pytest.raises(SourceRejectedError, match="Forbidden") as refused:
        source_for(server.url, api_key_file=str(secret)).counts(query, AT)
    assert secret.read_text() not in str(refused.value)

    secret.write_text("bm90OmFrZXk=")
    with pytest.raises(SourceRejectedError, match="Unauthorized"):
        source_for(server.url, api_key_file=str(secret)).counts(query, AT)
    with pytest.raises(SourceRejectedError, match="Unauthorized"):
        source_for(server.url).counts(query, AT)
