"""What objects were declared to be, beside what they are: which fields differ. Pure.

Only what is declared is compared, as `kubectl apply` does: what the API fills in, what controllers report (`status`), and what others added beside (an injected
container, a label) is no difference. `null` declares that a field must not be there. Items of a list are told apart by their name, port or path; plain lists count as a
whole. Quantities are compared by their amount.

Source: Kubernetes, "Declarative Management of Kubernetes Objects".
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from aiops.domain.redaction import redact_line
from aiops.domain.target import JsonObject

LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
LIVE_ONLY = frozenset({"status", "apiVersion", "kind"})
_COMPARED_META = frozenset({"labels", "annotations"})
_KEYS = ("name", "containerPort", "port", "mountPath", "devicePath", "topologyKey", "ip", "key")
_SHOWN = 100
_QUANTITY = re.compile(r"([+-]?[0-9.]+(?:[eE][+-]?[0-9]+)?)(m|k|M|G|T|P|E|Ki|Mi|Gi|Ti|Pi|Ei)?")
_FACTORS = {"": Decimal(1), "m": Decimal("0.001")} | {
    name + two: Decimal(1024 if two else 1000) ** power for power, name in enumerate(("", "K", "M", "G", "T", "P", "E")) if name for two in ("i", "")
} | {"k": Decimal(1000)}  # fmt: skip


@dataclass(frozen=True, slots=True)
class DeclaredObject:
    """`fields`: what is declared of it; None: what was last applied with kubectl, by its own annotation."""

    kind: str
    namespace: str
    name: str
    fields: JsonObject | None = None


@dataclass(frozen=True, slots=True)
class DeclaredQuery:
    """The differences of named objects. `ignore`: paths (`spec.replicas`) that do not count, with all below them."""

    objects: tuple[DeclaredObject, ...]
    ignore: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Difference:
    """One field, and both values as text, credentials taken out."""

    field: str
    declared: str
    live: str


def last_applied(live: JsonObject) -> JsonObject | None:
    """What was last applied with kubectl; None if it was not, or cannot be read."""
    try:
        found = json.loads((live.get("metadata") or {}).get("annotations", {})[LAST_APPLIED])
    except (KeyError, TypeError, ValueError, AttributeError):
        return None
    return found if isinstance(found, dict) else None


def differences(declared: JsonObject, live: JsonObject, ignore: Collection[str] = ()) -> list[Difference]:
    """Fields that are not as declared, by path."""
    wanted = {key: value for key, value in declared.items() if key not in LIVE_ONLY}
    if isinstance(meta := wanted.get("metadata"), dict):
        wanted["metadata"] = {key: value for key, value in meta.items() if key in _COMPARED_META}
    found = sorted(_differ(wanted, live, ""))
    return [Difference(path, _shown(path, one), _shown(path, other)) for path, one, other in found if not _within(path, (*ignore, f"metadata.annotations.{LAST_APPLIED}"))]


def _within(path: str, roots: Collection[str]) -> bool:
    return any(path == root or path.startswith((f"{root}.", f"{root}[")) for root in roots)


def _differ(declared: Any, live: Any, path: str) -> Iterator[tuple[str, str, str]]:
    if isinstance(declared, dict) and isinstance(live, dict):
        for key, value in declared.items():
            yield from _differ(value, live.get(key), f"{path}.{key}" if path else str(key))
    elif isinstance(declared, list) and isinstance(live, list) and (key := _key(declared)):
        there = {item[key]: item for item in live if isinstance(item, dict) and isinstance(item.get(key), str | int)}
        for item in declared:
            yield from _differ(item, there.get(item[key]), f"{path}[{item[key]}]")
    elif isinstance(declared, list) and isinstance(live, list) and len(declared) == len(live):
        for place, (one, other) in enumerate(zip(declared, live, strict=True)):
            yield from _differ(one, other, f"{path}[{place}]")
    elif not _same(declared, live):
        yield path, _text(declared), _text(live)


def _key(items: list[Any]) -> str:
    """By what the items of a list are told apart, empty if by their place."""
    for key in _KEYS:
        held = [item[key] for item in items if isinstance(item, dict) and isinstance(item.get(key), str | int)]
        if items and len(held) == len(items) == len(set(held)):
            return key
    return ""


def _same(declared: Any, live: Any) -> bool:
    if declared == live or (live is None and declared in ({}, [], "", 0, False)):  # the API leaves out what is empty
        return True
    if isinstance(declared, bool) or isinstance(live, bool) or not isinstance(declared, str | int | float) or not isinstance(live, str | int | float):
        return False
    return (amount := _amount(declared)) is not None and amount == _amount(live)


def _amount(value: str | float) -> Decimal | None:
    fits = _QUANTITY.fullmatch(str(value))
    try:
        return None if fits is None else Decimal(fits[1]) * _FACTORS[fits[2] or ""]
    except ArithmeticError:
        return None


def _text(value: Any) -> str:
    return "absent" if value is None else value if isinstance(value, str) else json.dumps(value, sort_keys=True)


def _shown(path: str, text: str) -> str:
    """Cut, and without what looks like a credential, also by the field's name."""
    shown = redact_line(f"{path.rpartition('.')[2]}={text}").partition("=")[2]
    return shown if len(shown) <= _SHOWN else shown[: _SHOWN - 1] + "…"


def autoscaled(obj: DeclaredObject, scalers: Collection[Mapping[str, Any]]) -> bool:
    """Whether a HorizontalPodAutoscaler of the same namespace sets the object's replicas."""
    aims = ((s.get("metadata") or {}, ((s.get("spec") or {}).get("scaleTargetRef") or {})) for s in scalers)
    return any((meta.get("namespace"), aim.get("kind"), aim.get("name")) == (obj.namespace, obj.kind, obj.name) for meta, aim in aims)
