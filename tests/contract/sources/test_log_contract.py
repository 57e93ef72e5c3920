"""What every `LogSource` does; run on a real Elasticsearch and on ours in memory."""

from __future__ import annotations

from typing import Any

import pytest

from aiops.adapters.memory_logs import words
from aiops.domain.errors import SourceRejectedError
from aiops.domain.rule import LogQuery
from aiops.domain.series import SampleBatch
from aiops.ports.sources import LogSource
from tests.contract.sources.records import INDEX, OTHER, START, TEXTS, all_records
from tests.testbed.elasticsearch import Elasticsearch


def counted(batch: SampleBatch) -> dict[frozenset[tuple[str, str]], float]:
    assert len(batch.labels) == len(batch.values) == len(batch.times)
    return {frozenset(labels.items()): value for labels, value in zip(batch.labels, batch.values.tolist(), strict=True)}


def group(**labels: str) -> frozenset[tuple[str, str]]:
    return frozenset(labels.items())


def expected(window: tuple[float, float], by: tuple[str, ...], **where: str) -> dict[frozenset[tuple[str, str]], float]:
    """Counted by hand, from the records themselves."""
    found: dict[frozenset[tuple[str, str]], float] = {}
    for record in all_records():
        if record.index == INDEX and window[0] <= record.at < window[1] and all(record.fields.get(k) == v for k, v in where.items()):
            key = frozenset((name, record.fields[name]) for name in by if name in record.fields)
            found[key] = found.get(key, 0.0) + 1
    return found


def test_counts_without_groups_are_one_series_without_labels(logs: LogSource) -> None:
    batch = logs.counts(LogQuery(INDEX, 300), START + 400)
    assert counted(batch) == {frozenset(): 300.0}
    assert batch.source == logs.name
    assert batch.at == START + 400
    assert batch.times.tolist() == [START + 400]
    assert not batch.partial
    assert batch.warnings == ()


@pytest.mark.parametrize(
    "by", [("service",), ("service", "level"), ("kubernetes.pod",), ("level", "kubernetes.pod", "service"), ("nowhere",)]
)
def test_counts_by_group(logs: LogSource, by: tuple[str, ...]) -> None:
    batch = logs.counts(LogQuery(INDEX, 300, where={"level": ("ERROR", "INFO")}, group_by=by), START + 400)
    assert counted(batch) == expected((START + 100, START + 400), by)
    assert not batch.partial


def test_counts_by_bucket_of_a_number(logs: LogSource) -> None:
    timed = {"kind": ("timed",)}
    batch = logs.counts(LogQuery(INDEX, 60, where=timed, histogram={"took": 50.0}), START + 1060)
    by_hand = {group(took="-50"): 1.0, group(took="0"): 2.0, group(took="50"): 3.0, group(took="100"): 1.0, group(): 1.0}
    assert counted(batch) == by_hand
    assert counted(logs.counts(LogQuery(INDEX, 60, where=timed, group_by=("kind",), histogram={"took": 0.25}), START + 1060))[group(kind="timed", took="120.25")] == 1.0
    assert len(logs.counts(LogQuery(INDEX, 60, histogram={"took": 50.0}), START - 1000)) == 0


def test_buckets_of_what_is_no_number_are_refused(logs: LogSource) -> None:
    with pytest.raises(SourceRejectedError):
        logs.counts(LogQuery(INDEX, 60, where={"kind": ("timed",)}, histogram={"kind": 50.0}), START + 1060)


def test_a_record_without_a_field_counts_in_the_group_without_that_label(logs: LogSource) -> None:
    batch = logs.counts(LogQuery(INDEX, 300, where={"service": ("cart",)}, group_by=("kubernetes.pod",)), START + 400)
    assert frozenset() in counted(batch)


def test_the_window_is_closed_at_its_start_and_open_at_its_end(logs: LogSource) -> None:
    assert counted(logs.counts(LogQuery(INDEX, 60, where={"kind": ("edge",)}), START + 660)) == {frozenset(): 2.0}
    assert counted(logs.counts(LogQuery(INDEX, 60, where={"kind": ("edge",)}), START + 660.001)) == {frozenset(): 2.0}
    assert counted(logs.counts(LogQuery(INDEX, 0.001, where={"kind": ("edge",)}), START + 660)) == {frozenset(): 1.0}


