"""How far apart two counts may be by chance alone, also where neighbours in time resemble each other.

Two questions are asked, and the answers joined as two looks (Bonferroni):
- *Any* difference: Pearson's two-sample statistic, which for independent rows follows chi-square with (bins - 1) degrees of freedom. Autocorrelated rows are
  worth fewer, and then it is a weighted sum of chi-squares, the weights being the eigenvalues of the long-run covariance of the bins' shares. That is not
  assumed but looked up: the reference is cut into windows many times longer than its memory, and their shares vary so and so much (batch means;
  Flegal and Jones, Ann. Stat. 38, 2010). The sum is taken for a scaled chi-square (Satterthwaite, Biometrics Bulletin 2, 1946), and since the
  scale was estimated, for F.
- A *shift* of ordered bins: the mean ridit (Bross, Biometrics 14, 1958), that is Wilcoxon's test on bins, which sees a small move of the whole sooner.
  Its long-run variance is the sum of autocorrelations, cut where they are lost in noise (Geyer, Stat. Sci. 7, 1992); an estimate from n rows and m lags has
  about n / (2m + 1) degrees of freedom (Priestley, Spectral Analysis, 1981), hence Student's t.

Where few rows are independent batch means see too few windows; so the first question is never answered more boldly than the second's variance
allows. Neighbours: `population` and `reference` ask.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from aiops.domain.series import Floats

Counts = NDArray[np.int64]
MAX_WINDOWS, MIN_WINDOWS, SHORTEST, MEMORIES = 40, 4, 25, 10
"""At most and at least so many windows; none shorter than so many rows, nor than so many times the memory where that can be had."""


@dataclass(frozen=True, slots=True)
class Law:
    """The statistic without drift is about `scale` times chi-square with `freedom` degrees; both were learned from `windows` windows.

    `memory`: rows that are worth one independent row, 1 where there is no autocorrelation. The first `ordered` bins have an order (0: none has);
    `inflation`: by how much memory raises the variance of their mean, known with `certainty` degrees of freedom.
    """

    scale: float
    freedom: float
    windows: int
    memory: float
    ordered: int = 0
    inflation: float = 1.0
    certainty: float = 1e9


def law(places: Counts, bins: int, ordered: int = 0) -> Law:
    """`places`: bin of each row of the reference, in order of time, 0..bins-1. Fewer than 100 rows are taken for independent."""
    total = np.bincount(places, minlength=bins)
    used = total > 0
    plain = max(int(used.sum()) - 1, 1)
    if len(places) < MIN_WINDOWS * SHORTEST:
        return Law(1.0, float(plain), MIN_WINDOWS, 1.0, ordered)
    ridits, variance = _ridits(total[None, :ordered])
    values = np.append(ridits[0] - 0.5, np.zeros(bins - ordered))[places] if ordered else places.astype(np.float64)
    memory, certainty = _memory(values)
    length = int(max(SHORTEST, MEMORIES * memory, len(places) // MAX_WINDOWS))
    number = max(len(places) // length, MIN_WINDOWS)
    length = min(length, len(places) // number)
    shape = (number, length)
    flat = places[: number * length] + np.repeat(np.arange(number) * bins, length)
    counts = np.bincount(flat, minlength=number * bins).reshape(number, bins)[:, used]
    share = total[used] / len(places)
    away = (counts / shape[1] - counts.sum(axis=0) / (number * length)) / np.sqrt(share) * np.sqrt(length)
    found = _matched(away, plain, number, memory)
    return _ordered(found, ordered, values, (memory, certainty), float(total[:ordered].sum() * variance[0])) if ordered else found


def law_of_cells(cells: Floats, ordered: int = 0) -> Law:
    """As `law`, of counts: (cells, bins), in order of time, each cell a stretch of it with any number of rows. Of fewer than eight cells that hold rows
    nothing can be learned, and the rows are taken for independent.
    """
    sizes = cells.sum(axis=1)
    cells, sizes = cells[sizes > 0.0], sizes[sizes > 0.0]
    total = cells.sum(axis=0)
    used = total > 0.0
    plain = max(int(used.sum()) - 1, 1)
    if len(cells) < 2 * MIN_WINDOWS:
        return Law(1.0, float(plain), MIN_WINDOWS, 1.0, ordered)
    memory, _ = _memory(cells @ np.arange(cells.shape[1]) / sizes)
    length = int(max(np.ceil(SHORTEST / sizes.mean()), np.ceil(1.0 + MEMORIES * (memory - 1.0)), len(cells) // MAX_WINDOWS))
    number = max(len(cells) // length, MIN_WINDOWS)
    length = min(length, len(cells) // number)
    counts = cells[: number * length].reshape(number, length, -1).sum(axis=1)[:, used]
    held = counts.sum(axis=1, keepdims=True)
    share = total[used] / total.sum()
    away = (counts / held - counts.sum(axis=0) / held.sum()) / np.sqrt(share) * np.sqrt(held)
    found = _matched(away, plain, number, max(memory * float(sizes.mean()), 1.0))
    if not ordered:
        return found
    ridits, variance = _ridits(total[None, :ordered])
    sums = cells[:, :ordered] @ (ridits[0] - 0.5)
    return _ordered(found, ordered, sums, _memory(sums), float(total[:ordered].sum() * variance[0]))


def _ridits(total: Floats | Counts) -> tuple[Floats, Floats]:
    """Of each ordered bin, (features, bins), the share of rows below it, half of its own counted; their mean over the rows is one half. And their variance over the rows."""
    share = total / np.maximum(total.sum(axis=1, keepdims=True), 1e-300)
    ridits = np.cumsum(share, axis=1) - 0.5 * share
    return ridits, np.sum(share * (ridits - 0.5) ** 2, axis=1)


def _ordered(found: Law, ordered: int, sums: Floats, memory: tuple[float, float], plain: float) -> Law:
    """With what the sums of departures (of each row or cell) say of the mean's variance; `plain`: what their squares would add up to were all rows independent."""
    if plain <= 0.0:
        return found
    # A variance that was estimated is too small by chance as often as too large, and lags cut off are missing: the mean of its reciprocal is made right.
    time, certainty = memory
    inflation = time * float(sums @ sums) / plain * (certainty / max(certainty - 1.0, 0.5))
    return replace(found, ordered=ordered, inflation=max(inflation, 1.0), certainty=max(certainty, 1.0))


