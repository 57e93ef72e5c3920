"""The silence action over both: made once, found by the key in its comment, and ended by its inverse only while it is as we left it."""

from __future__ import annotations

import uuid
from typing import Any, cast

from aiops.execution.actions.contract import Context, Done, Looked, Prepared
from aiops.execution.actions.registry import REGISTRY
from aiops.ports.cluster import Cluster
from tests.contract.alerts.conftest import Bench


def test_it_is_found_again_and_taken_back(bench: Bench) -> None:
    nothing = cast("Any", None)
    run, action = uuid.uuid4().hex, REGISTRY["silence"]

    def context(label: str) -> Context:
        cluster = Cluster("default", nothing, nothing, nothing, simulated=False, facts={})
        return Context(nothing, cluster, {}, bench.clock.now(), f"{run}.{label}", alerts=bench.silences)

    ready = action.prepare(context("quiet.1"), {"matchers": ('namespace="shop"', f'run="{run}"'), "for": 600.123, "comment": "a roll-out"})
    assert ready.skip is None
    assert action.look(context("quiet.1"), ready).looked is Looked.NOT
    assert action.start(context("quiet.1"), ready).applied
    kept = Prepared(pre_state=ready.pre_state, leaves=ready.leaves, inverse=ready.inverse, output=ready.output)
    seen = action.look(context("quiet.2"), kept)
    assert (seen.looked, seen.key) == (Looked.HAPPENED, f"{run}.quiet.1")
    assert isinstance(action.check(context("quiet.1"), kept, 0.0), Done)

    back = action.prepare(context("quiet~undo.1"), ready.inverse)
    assert back.skip is None
    assert dict(back.pre_state) == dict(ready.leaves)
    assert action.start(context("quiet~undo.1"), back).applied
    assert action.look(context("quiet~undo.1"), back).looked is Looked.HAPPENED
    again = action.prepare(context("quiet~undo.2"), ready.inverse)
    assert again.skip is not None
    assert again.skip.reason == "AlreadyExpired"