def test_nothing_found_is_an_answer_without_series(logs: LogSource) -> None:
    assert len(logs.counts(LogQuery(INDEX, 60), START - 1000)) == 0
    assert len(logs.counts(LogQuery(INDEX, 60, group_by=("service",)), START - 1000)) == 0
    assert len(logs.counts(LogQuery(INDEX, 300, where={"service": ()}), START + 400)) == 0
    assert len(logs.counts(LogQuery(INDEX, 300, where={"nowhere": ("x",)}), START + 400)) == 0


@pytest.mark.parametrize(
    ("where", "exclude", "count"),
    [
        ({"level": ("ERROR",)}, {}, 60),
        ({"level": ("error",)}, {}, 0),
        ({"level": ("ERR",)}, {}, 0),
        ({"level": ("E*",)}, {}, 0),
        ({"service": ("cart", "pay")}, {}, 200),
        ({"service": ("cart",), "level": ("ERROR",)}, {}, 20),
        ({}, {"service": ("cart",)}, 200),
        ({}, {"service": ("cart", "pay"), "level": ("INFO",)}, 20),
        ({}, {"kubernetes.pod": ("cart-0",)}, 300 - 22),
        ({"service": ("cart",)}, {"service": ("cart",)}, 0),
        ({}, {"service": ()}, 300),
        ({}, {"nowhere": ("x",)}, 300),
    ],
)
def test_fields_are_compared_exactly(logs: LogSource, where: dict[str, Any], exclude: dict[str, Any], count: int) -> None:
    by_hand = [
        r
        for r in all_records()
        if r.index == INDEX
        and START + 100 <= r.at < START + 400
        and all(r.fields.get(k) in v for k, v in where.items())
        and not any(r.fields.get(k) in v for k, v in exclude.items())
    ]
    if count != 300 - 22:
        assert len(by_hand) == count
    batch = logs.counts(LogQuery(INDEX, 300, where=where, exclude=exclude), START + 400)
    assert counted(batch) == ({frozenset(): float(len(by_hand))} if by_hand else {})


def test_hostile_and_empty_values_are_values(logs: LogSource) -> None:
    hostile = 'a"b\\c\n{}[]*?'
    assert counted(logs.counts(LogQuery(INDEX, 5, where={"kind": (hostile,)}, group_by=("kind",)), START + 702)) == {
        group(kind=hostile): 1.0
    }
    assert counted(logs.counts(LogQuery(INDEX, 5, where={"kind": ("",)}), START + 712)) == {frozenset(): 1.0}
    assert counted(logs.counts(LogQuery(INDEX, 5, group_by=("level",)), START + 712)) == {group(level="ERROR "): 1.0}


@pytest.mark.parametrize(
    "phrase",
    [
        "timed out", "TIMED   OUT", "timed-out", "out timed", "time", "timed", "request timed out while calling upstream", "timed while",
        "handled request 17", "handled request", "OK", "!!!", "oomkilled", "exit_code 137", "exit code", "db", "db 1.internal", "internal",
        "3,000.5", "3 000", "can't", "can", "z 1.log", "a.b", "a b", "ärger", "straße", "strasse", "語", "日本", "カタ", "カタカナ", "éclair", "e\u0301clair",
        "quoted", "10.0.0.1", "10.0", "user_id", "user_id 5", "line end", "tail",
    ],
)  # fmt: skip
def test_a_phrase_is_words_in_order(logs: LogSource, memory_logs: LogSource, elasticsearch_logs: LogSource, phrase: str) -> None:
    query = LogQuery(INDEX, 1000, phrase=phrase, group_by=("nr", "service"))
    mine, theirs = memory_logs.counts(query, START + 900), elasticsearch_logs.counts(query, START + 900)
    assert counted(mine) == counted(theirs)
    assert counted(logs.counts(query, START + 900)) == counted(theirs)


