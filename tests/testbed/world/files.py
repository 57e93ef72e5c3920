"""Strict reading of the world's YAML files: every value knows its line, and what is wrong is one error that names it.

Neighbours: `services` and `faults` read through `Fields`.
"""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

import yaml

API_VERSION = "aiops-testbed/v1"
_DURATION = re.compile(r"(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?(?:(\d+(?:\.\d+)?)s)?(?:(\d+)ms)?")
_QUANTITY = re.compile(r"(-?\d+(?:\.\d+)?)(Ki|Mi|Gi|Ti|k|M|G|T|m)?")
_FACTORS = {"": 1.0, "m": 0.001, "k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12, "Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40}
_NAME = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
T = TypeVar("T")


class WorldFileError(ValueError):
    """A file that cannot be used: `file:line: key: what is wrong; what is allowed`."""


def duration(text: Any) -> float:
    """Seconds of `90s`, `1h30m`, `250ms` or a plain number. Raises ValueError."""
    if isinstance(text, int | float) and not isinstance(text, bool):
        return float(text)
    match = _DURATION.fullmatch(text) if isinstance(text, str) and text else None
    if match is None:
        raise ValueError(f"{text!r} is no duration; write 30s, 5m, 1h30m, 250ms or seconds")
    days, hours, minutes, seconds, millis = (float(part or 0) for part in match.groups())
    return days * 86400 + hours * 3600 + minutes * 60 + seconds + millis / 1000


def quantity(text: Any) -> float:
    """A number, or one with a Kubernetes suffix (`512Mi`, `500m`). Raises ValueError."""
    if isinstance(text, int | float) and not isinstance(text, bool):
        if not math.isfinite(text):
            raise ValueError(f"{text!r} must be finite")
        return float(text)
    match = _QUANTITY.fullmatch(text) if isinstance(text, str) else None
    if match is None:
        raise ValueError(f"{text!r} is no quantity; write a number, with a suffix of {', '.join(filter(None, _FACTORS))} if wanted")
    return float(match[1]) * _FACTORS[match[2] or ""]


class Fields:
    """One mapping of a file. What is read is taken; `done()` complains of what is left, so unknown keys cannot pass."""

    def __init__(self, file: str, path: str, node: yaml.MappingNode) -> None:
        self.file, self.path, self.line = file, path, node.start_mark.line + 1
        self._nodes: dict[str, yaml.Node] = {}
        self._lines: dict[str, int] = {}
        self._asked: list[str] = []
        for key_node, value in node.value:
            key = str(key_node.value)
            if not isinstance(key_node, yaml.ScalarNode) or key in self._nodes:
                raise self._error(key_node.start_mark.line + 1, key, "is given twice" if key in self._nodes else "keys must be text")
            self._nodes[key], self._lines[key] = value, key_node.start_mark.line + 1

    def __contains__(self, key: str) -> bool:
        return key in self._nodes

    def _error(self, line: int, key: str, what: str) -> WorldFileError:
        return WorldFileError(f"{self.file}:{line}: {self.path + '.' if self.path else ''}{key}: {what}")

    def wrong(self, key: str, what: str) -> WorldFileError:
        """The error to raise for a key's value, with its line."""
        return self._error(self._lines.get(key, self.line), key, what)

    def _take(self, key: str, default: Any) -> Any:
        self._asked.append(key)
        if key not in self._nodes:
            if default is ...:
                raise self._error(self.line, key, "is missing and must be given")
            return None
        return _plain(self._nodes[key], self.file)

    def value(self, key: str, read: Callable[[Any], T], default: Any = ...) -> T:
        """The value read by `read`, whose ValueError becomes ours; `default` (not read) when the key is not there."""
        found = self._take(key, default)
        if key not in self._nodes:
            return default  # type: ignore[no-any-return]
        try:
            return read(found)
        except ValueError as error:
            raise self.wrong(key, str(error)) from error

    def text(self, key: str, default: Any = ...) -> str:
        """Text."""
        return self.value(key, _text, default)

    def name(self, key: str, default: Any = ...) -> str:
        """A name such as Kubernetes allows."""
        return self.value(key, _name, default)

    def one_of(self, key: str, allowed: Sequence[str], default: Any = ...) -> str:
        """One of the words."""
        return self.value(key, lambda value: _choice(value, allowed), default)

    def number(self, key: str, default: Any = ..., *, least: float = -math.inf, most: float = math.inf) -> float:
        """A number or quantity within bounds."""
        return self.value(key, lambda value: _bounded(quantity(value), least, most), default)

    def count(self, key: str, default: Any = ..., *, least: int = 0, most: int = 10_000) -> int:
        """A whole number within bounds."""
        return self.value(key, lambda value: _whole(value, least, most), default)

    def seconds(self, key: str, default: Any = ..., *, least: float = 0.0) -> float:
        """A duration, in seconds."""
        return self.value(key, lambda value: _bounded(duration(value), least, math.inf), default)

    def flag(self, key: str, default: bool) -> bool:
        """True or false."""
        return self.value(key, _flag, default)

    def texts(self, key: str) -> tuple[str, ...]:
        """A list of text; empty when missing."""
        return self.value(key, lambda value: tuple(_text(item) for item in _list(value)), ())

    def names(self, key: str) -> tuple[str, ...]:
        """A list of names such as Kubernetes allows; empty when missing."""
        return self.value(key, lambda value: tuple(_name(item) for item in _list(value)), ())

    def labels(self, key: str) -> dict[str, str]:
        """A map of text to text; empty when missing."""
        return self.value(key, _labels, {})

    def sub(self, key: str) -> Fields | None:
        """A mapping below this one, or None."""
        self._asked.append(key)
        node = self._nodes.get(key)
        if node is None:
            return None
        if not isinstance(node, yaml.MappingNode):
            raise self.wrong(key, "must be a map")
        return Fields(self.file, f"{self.path}.{key}" if self.path else key, node)

    def subs(self, key: str) -> list[Fields]:
        """The mappings of a list; empty when missing."""
        self._asked.append(key)
        node = self._nodes.get(key)
        if node is None:
            return []
        if not isinstance(node, yaml.SequenceNode) or not all(isinstance(item, yaml.MappingNode) for item in node.value):
            raise self.wrong(key, "must be a list of maps")
        place = f"{self.path}.{key}" if self.path else key
        return [Fields(self.file, f"{place}[{index}]", item) for index, item in enumerate(node.value)]

    def done(self) -> None:
        """Raises WorldFileError for the first key that nobody asked for."""
        for key in self._nodes:
            if key not in self._asked:
                near = difflib.get_close_matches(key, self._asked, 1)
                hint = f"; did you mean {near[0]}?" if near else ""
                raise self.wrong(key, f"is not known; allowed: {', '.join(sorted(set(self._asked)))}{hint}")


