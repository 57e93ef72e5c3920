"""A fleet's model: trees on the values and trees on their logarithms, averaged.

What is missed by a constant amount and what is missed by a constant factor are different faults; a season that multiplies is a plain sum of logarithms.
Averages of forecasts that err differently beat the better of them (Bates and Granger, Operational Research Quarterly 20, 1969).
Neighbours: `boosting` trains each; `fleet` decides whether they are used.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from aiops.domain.series import Floats
from aiops.forecast.boosting import Boosted, train
from aiops.forecast.candidates import Shape

FLOOR = 0.02
"""Added before the logarithm, of the usual value: what is nearly nothing must not rule the model."""
LEAST = 1e-290
"""A greatest value below it has no floor that a float can hold."""
SHARE = 2.0 / 3.0
"""Of the logarithms in the average, for series that are never negative."""


@dataclass(frozen=True, slots=True)
class GlobalModel:
    """`logarithms` is None where too few series are without negative values."""

    values: Boosted
    logarithms: Boosted | None

    def forecast(self, values: Floats, origins: np.ndarray, horizon: int, shape: Shape) -> tuple[Floats, Floats]:
        """As `Boosted.forecast`: the model's and the combination's, each (horizon)."""
        mean, base = self.values.forecast(values, origins, horizon, shape)
        if self.logarithms is None or not positive(values):
            return mean, base
        floor = FLOOR * float(values.mean())
        other, _ = self.logarithms.forecast(np.log(values + floor), origins, horizon, shape)
        # Nothing ten times beyond what was ever seen: an error in a logarithm grows without end.
        other = np.exp(np.minimum(other, np.log(10.0 * float(values.max())))) - floor
        return (1.0 - SHARE) * mean + SHARE * other, base


def positive(values: Floats) -> bool:
    """Whether logarithms can be taken: never negative and not always nothing."""
    return bool(values.min() >= 0.0 and values.max() > LEAST)


def train_both(fleet: Sequence[Floats], horizon: int, shape: Shape, least: int, threads: int = 1) -> GlobalModel | None:
    """Learn from each series up to its end; from logarithms where at least `least` series have them. None as `boosting.train`."""
    plain = train(fleet, horizon, shape, threads)
    if plain is None:
        return None
    logs = [np.log(values + FLOOR * float(values.mean())) for values in fleet if positive(values)]
    return GlobalModel(plain, train(logs, horizon, shape, threads, logarithms=True) if len(logs) >= least else None)
