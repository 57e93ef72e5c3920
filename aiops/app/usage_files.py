"""Use and performance from CSV files. Neighbours: `adapters.tables` reads, `usage_table` lays out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from aiops.adapters.tables import column_of, csv_of
from aiops.adapters.timed_tables import times_of
from aiops.app.usage_table import RESOURCES, Series
from aiops.domain.errors import DefinitionError, Problem
from aiops.domain.prices import Purchase
from aiops.domain.series import Floats

LARGEST = 1e12
SERVICE_COLUMNS = ("load", "p50", "p95", "p99", "success")


def read_usage(path: Path) -> list[Series]:
    """`timestamp,resource,value` and columns for whose it is (`namespace`, `workload`, `node_type`, `purchase`, …; any other is a label).

    Raises DefinitionError naming file, line and column, OSError.
    """
    table, numbers = _table(path, ("timestamp", "resource", "value"), ("value",))
    times = times_of(path, table.column("timestamp"))
    kinds = [str(v or "") for v in table.column("resource").to_pylist()]
    if wrong := next(((n, kind) for n, kind in enumerate(kinds, start=2) if kind not in RESOURCES), None):
        raise DefinitionError((Problem(str(path), wrong[0], "resource", f"no resource {wrong[1][:40]!r}; allowed: {', '.join(RESOURCES)}"),))
    names = [n for n in table.column_names if n not in ("timestamp", "resource", "value")]
    columns = [[str(v) if v is not None else "" for v in table.column(n).to_pylist()] for n in names]
    if "purchase" in names:
        ways = columns[names.index("purchase")]
        if bad := next(((n, way) for n, way in enumerate(ways, start=2) if way and way not in set(Purchase)), None):
            raise DefinitionError((Problem(str(path), bad[0], "purchase", f"{bad[1][:40]!r} is not allowed; allowed: {', '.join(Purchase)}"),))
    rows: dict[tuple[str, ...], list[int]] = {}
    for i, key in enumerate(zip(kinds, *columns, strict=True)):
        rows.setdefault(key, []).append(i)
    found = []
    for key, at in rows.items():
        labels = {n: v for n, v in zip(names, key[1:], strict=True) if v}
        found.append(Series(key[0], labels, times[at], numbers["value"][at]))
    return found


def _table(path: Path, needed: tuple[str, ...], numeric: tuple[str, ...]) -> tuple[Any, dict[str, Floats]]:
    import pyarrow as pa  # deferred: only commands over files need it

    with path.open("rb") as handle:
        header = handle.readline().decode(errors="replace").strip().split(",")
    table = csv_of(path, texts=tuple(n.strip('"') for n in header if n.strip('"') not in numeric), missing=("", "NA", "NaN", "nan", "null"))
    if missing := [name for name in needed if name not in table.column_names]:
        raise DefinitionError((Problem(str(path), 1, "header", f"needs {', '.join(needed)}; missing: {', '.join(missing)}"),))
    if not table.num_rows:
        raise DefinitionError((Problem(str(path), 1, "table", "it has no rows; at least one is needed below the header"),))
    numbers = {}
    for name in numeric:
        if name in table.column_names:
            column = column_of(pa, name, table.column(name))
            if column.numbers is None:
                raise DefinitionError((Problem(str(path), 1, name, "a column of numbers is needed here"),))
            if name == "value" and (column.numbers < 0).any():
                line = int(np.flatnonzero(column.numbers < 0)[0]) + 2
                raise DefinitionError((Problem(str(path), line, name, "must not be negative"),))
            if name == "value" and (column.numbers > LARGEST).any():
                line = int(np.flatnonzero(column.numbers > LARGEST)[0]) + 2
                raise DefinitionError((Problem(str(path), line, name, f"must be at most {LARGEST:g}: cores, GiB or counts are meant"),))
            numbers[name] = column.numbers
    return table, numbers


@dataclass(frozen=True, slots=True)
class ServiceSeries:
    """How one service performed: arrays by name (`load` requests a second, `p50`, `p95`, `p99` seconds, `success` share), all at `times`."""

    service: str
    times: Floats
    values: Mapping[str, Floats]


def read_services(path: Path) -> list[ServiceSeries]:
    """`timestamp,service` and any of `load,p50,p95,p99,success`. Raises DefinitionError, OSError."""
    table, numbers = _table(path, ("timestamp", "service"), SERVICE_COLUMNS)
    if not numbers:
        raise DefinitionError((Problem(str(path), 1, "header", f"needs at least one of {', '.join(SERVICE_COLUMNS)}"),))
    times = times_of(path, table.column("timestamp"))
    rows: dict[str, list[int]] = {}
    for i, name in enumerate(table.column("service").to_pylist()):
        rows.setdefault(str(name or ""), []).append(i)
    found = []
    for name, at in rows.items():
        order = np.asarray(at)[np.argsort(times[at], kind="stable")]
        found.append(ServiceSeries(name, times[order], {n: v[order] for n, v in numbers.items()}))
    return found
