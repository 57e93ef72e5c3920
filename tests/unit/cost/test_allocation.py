"""Who pays what: the OpenCost identities hold, whatever is shared how."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from aiops.cost.allocation import IDLE, NONE, OVERHEAD, costs_of, labelled, rows_of, workload
from aiops.cost.usage import Consumer, Pool, Resource, Usage
from aiops.domain.prices import Purchase, Sharing
from tests.unit.cost.shapes import SHARINGS, prices, usage


def test_a_tenant_pays_the_greater_of_request_and_use():
    rows = {r.name: r for r in rows_of(costs_of(usage(), prices()), prices(), workload)}
    unit = 0.2 / (4 * 0.03 + 16 * 0.004)  # a big node against the list
    assert rows["shop/Deployment/web"].own[Resource.CPU] == pytest.approx(24 * 2.0 * 0.03 * unit)  # asked for more than it used
    assert rows["shop/Deployment/cart"].own[Resource.CPU] == pytest.approx(24 * 1.5 * 0.03 * unit)  # used more than it asked for
    assert rows["shop/Deployment/web"].own[Resource.EGRESS] == pytest.approx(24 * 3.0 * 0.1)
    assert rows["data/StatefulSet/db"].own[Resource.STORAGE] == pytest.approx(24 * 100 * 0.146 / 730)
    assert rows["data/StatefulSet/db"].efficiency == pytest.approx((0.5 * 0.03 + 4 * 0.004) / (2 * 0.03 + 8 * 0.004))


def test_what_nodes_cost_beyond_is_idle():
    costs = costs_of(usage(), prices())
    compute = sum(costs.parts[r].sum() for r in (Resource.CPU, Resource.MEMORY, Resource.GPU))
    assert compute + costs.idle.sum() == pytest.approx(24 * 3 * 0.2)
    rows = {r.name: r for r in rows_of(costs, prices())}
    assert rows[IDLE].total == pytest.approx(costs.idle.sum())
    assert rows[OVERHEAD].total == pytest.approx(24 * 0.1)


def test_shared_namespaces_are_paid_by_the_others():
    told = prices(sharing=Sharing.PROPORTIONAL, idle=Sharing.EVEN)
    rows = {r.name: r for r in rows_of(costs_of(usage(), told), told)}
    assert set(rows) == {"shop", "data"}
    assert rows["shop"].idle == pytest.approx(rows["data"].idle)
    assert rows["shop"].shared / rows["data"].shared == pytest.approx(sum(rows["shop"].own.values()) / sum(rows["data"].own.values()))


def test_by_label_and_since():
    costs = costs_of(usage(48), prices())
    rows = {r.name: r for r in rows_of(costs, prices(), labelled("team"), since=costs.start + 24 * 3600)}
    assert set(rows) == {"a", "b", NONE, IDLE, OVERHEAD}
    assert sum(r.total for r in rows.values()) == pytest.approx(costs.total[24:].sum())


def test_nodes_without_a_type_in_the_list_cost_their_capacity_and_spot_is_cheaper():
    one = usage()
    odd = replace(one, pools=(Pool("", "odd", Purchase.SPOT, cpu=8.0, memory=32.0),), nodes=np.ones((1, 24)))
    assert costs_of(odd, prices()).idle[0] == pytest.approx(max(0.0, 0.5 * (8 * 0.03 + 32 * 0.004) - sum(costs_of(odd, prices()).parts[r][:, 0].sum() for r in list(Resource)[:3])))
    spot = replace(one, pools=(Pool("", "big", Purchase.SPOT),))
    cheaper = replace(spot, consumers=tuple(replace(c, purchase=Purchase.SPOT) for c in spot.consumers))
    assert costs_of(cheaper, prices()).parts[Resource.CPU].sum() == pytest.approx(0.4 * costs_of(one, prices()).parts[Resource.CPU].sum())


AMOUNTS = hnp.arrays(np.float64, (3, 5), elements=st.one_of(st.just(np.nan), st.floats(0, 1e6)))


@settings(max_examples=60, deadline=None)
@given(AMOUNTS, AMOUNTS, hnp.arrays(np.float64, (1, 5), elements=st.floats(0, 100)), st.sampled_from(SHARINGS), st.sampled_from(SHARINGS))
def test_rows_add_up_to_all_costs_and_nothing_is_negative(asked, used, nodes, sharing, idle):
    consumers = (Consumer("a", "x"), Consumer("b", "y"), Consumer("kube-system", "z"))
    told = prices(sharing=sharing, idle=idle)
    given_use = Usage(0.0, 3600.0, consumers, {Resource.CPU: asked}, {Resource.CPU: used, Resource.EGRESS: asked}, (Pool("", "big"),), nodes)
    costs = costs_of(given_use, told)
    rows = rows_of(costs, told)
    assert sum(r.total for r in rows) == pytest.approx(costs.total.sum(), rel=1e-9, abs=1e-9)
    assert all(r.total >= 0 and (r.efficiency is None or 0 <= r.efficiency <= 1) for r in rows)
    assert costs.total.sum() >= (nodes * 0.2).sum() - 1e-6  # a bill is never smaller than what the nodes cost
