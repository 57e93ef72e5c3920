"""What the guards think that actions do is what the actions do."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiops.domain.outcome import Result
from aiops.execution.actions import rollout, scale
from aiops.execution.actions.registry import SPECS
from aiops.remediate.guards.reversal import template_digest
from aiops.remediate.guards.traits import TRAITS, Disrupts, scaled, traits

changes = st.builds("{}{}{}".format, st.sampled_from("+-"), st.integers(0, 500), st.sampled_from(["", "%", ".5%"]))
bounds = st.none() | st.integers(0, 60)


def test_every_action_is_known_to_the_guards() -> None:
    assert set(SPECS) <= set(TRAITS)


def test_an_unknown_action_is_taken_to_do_the_worst() -> None:
    worst = traits("something-new")
    assert (worst.acts, worst.disrupts) == (True, Disrupts.ALL)
    assert worst.writes == {"replicas", "restart", "template", "paused", "unschedulable"}


@given(st.integers(0, 60), changes | st.integers(0, 60), bounds, bounds)
def test_the_count_is_worked_out_as_the_action_does(present: int, change: str | int, low: int | None, high: int | None) -> None:
    arguments: dict[str, Any] = {("by" if isinstance(change, str) else "to"): change, "minimum": low, "maximum": high}
    expected = scale.wanted(present, arguments)
    if isinstance(expected, Result) and expected.reason == "InvalidArguments":
        return
    assert scaled(present, arguments) == (present if isinstance(expected, Result) else expected)


@pytest.mark.parametrize("arguments", [{}, {"by": "+1", "to": 3}, {"by": "twice"}, {"by": ""}])
def test_arguments_that_make_no_sense_are_errors(arguments: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"scale|change"):
        scaled(3, arguments)


def test_templates_are_digested_as_the_actions_digest_them() -> None:
    template = {"metadata": {"labels": {"b": "ü", "a": "1"}, "creationTimestamp": None}, "spec": {"containers": [{"image": "x"}]}}
    assert template_digest(template) == rollout.template_digest(template)
