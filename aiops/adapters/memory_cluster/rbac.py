"""Who may do what on the in-memory cluster: rules as Roles have them. Pure. Neighbours: `server` asks before each request."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule of a Role. `*` allows all; resources may name a subresource (`pods/eviction`); empty `names` and `namespaces` allow all."""

    verbs: tuple[str, ...]
    groups: tuple[str, ...]
    resources: tuple[str, ...]
    names: tuple[str, ...] = ()
    namespaces: tuple[str, ...] = ()

    def allows(self, verb: str, group: str, resource: str, namespace: str, name: str) -> bool:
        """True if this rule alone allows the request; `resource` is `plural` or `plural/subresource`."""
        return (
            _in(verb, self.verbs)
            and _in(group, self.groups)
            and (_in(resource, self.resources) or ("/" in resource and f"*/{resource.partition('/')[2]}" in self.resources))
            and (not self.names or name in self.names)
            and (not self.namespaces or namespace in self.namespaces)
        )


def _in(value: str, allowed: Sequence[str]) -> bool:
    return "*" in allowed or value in allowed


EVERYTHING: tuple[Rule, ...] = (Rule(("*",), ("*",), ("*",)),)
READ_ONLY: tuple[Rule, ...] = (Rule(("get", "list", "watch"), ("*",), ("*",)),)


def rules_of(role: Mapping[str, Any]) -> tuple[Rule, ...]:
    """The rules of a Role (bounds them to its namespace) or ClusterRole object, as `deploy/` ships them. URL rules are left out."""
    namespace = role.get("metadata", {}).get("namespace", "") if role.get("kind") == "Role" else ""
    places = (namespace,) if namespace else ()
    return tuple(
        Rule(tuple(r["verbs"]), tuple(r.get("apiGroups") or ()), tuple(r["resources"]), tuple(r.get("resourceNames") or ()), places)
        for r in role.get("rules") or ()
        if r.get("resources")
    )


def allowed(rules: Iterable[Rule], verb: str, group: str, resource: str, namespace: str, name: str = "") -> bool:
    """True if any rule allows it."""
    return any(rule.allows(verb, group, resource, namespace, name) for rule in rules)
