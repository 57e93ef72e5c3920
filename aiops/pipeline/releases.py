"""When each target's running release began to be rolled out and was complete, for rules that compare before and after. Read from the cached view.

Neighbours: `observe` asks for the targets of a rule's series, `detect.release` compares.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from aiops.detect.contract import Window
from aiops.domain.target import TargetRef
from aiops.ports.cluster import ClusterView
from aiops.remediate.objects import WORKLOADS, gather, meta
from aiops.remediate.releases import UNKNOWN_AGE, running_release
from aiops.remediate.rollouts import rolling, settled

NONE = Window(math.nan, math.nan)


class Releases:
    """An object that did not change since is not looked at again."""

    def __init__(self, views: Mapping[str, ClusterView]) -> None:
        self._views = views
        self._seen: dict[TargetRef, tuple[str, Window]] = {}

    def of(self, target: TargetRef, now: float) -> Window:
        """Of one target; `NONE` where no release is known, as of what was never released again since it was made."""
        view = self._views.get(target.context)
        found = view.find(target) if view is not None and target.kind in WORKLOADS else None
        if view is None or found is None:
            self._seen.pop(target, None)
            return NONE
        version = str(meta(found).get("resourceVersion", ""))
        before = self._seen.get(target)
        if before is not None and version and before[0] == version:
            return before[1]
        objects = gather(target, view.find, view.objects)
        window = NONE
        release = running_release(objects, now)
        if objects.target is not None and release.age < UNKNOWN_AGE:
            since = settled(objects.target, now)
            began = now - release.age
            # A workload that does not tell when it was complete is taken to have been when it began.
            ended = math.nan if rolling(objects.target) else now - since if since < UNKNOWN_AGE else began
            window = Window(began, ended)
        self._seen[target] = (version, window)
        return window
