"""Few events: is a departure more than chance? Exact tails, so that two failures of three requests are no outage and twenty of thirty are.

Counts are taken as Poisson about what is expected; shares of n events as beta-binomial, that is binomial with an expected share that is itself known only as
well as from `KNOWN_FROM` events. Where there are many events the question does not arise, and the detector's own judgement stands.
Sources: Johnson, Kemp, Kotz, "Univariate Discrete Distributions", chapters 4 and 6.2.2 (2005). Neighbour: `bank` asks for samples that breach.
"""

from __future__ import annotations

import numpy as np

from aiops.detect.arrays import Flags
from aiops.domain.series import Floats

CHANCE = 1e-3
"""A tail smaller than this is no chance."""
KNOWN_FROM = 1000.0
FEWEST = 0.05
"""Events that are expected at least, also where none was ever seen: a single one proves nothing."""
MANY = 2000.0
"""From so many events on, expected or behind a share, there is no low traffic."""


def unlikely_count(values: Floats, expected: Floats) -> Flags:
    """Counts that a Poisson law about `expected` reaches less than once in a thousand, on the side they lie on; shape (n,). Unknown expectations pass."""
    from scipy.special import pdtr, pdtrc  # deferred: most rules never ask

    mean = np.maximum(np.where(np.isfinite(expected), expected, 0.0), FEWEST)
    seen = np.round(np.clip(values, 0.0, 2.0 * MANY))
    tail = np.where(seen > mean, pdtrc(np.maximum(seen - 1.0, 0.0), np.minimum(mean, MANY)), pdtr(seen, np.minimum(mean, MANY)))
    return np.asarray((tail < CHANCE) | (mean >= MANY) | (values >= MANY) | ~np.isfinite(expected))


def unlikely_share(values: Floats, expected: Floats, events: Floats) -> Flags:
    """Shares (0..1) of `events` that a beta-binomial law about `expected` reaches less than once in a thousand; shape (n,). Unknown expectations pass."""
    passes = (events >= MANY) | ~np.isfinite(expected) | ~np.isfinite(events)
    for i in np.flatnonzero(~passes).tolist():
        total = max(round(float(events[i])), 0)
        share = min(max(float(expected[i]), 0.5 / KNOWN_FROM), 1.0 - 0.5 / KNOWN_FROM)
        hits = min(max(round(float(values[i]) * total), 0), total)
        law = _beta_binomial(total, share)
        passes[i] = float(law[hits:].sum() if values[i] > expected[i] else law[: hits + 1].sum()) < CHANCE
    return np.asarray(passes)


def _beta_binomial(total: int, share: float) -> Floats:
    """Probabilities of 0..total hits."""
    from scipy.special import betaln, gammaln  # deferred: most rules never ask

    hits = np.arange(total + 1.0)
    a, b = share * KNOWN_FROM, (1.0 - share) * KNOWN_FROM
    ways = gammaln(total + 1.0) - gammaln(hits + 1.0) - gammaln(total - hits + 1.0)
    return np.asarray(np.exp(ways + betaln(hits + a, total - hits + b) - betaln(a, b)))
