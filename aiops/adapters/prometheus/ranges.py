"""A range query in pieces that the server accepts, and their answers joined.

Prometheus refuses more than 11,000 points a series. Neighbours: `source` and `api_client`. Times have the server's resolution of 1 ms.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np

from aiops.adapters.prometheus.decode import Decoded
from aiops.domain.series import Floats, Labels, SeriesRange, label_key

MAX_POINTS = 10_000


def pieces(start: float, end: float, step: float, max_points: int = MAX_POINTS) -> Iterator[tuple[float, float]]:
    """(start, end) of each piece, both inclusive and on the grid start + i·step, without overlap. What is no range (end before start) stays one piece: the server says why."""
    first, last, width = round(start * 1000), round(end * 1000), round(step * 1000)
    if width <= 0 or last < first:
        yield start, end
        return
    for begin in range(first, last + 1, width * max_points):
        yield begin / 1000, min(begin + width * (max_points - 1), last) / 1000


def joined(answers: Iterable[Decoded]) -> tuple[SeriesRange, ...]:
    """The series of all pieces, each once, times rising. Pieces are in order and do not overlap; a time seen twice is kept once."""
    found: dict[tuple[tuple[str, str], ...], tuple[Labels, list[Floats], list[Floats]]] = {}
    for answer in answers:
        for labels, times, values in answer.series:
            entry = found.setdefault(label_key(labels), (labels, [], []))
            if entry[1] and entry[1][-1].size and times.size and times[0] <= entry[1][-1][-1]:
                later = times > entry[1][-1][-1]
                times, values = times[later], values[later]  # noqa: PLW2901 (the overlap is left out)
            entry[1].append(times)
            entry[2].append(values)
    return tuple(SeriesRange(labels, np.concatenate(t), np.concatenate(v)) for labels, t, v in found.values())
