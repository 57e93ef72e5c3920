"""Let a container of a workload run another image. Neighbours: `template` does the rest.

The grammar of references is that of the distribution project (https://github.com/distribution/reference, "Grammar").
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from aiops.domain.outcome import Result
from aiops.domain.runbook import ActionSpec, EffectClass, ParamSpec
from aiops.domain.target import JsonObject
from aiops.execution.actions.template import CONTAINER, KINDS, PERMISSIONS, TemplateAction, Wanted, invalid

_COMPONENT = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_DOMAIN = r"(?:[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?(?:\.[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?)*|\[[a-fA-F0-9:]+\])(?::[0-9]+)?"
_REFERENCE = re.compile(
    rf"(?:{_DOMAIN}/)?{_COMPONENT}(?:/{_COMPONENT})*(?P<tag>:[A-Za-z0-9_][A-Za-z0-9_.-]{{0,127}})?"
    r"(?P<digest>@[A-Za-z][A-Za-z0-9]*(?:[-_+.][A-Za-z][A-Za-z0-9]*)*:[0-9a-fA-F]{32,})?"
)
MAX_REFERENCE = 512


def problem(image: str) -> str:
    """What is wrong with an image reference; empty if it is one that says which image it means."""
    match = _REFERENCE.fullmatch(image) if len(image) <= MAX_REFERENCE else None
    if match is None:
        return f"{image[:100]!r} is no image reference: write [registry/]name:tag or [registry/]name@sha256:…"
    if not match["tag"] and not match["digest"]:
        return f"{image!r} says neither tag nor digest, so it would be whatever is newest"
    return ""


class SetImage(TemplateAction):
    """See `contract.Action`."""

    spec = ActionSpec(
        name="set-image",
        doc="Set the image of a container of a Deployment, StatefulSet or DaemonSet, and wait for the roll-out.",
        effect=EffectClass.STAMPED,
        parameters={
            "container": CONTAINER,
            "image": ParamSpec("string", "reference with a tag or a digest", required=True),
        },
        permissions=PERMISSIONS,
        target_kinds=KINDS,
        undoable=True,
    )

    def wanted(self, container: JsonObject, arguments: Mapping[str, Any]) -> Wanted | Result:
        """The image is all that changes; the pull policy stays as it is. An image that ran before is taken back as it was written."""
        image, before = str(arguments.get("image", "")), str(container.get("image", ""))
        if wrong := problem(image) if not arguments.get("was") else "":
            return invalid(wrong)
        return Wanted({**container, "image": image}, {"image": before, "was": True}, {"fromImage": before, "toImage": image})
