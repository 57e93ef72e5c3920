"""How strong an effect is over time: step, ramp, pulse or sine between two values. Pure. Neighbour: `faults` reads them."""

from __future__ import annotations

import math
from dataclasses import dataclass

from tests.testbed.world.files import Fields

SHAPES = ("step", "ramp", "pulse", "sine")


@dataclass(frozen=True, slots=True)
class Curve:
    """Value at a time since the fault began: from `start` to `end`.

    `step`: `end` at once. `ramp`: straight to `end` in `over` seconds, then stays. `pulse`: `end` for `over` seconds, then `start`; again each
    `every` seconds if that is not 0. `sine`: between the two, one swing in `over` seconds, beginning at `start`.
    """

    shape: str = "step"
    start: float = 0.0
    end: float = 1.0
    over: float = 60.0
    every: float = 0.0

    def at(self, elapsed: float) -> float:
        """The value `elapsed` seconds after the fault began."""
        if self.shape == "step":
            share = 1.0
        elif self.shape == "ramp":
            share = min(1.0, elapsed / self.over)
        elif self.shape == "pulse":
            share = 1.0 if (elapsed % self.every if self.every else elapsed) < self.over else 0.0
        else:
            share = (1.0 - math.cos(2.0 * math.pi * elapsed / self.over)) / 2.0
        return self.start + (self.end - self.start) * share


def read_curve(fields: Fields | None, *, start: float, end: float | None, least: float, most: float) -> Curve:
    """A `curve:` of a file; `start` and `end` are what `from` and `to` are by default (`end` None: must be given)."""
    if fields is None:
        return Curve(start=start, end=start if end is None else end)
    shape = fields.one_of("shape", SHAPES, "step")
    first = fields.number("from", start, least=least, most=most)
    last = fields.number("to", ... if end is None else end, least=least, most=most)
    over = fields.seconds("over", 60.0, least=0.001)
    every = fields.seconds("every", 0.0)
    fields.done()
    return Curve(shape, first, last, over, every)
