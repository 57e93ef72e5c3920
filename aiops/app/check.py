"""Loading what people wrote: settings, rules, runbooks; all problems at once.

Neighbours: `cli check` prints, the daemon loads and reloads through here.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from aiops.app.config import read_settings
from aiops.definitions.loader import Definitions, load_definitions
from aiops.domain.errors import DefinitionError, Problem
from aiops.execution.actions.registry import SPECS
from aiops.remediate.guardrails import GUARDS
from aiops.settings import Settings

PACK_SOURCES = {"prometheus": "prometheus", "elasticsearch": "elasticsearch", "kubernetes": "kubernetes"}


@dataclass(frozen=True, slots=True)
class CheckResult:
    """What was found: counts for people, problems for `aiops check`."""

    rules: int
    runbooks: int
    problems: tuple[Problem, ...]
    paths: tuple[str, ...]


def load(settings: Settings) -> Definitions:
    """Rules and runbooks of the settings; their problems are in the answer, and what is left out for want of a source is in its notes.

    Without any source in the settings the packs' own names count, so that `aiops check` judges the packs themselves.
    """
    sources = {name: s.type for name, s in settings.sources.items()}
    known = sources | {"kubernetes": "kubernetes"} if sources else PACK_SOURCES
    return load_definitions(settings.rules, settings.runbooks, actions=SPECS, sources=known, guards=GUARDS)


def load_or_raise(settings: Settings) -> Definitions:
    """The same; raises DefinitionError with all problems if there is any."""
    definitions = load(settings)
    if definitions.problems:
        raise DefinitionError(definitions.problems)
    return definitions


def check(config: Path | None, paths: tuple[Path, ...]) -> CheckResult:
    """Settings (if a file is given), and the rules and runbooks they name; `paths` instead of those, if given: each file says what it is."""
    problems: list[Problem] = []
    try:
        settings = read_settings(config)
    except DefinitionError as error:
        problems += error.problems
        # Not `Settings()`: that reads the environment, which may be what is wrong.
        settings = Settings.model_construct(rules=(), runbooks=())
    if paths:
        given = tuple(str(p) for p in paths)
        settings = settings.model_copy(update={"rules": given, "runbooks": ()})
    definitions = load(settings)
    problems += definitions.problems
    return CheckResult(len(definitions.rules), len(definitions.runbooks), tuple(problems), (*settings.rules, *settings.runbooks))
