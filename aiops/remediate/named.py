"""Objects that a step names in an argument, beside a workload: they are what it works on, so they become its target, and guards judge them.

Neighbours: `expansion` binds steps, `pipeline.guarding` asks again once a name that was known only late is known.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from aiops.domain.plan import PlannedStep
from aiops.domain.target import TargetRef, valid_name

NAMED: Mapping[str, tuple[str, str]] = {
    "set-config": ("configMap", "ConfigMap"),
    "delete-job": ("job", "Job"),
    "run-job": ("cronJob", "CronJob"),
}
"""By action: the argument that names an object in the target's namespace, and its kind."""


def named_by(action: str, arguments: Mapping[str, Any], late: tuple[str, ...], target: TargetRef) -> TargetRef | None:
    """The object that the arguments name beside the target; None where there is none, or its name is known only later. Raises ValueError."""
    argument, kind = NAMED.get(action, ("", ""))
    name = arguments.get(argument) if argument not in late else None
    if not name or target.kind == kind:
        return None
    if not valid_name(str(name)):
        raise ValueError(f"argument {argument}: no object can be named {str(name)[:80]!r}")
    return TargetRef(kind, target.namespace, str(name), target.context)


def unnamed(action: str, arguments: Mapping[str, Any]) -> Mapping[str, Any]:
    """The arguments without the name, once it is the target's."""
    return {key: value for key, value in arguments.items() if key != NAMED[action][0]}


def retargeted(step: PlannedStep, target: TargetRef) -> PlannedStep:
    """The step on what it names; `target` is what it would work on otherwise, and stays beside it: guards judge both. Raises ValueError."""
    found = named_by(step.action, step.arguments, step.late, target)
    return step if found is None else replace(step, target=found, beside=target, arguments=unnamed(step.action, step.arguments))
