"""`aiops test`: authors' unit tests through the live pipeline, in virtual time, over an in-memory cluster; dry-run unless a test says `act`.

Neighbours: `definitions.schema_cases` is the format, `app.case_stage` the world of one test, `app.case_diff` says what differs.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from aiops.adapters.memory_prometheus.notation import NotationError, fill
from aiops.adapters.memory_prometheus.store import MemorySeriesStore
from aiops.app.case_diff import compare
from aiops.app.case_stage import CaseStage
from aiops.app.check import load_or_raise
from aiops.definitions.loader import Definitions
from aiops.definitions.problems import validate
from aiops.definitions.schema_cases import CaseFileModel, CaseModel
from aiops.definitions.yaml_tree import Document, read_documents
from aiops.domain.errors import AiopsError, DefinitionError, Problem
from aiops.settings import Settings


@dataclass(frozen=True, slots=True)
class CaseResult:
    """One test: no `failures` is a pass. Each failure says what was expected and what was there."""

    file: str
    line: int
    name: str
    failures: tuple[str, ...]


def run_cases(paths: Sequence[Path], settings: Settings) -> list[CaseResult]:
    """All tests below these files and folders, over the settings' rules and runbooks. Raises DefinitionError with every problem."""
    definitions = load_or_raise(settings)
    problems: list[Problem] = [Problem(str(p), 1, "path", "there is no such file or folder") for p in paths if not p.exists()]
    files = sorted({f for p in paths for f in ([p] if p.is_file() else p.rglob("*.test.yaml"))})
    found: list[tuple[str, int, CaseModel]] = []
    for file in files:
        found += _read(file, problems)
    if problems:
        raise DefinitionError(tuple(problems))
    return [CaseResult(file, line, case.name, tuple(_run(case, definitions, settings))) for file, line, case in found]


def beside(settings: Settings) -> tuple[Path, ...]:
    """Where the tests of the settings' rules and runbooks are: in their folders, or beside a file as NAME.test.yaml."""
    paths = [Path(text) for text in (*settings.rules, *settings.runbooks)]
    return tuple(found for p in paths if (found := p.with_suffix(".test.yaml") if p.is_file() else p).exists())


def _read(file: Path, problems: list[Problem]) -> Iterator[tuple[str, int, CaseModel]]:
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        problems.append(Problem(str(file), 1, "document", f"cannot be read: {error}"))
        return
    documents, wrong = read_documents(text, str(file))
    problems += wrong
    for document in documents:
        model = validate(CaseFileModel, document.data, str(file), document)
        if isinstance(model, list):
            problems += model
            continue
        for index, case in enumerate(model.tests):
            problems += _notation(case, str(file), document, index)
            yield str(file), document.line(("tests", index)), case


def _notation(case: CaseModel, file: str, document: Document, index: int) -> Iterator[Problem]:
    for place, one in enumerate(case.series):
        try:
            fill(MemorySeriesStore(), one.series, one.values, start=0.0, interval=1.0)
        except NotationError as error:
            yield Problem(file, document.line(("tests", index, "series", place)), f"tests[{index}].series[{place}]", str(error))


def _run(case: CaseModel, definitions: Definitions, settings: Settings) -> Iterator[str]:
    try:
        stage = CaseStage(case, definitions, settings)
    except AiopsError as error:
        yield f"objects: {error}"
        return
    try:
        for expect in sorted(case.expect, key=lambda e: e.at):
            stage.run_until(expect.at)
            yield from (f"at {expect.at:g} s: {words}" for words in compare(expect, stage.store, stage.find, stage.texts))
        yield from stage.errors
        yield from stage.wrongly_told()
    finally:
        stage.close()
