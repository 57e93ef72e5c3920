"""Files of services and faults: what is wrong is one error that names file, line and key, and says what is allowed."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.testbed.world import FAULTS, SERVICES
from tests.testbed.world.conditions import parse
from tests.testbed.world.faults import read_faults
from tests.testbed.world.files import WorldFileError, duration, quantity
from tests.testbed.world.services import read_services

SERVICE = """apiVersion: aiops-testbed/v1
kind: Service
name: cart
namespace: shop
serviceTime: 20ms
load: {rate: 10}
"""
FAULT = """apiVersion: aiops-testbed/v1
kind: Fault
name: slow
service: cart
effects:
  - {what: service-time, curve: {to: 3}}
cures: never
"""


def test_shipped_files_are_read() -> None:
    services = read_services([SERVICES])
    faults = {fault.name: fault for fault in read_faults([FAULTS], services)}
    assert {"traffic-surge", "memory-leak", "bad-release", "stale-cache", "dependency-outage", "dark-telemetry"} <= set(faults)
    assert {name for name, fault in faults.items() if fault.act == "wrong"} >= {"dependency-outage", "dark-telemetry"}
    assert all(not fault.allowed for fault in faults.values() if fault.act == "wrong")


@pytest.mark.parametrize(
    ("old", "new", "line", "words"),
    [
        ("load: {rate: 10}", "load: {rate: 10, nois: 1}", 6, ["load.nois", "not known", "noise"]),
        ("namespace: shop", "namespce: shop", 4, ["namespce", "did you mean namespace"]),
        ("serviceTime: 20ms", "serviceTime: fast", 5, ["serviceTime", "no duration", "250ms"]),
        ("serviceTime: 20ms", "", 1, ["serviceTime", "must be given"]),
        ("name: cart", "name: Cart_1", 3, ["name", "no name", "a-z"]),
        ("load: {rate: 10}", "load: {rate: -1}", 6, ["load.rate", "out of bounds"]),
        ("load: {rate: 10}", "load: [1]", 6, ["load", "must be a map"]),
        ("kind: Service", "kind: Servce", 2, ["kind", "allowed: Service, Fault"]),
        ("namespace: shop", "name: two", 4, ["name", "given twice"]),
        ("namespace: shop", "replicas: 2.5", 4, ["replicas", "whole number"]),
        ("namespace: shop", "dependencies: [{name: bank}]", 4, ["dependencies", "no service default/bank"]),
        ("namespace: shop", "caches: [{name: c, pattern: none}]", 4, ["pattern", "exactly one *"]),
        ("namespace: shop", "zones: [zone-a]", 4, ["zones", "two of zone-a, zone-b, zone-c"]),
        ("namespace: shop", "zones: [zone-a, zone-q]", 4, ["zones", "two of zone-a, zone-b, zone-c"]),
        ("namespace: shop", "labels: {app: other}", 4, ["labels", "not to be set"]),
        ("namespace: shop", "labels: {'bad key!': x}", 4, ["labels", "'bad key!'"]),
        ("namespace: shop", "memory: {base: 512Mi, limit: 100Mi}", 4, ["memory", "below limit"]),
        ("namespace: shop", "dependencies: [{name: cart}]", 4, ["dependencies", "cannot call itself"]),
        ("namespace: shop", "autoscaler: {minReplicas: 5, maxReplicas: 2}", 4, ["autoscaler.minReplicas", "more than maxReplicas"]),
        ("namespace: shop", "caches: [{name: c}, {name: c}]", 4, ["caches", "name of its own"]),
        ("namespace: shop", "zones: [zone-a, zone-a]", 4, ["zones", "each once"]),
        ("namespace: shop", "zones: [zone-a, Zone B]", 4, ["zones", "no name"]),
        ("namespace: shop", "queue: q\nzones: [zone-a, zone-b]", 5, ["zones", "queue"]),
        ("namespace: shop", "image: !!python/name:os.system ''", 4, ["could not determine a constructor"]),
    ],
)
def test_wrong_services(tmp_path: Path, old: str, new: str, line: int, words: list[str]) -> None:
    file = tmp_path / "cart.yaml"
    file.write_text(SERVICE.replace(old, new))
    with pytest.raises(WorldFileError) as caught:
        read_services([tmp_path])
    assert str(caught.value).startswith(f"{file}:{line}: ")
    assert all(word in str(caught.value) for word in words), str(caught.value)


@pytest.mark.parametrize(
    ("old", "new", "line", "words"),
    [
        ("service: cart", "service: kart", 4, ["service", "no service 'kart'", "shop/cart"]),
        ("what: service-time", "what: sevice-time", 6, ["what", "allowed: load, service-time"]),
        ("curve: {to: 3}", "curve: {shape: cliff, to: 3}", 6, ["effects[0].curve.shape", "step, ramp, pulse, sine"]),
        ("what: service-time, curve: {to: 3}", "what: node, zone: zone-q", 6, ["effects[0].zone", "any, zone-a, zone-b, zone-c"]),
        ("curve: {to: 3}", "curve: {shape: step}", 6, ["effects[0].curve.to", "must be given"]),
        ("cures: never", "cures: readyReplica >= 3", 7, ["cures", "did you mean readyReplicas"]),
        ("cures: never", "cures: readyReplicas >= ", 7, ["cures", "the end where"]),
        ("cures: never", "cures: other.readyReplicas > 1", 7, ["cures", "no service 'other'"]),
        ("cures: never", "", 1, ["cures", "must be given"]),
        ("cures: never", "cures: never\nallowed: [{verb: destroy}]", 8, ["allowed[0].verb", "allowed: create"]),
        ("cures: never", "cures: never\nact: perhaps", 8, ["act", "right, wrong"]),
        ("what: service-time", "what: stale-cache", 6, ["what", "has no cache"]),
        ("what: service-time, curve: {to: 3}", "what: dependency, curve: {to: 1}", 6, ["what", "has no dependency"]),
        ("effects:\n  - {what: service-time, curve: {to: 3}}\n", "", 1, ["effects"]),
    ],
)
def test_wrong_faults(tmp_path: Path, old: str, new: str, line: int, words: list[str]) -> None:
    (tmp_path / "a.yaml").write_text(SERVICE)
    file = tmp_path / "b.yaml"
    file.write_text(FAULT.replace(old, new))
    with pytest.raises(WorldFileError) as caught:
        read_faults([tmp_path], read_services([tmp_path]))
    assert str(caught.value).startswith(f"{file}:{line}: ")
    assert all(word in str(caught.value) for word in words), str(caught.value)


def test_no_folder_and_no_service(tmp_path: Path) -> None:
    with pytest.raises(WorldFileError, match="no such file or folder"):
        read_services([tmp_path / "nowhere"])
    with pytest.raises(WorldFileError, match="no document of kind Service"):
        read_services([tmp_path])
    (tmp_path / "broken.yaml").write_text("a: [1\n")
    with pytest.raises(WorldFileError, match=r"broken\.yaml:2: not YAML"):
        read_services([tmp_path])


def test_units() -> None:
    assert [duration(text) for text in ("90s", "1h30m", "250ms", "1.5s", 3)] == [90, 5400, 0.25, 1.5, 3]
    assert [quantity(text) for text in ("512Mi", "500m", 2, "1.5Gi")] == [512 * 2**20, 0.5, 2, 1.5 * 2**30]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("never", False),
        ("always", True),
        ("replicas == 3", True),
        ("replicas > 3 or pods > 3", True),
        ("replicas > 3 and pods > 3", False),
        ("not rolling and not (replicas < 3)", True),
        ("other.replicas == 7 and 2 < 3", True),
        ("replicas >= 3 and readyReplicas != 3 or staleKeys", False),
    ],
)
def test_conditions(text: str, expected: bool) -> None:
    facts = {("", "replicas"): 3.0, ("", "readyReplicas"): 3.0, ("", "pods"): 4.0, ("other", "replicas"): 7.0}
    assert parse(text).holds(lambda service, fact: facts.get((service, fact), 0.0)) is expected


@pytest.mark.parametrize("text", ["", "replicas >=", "(replicas > 1", "replicas 3", "replicas > 1)", "a b", "replicas => 1", "__import__", "x.y"])
def test_conditions_that_are_none(text: str) -> None:
    with pytest.raises(ValueError, match=r"wanted|no fact|no part|allowed"):
        parse(text)
