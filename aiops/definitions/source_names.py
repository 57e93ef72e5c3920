"""Which configured source is meant: by name, or by type where only one of that type is there. So shipped packs fit settings with other names.

Neighbours: `compile_rules` and `compile_runbooks`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from aiops.definitions.problems import suggestion

KUBERNETES = "kubernetes"
"""The clusters' objects: a source that needs no entry of its own."""


@dataclass(frozen=True, slots=True)
class Meant:
    """Exactly one of: the name; what is wrong; why what asks for it is left out (nothing is wrong, there is no such source here)."""

    name: str = ""
    wrong: str = ""
    absent: str = ""


def meant(name: str | None, type_of: str, sources: Mapping[str, str] | None) -> Meant:
    """`sources`: name → type; None: nothing is known, names are taken as they are. A source that is not named may be absent; a named one may not."""
    if type_of == KUBERNETES or sources is None:
        return Meant(name or type_of)
    fitting = sorted(n for n, t in sources.items() if t == type_of)
    if name is not None:
        return _named(name, type_of, sources, fitting)
    if type_of in fitting or len(fitting) == 1:
        return Meant(type_of if type_of in fitting else fitting[0])
    if fitting:
        return Meant(wrong=f"several sources are of type {type_of}; name one of {', '.join(fitting)}")
    return Meant(absent=f"the settings have no source of type {type_of}")


def _named(name: str, type_of: str, sources: Mapping[str, str], fitting: list[str]) -> Meant:
    if name not in sources:
        return Meant(wrong=suggestion(f"no source {name!r} in the settings", name, sorted(sources)))
    if sources[name] != type_of:
        return Meant(wrong=f"the source {name!r} is of type {sources[name]}; one of type {type_of} is needed ({', '.join(fitting) or 'there is none'})")
    return Meant(name)


def sighted(name: str, sources: Mapping[str, str] | None) -> Meant:
    """The source that a runbook must see: by name, else by type."""
    if sources is None or name in sources or name == KUBERNETES:
        return Meant(name)
    if name in ("prometheus", "elasticsearch"):
        return meant(None, name, sources)
    return Meant(wrong=suggestion(f"no source {name!r} in the settings", name, [*sorted(sources), KUBERNETES]))
