"""YAML is read strictly, bounded and with lines; nothing in a file can make it raise."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiops.definitions.yaml_tree import MAX_BYTES, dotted, read_documents


def problems_of(text: str) -> list[str]:
    return [str(p) for p in read_documents(text, "f.yaml")[1]]


def test_values_and_lines() -> None:
    documents, problems = read_documents("# first\na: 1\nb:\n  - x: on\n  - y: 0o17\n---\nc: [1.5, ~, 'no', true]\n", "f.yaml")
    assert not problems
    assert [d.data for d in documents] == [{"a": 1, "b": [{"x": "on"}, {"y": 15}]}, {"c": [1.5, None, "no", True]}]
    assert documents[0].line(("b", 1, "y")) == 5
    assert documents[0].line(("b", 1, "nothing", "below")) == 5
    assert documents[1].line(("c",)) == 7


@pytest.mark.parametrize("empty", ["", "\n# only a comment\n", "---\n---\n", "~"])
def test_empty_files_hold_no_documents(empty: str) -> None:
    assert read_documents(empty, "f.yaml") == ([], [])


@pytest.mark.parametrize(
    "text",
    ["a: !!python/object/apply:os.system [id]", "a: !!python/name:os.system", "!custom {a: 1}", "a: !!binary aGk=", "a: !!set {x}", "- !include f"],
)
def test_tags_that_make_objects_are_refused(text: str) -> None:
    assert any("is not allowed; only plain maps" in p for p in problems_of(text))


def test_core_tags_are_plain() -> None:
    documents, problems = read_documents("a: !!str 5\nb: !!int 5\nc: !!float 5\nd: ! 5", "f.yaml")
    assert not problems
    assert documents[0].data == {"a": "5", "b": 5, "c": 5, "d": "5"}


def test_a_tag_that_does_not_hold() -> None:
    assert problems_of("a: !!int five") == ["f.yaml:1: yaml: 'five' is not what its tag says"]


def test_duplicate_keys_name_both_lines() -> None:
    assert problems_of("a:\n  b: 1\n  c: 2\n  b: 3\n") == ["f.yaml:4: a.b: the key stands here a second time (first in line 2); keep one"]


def test_alias_bomb_is_bounded() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 12)]
    assert ["after its aliases are expanded" in p for p in problems_of("\n".join(lines))] == [True]


def test_deep_alias_chain_is_bounded() -> None:
    lines = ["a0: &a0 {x: 1}"] + [f"a{i}: &a{i} {{x: *a{i - 1}}}" for i in range(1, 200)]
    assert ["nested deeper" in p for p in problems_of("\n".join(lines))] == [True]


def test_aliases_are_otherwise_allowed() -> None:
    documents, problems = read_documents("a: &x {k: [1]}\nb: *x\n", "f.yaml")
    assert not problems
    assert documents[0].data["b"] == {"k": [1]}


@pytest.mark.parametrize("text", ["&a [*a]", "a: *nobody", "a: &x {k: *x}"])
def test_aliases_without_a_complete_anchor(text: str) -> None:
    assert ["names no anchor" in p for p in problems_of(text)] == [True]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[" * 3000, "nested deeper"),
        ("a: [1,\n2", "flow sequence"),
        ("a:\n\t- b", "cannot start any token"),
        ("a: \x07", "not allowed"),
        ("? [1]\n: 2", "a key must be text"),
        ("{1: 2}", "a key must be text"),
        ("x: &a {y: 1}\nz:\n  <<: *a", "merge keys are not allowed"),
        ("a: b: c", "mapping values are not allowed"),
        ("x" * (MAX_BYTES + 1), "more than 1 MiB"),
    ],
)
def test_broken_files_say_what_is_wrong(text: str, words: str) -> None:
    found = problems_of(text)
    assert len(found) == 1
    assert words in found[0]
    assert found[0].startswith("f.yaml:")


@given(st.text(alphabet=st.characters(codec="utf-8"), max_size=200) | st.text(alphabet="{}[]:,-&*!|>'\"# \n\tab1.?%@`", max_size=60))
def test_no_text_makes_it_raise(text: str) -> None:
    documents, problems = read_documents(text, "f.yaml")
    assert isinstance(documents, list)
    assert all(p.line >= 1 and p.message for p in problems)


def test_dotted_paths() -> None:
    assert dotted(("rules", 0, "detector", "above")) == "rules[0].detector.above"
    assert dotted(("labels", "a\nb")) == "labels.'a\\nb'"