def _matched(away: Floats, plain: int, number: int, memory: float) -> Law:
    """`away`: standardised shares of each window, (windows, bins). Never milder than the law of independent rows."""
    spread = away.T @ away / (number - 1)
    mean = float(np.trace(spread))
    # Of few windows the square is too large by chance: the unbiased form for a sample covariance.
    degrees = number - 1
    square = (float((spread * spread).sum()) - mean * mean / degrees) * degrees**2 / (degrees**2 + degrees - 2)
    if mean <= 0.0:
        return Law(1.0, float(plain), number, memory)
    square = min(max(square, mean * mean / plain), mean * mean)
    freedom = mean * mean / square
    return Law(max(mean, float(plain)) / freedom, freedom, number, memory)


def _memory(values: Floats) -> tuple[float, float]:
    """Integrated autocorrelation time, at least 1 (pairs of lags are added while they are positive), and the degrees of freedom it is known with."""
    centred = values - values.mean()
    power = float(centred @ centred)
    if power <= 1e-20 * max(float(values @ values), 1.0):  # constant, but for rounding
        return 1.0, len(values) / 3.0
    lags = len(centred) // 4
    # Padded by as many zeros as there are lags; a length of small factors is quick.
    padded = 1 << (len(centred) + lags - 1).bit_length()
    transformed = np.fft.rfft(centred, padded)
    found = np.fft.irfft(transformed * np.conj(transformed), padded)[:lags] / power
    whole = max(len(found) - 1, 0) // 2 * 2
    pairs = found[1 : 1 + whole : 2] + found[2 : 2 + whole : 2]
    stop = int(np.argmax(pairs <= 0.0)) if (pairs <= 0.0).any() else len(pairs)
    return max(1.0 + 2.0 * float(pairs[:stop].sum()), 1.0), len(values) / (4.0 * stop + 3.0)


def statistic(first: Counts, second: Counts) -> tuple[Floats, Counts]:
    """Pearson's two-sample chi-square of counts, each (features, bins), and its degrees of freedom, each (features,); bins empty on both sides do not count."""
    both = first + second
    a, b = first.sum(axis=1), second.sum(axis=1)
    known = (a > 0) & (b > 0)
    ratio = np.sqrt(np.where(known, b, 1) / np.where(known, a, 1))[:, None]
    value = np.sum((ratio * first - second / ratio) ** 2 / np.maximum(both, 1), axis=1)
    return np.where(known, value, 0.0), np.where(known, np.sum(both > 0, axis=1) - 1, 0)


def p_values(reference: Counts, current: Counts, laws: Sequence[Law]) -> Floats:
    """The share of batches without drift that depart at least so far; counts (features, bins), a law each. 1 where there is only one bin."""
    from scipy.special import fdtrc, stdtr  # deferred: scipy is heavy

    columns = np.array([(c.scale, c.freedom, c.windows, c.ordered, c.inflation, c.certainty) for c in laws], dtype=np.float64).reshape(-1, 6)
    scale, freedom, windows, ordered, inflation, certainty = columns.T
    value, degrees = statistic(reference, current)
    some = np.maximum(degrees, 1)
    # Bins that only the batch fills (a new category) add their degrees: the reference could not show how they vary.
    free = np.maximum(freedom + degrees - np.sum(reference > 0, axis=1) + 1, 1e-9)
    any_way = fdtrc(free, (windows - 1) * free, value / (scale * free))
    within = np.arange(reference.shape[1]) < ordered[:, None]
    before, now = np.where(within, reference, 0), np.where(within, current, 0)
    rows, size = before.sum(axis=1), now.sum(axis=1)
    ridits, variance = _ridits(before)
    asked = (variance > 0.0) & (size > 0)
    bold = fdtrc(some, certainty, value / (inflation * some))
    size, variance = np.maximum(size, 1), np.where(asked, variance, 1.0)
    moved = np.abs(np.sum(now * (ridits - 0.5), axis=1)) / size
    shift = 2.0 * stdtr(certainty, -moved / np.sqrt(variance * inflation * (1.0 / np.maximum(rows, 1) + 1.0 / size)))
    p = np.where(asked, np.minimum(2.0 * np.minimum(np.maximum(any_way, bold), shift), 1.0), any_way)
    return np.where(degrees < 1, 1.0, p)


def holm(p_values: Floats, level: float) -> NDArray[np.bool_]:
    """Which of many features depart, so that with no drift at all any is named in at most `level` of the batches (Holm, Scand. J. Stat. 6, 1979). NaN never does."""
    known = np.nan_to_num(p_values, nan=1.0)
    order = np.argsort(known, kind="stable")
    passed = np.cumprod(known[order] <= level / np.arange(len(known), 0, -1)).astype(np.bool_)
    named = np.zeros(len(known), dtype=np.bool_)
    named[order[passed]] = True
    return named
