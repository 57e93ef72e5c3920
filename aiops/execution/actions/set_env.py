"""Set or remove one environment variable of a container. Neighbours: `template` does the rest.

A variable that comes from elsewhere (`valueFrom`) is not written over, and one whose name tells of a secret is not set here: its value would
stand in the runbook, the journal and the messages.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from aiops.domain.outcome import Outcome, Result
from aiops.domain.runbook import ActionSpec, EffectClass, ParamSpec
from aiops.domain.target import JsonObject
from aiops.execution.actions.template import CONTAINER, KINDS, PERMISSIONS, TemplateAction, Wanted, invalid
from aiops.execution.changes import telling

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,255}", re.ASCII)


class SetEnv(TemplateAction):
    """See `contract.Action`."""

    spec = ActionSpec(
        name="set-env",
        doc="Set or remove one environment variable of a container, and wait for the roll-out. Values that come from elsewhere are refused.",
        effect=EffectClass.STAMPED,
        parameters={
            "container": CONTAINER,
            "name": ParamSpec("string", "name of the variable; one that tells of a secret is refused", required=True),
            "value": ParamSpec("string", "the value"),
            "remove": ParamSpec("bool", "take the variable away"),
        },
        permissions=PERMISSIONS,
        target_kinds=KINDS,
        undoable=True,
        one_of=(("value", "remove"),),
    )

    def wanted(self, container: JsonObject, arguments: Mapping[str, Any]) -> Wanted | Result:
        """The list of variables with one set, in its place or at the end, or without it."""
        name, value = str(arguments.get("name", "")), arguments.get("value")
        if not _NAME.fullmatch(name):
            return invalid(f"{name[:100]!r} is no name of a variable: letters, digits and _")
        if (value is None) == (not arguments.get("remove")):
            return invalid("exactly one of `value` and `remove: true` is to be given")
        if telling(name):
            return Result(Outcome.ERROR, "SecretVariable", f"{name} sounds like a secret: its value belongs into a Secret, not into a runbook")
        present: list[JsonObject] = list(container.get("env") or [])
        places = [index for index, entry in enumerate(present) if entry.get("name") == name]
        if len(places) > 1:
            return Result(Outcome.FAILED, "AmbiguousVariable", f"{name} is set {len(places)} times")
        old = present[places[0]] if places else None
        if old is not None and "valueFrom" in old:
            return Result(Outcome.FAILED, "ValueFromElsewhere", f"{name} comes from {', '.join(sorted(old['valueFrom']))}; it is not written over")
        if value is None:
            env = [entry for entry in present if entry is not old]
        else:
            entry = {"name": name, "value": str(value)} if value != "" else {"name": name}
            # An undone removal goes back to its place: a variable may speak of those before it.
            at = int(arguments.get("at", len(present)))
            env = [*present[:at], entry, *present[at:]] if old is None else [entry if e is old else e for e in present]
        inverse = {"name": name, "remove": True} if old is None else {"name": name, "value": str(old.get("value", "")), "at": places[0]}
        bare = {k: v for k, v in container.items() if k != "env"}
        output = {"name": name, "from": None if old is None else old.get("value", ""), "to": value}
        return Wanted({**bare, "env": env} if env else bare, inverse, output)
