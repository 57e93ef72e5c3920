"""Answers into columns: the quick way and the strict way give the same, wherever the body is cut, and garbage is never taken for data."""

from __future__ import annotations

import json
import math
import pickle
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aiops.adapters.prometheus.decode import AnswerDecoder, Decoded, RefusedError, number
from aiops.adapters.prometheus.labels import LabelTable, SharedLabels
from aiops.adapters.prometheus.ranges import joined, pieces
from aiops.domain.series import label_key, series_id


def compact(document: Any) -> bytes:
    return json.dumps(document, separators=(",", ":"), ensure_ascii=False).encode()


def vector(*series: tuple[dict[str, Any], Any], **top: Any) -> dict[str, Any]:
    return {"status": "success", "data": {"resultType": "vector", "result": [{"metric": m, "value": [1.5, v]} for m, v in series]}, **top}


def matrix(*series: tuple[dict[str, Any], list[Any]]) -> dict[str, Any]:
    return {"status": "success", "data": {"resultType": "matrix", "result": [{"metric": m, "values": v} for m, v in series]}}


def decode(body: bytes, size: int = 1 << 19, table: LabelTable | None = None) -> Decoded:
    decoder = AnswerDecoder(LabelTable() if table is None else table)
    for i in range(0, len(body), size):
        decoder.feed(body[i : i + size])
    return decoder.finish()


texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=12) | st.sampled_from(
    ['":', '":{', '":[', '"},"value":[', '},{"metric":{', "\\", '\\"', ":", ':"', ":{", "]}", "\n", "é", "𐍈", ""]
)
label_sets = st.dictionaries(texts, texts, max_size=4)
values = st.floats(allow_nan=True, allow_infinity=True) | st.integers(-(10**20), 10**20).map(float)


def written(value: float) -> str:
    return "NaN" if math.isnan(value) else ("+Inf" if value > 0 else "-Inf") if math.isinf(value) else repr(value)


@settings(max_examples=300, deadline=None)
@given(st.lists(st.tuples(label_sets, values), max_size=6), st.integers(1, 60), st.booleans(), st.booleans())
def test_any_labels_and_values_come_out_as_they_went_in(series: list[tuple[dict[str, str], float]], size: int, ascii_only: bool, spaced: bool) -> None:
    document = vector(*((m, written(v)) for m, v in series))
    body = json.dumps(document, ensure_ascii=ascii_only, separators=None if spaced else (",", ":")).encode()
    found = decode(body, size)
    assert [dict(labels) for labels in found.labels] == [m for m, _ in series]
    assert np.array_equal(found.values, np.array([v for _, v in series], dtype=float), equal_nan=True)
    assert found.times.tolist() == [1.5] * len(series)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(label_sets, st.lists(values, max_size=5)), max_size=4), st.integers(1, 60))
def test_ranges_likewise(series: list[tuple[dict[str, str], list[float]]], size: int) -> None:
    found = decode(compact(matrix(*((m, [[i, written(v)] for i, v in enumerate(vs)]) for m, vs in series))), size)
    assert [dict(labels) for labels, _, _ in found.series] == [m for m, _ in series]
    for (_, times, got), (_, sent) in zip(found.series, series, strict=True):
        assert times.tolist() == [float(i) for i in range(len(sent))]
        assert np.array_equal(got, np.array(sent, dtype=float), equal_nan=True)


LARGE = [({"__name__": "up", "job": f"j{i % 7}", "instance": f"10.0.0.{i}:9090", "empty": ""}, str(i / 8)) for i in range(3000)]


@pytest.mark.parametrize("size", [7, 100, 4096, 1 << 19])
def test_a_large_answer_in_any_pieces(size: int) -> None:
    found = decode(compact(vector(*LARGE)), size)
    assert found.values.tolist() == [i / 8 for i in range(3000)]
    assert [dict(labels) for labels in found.labels] == [m for m, _ in LARGE]


def test_known_series_are_the_same_objects_at_the_next_poll() -> None:
    table = LabelTable()
    first, second = decode(compact(vector(*LARGE)), table=table), decode(compact(vector(*LARGE)), table=table)
    assert all(a is b for a, b in zip(first.labels, second.labels, strict=True))
    escaped = vector(*((m, v) for m, v in LARGE), ({"path": 'C:\\"x"'}, "1"))  # forces the strict way
    third = decode(compact(escaped), table=table)
    assert all(a is b for a, b in zip(first.labels, list(third.labels)[:3000], strict=True))


def test_the_table_of_labels_is_bounded() -> None:
    table = LabelTable(limit=100)
    for poll in range(50):
        list(decode(compact(vector(*(({"pod": f"p{poll}-{i}"}, "1") for i in range(40)))), table=table).labels)
    assert table.size <= 2 * 140