def documents(folders: Sequence[Path], kind: str) -> Iterator[Fields]:
    """Every document of `kind` in the YAML files of the folders (or single files), in order of their names. Raises WorldFileError."""
    for path in _paths(folders):
        try:
            nodes = list(yaml.compose_all(path.read_text(encoding="utf-8"), Loader=yaml.SafeLoader))
        except (yaml.YAMLError, UnicodeDecodeError) as error:
            mark = getattr(error, "problem_mark", None)
            line = mark.line + 1 if mark else 1
            raise WorldFileError(f"{path}:{line}: not YAML: {getattr(error, 'problem', None) or error}") from error
        for node in nodes:
            if node is None:
                continue
            if not isinstance(node, yaml.MappingNode):
                raise WorldFileError(f"{path}:{node.start_mark.line + 1}: a document must be a map with apiVersion, kind and name")
            fields = Fields(str(path), "", node)
            fields.one_of("apiVersion", (API_VERSION,))
            if fields.one_of("kind", ("Service", "Fault")) == kind:
                yield fields


def _paths(folders: Sequence[Path]) -> list[Path]:
    found: list[Path] = []
    for folder in folders:
        if folder.is_dir():
            found += sorted(path for path in folder.rglob("*") if path.suffix in (".yaml", ".yml"))
        elif folder.exists():
            found.append(folder)
        else:
            raise WorldFileError(f"{folder}: there is no such file or folder")
    return found


def _plain(node: yaml.Node, file: str) -> Any:
    loader = yaml.SafeLoader("")
    try:
        return loader.construct_object(node, deep=True)
    except yaml.YAMLError as error:
        raise WorldFileError(f"{file}:{node.start_mark.line + 1}: {getattr(error, 'problem', error)}") from error
    finally:
        loader.dispose()


def _text(value: Any) -> str:
    if not isinstance(value, str) or not value:
        raise ValueError(f"{value!r} must be text; put it in quotes")
    return value


def _name(value: Any) -> str:
    if not isinstance(value, str) or not _NAME.fullmatch(value):
        raise ValueError(f"{value!r} is no name; use a-z, 0-9 and '-', at most 63")
    return value


def _choice(value: Any, allowed: Sequence[str]) -> str:
    # YAML reads on and off as booleans; none of our words is one.
    if value not in allowed:
        raise ValueError(f"{value!r} is not allowed; allowed: {', '.join(allowed)}")
    return str(value)


def _bounded(value: float, least: float, most: float) -> float:
    if not least <= value <= most:
        raise ValueError(f"{value:g} is out of bounds; allowed: {least:g} to {most:g}")
    return value


def _whole(value: Any, least: int, most: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise ValueError(f"{value!r} must be a whole number")
    return int(_bounded(value, least, most))


def _flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError(f"{value!r} must be true or false")
    return value


def _list(value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise ValueError("must be a list")
    return value


def _labels(value: Any) -> dict[str, str]:
    if not isinstance(value, dict) or not all(isinstance(k, str) and isinstance(v, str) for k, v in value.items()):
        raise ValueError("must be a map of text to text")
    return dict(value)
