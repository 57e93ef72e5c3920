"""Lasting change of a distribution: what came in the last `window` against a reference, by the law of `aiops drift`.

A *subject* (a model, a workload) has one or more *features*, and a feature is one population: the values of a gauge over time and over pods, the bucket
counts of a Prometheus histogram, counts by category. For a verdict both are needed: the size (PSI 0.1 and 0.25, KL 0.05 and 0.15) and significance
against what chance does, learned from the reference's own windows and corrected for the number of features. Too few rows are no verdict.

References: `rolling` (the time just before the window; while there is drift it waits for its own length), `pinned` (the first full stretch), `sinceRetraining` (pinned, and begun anew when the model was
trained: the alarm about the old one ends). Fixed references have versions and can be kept outside. NaN is no value; ±Inf lie in the outer bins; one wild
value moves no bin; bins empty on one side are a finite surprise. Neighbours: `history`, `reference`, `feature_drift`; `groups` is the contract.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from aiops.detect.arrays import nan, pack, unpack
from aiops.detect.contract import MAX_SCORE, Scores
from aiops.detect.drift_intake import Folding, Members
from aiops.detect.drift_verdict import NOTHING, Verdict, settled, verdict_of
from aiops.detect.feature_drift import Levels
from aiops.detect.groups import Assessed, Measure
from aiops.detect.history import History, chosen, revived
from aiops.detect.population import Counted, measured
from aiops.detect.reference import Cell, Reference, learned, loaded
from aiops.domain.series import SampleBatch, series_id

OF, MODES, ABOUT = ("values", "histogram", "buckets", "categories"), ("rolling", "pinned", "sinceRetraining"), ("input", "prediction")
CELLS = 1024
"""Cells kept a feature, about."""
MEMBERS = 16
"""Pods (or the like) looked at in one poll of a feature: with CELLS 128 KiB a feature at most, 16 KiB for a single gauge."""
LOOKS = 5
"""How often in one `window` a subject is compared: between looks the last verdict stands."""
MIN_CELLS = 8


class Drift:
    """`of`: values, histogram, buckets or categories. `over`: labels pooled into one population (of categories and buckets: that name them). `feature`: the label that
    tells features of one subject apart, empty for none. `reference`, `window`: seconds. `counter`: counts are totals that rise. `every`: seconds for which one
    answer's counts stand, 0 if answers do not overlap.
    """

    def __init__(
        self,
        *,
        of: str = "values",
        over: Sequence[str] = (),
        feature: str = "",
        about: str = "input",
        reference_mode: str = "rolling",
        reference: float = 10800.0,
        window: float = 2700.0,
        bins: int = 10,
        psi_warning: float = 0.1,
        psi_critical: float = 0.25,
        kl_warning: float = 0.05,
        kl_critical: float = 0.15,
        chance: float = 1e-4,
        counter: bool = False,
        every: float = 0.0,
    ) -> None:
        for name, value, allowed in (("of", of, OF), ("referenceMode", reference_mode, MODES), ("about", about, ABOUT)):
            if value not in allowed:
                raise ValueError(f"drift: no {name} {value!r}; allowed: {', '.join(allowed)}")
        if not 0.0 < psi_warning <= psi_critical or not 0.0 < kl_warning <= kl_critical:
            raise ValueError("drift: levels must be above 0, and critical not below warning")
        if not 0.0 < window <= reference or bins < 2:
            raise ValueError(f"drift: window ({window:g} s) must be above 0 and at most reference ({reference:g} s), bins ({bins}) at least 2")
        if of == "values" and window < reference / 20.0:
            raise ValueError(f"drift: of values the window ({window:g} s) must be at least a twentieth of reference ({reference:g} s)")
        if (of == "categories" and not over) or (of == "buckets" and len(over) != 1):
            raise ValueError(f"drift: of {of} over must name the label that holds {'the category' if of == 'categories' else 'the number, and no other'}")
        self.reason = f"{about.capitalize()}Drifted"
        self._of, self._mode, self._bins = of, reference_mode, bins
        self._folding = Folding(of, over, feature)
        self._reference, self._window, self._every, self._counter = reference, window, every, counter
        self._levels = Levels(psi_warning, psi_critical, kl_warning, kl_critical, chance)
        whole = reference + window
        self._length = whole / CELLS if of == "values" else max(window / 10.0, whole / (CELLS / 2))
        self._histories: dict[str, dict[str, History]] = {}
        self._verdicts: dict[str, Verdict] = {}
        self._labels: dict[str, dict[str, str]] = {}
        self._changed: set[tuple[str, str]] = set()
        self._last, self._late_since, self._counted = -math.inf, math.nan, -math.inf

    def assess(self, batch: SampleBatch, *, learn: bool = True) -> Assessed:
        """As the contract says. The newest samples belong to what is judged, so learning comes first here; without `learn` the last verdict is given."""
        known = sum(map(len, self._histories.values()))
        grouped, labels_of, dropped = self._folding.fold(batch, lambda subject, feature: feature in self._histories.get(subject, {}), known)
        self._labels = labels_of | self._labels
        if learn and self._newer(batch.at):
            self._store(grouped, batch.at)
            for subject in sorted(self._histories):
                verdict = self._verdicts.get(subject, NOTHING)
                if batch.at - verdict.looked_at >= self._window / LOOKS or not math.isfinite(verdict.looked_at):
                    self._verdicts[subject] = self._look(subject, batch.at)
        subjects = [s for s in sorted(grouped) if s in self._histories]
        found = [self._verdicts.get(s, NOTHING) for s in subjects]
        labels = [self._labels[s] for s in subjects]
        measures = tuple(Measure("drift_psi", v.value, one) for v, one in zip(found, labels, strict=True) if v.ready)
        return Assessed(labels, np.array([v.value for v in found], dtype=np.float64), _scores(found), measures, dropped)

    def _newer(self, at: float) -> bool:
        """Whether this answer is newer than the last. A clock that stays behind for longer than a window has really been set back: what lies ahead goes."""
        if not math.isfinite(at):
            return False
        if at <= self._last:
            self._late_since = min(at, self._late_since) if math.isfinite(self._late_since) else at
            if at == self._last or at - self._late_since < self._window:
                return False
            for history in self._every_history():
                history.drop(-math.inf, at)
                history.last, history.seen = None, min(history.seen, at)
            self._verdicts = {s: dataclasses.replace(v, looked_at=-math.inf) for s, v in self._verdicts.items()}
            self._counted = -math.inf
        self._last, self._late_since = at, math.nan
        return True

    def _every_history(self) -> list[History]:
        return [h for features in self._histories.values() for h in features.values()]

    def _store(self, grouped: Members, at: float) -> None:
        # Counts of a log query cover its whole window: taken more often they would be counted twice.
        due = at - self._counted >= self._every * 0.999
        for subject, features in grouped.items():
            for feature, members in features.items():
                history = self._histories.setdefault(subject, {}).setdefault(feature, History(self._of))
                history.seen = at
                if math.isnan(history.anchor):
                    history.anchor = at
                if self._of == "values":
                    history.add_values(at, chosen(members, at, MEMBERS), self._length * max(len(members[:MEMBERS]) / 8.0, 1.0))
                elif due:
                    history.add_counts(at, dict(members), self._length, counter=self._counter)
        if due:
            self._counted = at

    def _look(self, subject: str, now: float) -> Verdict:
        features, used, counted, collecting = self._histories[subject], dict[str, Reference](), dict[str, Counted](), False
        for name in list(features):
            history = features[name]
            # The newest cell's beginning may be `now` itself.
            cells = history.between(now - self._window, math.inf)[1]
            reference = self._rolling(history, now, cells) if self._mode == "rolling" else self._pinned(subject, name, history, now)
            found = reference.counted(cells) if reference is not None else None
            if reference is not None and found is not None:
                used[name], counted[name] = reference, found
            collecting |= self._mode != "rolling" and history.version > 1 and history.fixed is None
            if not history.cells and history.fixed is None and now - history.seen > self._window + self._reference:
                del features[name]
        # While a new reference is collected nothing is claimed, and what was claimed of the old one is over.
        verdict = settled(now) if collecting else verdict_of(dict(zip(counted, measured(list(counted.values())), strict=True)), self._levels, now)
        if self._mode == "rolling":
            for name, history in features.items():
                history.fixed = used.get(name) if verdict.drifted else None
        return verdict

    def _rolling(self, history: History, now: float, cells: Sequence[Cell]) -> Reference | None:
        """The time just before the window. While there is drift it rolls on only after a `reference` has passed: what drifts is not usual yet."""
        start = now - self._window
        history.drop(start - self._reference)
        if history.fixed is not None and start - history.fixed.end < self._reference:
            return history.fixed
        before, old = history.between(start - self._reference, start)
        if len(before) < MIN_CELLS or now - before[0] < self._window + self._reference / 2.0:
            return None
        return learned(self._of, old, (before[0], start), bins=self._bins, beside=cells)

    def _pinned(self, subject: str, feature: str, history: History, now: float) -> Reference | None:
        """The fixed reference: the first `reference` seconds from the anchor on, once they are full; from then on only the window is kept."""
        if history.fixed is None:
            end = history.anchor + self._reference
            times, cells = history.between(history.anchor, end)
            if now < end or len(times) < MIN_CELLS:
                if now >= end:  # It was silent for long: it begins anew with what comes.
                    history.anchor = history.times[0] if history.times else math.nan
                return None
            made = learned(self._of, cells, (history.anchor, end), bins=self._bins)
            history.fixed = None if made is None else dataclasses.replace(made, version=history.version)
            if history.fixed is not None:
                self._changed.add((subject, feature))
            else:
                history.anchor = math.nan
        if history.fixed is not None:
            history.drop(max(now - self._window, history.fixed.end))
        return history.fixed

    def retrained(self, subject: str, at: float) -> None:
        """The model of a subject was trained at `at`. Without effect unless the reference is since the last retraining, or if it is known."""
        if self._mode != "sinceRetraining" or subject not in self._histories:
            return
        for feature, history in self._histories[subject].items():
            if history.anchor == at or (history.fixed is not None and history.fixed.start >= at):
                continue
            history.anchor, history.fixed, history.version = at, None, history.version + 1
            history.drop(at)
            self._changed.add((subject, feature))
        self._verdicts[subject] = settled(-math.inf)

    def references(self) -> dict[str, Any]:
        """Fixed references that changed since `kept`: by `subject/feature`, with labels; None where a new one is being collected."""
        found: dict[str, Any] = {}
        for subject, feature in sorted(self._changed):
            history = self._histories.get(subject, {}).get(feature)
            if history is not None:
                document = None if history.fixed is None else {**history.fixed.dump(), "labels": self._labels[subject], "feature": feature}
                found[f"{subject}/{feature}"] = document
        return found

    def kept(self) -> None:
        """They are stored."""
        self._changed.clear()

    def recall(self, documents: Mapping[str, Any]) -> None:
        """Fixed references as they were stored; what is known already stays."""
        for document in documents.values():
            try:
                fixed, labels, feature = loaded(document), {str(k): str(v) for k, v in document["labels"].items()}, str(document["feature"])
            except (ValueError, KeyError, TypeError, AttributeError):
                continue
            if fixed.kind != self._of or self._mode == "rolling":
                continue
            subject = series_id(labels)
            history = self._histories.setdefault(subject, {}).setdefault(feature, History(self._of))
            self._labels.setdefault(subject, labels)
            if history.version <= fixed.version and history.fixed is None:
                history.fixed, history.version, history.anchor = fixed, fixed.version, fixed.start

    def lines(self, subject: str) -> tuple[str, ...]:
        """The features that drifted, by how much, with both histograms; the worst first."""
        return self._verdicts.get(subject, NOTHING).lines

    def forget(self, subjects: Sequence[str]) -> None:
        """These are gone. A fixed reference stays as it is stored; it is recalled at the next start."""
        for subject in subjects:
            for room in (self._histories, self._verdicts, self._labels):
                room.pop(subject, None)

    def snapshot(self) -> bytes:
        """All that was learned."""
        subjects = {
            s: {"labels": self._labels[s], "features": [[f, h.dump()] for f, h in sorted(features.items())]} for s, features in self._histories.items()
        }
        verdicts = {s: v.dump() for s, v in self._verdicts.items() if s in self._histories}
        clock = [self._last, self._late_since, self._counted]
        return pack({}, {"detector": "drift", "of": self._of, "subjects": subjects, "verdicts": verdicts, "clock": clock, "changed": sorted(map(list, self._changed))})

    def restore(self, data: bytes) -> None:
        """As the contract says."""
        _, header = unpack(data)
        if header.get("detector") != "drift" or header.get("of") != self._of:
            raise ValueError("snapshot is of another detector")
        try:
            histories = {s: {str(f): revived(h) for f, h in one["features"]} for s, one in header["subjects"].items()}
            labels = {s: dict(one["labels"]) for s, one in header["subjects"].items()}
            verdicts = {s: Verdict.load(v) for s, v in header["verdicts"].items()}
            last, late, counted = map(float, header["clock"])
            changed = {(str(s), str(f)) for s, f in header["changed"]}
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"snapshot is damaged: {error}") from error
        self._histories, self._labels, self._verdicts, self._changed = histories, labels, verdicts, changed
        self._last, self._late_since, self._counted = last, late, counted


def _scores(found: Sequence[Verdict]) -> Scores:
    ready = np.array([v.ready for v in found], dtype=np.bool_)
    size = len(found)
    return Scores(
        score=np.where(ready, np.clip([v.score for v in found], 0.0, MAX_SCORE), np.nan) if size else nan(0),
        expected=nan(size), lower=nan(size), upper=nan(size),
        ready=ready,
        breach=np.array([v.drifted for v in found], dtype=np.bool_),
        critical=np.array([v.critical for v in found], dtype=np.bool_),
        recovered=np.array([v.recovered for v in found], dtype=np.bool_),
    )  # fmt: skip
