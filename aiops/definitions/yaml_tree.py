"""YAML text to plain values that remember their lines; strict, bounded, and without any tag that makes objects.

Scalars are typed as YAML 1.2's core schema does (`on` and `yes` are text, `0o17` is octal), since the surprises of 1.1 belong in no rule.
Everything wrong becomes a Problem: unsafe tags, duplicate keys, aliases that expand without bound, depth, size.
Neighbours: `loader` reads files through it, `problems` turns paths back into lines.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import yaml

from aiops.domain.errors import Problem

MAX_BYTES = 1 << 20
MAX_DEPTH = 40
MAX_VALUES = 50_000
"""Values in one file after aliases are expanded."""

Path = tuple[str | int, ...]

_INT = re.compile(r"[-+]?[0-9]{1,30}")
_OCTAL, _HEX = re.compile(r"0o[0-7]{1,30}"), re.compile(r"0x[0-9a-fA-F]{1,30}")
_FLOAT = re.compile(r"[-+]?(\.[0-9]{1,40}|[0-9]{1,40}(\.[0-9]{0,40})?)([eE][-+]?[0-9]{1,4})?")
_SPECIAL: Mapping[str, Any] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
    **dict.fromkeys((".inf", ".Inf", ".INF", "+.inf"), float("inf")),
    "-.inf": float("-inf"),
    **dict.fromkeys((".nan", ".NaN", ".NAN"), float("nan")),
}
_CORE = "tag:yaml.org,2002:"
_TYPES: Mapping[str, tuple[type, ...]] = {"int": (int,), "float": (float, int), "bool": (bool,), "null": (type(None),)}
# libyaml is some ten times faster where PyYAML was built with it, and gives the same events.
_LOADER: Any = yaml.CSafeLoader if yaml.__with_libyaml__ else yaml.SafeLoader


@dataclass(frozen=True, slots=True)
class Document:
    """One document: plain values, and the line (from 1) of each path in it; a mapping's entry has the line of its key."""

    data: Any
    lines: Mapping[Path, int]

    def line(self, path: Path) -> int:
        """The line of a path, or of the nearest thing above it that is there."""
        while path and path not in self.lines:
            path = path[:-1]
        return self.lines.get(path, 1)


@dataclass(slots=True)
class _Node:
    line: int
    value: Any = None
    items: list[_Node] | None = None
    pairs: list[tuple[_Node, _Node]] | None = None


class _RefusedError(Exception):
    """What ends the reading of a file: there is no sense in going on after it."""

    def __init__(self, line: int, message: str) -> None:
        self.line, self.message = line, message
        super().__init__(message)


def read_documents(text: str, file: str) -> tuple[list[Document], list[Problem]]:
    """All documents of a file that are not empty, and all that is wrong with it as YAML. A broken file gives no documents."""
    builder = _Builder(file)
    try:
        _check_size(text)
        documents = builder.documents(yaml.parse(text, Loader=_LOADER))
    except _RefusedError as refused:
        return [], [*builder.problems, Problem(file, refused.line, "yaml", refused.message)]
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        what = " ".join(part for part in (error.context, error.problem) if part)
        where = f" (column {mark.column + 1})" if mark else ""
        last = text.count("\n") + 1  # the mark of "more was expected" may lie behind the end
        return [], [*builder.problems, Problem(file, min(mark.line + 1, last) if mark else 1, "yaml", f"{what}{where}")]
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        return [], [*builder.problems, Problem(file, line, "yaml", f"the character {error.character!r} is not allowed: {error.reason}")]
    return documents, builder.problems


def _check_size(text: str) -> None:
    if len(text.encode(errors="replace")) > MAX_BYTES:
        raise _RefusedError(1, f"the file has more than {MAX_BYTES >> 20} MiB; split it")