def test_shared_labels_behave_as_a_mapping() -> None:
    labels = SharedLabels(b'{"b":"2","a":"1"}')
    assert labels == {"a": "1", "b": "2"}
    plain = {"a": "1", "b": "2"}
    assert plain == labels
    assert labels == SharedLabels(b'{"a":"1","b":"2"}')
    assert labels != {"a": "1"}
    assert labels.get("c", "-") == "-"
    assert "a" in labels
    assert label_key(labels) == (("a", "1"), ("b", "2"))
    assert series_id(labels) == series_id({"a": "1", "b": "2"})
    assert pickle.loads(pickle.dumps(labels)) == labels


def test_scalar_and_string() -> None:
    scalar = decode(b'{"status":"success","data":{"resultType":"scalar","result":[1.5,"+Inf"]}}')
    assert (scalar.kind, scalar.values.tolist(), [dict(m) for m in scalar.labels]) == ("scalar", [math.inf], [{}])
    assert decode(b'{"status":"success","data":{"resultType":"string","result":[1.5,"words"]}}').text == "words"


@pytest.mark.parametrize(
    ("top", "partial", "warnings"),
    [
        ({}, False, ()),
        ({"warnings": ["remote_read: connection refused"]}, True, ("remote_read: connection refused",)),
        ({"warnings": ["No StoreAPIs matched for this query"]}, True, ("No StoreAPIs matched for this query",)),
        ({"warnings": ["PromQL warning: bucket label is missing"]}, False, ("PromQL warning: bucket label is missing",)),
        ({"infos": ["PromQL info: metric might not be a counter"]}, False, ("PromQL info: metric might not be a counter",)),
        ({"isPartial": True}, True, ()),
        ({"partial_response": True}, True, ()),
        ({"warnings": []}, False, ()),
        ({"warnings": None}, False, ()),
    ],
)
def test_what_the_server_says_about_its_answer(top: dict[str, Any], partial: bool, warnings: tuple[str, ...]) -> None:
    found = decode(compact(vector(*LARGE, **top)), 4096)
    assert (found.partial, found.warnings, len(found.labels)) == (partial, warnings, 3000)


def test_victoriametrics_says_partial_before_the_data() -> None:
    body = b'{"status":"success","isPartial":true,"data":{"resultType":"vector","result":[{"metric":{"a":"b"},"value":[1,"2"]}]}}'
    assert decode(body, 10).partial


def test_keys_in_another_order_and_more_of_them() -> None:
    body = b'{"data":{"result":[{"value":[1,"2"],"extra":{"x":[1]},"metric":{"a":"b"}}],"resultType":"vector","stats":{}},"status":"success"}'
    found = decode(body, 9)
    assert (dict(found.labels[0]), found.values.tolist()) == ({"a": "b"}, [2.0])


def test_native_histograms_are_left_out_and_it_is_said() -> None:
    body = b'{"status":"success","data":{"resultType":"vector","result":[{"metric":{"a":"1"},"histogram":[1,{"count":"2"}]},{"metric":{"a":"2"},"value":[1,"2"]}]}}'
    found = decode(body)
    assert [dict(m) for m in found.labels] == [{"a": "2"}]
    assert found.partial
    assert "1 native histograms" in found.warnings[0]
    ranged = b'{"status":"success","data":{"resultType":"matrix","result":[{"metric":{"a":"1"},"histograms":[[1,{"count":"2"}]]}]}}'
    assert (decode(ranged).series, decode(ranged).partial) == ([], True)


