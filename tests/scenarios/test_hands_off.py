"""Five seeds of each kind in which acting is wrong: nothing is written. And without what holds back something is, or the kind would test nothing:
without the guards where they do, else without the caution of rules and runbooks too."""

from __future__ import annotations

import pytest

from aiops.app.check import load_or_raise
from aiops.app.config import read_settings
from tests.scenarios.arena import careless, play, play_scene
from tests.scenarios.kinds import GUARDED, HANDS_OFF, quiet_scene

SEEDS = range(1, 6)


@pytest.mark.parametrize("kind", HANDS_OFF)
def test_nothing_wrong_is_written(kind: str) -> None:
    assert [played.wrong for played in (play(kind, seed) for seed in SEEDS)] == [()] * len(SEEDS)


@pytest.mark.parametrize("kind", HANDS_OFF)
def test_without_safety_something_wrong_is_written(kind: str) -> None:
    assert any(play(kind, seed, "no-guards" if kind in GUARDED else "none").wrong for seed in SEEDS)


def test_without_caution_the_packs_are_what_they_were_in_all_else() -> None:
    shipped = load_or_raise(read_settings(None))
    bold = {book.name: book.match.text for book in careless(shipped).runbooks}
    assert '"dependency"' not in bold["rollback-release"]
    assert '"crash-loop" in incident.symptoms' in bold["rollback-release"]
    assert set(bold) == {book.name for book in shipped.runbooks}


@pytest.mark.parametrize("seed", [1, 2])
def test_where_nothing_is_wrong_nothing_is_done(seed: int) -> None:
    story = play_scene(quiet_scene(seed, lasts=1200.0), seed, curable=False)
    try:
        assert story.store.executions() == [], story.told()
        assert not [write for write in story.world.writes() if write.user == "aiops"]
    finally:
        story.store.close()
