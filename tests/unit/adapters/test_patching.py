"""Merge and JSON patch against the examples of RFC 7386 and RFC 6902, and what holds for any patch."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aiops.adapters.patching import apply_operations, clone, merge, same
from aiops.domain.errors import InvalidError

JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.text("ab/~", max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("ab/~", max_size=3), inner, max_size=3),
    max_leaves=8,
)


@pytest.mark.parametrize(
    ("document", "patch", "expected"),
    [  # RFC 7386, appendix A
        ({"a": "b"}, {"a": "c"}, {"a": "c"}),
        ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
        ({"a": "b"}, {"a": None}, {}),
        ({"a": "b", "b": "c"}, {"a": None}, {"b": "c"}),
        ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
        ({"a": "c"}, {"a": ["b"]}, {"a": ["b"]}),
        ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
        ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
        (["a", "b"], ["c", "d"], ["c", "d"]),
        ({"a": "b"}, ["c"], ["c"]),
        ({"a": "foo"}, None, None),
        ({"a": "foo"}, "bar", "bar"),
        ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
        ([1, 2], {"a": "b", "c": None}, {"a": "b"}),
        ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
    ],
)
def test_merge(document: Any, patch: Any, expected: Any):
    assert merge(document, patch) == expected


@pytest.mark.parametrize(
    ("document", "operations", "expected"),
    [  # RFC 6902, appendix A
        ({"foo": "bar"}, [{"op": "add", "path": "/baz", "value": "qux"}], {"baz": "qux", "foo": "bar"}),
        ({"foo": ["bar", "baz"]}, [{"op": "add", "path": "/foo/1", "value": "qux"}], {"foo": ["bar", "qux", "baz"]}),
        ({"baz": "qux", "foo": "bar"}, [{"op": "remove", "path": "/baz"}], {"foo": "bar"}),
        ({"foo": ["bar", "qux", "baz"]}, [{"op": "remove", "path": "/foo/1"}], {"foo": ["bar", "baz"]}),
        ({"baz": "qux"}, [{"op": "replace", "path": "/baz", "value": "boo"}], {"baz": "boo"}),
        ({"foo": {"bar": 1}, "qux": {}}, [{"op": "move", "from": "/foo/bar", "path": "/qux/thud"}], {"foo": {}, "qux": {"thud": 1}}),
        ({"foo": [1, 2, 3, 4]}, [{"op": "move", "from": "/foo/1", "path": "/foo/3"}], {"foo": [1, 3, 4, 2]}),
        ({"baz": "qux", "foo": ["a", 2, "c"]}, [{"op": "test", "path": "/baz", "value": "qux"}], {"baz": "qux", "foo": ["a", 2, "c"]}),
        ({"foo": "bar"}, [{"op": "add", "path": "/child", "value": {"grandchild": {}}}], {"foo": "bar", "child": {"grandchild": {}}}),
        ({"/": 9, "~1": 10}, [{"op": "test", "path": "/~01", "value": 10}], {"/": 9, "~1": 10}),
        ({"foo": ["bar"]}, [{"op": "add", "path": "/foo/-", "value": ["abc", "def"]}], {"foo": ["bar", ["abc", "def"]]}),
        ({"foo": 1}, [{"op": "replace", "path": "", "value": {"bar": 2}}], {"bar": 2}),
        ({"a": 1}, [{"op": "test", "path": "/b", "value": None}, {"op": "test", "path": "/b"}], {"a": 1}),
        (
            {"a": {"b": 1}},
            [{"op": "copy", "from": "/a", "path": "/c"}, {"op": "replace", "path": "/c/b", "value": 2}],
            {"a": {"b": 1}, "c": {"b": 2}},
        ),
    ],
)
def test_operations(document: Any, operations: Any, expected: Any):
    before = clone(document)
    assert same(apply_operations(document, operations), expected)
    assert document == before


@pytest.mark.parametrize(
    ("operation", "status"),
    [
        ({"op": "test", "path": "/n", "value": True}, 422),
        ({"op": "test", "path": "/n", "value": "1"}, 422),
        ({"op": "test", "path": "/n", "value": None}, 422),
        ({"op": "test", "path": "/missing/x", "value": None}, 422),
        ({"op": "test", "path": "/list/9", "value": None}, 422),
        ({"op": "add", "path": "/list/3", "value": 1}, 422),
        ({"op": "add", "path": "/list/01", "value": 1}, 422),
        ({"op": "add", "path": "/list/-1", "value": 1}, 422),
        ({"op": "add", "path": "/list/²", "value": 1}, 422),
        ({"op": "remove", "path": "/list/-"}, 422),
        ({"op": "remove", "path": ""}, 422),
        ({"op": "remove", "path": "/n/x"}, 422),
        ({"op": "add", "path": "/n/x", "value": 1}, 422),
        ({"op": "add", "path": "n", "value": 1}, 422),
        ({"op": "add", "path": "/x"}, 422),
        ({"op": "invent", "path": "/x"}, 400),
        ({"path": "/x"}, 400),
        ({"op": "add", "path": 7, "value": 1}, 400),
        ({"op": "move", "path": "/x"}, 400),
        ("add", 400),
    ],
)
def test_what_does_not_apply_is_refused(operation: Any, status: int):
    with pytest.raises(InvalidError) as caught:
        apply_operations({"n": 1, "list": [1, 2]}, [operation])
    assert caught.value.status == status


@settings(deadline=None)
@given(JSON, JSON)
def test_a_merge_touches_neither_and_repeats_harmlessly(document: Any, patch: Any):
    kept = clone(document), clone(patch)
    once = merge(document, patch)
    assert same(merge(once, patch), once)
    assert same(document, kept[0])
    assert same(patch, kept[1])


@settings(deadline=None)
@given(st.dictionaries(st.text("ab/~", max_size=3), JSON, max_size=3), st.text("ab/~", max_size=3), JSON)
def test_what_was_added_is_there_and_can_be_removed(document: Any, name: str, value: Any):
    path = "/" + name.replace("~", "~0").replace("/", "~1")
    added = apply_operations(document, [{"op": "add", "path": path, "value": value}, {"op": "test", "path": path, "value": value}])
    assert same(added[name], value)
    removed = apply_operations(added, [{"op": "remove", "path": path}])
    assert same(removed, {k: v for k, v in document.items() if k != name})