@dataclass(slots=True)
class _Builder:
    """Events to nodes to plain values; collects problems that do not end the reading."""

    file: str
    problems: list[Problem] = field(default_factory=list)
    anchors: dict[str, _Node] = field(default_factory=dict)
    values: int = 0

    def documents(self, events: Iterator[yaml.Event]) -> list[Document]:
        found = []
        for event in events:
            if isinstance(event, yaml.DocumentStartEvent):
                self.anchors = {}
                node = self._node(next(events), events, 0)
                lines: dict[Path, int] = {(): node.line}
                data = self._plain(node, (), lines)
                if data is not None:
                    found.append(Document(data, lines))
        return found

    def _node(self, event: Any, events: Iterator[Any], depth: int) -> _Node:
        line = event.start_mark.line + 1
        if depth > MAX_DEPTH:
            raise _RefusedError(line, f"nested deeper than {MAX_DEPTH} levels")
        if isinstance(event, yaml.AliasEvent):
            if event.anchor not in self.anchors:  # an anchor counts when its node is complete, so a node cannot hold itself
                raise _RefusedError(line, f"the alias *{event.anchor} names no anchor that is complete before it")
            return self.anchors[event.anchor]
        node = _Node(line)
        if isinstance(event, yaml.ScalarEvent):
            node.value = self._scalar(event, line)
        elif isinstance(event, yaml.SequenceStartEvent):
            self._check_tag(event, line, "seq")
            node.items = []
            while not isinstance(inner := next(events), yaml.SequenceEndEvent):
                node.items.append(self._node(inner, events, depth + 1))
        else:
            self._check_tag(event, line, "map")
            node.pairs = []
            while not isinstance(inner := next(events), yaml.MappingEndEvent):
                key = self._node(inner, events, depth + 1)
                node.pairs.append((key, self._node(next(events), events, depth + 1)))
        if event.anchor:
            self.anchors[event.anchor] = node
        return node

    def _check_tag(self, event: Any, line: int, core: str) -> None:
        if event.tag and event.tag not in ("!", _CORE + core):
            self._tag_problem(event.tag, line)

    def _tag_problem(self, tag: str, line: int) -> None:
        shown = "!!" + tag[len(_CORE) :] if tag.startswith(_CORE) else tag
        self.problems.append(
            Problem(self.file, line, "yaml", f"the tag {shown[:80]} is not allowed; only plain maps, lists, text, numbers, true, false and null")
        )

    def _scalar(self, event: Any, line: int) -> Any:
        if event.tag in ("!", _CORE + "str") or (event.tag is None and not event.implicit[0]):
            return event.value
        typed = _typed(event.value)
        if event.tag is None:
            return typed
        wanted = _TYPES.get(event.tag.removeprefix(_CORE))
        if wanted is None:
            self._tag_problem(event.tag, line)
        elif not isinstance(typed, wanted):
            self.problems.append(Problem(self.file, line, "yaml", f"{event.value[:40]!r} is not what its tag says"))
        return typed

    def _plain(self, node: _Node, path: Path, lines: dict[Path, int]) -> Any:
        self.values += 1
        if self.values > MAX_VALUES:
            raise _RefusedError(node.line, f"more than {MAX_VALUES} values after its aliases are expanded")
        if len(path) > MAX_DEPTH:
            raise _RefusedError(node.line, f"nested deeper than {MAX_DEPTH} levels after its aliases are expanded")
        if node.items is not None:
            for index, item in enumerate(node.items):
                lines[*path, index] = item.line
            return [self._plain(item, (*path, index), lines) for index, item in enumerate(node.items)]
        if node.pairs is None:
            return node.value
        result: dict[str, Any] = {}
        for key, value in node.pairs:
            name = self._key(key, path)
            if name is None:
                continue
            if name in result:
                self._problem(key.line, (*path, name), f"the key stands here a second time (first in line {lines[*path, name]}); keep one")
                continue
            lines[*path, name] = key.line
            result[name] = self._plain(value, (*path, name), lines)
        return result

    def _key(self, node: _Node, path: Path) -> str | None:
        if not isinstance(node.value, str) or node.items is not None or node.pairs is not None:
            shown = "a list or map" if node.items is not None or node.pairs is not None else repr(node.value)
            self._problem(node.line, path, f"a key must be text, not {shown[:40]}; put it in quotes")
            return None
        if node.value == "<<":
            self._problem(node.line, (*path, "<<"), "merge keys are not allowed; write the entries out")
            return None
        return node.value

    def _problem(self, line: int, path: Path, message: str) -> None:
        self.problems.append(Problem(self.file, line, dotted(path) or "yaml", message))


def _typed(text: str) -> Any:
    if text in _SPECIAL:
        return _SPECIAL[text]
    if _INT.fullmatch(text):
        return int(text)
    if _OCTAL.fullmatch(text) or _HEX.fullmatch(text):
        return int(text, 0)
    return float(text) if _FLOAT.fullmatch(text) else text


def dotted(path: Path) -> str:
    """`rules[0].detector.above`."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            shown = part[:60] if part.isprintable() else repr(part[:60])
            text += f".{shown}" if text else shown
    return text
