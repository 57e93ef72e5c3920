"""The shipped faults as stories: the product's own rules, runbooks, guards and engine over the simulated shop, judged by the world's own books.

Given a quiet shop, when a fault begins, then the right write cures it, no wrong one is made, and people are told once. Each story checks all of it,
because the minutes of virtual time are what costs. Neighbours: `story`, `test_moments` for what goes wrong in the middle.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from aiops.app.desk import Desk
from aiops.domain.incident import Incident
from aiops.domain.outcome import Judgement, Outcome
from tests.scenarios.story import Story

QUIET = 420.0
CURED = ["traffic-surge", "memory-leak", "bad-release", "stale-cache"]
HANDS_OFF = ["dependency-outage", "dark-telemetry"]


def until(story: Story, done: Callable[[], bool], most: float) -> None:
    """Let time pass, a quarter of a minute at a time, until it is so."""
    left = most
    while left > 0 and not done():
        story.run(15.0)
        left -= 15.0
    assert done(), story.told()


def incidents(story: Story) -> list[Incident]:
    """Oldest first."""
    return list(reversed(story.store.incidents()))


def told_once_each(story: Story) -> None:
    """One root for each incident, brought up to date in place, and no reply twice."""
    posts = story.notifier.posts
    roots = [p for p in posts if p.reference == p.root]
    assert sorted(p.message.incident for p in roots) == sorted({i.id for i in incidents(story) if not i.inhibited_by}), story.told()
    for root in roots:
        incident = next(i for i in incidents(story) if i.id == root.message.incident)
        assert root.message.view is not None
        assert root.message.view.state == incident.state.value, story.told()
    keys = [p.message.key for p in posts]
    assert len(keys) == len(set(keys))
    assert [state for _, state in story.store.messages(limit=1000) if state not in ("delivered", "superseded")] == []


@pytest.mark.parametrize("fault", CURED)
def test_a_fault_that_can_be_cured_is_cured_by_the_right_write_alone(fault: str) -> None:
    story = Story().given_quiet(QUIET)
    assert (incidents(story), story.store.executions()) == ([], []), story.told()

    story.when(fault)
    until(story, lambda: story.episode(fault).cured is not None, 900)
    until(story, lambda: bool(incidents(story)) and not story.store.active_incidents() and not story.store.unfinished(), 900)

    episode = story.episode(fault)
    assert episode.wrong == (), story.told()
    assert episode.cured_by is not None, story.told()
    assert episode.cured_by.user == "aiops" or episode.cured_by.verb == "flush"
    runs = [r for r in story.store.executions() if not r.simulated]
    # A run that finds its level good already does nothing, and says so.
    idle = [r for r in runs if r.result is not None and r.result.reason == "LevelIsGood" and not any(s.effect for s in r.steps)]
    acted = [r for r in runs if r.plan.runbook != "page-a-person" and r not in idle]
    assert acted, story.told()
    assert {r.result.outcome for r in acted if r.result} == {Outcome.SUCCEEDED}, story.told()
    assert all(r.verification is not None and r.verification.judgement is Judgement.HELPED for r in acted), story.told()
    assert all(i.resolved_at is not None for i in incidents(story))
    told_once_each(story)


@pytest.mark.parametrize("fault", HANDS_OFF)
def test_where_acting_would_be_wrong_a_person_is_called_and_nothing_is_written(fault: str) -> None:
    story = Story().given_quiet(QUIET).when(fault)
    until(story, lambda: any(r.plan.runbook == "page-a-person" and r.state.value == "done" for r in story.store.executions()), 300)
    story.run(120)
    episode = story.episode(fault)
    assert (episode.right, episode.wrong) == ((), ()), story.told()
    assert {r.plan.runbook for r in story.store.executions()} == {"page-a-person"}, story.told()
    assert any("A person is needed" in p.message.text for p in story.notifier.posts), [p.message.text for p in story.notifier.posts]


@pytest.mark.parametrize("fault", [*CURED, *HANDS_OFF])
def test_a_dry_run_writes_nothing_and_shows_what_it_would_have_done(fault: str) -> None:
    story = Story(act=False).given_quiet(QUIET).when(fault)
    until(story, lambda: any(r.state.value == "done" for r in story.store.executions()), 600)
    story.run(60)
    episode = story.episode(fault)
    assert (episode.right, episode.wrong) == ((), ()), story.told()
    shown = Desk(story.store, story.time).reviews(unmarked=True)
    assert shown, story.told()
    assert all(run.simulated and run.result is not None and run.result.outcome is Outcome.SIMULATED for run, _ in shown), story.told()
    if fault in CURED:
        acting = [run for run, _ in shown if run.plan.runbook != "page-a-person"]
        assert acting, story.told()
        assert all(change.diff or change.note for run in acting for change in run.plan.changes), story.told()
        assert all(run.plan.changes for run in acting), story.told()
    else:
        assert {run.plan.runbook for run, _ in shown} == {"page-a-person"}, story.told()
