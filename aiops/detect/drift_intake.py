"""An answer folded for `drift`: which series belong to which subject and feature, and which pod, bucket or category each of them is. Neighbour: `drift`."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

from aiops.domain.series import Labels, SampleBatch, series_id

MAX_FEATURES = 1000
Members = Mapping[str, Mapping[str, list[tuple[str, float]]]]
"""(member, value) by subject and feature."""


class Folding:
    """`of`: values, histogram, buckets or categories. `over`: labels pooled (of the last two: that name them). `feature`: the label that tells features apart, empty for none."""

    def __init__(self, of: str, over: Sequence[str], feature: str) -> None:
        self._of, self._feature = of, feature
        self._over = frozenset(("le", *over) if of == "histogram" else over)
        self._category = tuple(sorted(over))

    def fold(self, batch: SampleBatch, known: Callable[[str, str], bool], count: int) -> tuple[Members, dict[str, dict[str, str]], dict[str, int]]:
        """Members, labels by subject, and series left out by reason. `known`: whether a subject has a feature already; `count`: how many features there are.

        A member that comes twice counts once: the greater value, so that order does not matter. NaN is no value.
        """
        grouped: dict[str, dict[str, dict[str, float]]] = {}
        names: dict[str, dict[str, str]] = {}
        dropped: dict[str, int] = {}
        for labels, value in zip(batch.labels, batch.values.tolist(), strict=True):
            member = self._member(labels)
            if member is None:
                dropped["NoSuchLabel"] = dropped.get("NoSuchLabel", 0) + 1
                continue
            plain = {k: v for k, v in labels.items() if k not in self._over and k not in (self._feature, "__name__")}
            subject, feature = series_id(plain), labels.get(self._feature, "")
            if not known(subject, feature) and feature not in grouped.get(subject, {}):
                if count >= MAX_FEATURES:
                    dropped["SeriesLimit"] = dropped.get("SeriesLimit", 0) + 1
                    continue
                count += 1
            names.setdefault(subject, plain)
            held = grouped.setdefault(subject, {}).setdefault(feature, {})
            if not math.isnan(value):
                held[member] = max(value, held.get(member, -math.inf))
        return {s: {f: sorted(held.items()) for f, held in features.items()} for s, features in grouped.items()}, names, dropped

    def _member(self, labels: Labels) -> str | None:
        """Which pod, bucket or category a series is; None if its labels do not say."""
        if self._of == "histogram":
            try:
                bound = float(labels["le"])
            except (KeyError, ValueError):
                return None
            return None if math.isnan(bound) else str(bound)
        if self._of == "buckets":
            try:
                number = float(labels[self._category[0]])
            except (KeyError, ValueError):
                return None
            return str(number) if math.isfinite(number) else None
        if self._of == "categories":
            return "/".join(labels.get(name, "") for name in self._category)
        return series_id(labels)
