"""Two files compared, feature by feature. Neighbours: `adapters.tables` reads, `detect.population` measures, `detect.feature_drift` judges."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from aiops.adapters.tables import Column, Table, read_table
from aiops.detect.feature_drift import Drifted, Judged, Levels, judge, overall
from aiops.detect.population import CategoricalReference, Counted, Measured, NumericReference, measured
from aiops.domain.errors import DefinitionError, Problem, trimmed

IDENTIFIER_SHARE = 0.5
"""A column of names of which more than this share are distinct identifies rows; it describes no population."""


@dataclass(frozen=True, slots=True)
class FileDrift:
    """The answer. `features` by name, the worst first; `skipped`: columns that are no features, and why."""

    verdict: Drifted
    reference: dict[str, Any]
    current: dict[str, Any]
    features: dict[str, dict[str, Any]]
    skipped: dict[str, str] = field(default_factory=dict)


def compare_files(reference: Path, current: Path, *, features: Sequence[str] = (), bins: int = 10) -> FileDrift:
    """Every column that both files have, or those named. Raises DefinitionError (a file or a name that cannot be used), OSError."""
    before, now = read_table(reference), read_table(current)
    names = _chosen(before, now, features)
    _same_types(before, now, [name for name in names if name in now.columns])
    counted: dict[str, Counted] = {}
    kinds: dict[str, str] = {}
    skipped: dict[str, str] = {}
    missing = {name: "the current file does not have it" for name in names if name not in now.columns}
    for name in names:
        if name in missing:
            continue
        old, new = before.columns[name], now.columns[name]
        if not features and (why := _no_feature(old, new)):
            skipped[name] = why
            continue
        try:
            kinds[name], counted[name] = _counted(old, new, bins)
        except ValueError as error:
            skipped[name] = str(error)
    skipped |= {name: "the reference does not have it" for name in now.columns if name not in before.columns and not features}
    found = dict(zip(counted, measured(list(counted.values())), strict=True))
    judged = judge(found, Levels())
    rows = {name: _row(kinds[name], found[name], judged[name]) for name in sorted(found, key=lambda n: -found[n].psi)}
    rows = {name: {"kind": "missing", "verdict": Drifted.CRITICAL.value, "reason": why} for name, why in missing.items()} | rows
    worst = overall([*(j.verdict for j in judged.values()), *(Drifted.CRITICAL for _ in missing)])
    return FileDrift(worst, {"file": before.path, "rows": before.rows}, {"file": now.path, "rows": now.rows}, rows, skipped)


def _chosen(before: Table, now: Table, features: Sequence[str]) -> list[str]:
    unknown = [name for name in features if name not in before.columns]
    if unknown:
        allowed = ", ".join(before.columns)
        raise DefinitionError(tuple(Problem(before.path, 1, name, f"no such column; there are: {allowed}") for name in unknown))
    if gone := [name for name in features if name not in now.columns]:
        raise DefinitionError(tuple(Problem(now.path, 1, name, f"no such column; there are: {', '.join(now.columns)}") for name in gone))
    names = list(features) or list(before.columns)
    if not any(name in now.columns for name in names):
        raise DefinitionError((Problem(now.path, 1, "header", f"no column of the reference is here; it has: {', '.join(before.columns)}"),))
    return names


def _same_types(before: Table, now: Table, names: Sequence[str]) -> None:
    """Raises DefinitionError where the reference has numbers and the current file words: nothing can be said of such a column."""
    wrong = []
    for name in names:
        old, held = before.columns[name].numbers, now.columns[name].names
        if old is not None and np.isfinite(old).any() and held is not None:
            place, value = next(((i, v) for i, v in enumerate(held) if v is not None and not _number(v)), (0, held[0]))
            wrong.append(Problem(now.path, place + 2, name, f"{trimmed(str(value), 40)!r} is no number, as the reference has them; mend the file, or give --feature for other columns"))
    if wrong:
        raise DefinitionError(tuple(wrong))


def _number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _no_feature(old: Column, new: Column) -> str:
    """Why a column describes no population, or empty."""
    if (old.numbers is None and old.names is None) or (new.numbers is None and new.names is None):
        return "a time"
    if old.numbers is not None and new.numbers is not None and _rises(old.numbers) and _rises(new.numbers):
        return "it only rises: an index or a time"
    if old.names is not None and len(set(old.names)) > max(IDENTIFIER_SHARE * len(old.names), 50):
        return "most values are distinct: an identifier"
    return ""


def _rises(values: Any) -> bool:
    # Not by differences: two infinite neighbours have none.
    return len(values) >= 20 and bool(np.all(values[1:] > values[:-1]))


def _counted(old: Column, new: Column, bins: int) -> tuple[str, Counted]:
    """Where the reference has names, numbers are names too."""
    if old.numbers is not None and new.numbers is not None:
        return "numeric", NumericReference(old.numbers, bins).counted(new.numbers)
    return "categorical", CategoricalReference(old.as_names()).counted(new.as_names())


def _row(kind: str, m: Measured, judged: Judged) -> dict[str, Any]:
    return {
        "kind": kind, "psi": m.psi, "kl": m.kl, "js": m.js, "p": m.p, "verdict": judged.verdict.value, "reason": judged.reason,
        "rows": m.size, "referenceRows": m.reference_size, "rowsPerIndependentRow": m.memory,
        "histogram": {"bins": list(m.bins), "reference": list(m.reference), "current": list(m.current)},
    }
