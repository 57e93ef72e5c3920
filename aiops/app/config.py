"""Reading the settings file: every problem at once, with file, line and key.

Neighbours: `settings` has the model, `definitions.yaml_tree` reads YAML strictly; `cli` calls this through `app`.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from pathlib import Path

from pydantic_settings import SettingsError

from aiops.definitions.problems import suggestion, validate
from aiops.definitions.yaml_tree import Document, dotted, read_documents
from aiops.domain.errors import DefinitionError, Problem
from aiops.domain.timezone import zone_of
from aiops.pipeline.quiet_times import QuietTime
from aiops.remediate.freezes import Freeze, FreezeError, make
from aiops.remediate.guardrails import GUARDS
from aiops.settings import FreezeSettings, QuietTimeSettings, Settings

PACKAGE_ROOT = Path(__file__).resolve().parent.parent


def read_settings(path: Path | None) -> Settings:
    """The settings of a file (None: defaults and environment). Relative paths in it are relative to the file. Raises DefinitionError."""
    document, name = Document({}, {}), "environment"
    if path is not None:
        name = str(path)
        try:
            text = path.read_text(encoding="utf-8")
        except OSError as error:
            raise DefinitionError((Problem(name, 1, "config", f"cannot be read: {error.strerror}"),)) from error
        except UnicodeDecodeError as error:
            raise DefinitionError((Problem(name, 1, "config", f"cannot be read: is no UTF-8 (byte {error.start})"),)) from error
        documents, problems = read_documents(text, name)
        if problems:
            raise DefinitionError(tuple(problems))
        if len(documents) != 1 or not isinstance(documents[0].data, dict):
            raise DefinitionError((Problem(name, 1, "config", "must be one map, for example `apiVersion: aiops/v1` with `sources:` below it"),))
        document = documents[0]
    try:
        found = validate(Settings, document.data, name, document)
    except SettingsError as error:  # a variable that should hold JSON and does not
        raise DefinitionError((Problem("environment", 1, "AIOPS_", f"{error}: write JSON, for example AIOPS_RULES='[\"rules\"]'"),)) from error
    problems = found if isinstance(found, list) else list(_guards(found, name, document))
    if isinstance(found, list) or problems:
        raise DefinitionError(tuple(problems))
    return resolved(found, path.parent if path else Path())


def _guards(settings: Settings, name: str, document: Document) -> Iterator[Problem]:
    for guard in settings.guards.modes:
        if guard not in GUARDS:
            yield Problem(name, document.line(("guards", "modes", guard)), f"guards.modes.{guard}", suggestion(f"no guard {guard!r}", guard, sorted(GUARDS)))
    for place, guard in enumerate(settings.guards.may_loosen):
        if guard not in GUARDS:
            at = ("guards", "mayLoosen", place)
            yield Problem(name, document.line(at), dotted(at), suggestion(f"no guard {guard!r}", guard, sorted(GUARDS)))
    for place, one in enumerate(settings.guards.freezes):
        try:
            freeze(one)
        except FreezeError as error:
            path = ("guards", "freezes", place, error.key)
            yield Problem(name, document.line(path), dotted(path), str(error))
    for place, quiet in enumerate(settings.quiet_times):
        try:
            quiet_time(quiet)
        except FreezeError as error:
            there = ("quietTimes", place, error.key)
            yield Problem(name, document.line(there), dotted(there), str(error))


def quiet_time(one: QuietTimeSettings) -> QuietTime:
    """As the observer reads it. Raises FreezeError."""
    if one.dates:
        return QuietTime(Freeze(one.name), one.rules, "result" in one.skip, "learning" in one.skip, _days(one), zone_of(one.timezone))
    window = make(one.name, rule=one.rrule, start=one.start, duration=one.duration, zone=one.timezone, begins=one.from_, ends=one.until)
    return QuietTime(window, one.rules, "result" in one.skip, "learning" in one.skip)


def _days(one: QuietTimeSettings) -> frozenset[date]:
    if one.rrule or one.from_ or one.until or one.duration or one.start:
        raise FreezeError("dates", "are whole days: leave out rrule, start, duration, from and until")
    try:
        zone_of(one.timezone)
    except ValueError as error:
        raise FreezeError("timezone", str(error)) from error
    try:
        return frozenset(date.fromisoformat(text) for text in one.dates)
    except ValueError:
        raise FreezeError("dates", f"{', '.join(one.dates)[:80]}: each must be a day, for example 2026-12-25") from None


def freeze(one: FreezeSettings) -> Freeze:
    """As the guard reads it. Raises FreezeError."""
    return make(
        one.name, rule=one.rrule, start=one.start, duration=one.duration, zone=one.timezone, begins=one.from_, ends=one.until,
        namespaces=one.namespaces, labels=one.labels, allow=one.allow,
    )


def resolved(settings: Settings, base: Path) -> Settings:
    """Paths of rules, runbooks, prices and state made relative to `base`; what does not exist there is looked for beside the package (shipped packs)."""

    def place(text: str) -> str:
        path = base / text
        if not path.exists() and not Path(text).is_absolute():
            for shipped in (PACKAGE_ROOT.parent / text, PACKAGE_ROOT / "packs" / text):
                if shipped.is_dir():
                    return str(shipped)
        return str(path)

    return settings.model_copy(
        update={
            "rules": tuple(place(p) for p in settings.rules),
            "runbooks": tuple(place(p) for p in settings.runbooks),
            "state_dir": str(base / settings.state_dir),
            "cost": settings.cost.model_copy(update={"prices": str(base / settings.cost.prices)}) if settings.cost.prices else settings.cost,
        }
    )
