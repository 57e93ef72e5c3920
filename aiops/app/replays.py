"""`aiops replay` and `aiops demo`: a bundle, the definitions, and the live code over them.

Neighbours: `app.virtual` runs, `app.narrate` tells; bundles are made by `aiops record`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from aiops.app.check import load_or_raise
from aiops.app.config import PACKAGE_ROOT
from aiops.app.narrate import Line, Narrator, Summary, summarise
from aiops.app.virtual import VirtualRun, build_replay
from aiops.domain.errors import StoreError
from aiops.domain.feedback import Feedback
from aiops.pipeline.damping import stored_feedback
from aiops.replay.bundle import BundleError, Manifest, read_bundle
from aiops.settings import Settings

DEMO_BUNDLE = PACKAGE_ROOT / "bundles" / "surge"


@dataclass
class Replay:
    """One replay that has been loaded."""

    manifest: Manifest
    run: VirtualRun
    narrator: Narrator

    def play(self, told: Callable[[Line], None], tick: Callable[[float, float], None] | None = None) -> Summary:
        """To the end; `told` gets each line, `tick` virtual time and share done after each second."""

        def each(now: float) -> None:
            for line in self.narrator.look(now):
                told(line)
            if tick is not None:
                tick(now, (now - self.run.start) / max(self.run.end - self.run.start, 1e-9))

        self.run.run(1.0, each)
        return summarise(self.run.store, self.run.notifier, (self.run.start, self.run.end), tuple(self.run.errors))


def read_feedback(file: Path) -> tuple[Feedback, ...]:
    """What `aiops feedback list --output json` printed, with nothing damped yet. Raises BundleError if it is anything else, OSError."""
    try:
        return tuple(replace(word, since=None, count=0, last_at=None) for word in stored_feedback(json.loads(file.read_bytes())))
    except (ValueError, StoreError) as error:
        raise BundleError(f"{file}: no list of feedback: {error}") from error


def open_replay(folder: Path, settings: Settings, *, store_url: str = "sqlite:///:memory:", feedback: Sequence[Feedback] = ()) -> Replay:
    """Load a bundle and the settings' rules and runbooks; `feedback` counts from the beginning. Raises BundleError, DefinitionError, StoreError."""
    definitions = load_or_raise(settings)
    bundle = read_bundle(folder)
    if not bundle.metrics and not bundle.changes:
        raise BundleError(f"{folder}: the recording is empty")
    run = build_replay(bundle, definitions, settings, store_url=store_url)
    if feedback:
        run.core.flow.parts.damping.add(feedback, bundle.manifest.start)
    return Replay(bundle.manifest, run, Narrator(run.store, run.notifier))
