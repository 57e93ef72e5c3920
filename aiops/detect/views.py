"""Why `fleet` and `focus` call a sample unlike its series, in lines for people: each view with what it expected and what it saw.

Neighbours: `fleet` and `focus` give the numbers, `live_fleet` keeps the lines of what is wrong now, `telling` puts them into the evidence.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from aiops.domain.series import Floats


@dataclass(frozen=True, slots=True)
class Reasons:
    """The numbers behind n samples; made into words only where somebody is told. `plain`: arguments of `plain_lines`, each (n,); `blame`: (n, features)."""

    plain: tuple[Floats, ...]
    features: tuple[str, ...] = ()
    blame: Floats | None = None

    def lines(self, which: int) -> tuple[str, ...]:
        """For people."""
        forest = () if self.blame is None else forest_line(self.features, self.blame[which])
        return (*plain_lines(*(float(column[which]) for column in self.plain)), *forest)


def plain_lines(value: float, expected: float, deviation: float, ago: float, steady: float, low: float, high: float) -> tuple[str, ...]:
    """Departure from this hour, step since an hour ago (NaN: not known), and how it lies to the range seen so far; all in the value's unit."""
    return tuple(_plain(value, expected, deviation, ago, steady, low, high))


def _plain(value: float, expected: float, deviation: float, ago: float, steady: float, low: float, high: float) -> Iterator[str]:
    yield f"departure: {_of(value - expected, deviation)} from what this hour is usually ({expected:.4g}; seen {value:.4g})"
    if np.isfinite(ago):
        yield f"step: {_of(value - ago, steady)} from an hour ago ({ago:.4g})"
    if value > high or value < low:
        yield f"range: outside of all seen so far ({low:.4g} to {high:.4g})"


def forest_line(features: Sequence[str], blame: Floats) -> tuple[str, ...]:
    """What share each feature has in the forest's score, the greatest first; nothing if it has none. `blame`: (features,), none below 0."""
    whole = float(blame.sum())
    if not whole > 0.0:
        return ()
    order = np.argsort(-blame, kind="stable").tolist()
    return ("forest: " + ", ".join(f"{features[i]} {blame[i] / whole:.0%}" for i in order),)


def _of(away: float, deviation: float) -> str:
    """So many deviations, as far as that says anything: of a series that never moved any step is endlessly many."""
    times = away / deviation if deviation > 0.0 else np.inf
    return f"{times:+.1f} deviations" if abs(times) < 1000.0 else f"{away:+.4g}, more than a thousand deviations"
