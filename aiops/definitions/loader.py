"""Folders of YAML in, rules and runbooks out, with every problem of the run.

`load_definitions` never raises for what is in the files: the caller decides what a problem means (`aiops check` lists them, a reload keeps the last good
set). A rule or runbook with a problem is left out; the others stand.
Neighbours: `app` and `cli check` call it; the actions' specs come from `execution.actions.registry`.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel

from aiops.definitions.compile_rules import compile_rule, source_of
from aiops.definitions.compile_runbooks import named
from aiops.definitions.escalations import check_escalations
from aiops.definitions.fields import API_VERSION
from aiops.definitions.linking import Pending, link
from aiops.definitions.parameters import check_parameters, check_query
from aiops.definitions.problems import suggestion, validate
from aiops.definitions.schema_rules import RuleModel, RuleSetHeader
from aiops.definitions.schema_runbooks import RunbookModel
from aiops.definitions.step_checks import check_steps
from aiops.definitions.yaml_tree import MAX_BYTES, Document, dotted, read_documents
from aiops.domain.errors import Problem
from aiops.domain.rule import Rule
from aiops.domain.runbook import ActionSpec, Runbook

KINDS = ("RuleSet", "Runbook")
SUFFIXES = (".yaml", ".yml")
TEST_SUFFIXES = (".test.yaml", ".test.yml")

M = TypeVar("M", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class Definitions:
    """What was loaded: rules and runbooks in the order of file names, every problem, and a hash that changes with any content.

    `notes` are no problems: what is left out because the settings have no source of its type.
    """

    rules: tuple[Rule, ...]
    runbooks: tuple[Runbook, ...]
    problems: tuple[Problem, ...]
    hash: str
    notes: tuple[Problem, ...] = ()


def load_definitions(
    rule_paths: Iterable[str | Path],
    runbook_paths: Iterable[str | Path],
    *,
    actions: Mapping[str, ActionSpec],
    sources: Mapping[str, str] | None = None,
    guards: Collection[str] | None = None,
) -> Definitions:
    """Read all rules and runbooks below these files and folders; each document says by its `kind` what it is.

    `sources` maps configured source names to their type (`prometheus`, `elasticsearch`, …) and `guards` names the guards there are; None means
    that nothing is known about them and nothing is checked.
    """
    loading = _Loading(actions, sources, guards)
    for path in (*rule_paths, *runbook_paths):
        for file in loading.files(Path(path)):
            loading.read(file)
    loading.link()
    loading.escalations()
    problems = sorted(loading.problems, key=lambda p: (p.file, p.line))
    return Definitions(tuple(loading.rules), tuple(loading.runbooks), tuple(problems), _digest(loading.contents), tuple(loading.notes))


@dataclass(slots=True)
class _Loading:
    """One run: what was found so far."""

    actions: Mapping[str, ActionSpec]
    sources: Mapping[str, str] | None
    guards: Collection[str] | None
    rules: list[Rule] = field(default_factory=list)
    runbooks: list[Runbook] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    notes: list[Problem] = field(default_factory=list)
    contents: list[Any] = field(default_factory=list)
    seen: dict[tuple[str, str], str] = field(default_factory=dict)
    done: set[Path] = field(default_factory=set)
    escalating: dict[str, tuple[tuple[str, ...], Document, str]] = field(default_factory=dict)
    pending: dict[str, Pending] = field(default_factory=dict)

    def files(self, path: Path) -> Iterator[Path]:
        """The YAML files below a path, sorted. Hidden names are left out: mounted ConfigMaps hold a hidden copy of every file."""
        if path.is_dir():
            for folder, folders, names in os.walk(path, onerror=self._unreadable):
                folders[:] = sorted(name for name in folders if not name.startswith("."))
                for name in sorted(names):
                    if name.endswith(SUFFIXES) and not name.endswith(TEST_SUFFIXES) and not name.startswith("."):
                        yield Path(folder, name)
        elif path.is_file():
            yield path
        else:
            self.problems.append(Problem(str(path), 1, "path", "no such file or folder"))

    def _unreadable(self, error: OSError) -> None:
        self.problems.append(Problem(str(error.filename), 1, "path", f"cannot be read: {error.strerror}"))

    def read(self, path: Path) -> None:
        """All documents of one file; a file that two paths lead to is read once."""
        if path.resolve() in self.done:
            return
        self.done.add(path.resolve())
        file = str(path)
        try:
            # A pipe would be waited for without end.
            if path.exists() and not path.is_file():
                self.problems.append(Problem(file, 1, "path", "is no ordinary file"))
                return
            # A bit more than is allowed is enough to know that it is too much.
            with path.open("rb") as handle:
                text = handle.read(MAX_BYTES + 1).decode()
        except OSError as error:
            self.problems.append(Problem(file, 1, "path", f"cannot be read: {error.strerror}"))
            return
        except UnicodeDecodeError as error:
            self.problems.append(Problem(file, 1, "yaml", f"is no UTF-8 (byte {error.start})"))
            return
        documents, problems = read_documents(text, file)
        self.problems.extend(problems)
        for document in documents:
            self._document(document, file)

    def _document(self, document: Document, file: str) -> None:
        data = document.data
        if not isinstance(data, dict):
            self.problems.append(Problem(file, document.line(()), "document", f"must be a map with apiVersion: {API_VERSION} and kind: {' or '.join(KINDS)}"))
            return
        kind = data.get("kind")
        if kind not in KINDS:
            words = "kind is missing" if kind is None else f"kind {str(kind)[:40]!r} is not allowed here"
            self.problems.append(Problem(file, document.line(("kind",)), "kind", suggestion(words, kind, list(KINDS))))
            return
        self.contents.append(data)
        if kind == "RuleSet":
            self._rule_set(document, file)
        else:
            self._runbook(document, file)

    def _valid(self, model: type[M], data: Any, file: str, document: Document, base: tuple[str | int, ...] = ()) -> M | None:
        found = validate(model, data, file, document, base)
        if isinstance(found, list):
            self.problems.extend(found)
            return None
        return found

    def _unique(self, kind: str, name: object, place: str, problem: Problem) -> bool:
        first = self.seen.setdefault((kind, str(name)), place)
        if first != place:
            self.problems.append(
                Problem(problem.file, problem.line, problem.key, f"a {kind} {str(name)[:63]!r} stands at {first} already; names must differ")
            )
        return first == place

    def _rule_set(self, document: Document, file: str) -> None:
        header = self._valid(RuleSetHeader, document.data, file, document)
        rules = header.rules if header else document.data.get("rules")
        for index, data in enumerate(rules if isinstance(rules, list) else ()):
            base = ("rules", index)
            line = document.line(base)
            unique = True
            if isinstance(data, dict) and isinstance(data.get("name"), str):
                at = document.line((*base, "name"))
                unique = self._unique("rule", data["name"], f"{file}:{at}", Problem(file, at, dotted((*base, "name")), ""))
            model = self._valid(RuleModel, data, file, document, base)
            if model is None:
                continue
            source, path = source_of(model, self.sources), (*base, "source")
            if source.wrong:
                self.problems.append(Problem(file, document.line(path), dotted(path), source.wrong))
            elif source.absent:
                self.notes.append(Problem(file, line, dotted(base), f"the rule {model.name} is left out: {source.absent}"))
            elif unique:
                self.rules.append(compile_rule(model, source.name, file, line))

    def _runbook(self, document: Document, file: str) -> None:
        data = document.data
        metadata = data.get("metadata")
        unique = True
        if isinstance(metadata, dict) and isinstance(metadata.get("name"), str):
            at = document.line(("metadata", "name"))
            unique = self._unique("runbook", metadata["name"], f"{file}:{at}", Problem(file, at, "metadata.name", ""))
        model = self._valid(RunbookModel, data, file, document)
        names = named(model, self.sources, self.guards) if model else None
        given = data.get("parameters")
        found = [*check_steps(data.get("steps"), self.actions, given if isinstance(given, dict) else {}), *(names.wrong if names else ())]
        found += [*check_parameters(data), *(check_query(model) if model else ())]
        self.problems.extend(Problem(file, document.line(path), dotted(path), words) for path, words in found)
        if unique and isinstance(metadata, dict) and isinstance(metadata.get("name"), str):
            good = model if names is not None and not found else None
            if good is not None:
                self.escalating[good.metadata.name] = (tuple(good.escalates_to), document, file)
            self.pending[metadata["name"]] = Pending(data, document, file, good, names)

    def link(self) -> None:
        """When all files are read: compile the runbooks, those that others call first."""
        linked = link(self.pending, self.actions, _digest)
        self.runbooks.extend(linked.runbooks)
        self.problems.extend(linked.problems)
        self.notes.extend(linked.notes)

    def escalations(self) -> None:
        """Once everything is read: what runbooks escalate to is there, and each escalation has an end. One that has none is left out."""
        known = [name for kind, name in self.seen if kind == "runbook"]
        for name, place, words in check_escalations({name: names for name, (names, _, _) in self.escalating.items()}, known):
            _, document, file = self.escalating[name]
            path = ("escalatesTo", place)
            self.problems.append(Problem(file, document.line(path), dotted(path), words))
            self.runbooks = [r for r in self.runbooks if r.name != name]


def _digest(content: Any) -> str:
    """Of the content, not of the notation: a comment or the order of keys changes nothing."""
    text = json.dumps(content, sort_keys=True, ensure_ascii=True, separators=(",", ":"))
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()
