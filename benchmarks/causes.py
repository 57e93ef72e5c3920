"""Made-up incidents with a known cause: how often it is the first candidate, and among the first three.

A namespace of ten workloads on three nodes, each with four rules' series of their own level and noise (a sample every 15 s). A cause departs, the symptom follows
half a minute to two minutes later, and others follow the symptom; beside that, in each incident, some series jump without a reason, and one wild sample is put in.
Where another change comes by chance just before the symptom, nobody could tell; that row shows it.
Run by `make bench-causes`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from aiops.correlate.causes import Suspect, candidates
from aiops.correlate.topology import Placement
from aiops.domain.target import TargetRef

EVERY, SAMPLES, T0 = 15.0, 60, 1_767_225_600.0
RULES = ("cpu", "memory", "restarts", "errors")
WORKLOADS = tuple(TargetRef("Deployment", "shop", f"app-{n}") for n in range(10))
NODES = tuple(TargetRef("Node", "", f"node-{n}") for n in range(3))
STRANGER = TargetRef("Deployment", "elsewhere", "app-0")
KINDS = (
    "itself", "node", "neighbour", "same node, with followers", "neighbour, with unrelated jumps", "small: 4 to 8 deviations", "a chain: others before the symptom",
    "by chance another change near by",
)


@dataclass(frozen=True, slots=True)
class Case:
    """An incident about `target` that began at `began`; `cause` is rule and target."""

    kind: str
    target: TargetRef
    began: float
    suspects: tuple[Suspect, ...]
    placement: Placement
    cause: tuple[str, TargetRef]


def cases(each: int, seed: int = 3) -> Iterator[Case]:
    """`each` of every kind."""
    random = np.random.default_rng(seed)
    for kind in KINDS:
        for _ in range(each):
            yield _case(kind, random)


def _case(kind: str, random: np.random.Generator) -> Case:
    nodes = {w: frozenset({NODES[int(random.integers(3))].name}) for w in WORKLOADS}
    target = WORKLOADS[int(random.integers(10))]
    near = [w for w in WORKLOADS if w != target and nodes[w] == nodes[target]] or [w for w in WORKLOADS if w != target]
    others = [w for w in WORKLOADS if w != target]
    if kind == "itself":
        about = target
    elif kind == "node":
        about = next(n for n in NODES if n.name in nodes[target])
    else:
        pool = near if kind.startswith("same node") else others
        about = pool[int(random.integers(len(pool)))]
    cause = (RULES[int(random.integers(3))], about)
    at = 42 + int(random.integers(0, 8))
    began = T0 + EVERY * at
    size = random.uniform(4.0, 8.0) if "small" in kind else random.uniform(8.0, 40.0)
    starts = {cause: (at - int(random.integers(2, 8)), size)}
    if "chain" in kind:
        starts[cause] = (at - int(random.integers(5, 8)), size)
        for other in others[:3]:
            starts.setdefault(("errors", other), (at - int(random.integers(1, 4)), random.uniform(8.0, 40.0)))
    if "chance" in kind:
        starts.setdefault(("memory", others[int(random.integers(len(others)))]), (at - int(random.integers(2, 8)), random.uniform(8.0, 40.0)))
    if "followers" in kind:
        for other in others[:3]:
            starts.setdefault(("errors", other), (at + int(random.integers(1, 4)), random.uniform(20.0, 60.0)))
    if "unrelated" in kind:
        # Elsewhere, far away, and greater than the cause; and a small one near by.
        starts[("cpu", STRANGER)] = (at - 3, 60.0)
        starts.setdefault(("memory", others[0]), (at - 3, 4.0))
    everyone = [(rule, w) for w in (*WORKLOADS, *NODES, STRANGER) for rule in RULES]
    wild = everyone[int(random.integers(len(everyone)))]
    suspects = tuple(_series(rule, w, starts.get((rule, w)), (rule, w) == wild and (rule, w) not in starts, random) for rule, w in everyone)
    # The symptom itself is claimed, hence no suspect.
    kept = tuple(s for s in suspects if (s.rule, s.target) != ("errors", target))
    return Case(kind, target, began, kept, Placement(nodes_of=nodes), cause)


def _series(rule: str, about: TargetRef, starts: tuple[int, float] | None, wild: bool, random: np.random.Generator) -> Suspect:
    level, noise = 10.0 ** random.uniform(-1.0, 4.0), random.uniform(0.02, 0.1)
    values = level * (1.0 + noise * random.standard_normal(SAMPLES))
    if starts is not None:
        values[starts[0] :] += level * noise * starts[1]
    if wild:
        values[47] += 50.0 * level * noise
    times = T0 + EVERY * np.arange(SAMPLES)
    return Suspect(rule, about, times.tolist(), values.tolist())


def measure(each: int, seed: int = 3) -> dict[str, tuple[int, int, int]]:
    """By kind: incidents, cause first, cause among the first three."""
    counts = dict.fromkeys(KINDS, (0, 0, 0))
    for case in cases(each, seed):
        found = [(c.rule, c.about) for c in candidates(case.target, case.began, case.suspects, case.placement)]
        cause = (case.cause[0], str(case.cause[1]))
        total, first, three = counts[case.kind]
        counts[case.kind] = (total + 1, first + (found[:1] == [cause]), three + (cause in found[:3]))
    return counts


def report(counts: dict[str, tuple[int, int, int]]) -> float:
    """Prints the table; the share of incidents in which the cause is first."""
    print("known cause: first candidate, among the first three")
    for kind, (total, first, three) in counts.items():
        print(f"  {kind:34} {first:4} {three:4} of {total}")
    share = sum(first for _, first, _ in counts.values()) / sum(total for total, _, _ in counts.values())
    print(f"  {share:.1%} first")
    return share


if __name__ == "__main__":
    report(measure(200))