ONE = b'{"status":"success","data":{"resultType":"vector","result":[%s]}}'
GOOD = b'{"metric":{"a":"b"},"value":[1,"2"]}'
GARBAGE = [
    b"",
    b"null",
    b"[]",
    b"<html>502 Bad Gateway</html>",
    b'{"status":"success"}',
    b'{"status":"success","data":null}',
    b'{"status":"success","data":{"resultType":"vector"}}',
    b'{"status":"success","data":{"resultType":"streams","result":[]}}',
    b'{"status":"success","data":{"resultType":"vector","result":{}}}',
    ONE % b'{"metric":{"a":1},"value":[1,"2"]}',
    ONE % b'{"metric":{"a":null},"value":[1,"2"]}',
    ONE % b'{"metric":{"a":true},"value":[1,"2"]}',
    ONE % b'{"metric":{"a":["b"]},"value":[1,"2"]}',
    ONE % b'{"metric":{"a":{"b":"c"}},"value":[1,"2"]}',
    ONE % b'{"metric":["a"],"value":[1,"2"]}',
    ONE % b'{"metric":"a","value":[1,"2"]}',
    ONE % b'{"metric":"a","value":[1,"2"]},{"metric":{"a":{"b":"c"}},"value":[1,"2"]}',
    ONE % b'{"metric":[{"x":"y"}],"value":[1,"2"]},{"metric":{"a":["b"]},"value":[1,"2"]}',
    ONE % b'{"metric":{"a":"\xff"},"value":[1,"2"]}',
    ONE % b'{"metric":{"a":"\\ud800"},"value":[1,"2"]}',
    ONE % b'{"metric":{"a":"\\x41"},"value":[1,"2"]}',
    ONE % b'{"metric":{"a":"\x01"},"value":[1,"2"]}',
    ONE % b'{"metric":{"a":"b"},"value":[1,"two"]}',
    ONE % b'{"metric":{"a":"b"},"value":[1,"1_0"]}',
    ONE % b'{"metric":{"a":"b"},"value":[1,""]}',
    ONE % b'{"metric":{"a":"b"},"value":[1]}',
    ONE % b'{"metric":{"a":"b"},"value":[1,"2",3]}',
    ONE % b'{"metric":{"a":"b"},"value":[1,null]}',
    ONE % b'{"metric":{"a":"b"}}',
    ONE % b'{"value":[1,"2"]}',
    ONE % (GOOD + b"," + GOOD + b",") ,
    ONE % (GOOD + GOOD),
    (ONE % GOOD)[:-1],
    (ONE % (GOOD + b"," + GOOD))[:-20],
    ONE % GOOD + b"}",
    ONE % (GOOD + b',{"metric":}'),
]  # fmt: skip


@pytest.mark.parametrize("size", [5, 64, 1 << 19])
@pytest.mark.parametrize("body", GARBAGE, ids=range(len(GARBAGE)))
def test_garbage_is_an_error_before_anything_is_handed_out(body: bytes, size: int) -> None:
    with pytest.raises((ValueError, RefusedError)):
        decode(body, size)


@settings(max_examples=200, deadline=None)
@given(st.integers(0, 400), st.integers(0, 255), st.integers(1, 100))
def test_one_wrong_octet_never_gives_labels_that_cannot_be_read(place: int, octet: int, size: int) -> None:
    body = bytearray(compact(vector(({"job": "a", "pod": "b-1"}, "1"), ({"job": "a", "pod": "b-2"}, "2.5"), ({"job": "c"}, "NaN"))))
    body[place % len(body)] = octet
    try:
        found = decode(bytes(body), size)
    except (ValueError, RefusedError):
        return
    for labels in found.labels:
        assert all(isinstance(k, str) and isinstance(v, str) for k, v in labels.items())


def test_an_error_body_is_a_refusal() -> None:
    with pytest.raises(RefusedError) as refused:
        decode(b'{"status":"error","errorType":"execution","error":"too many samples"}')
    assert refused.value.envelope.error_type == "execution"


@pytest.mark.parametrize("text", ["1_0", " 1", "1 ", "infinity", "nan", "Infinity", "inf", "0x10", "1e", "", ".", "--1", "１"])  # noqa: RUF001 (a digit of another script)
def test_numbers_are_only_what_prometheus_writes(text: str) -> None:
    with pytest.raises(ValueError, match="not a number"):
        number(text)


@pytest.mark.parametrize(("start", "end", "step", "points"), [(0.0, 10.0, 1.0, 3), (0.5, 100.25, 0.25, 7), (5.0, 5.0, 60.0, 2), (1_790_000_000.123, 1_790_000_100.0, 0.1, 10)])
def test_pieces_cover_the_grid_once(start: float, end: float, step: float, points: int) -> None:
    grid = [t for a, b in pieces(start, end, step, points) for t in range(round(a * 1000), round(b * 1000) + 1, round(step * 1000))]
    assert grid == list(range(round(start * 1000), round(end * 1000) + 1, round(step * 1000)))
    assert all(round((b - a) / step) < points for a, b in pieces(start, end, step, points))


def test_joined_pieces_keep_each_time_once() -> None:
    a, b = {"x": "1"}, {"x": "2"}
    first = Decoded("matrix", series=[(a, np.array([1.0, 2.0]), np.array([10.0, 20.0]))])
    second = Decoded("matrix", series=[(b, np.array([2.0, 3.0]), np.array([0.0, 1.0])), (a, np.array([2.0, 3.0]), np.array([99.0, 30.0]))])
    found = {tuple(s.labels.values()): (s.times.tolist(), s.values.tolist()) for s in joined([first, second])}
    assert found == {("1",): ([1.0, 2.0, 3.0], [10.0, 20.0, 30.0]), ("2",): ([2.0, 3.0], [0.0, 1.0])}
