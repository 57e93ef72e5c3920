"""What else changed near an incident: made-up incidents whose cause is known, and the rules by which it is ranked."""

from __future__ import annotations

import pytest

from aiops.correlate.causes import LEAST, Suspect, candidates, measured, related
from aiops.correlate.topology import Placement
from aiops.domain.target import TargetRef
from benchmarks.causes import measure, report

CART, CHECKOUT = TargetRef("Deployment", "shop", "cart"), TargetRef("Deployment", "shop", "checkout")
OTHER, FAR = TargetRef("Deployment", "billing", "cart"), TargetRef("Deployment", "shop", "cart", "east")
N1, N2, SHOP = TargetRef("Node", "", "n1"), TargetRef("Node", "", "n2"), TargetRef("Namespace", "", "shop")
PLACES = Placement(nodes_of={CART: frozenset({"n1"}), CHECKOUT: frozenset({"n2"}), OTHER: frozenset({"n1"})})
BEGAN = 1_700_000_000.0


def series(values: list[float | None], rule: str = "cpu", target: TargetRef = CART, end: float = BEGAN + 60.0) -> Suspect:
    """A sample each 15 s, the last at `end`."""
    return Suspect(rule, target, [end - 15.0 * (len(values) - 1 - i) for i in range(len(values))], values)


CALM: list[float | None] = [10.0, 10.1, 9.9, 10.0, 10.2, 9.8] * 4


def test_how_often_a_known_cause_is_first() -> None:
    assert report(measure(20)) >= 0.85


@pytest.mark.parametrize(
    ("target", "other", "relation"),
    [
        (CART, CART, "itself"), (CART, N1, "node"), (CART, N2, ""), (CART, SHOP, "namespace"), (CART, OTHER, "same node"), (CART, CHECKOUT, "neighbour"),
        (CART, FAR, ""), (CHECKOUT, OTHER, ""), (N1, CART, "neighbour"), (N1, N2, ""),
    ],
)
def test_what_is_near(target: TargetRef, other: TargetRef, relation: str) -> None:
    assert related(target, other, PLACES) == relation


def test_what_is_called_is_nearer_than_what_stands_beside() -> None:
    assert related(CART, CHECKOUT, PLACES, {"checkout"}) == "called"
    assert related(CART, OTHER, PLACES, {"cart"}) == "same node"
    risen: list[float | None] = [*CALM, *[20.0] * 8]
    search = TargetRef("Deployment", "shop", "search")
    found = candidates(CART, BEGAN, [series(risen, "cpu", search), series(risen, "cpu", CHECKOUT)], PLACES, {"checkout"})
    assert [(c.about, c.relation) for c in found] == [("shop/deployment/checkout", "called"), ("shop/deployment/search", "neighbour")]


def test_how_far_and_since_when() -> None:
    cause = measured(series([*CALM, 20.0, 20.0, 20.0, 20.0, 20.0, 20.0]), "itself", BEGAN)
    assert cause is not None
    assert cause.before == pytest.approx(10.0, abs=0.1)
    assert cause.now == pytest.approx(20.0)
    assert cause.at == BEGAN - 15.0
    assert cause.z > 20.0
    assert str(cause).startswith("shop/deployment/cart (itself): cpu 10 to 20, ")


@pytest.mark.parametrize(
    "values", [CALM, [*CALM, 10.0, 99.0, 10.0, 10.0], [5.0] * 40, [None] * 40, [1.0, 2.0], [], [*([None] * 30), 20.0, 20.0]],
    ids=["calm", "one wild sample", "constant", "nothing", "too few", "empty", "no past"],
)
def test_what_did_not_change(values: list[float | None]) -> None:
    assert measured(series(values), "itself", BEGAN) is None


def test_a_fall_counts_as_a_rise_does() -> None:
    cause = measured(series([*CALM, *[0.0] * 6]), "itself", BEGAN)
    assert cause is not None
    assert cause.z < -LEAST


def test_nearer_comes_first_and_what_came_after_is_rather_a_consequence() -> None:
    risen: list[float | None] = [*CALM, *[20.0] * 8]
    near, beside = series(risen, "cpu", N1), series(risen, "cpu", CHECKOUT)
    late = series([*CALM, *[10.0] * 6, 20.0, 20.0], "memory", CART)
    found = candidates(CART, BEGAN, [beside, late, near], PLACES)
    assert [(c.rule, c.about) for c in found] == [("cpu", "node/n1"), ("cpu", "shop/deployment/checkout"), ("memory", "shop/deployment/cart")]


def test_one_entry_for_each_rule_and_target_and_few_in_all() -> None:
    risen: list[float | None] = [*CALM, *[20.0] * 8]
    many = [series([v if v is None else v * (1 + n / 10) for v in risen], f"rule-{n % 8}") for n in range(24)]
    found = candidates(CART, BEGAN, many, PLACES)
    assert len(found) == 5
    assert len({c.rule for c in found}) == 5


def test_the_order_of_the_series_does_not_matter() -> None:
    risen: list[float | None] = [*CALM, *[20.0] * 8]
    given = [series(risen, f"rule-{n}", target) for n in range(4) for target in (CART, CHECKOUT, N1)]
    assert candidates(CART, BEGAN, given, PLACES) == candidates(CART, BEGAN, given[::-1], PLACES)
