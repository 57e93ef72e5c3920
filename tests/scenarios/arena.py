"""Plays episodes: a scene of `kinds`, the product's own composition in the virtual world, judged by the world's own books.

*Resolved*: the fault's `cures` became true after a write of ours, and its objective then held for two minutes. *Wrong*: any write of ours that the fault
does not allow. Neighbours: `kinds` makes scenes, `test_remediation` and `benchmarks.remediation` play many of them.
"""

from __future__ import annotations

import logging
import random
import re
import tempfile
import time as machine
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import structlog
import yaml

from aiops.app.config import read_settings
from aiops.definitions.cel import compile_expression
from aiops.definitions.loader import Definitions
from aiops.domain.outcome import GuardMode
from aiops.remediate.guardrails import FIXED, GUARDS
from tests.scenarios.kinds import CURABLE, Scene, scene
from tests.scenarios.story import START, Story
from tests.testbed.world.writes import Write

OURS = frozenset({"aiops", ""})
"""The daemon's user; a flush is noticed by keys that are gone, and has none."""
SAFETY = ("full", "no-guards", "no-caution", "none")
"""All that holds back; the guards off; without what files say to be careful (see `careless`); without both."""


@dataclass(frozen=True, slots=True)
class Played:
    """What became of one episode. Seconds of world time since the fault began; None: not. `cpu`: seconds of this process."""

    kind: str
    seed: int
    safety: str
    resolved: bool
    mttr: float | None
    detected: float | None
    cured: float | None
    wrong: tuple[str, ...]
    right: int
    runs: tuple[str, ...]
    cpu: float

    def as_json(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)


def play(kind: str, seed: int, safety: str = "full") -> Played:
    """One episode of a kind."""
    began = machine.process_time()
    told = play_scene(scene(kind, seed), seed, safety=safety, curable=kind in CURABLE)
    played = outcome(told, kind, seed, safety)
    told.store.close()
    return replace(played, cpu=machine.process_time() - began)


def play_scene(given: Scene, seed: int, *, safety: str = "full", curable: bool = True) -> Story:
    """To the end of the episode, or until it is resolved."""
    with quietly():
        story = prepared(given, seed, safety)
        story.run(given.quiet)
        story.when(given.fault)
        left = given.lasts
        while left > 0 and not (curable and story.episode(given.fault).recovered):
            story.run(min(left, 10.0))
            left -= 10.0
    return story


def prepared(given: Scene, seed: int, safety: str = "full") -> Story:
    """The world and the daemon in it, at the daemon's start."""
    settings = read_settings(None)
    modes = {name: GuardMode.OFF for name in GUARDS if name not in {*FIXED, "cooldown"}} if safety in ("no-guards", "none") else {}
    guards = settings.guards.model_copy(update={**given.settings, **({"modes": modes} if modes else {})})
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "scene.yaml"
        path.write_text(yaml.safe_dump_all(given.documents))
        return Story(
            services=path, faults=path, settings=settings.model_copy(update={"guards": guards}), seed=seed, nodes=6,
            started=START + random.Random(seed).uniform(0, 86400), alone=given.older, define=careless if safety in ("no-caution", "none") else lambda d: d,
        )  # fmt: skip


def careless(definitions: Definitions) -> Definitions:
    """The packs without what they say to be careful: no rule waits, looks at volume, or explains another one; no runbook asks for what must *not* be,
    for an age, or for a measurement."""
    rules = [replace(rule, hold=0.0, volume_query="", minimum_volume=0.0, inhibits=()) for rule in definitions.rules]
    runbooks = [
        replace(book, match=compile_expression(_bold(book.match.text), "match"), verify=None) for book in definitions.runbooks
    ]
    return replace(definitions, rules=type(definitions.rules)(rules), runbooks=type(definitions.runbooks)(runbooks))


_CAUTION = re.compile(
    r"&&\s*(!\([^()]*\)|![A-Za-z][\w.]*(\([^()]*\))?|(incident\.(age|open)|target\.settled)Seconds >= [0-9.]+"
    r"|incident\.openSeconds <= target\.revisionAgeSeconds|\"errors-since-release\" in incident\.rules)(?=\s*(&&|\)|$))"
)


def _bold(match: str) -> str:
    return _CAUTION.sub("", match)


def outcome(story: Story, kind: str, seed: int, safety: str) -> Played:
    """Read from the world's books."""
    fault = next(iter(story.world.simulation.faults))
    episode = story.episode(fault)
    wrong = [write for write in episode.wrong if write.user in OURS]
    by_us = episode.cured_by is not None and episode.cured_by.user in OURS
    resolved = episode.recovered is not None and by_us and not wrong
    opened = [i.opened_at for i in story.store.incidents() if i.opened_at >= episode.began]
    runs = [r for r in reversed(story.store.executions()) if r.created_at >= episode.began]
    since = episode.began
    return Played(
        kind=kind, seed=seed, safety=safety, resolved=resolved,
        mttr=episode.recovered - since if episode.recovered is not None and resolved else None,
        detected=min(opened) - since if opened else None,
        cured=episode.cured - since if episode.cured is not None else None,
        wrong=tuple(_said(write, since) for write in wrong), right=len(episode.right),
        runs=tuple(f"{r.created_at - since:.0f}s {r.plan.runbook}: {r.result.reason if r.result else r.state.value}" for r in runs), cpu=0.0,
    )  # fmt: skip


def _said(write: Write, since: float) -> str:
    return f"{write.at - since:.0f}s {write}"


@contextmanager
def quietly() -> Iterator[None]:
    """No word of the daemon's below an error; afterwards as it was, for whoever else runs in this process."""
    before = structlog.get_config()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    try:
        yield
    finally:
        structlog.configure(**before)