@pytest.mark.parametrize("text", TEXTS)
def test_words_are_those_of_the_standard_analyser(elasticsearch: Elasticsearch, text: str) -> None:
    status, answer = elasticsearch.request("POST", "/_analyze", {"analyzer": "standard", "text": text})
    assert status == 200
    assert words(text) == [token["token"] for token in answer["tokens"]]


def test_more_groups_than_allowed_are_cut_and_said(logs: LogSource) -> None:
    batch = logs.counts(LogQuery(INDEX, 60, where={"kind": ("many",)}, group_by=("nr",), max_groups=15), START + 830)
    assert batch.partial
    assert len(batch.warnings) == 1
    # 40 records in 25 groups: the first 15 groups have two each, so the largest are known.
    assert counted(batch) == {group(nr=f"n{i}"): 2.0 for i in range(15)}
    whole = logs.counts(LogQuery(INDEX, 60, where={"kind": ("many",)}, group_by=("nr",), max_groups=25), START + 830)
    assert not whole.partial
    assert len(whole) == 25


def test_index_expressions(logs: LogSource) -> None:
    def count(index: str) -> float:
        return float(logs.counts(LogQuery(index, 1, where={"service": ("other", "cart")}), START + 720.5).values.sum())

    assert count(INDEX) == 0
    assert count(OTHER) == 1
    assert count(f"{INDEX},{OTHER}") == 1
    assert count("contract-*") == 1


@pytest.mark.parametrize("index", ["contract-missing", "missing-*", f"{INDEX},contract-missing"])
def test_a_missing_index_is_refused_with_its_reason(logs: LogSource, index: str) -> None:
    for fields in ((), ("service",)):
        with pytest.raises(SourceRejectedError) as caught:
            logs.counts(LogQuery(index, 60, group_by=fields), START)
        assert caught.value.reason == "IndexMissing"


@pytest.mark.parametrize("index", ["contract-missing", f"{INDEX},contract-missing"])
def test_samples_of_a_missing_index_are_refused(logs: LogSource, index: str) -> None:
    with pytest.raises(SourceRejectedError) as caught:
        logs.samples(LogQuery(index, 60), START, START + 1, 5)
    assert caught.value.reason == "IndexMissing"


def test_samples_of_a_pattern_that_fits_no_index_are_none(logs: LogSource) -> None:
    assert list(logs.samples(LogQuery("missing-*", 60), START, START + 1, 5)) == []


def test_samples_come_oldest_first_with_text_and_fields(logs: LogSource) -> None:
    lines = logs.samples(LogQuery(INDEX, 0, where={"level": ("ERROR",)}, phrase="timed out"), START + 100, START + 400, 1000)
    errors = [
        r for r in all_records() if r.fields.get("level") == "ERROR" and "timed out" in r.message and START + 100 <= r.at < START + 400
    ]
    assert [line.at for line in lines] == pytest.approx([r.at for r in errors], abs=1e-6)
    assert [line.text for line in lines] == [r.message for r in errors]
    assert [{k: v for k, v in line.fields.items() if k != "@timestamp"} for line in lines] == [r.fields for r in errors]


def test_samples_are_limited_to_the_oldest(logs: LogSource) -> None:
    lines = logs.samples(LogQuery(INDEX, 0), START + 100, START + 400, 3)
    assert [line.at for line in lines] == pytest.approx([START + 100, START + 101, START + 102], abs=1e-6)
    assert list(logs.samples(LogQuery(INDEX, 0), START + 100, START + 400, 0)) == []


def test_samples_keep_hostile_text_as_it_was(logs: LogSource) -> None:
    lines = logs.samples(LogQuery(INDEX, 0, where={"kind": ("text",)}), START, START + 100, 100)
    assert sorted(line.text for line in lines) == sorted(TEXTS)


def test_samples_end_before_the_end(logs: LogSource) -> None:
    lines = logs.samples(LogQuery(INDEX, 0, where={"kind": ("edge",)}), START + 600, START + 660, 10)
    assert [line.text for line in lines] == ["at the start of the window", "just before the end of the window"]
