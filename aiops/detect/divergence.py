"""How far apart two samples' distributions are: PSI, KL and JS over bins at quantiles of the reference. Pure functions on batches of rows.

Bins at the reference's quantiles bear outliers, where bins of equal width do not: one huge value would move every edge. Shares are smoothed by half a count a
bin, so that an empty bin is a finite surprise. Neighbours: `population` counts, `no_drift_law` says what chance reaches.

Sources: Kullback and Leibler, Ann. Math. Stat. 22 (1951); Lin, IEEE Trans. Inf. Theory 37 (1991) for JS.
"""

from __future__ import annotations

import math

import numpy as np

from aiops.domain.series import Floats

METHODS = ("psi", "kl", "js")


def quantile_edges(reference: Floats, bins: int) -> Floats:
    """Inner edges, shape (rows, bins - 1), of bins `(-inf, e0], (e0, e1], … (e_last, inf)` at quantiles of `reference` (rows, samples).

    NaN is skipped. Where quantiles coincide (a value that is very frequent), the lower edge moves just below it, so that the value has a bin
    of its own and a fall from it is seen. Rows without a sample have NaN edges.
    """
    ordered = np.sort(reference, axis=1)  # NaN goes last.
    count = np.sum(~np.isnan(reference), axis=1)
    shares = np.arange(1, bins) / bins
    place = np.clip(np.ceil(shares[None, :] * count[:, None]).astype(np.int64) - 1, 0, max(reference.shape[1] - 1, 0))
    edges = np.take_along_axis(ordered, place, axis=1)
    below = np.nextafter(edges, -np.inf)
    edges[:, :-1] = np.where(edges[:, :-1] == edges[:, 1:], below[:, :-1], edges[:, :-1])
    return np.asarray(edges)


def bin_shares(values: Floats, edges: Floats) -> Floats:
    """Smoothed share of `values` (rows, samples; NaN skipped, ±Inf in the outer bins) in each bin, shape (rows, bins); rows sum to 1."""
    present = ~np.isnan(values)
    count = np.sum(present, axis=1)
    up_to = np.stack([np.sum(values <= edges[:, [i]], axis=1) for i in range(edges.shape[1])], axis=1)
    held = np.diff(np.column_stack([np.zeros(len(values), dtype=np.int64), up_to, count]), axis=1)
    bins = edges.shape[1] + 1
    return np.asarray((held + 0.5) / (count[:, None] + 0.5 * bins))


def divergence(method: str, reference: Floats, current: Floats) -> Floats:
    """Of shares, each (rows, bins), to (rows,). `psi`: symmetric, in nats. `kl`: of current from reference, in nats. `js`: in bits, 0 to 1."""
    if method == "psi":
        return np.asarray(np.sum((current - reference) * np.log(current / reference), axis=1))
    if method == "kl":
        return _kl(current, reference)
    if method == "js":
        middle = (reference + current) * 0.5
        return (_kl(reference, middle) + _kl(current, middle)) * (0.5 / math.log(2.0))
    raise ValueError(f"no divergence {method!r}; allowed: {', '.join(METHODS)}")


def _kl(p: Floats, q: Floats) -> Floats:
    return np.asarray(np.sum(p * np.log(p / q), axis=1))


def compare(method: str, reference: Floats, current: Floats, bins: int = 10) -> float:
    """Divergence of two one-dimensional samples; NaN if either has no finite value."""
    if method not in METHODS:
        raise ValueError(f"no divergence {method!r}; allowed: {', '.join(METHODS)}")
    if bins < 2:
        raise ValueError(f"bins ({bins}) must be at least 2")
    if not np.isfinite(reference).any() or not np.isfinite(current).any():
        return math.nan
    edges = quantile_edges(reference[None, :], bins)
    return float(divergence(method, bin_shares(reference[None, :], edges), bin_shares(current[None, :], edges))[0])
