"""When things run out: a capacity rule's past, kept and brought up to date, and each of its series simulated into the future.

Once a step has come in; between steps the same paths are read with the time that has passed. What quiet times leave out of learning is left out here. A series that nothing can be
said of has its reason and spoils no other. Neighbours: `gathering` has the past, `forecast.exhaustion` simulates, `poller` asks; `detect.exhaustion` judges the answer.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from aiops.domain.duration import format_duration
from aiops.domain.rule import EXHAUSTION_LABEL, CapacityQuery, Rule
from aiops.domain.series import Floats, Labels, SampleBatch, SeriesRange, empty_batch, label_key, series_id
from aiops.forecast.exhaustion import MINIMUM_SAMPLES, Exhaustion, exhaustion
from aiops.forecast.many import each
from aiops.pipeline.gathering import Gathering, rates
from aiops.pipeline.quiet_times import QuietTime, quiet
from aiops.ports.history import Track
from aiops.ports.sources import MetricSource

FINE = 12
"""Pieces of a step that its maximum or mean is looked for in."""
STALE = 3
"""Steps without a sample after which a series is gone."""
SPARSE = 0.3
"""Share of the steps since its first sample that a series must have."""
ONE = 0.01
"""Seconds that one series takes, about."""
Key = tuple[tuple[str, str], ...]
Tables = Mapping[tuple[str, ...], Mapping[tuple[str, ...], SeriesRange]]


@dataclass(frozen=True, slots=True)
class Outlook:
    """One series: `use` and `limit` at `at` (Unix seconds, of its last sample), and what is foretold; None with the `reason` why nothing is."""

    labels: Labels
    at: float
    use: float
    limit: float
    found: Exhaustion | None
    reason: str = ""


class Capacity:
    """Outlooks by rule. A rule's polls come one after the other; different rules may be in different threads."""

    def __init__(self, gathering: Gathering, quiet_times: Sequence[QuietTime] = ()) -> None:
        self._gathering, self._quiet_times = gathering, quiet_times
        self._kept: dict[str, tuple[CapacityQuery, float, tuple[Outlook, ...]]] = {}

    def answer(self, rule: Rule, query: CapacityQuery, source: MetricSource, now: float) -> SampleBatch:
        """What the detector `exhaustion` reads; no series while the past is still being gathered. Raises SourceError, StoreError."""
        outlooks = self.outlooks(rule, query, source, now)
        if outlooks is None:
            return empty_batch(rule.source, str(query), now)
        # Between two steps a clean-up or a resize is seen by its level, if not yet by what is forecast.
        present = _levels(source.instant(query.use, now)) if outlooks and not query.counter else {}
        limits = _by_labels(list(_levels(source.instant(query.limit, now)).values())) if outlooks and isinstance(query.limit, str) else {}
        return answer_of(rule, query, [_at_present(one, present, limits) for one in outlooks], now)

    def outlooks(self, rule: Rule, query: CapacityQuery, source: MetricSource, now: float) -> tuple[Outlook, ...] | None:
        """Of all series that there are now; None while the past is still being gathered. Raises SourceError, StoreError."""
        history = self._gathering.history
        use, limit = tracks(rule.source, query)
        end = math.floor(now / query.step) * query.step
        if history.through(use) is None and not source.range(use.query, end - STALE * query.step, end, query.step).series:
            return ()  # whose system is not there costs next to nothing
        for track in (use, limit) if limit else (use,):
            if not self._gathering.update(source, track, query.history, now):
                return None
        through = history.through(use) or 0.0
        known = self._kept.get(rule.name)
        if known is not None and known[:2] == (query, through):
            return known[2]
        begin = now - query.history
        limits = history.read(limit, begin, now) if limit else float(query.limit)
        unusual = (lambda at: quiet(self._quiet_times, rule.name, at).learning) if self._quiet_times else None
        found = outlooks_of(query, history.read(use, begin, now), limits, through, unusual)
        self._kept[rule.name] = (query, through, found)
        return found

    def past(self, rule: Rule, query: CapacityQuery, now: float) -> dict[Key, Floats]:
        """What is kept of the use, by labels."""
        use, _ = tracks(rule.source, query)
        return {label_key(s.labels): s.values[np.isfinite(s.values)] for s in self._gathering.history.read(use, now - query.history, now)}


def tracks(source: str, query: CapacityQuery) -> tuple[Track, Track | None]:
    """What is kept for a query: its use, and its limit if that is asked for too."""
    limit = Track(source, query.limit, query.step) if isinstance(query.limit, str) else None
    text, fine = query.use, query.step / FINE
    if query.sample != "last" and not query.counter and fine >= 1.0:
        text = f"{query.sample}_over_time(({text})[{format_duration(query.step)}:{format_duration(fine)}])"
    return Track(source, text, query.step), limit


def outlooks_of(
    query: CapacityQuery, series: Sequence[SeriesRange], limits: Sequence[SeriesRange] | float, through: float, unusual: Callable[[float], bool] | None = None, *, jobs: int | None = None,
) -> tuple[Outlook, ...]:  # fmt: skip
    """Each series by itself. `through`: the last step there is; `unusual`: of a time (Unix seconds), whether it is to be left out."""
    left_out: dict[float, bool] = {}
    fixed = limits if isinstance(limits, float) else None
    tables = {} if isinstance(limits, float) else _by_labels(limits)
    prepared: list[tuple[SeriesRange, Floats | None, Floats | float, str]] = []
    for one in series:
        one = rates(one) if query.counter else one  # noqa: PLW2901 (a counter is read as its rate from here on)
        if len(one.times) and one.times[-1] < through - STALE * query.step:
            continue
        keep = np.isfinite(one.values)
        if unusual is not None:
            left_out |= {t: unusual(t) for t in one.times.tolist() if t not in left_out}
            keep &= ~np.array([left_out[t] for t in one.times.tolist()], dtype=np.bool_)
        prepared.append(_prepared(query, SeriesRange(one.labels, one.times[keep], one.values[keep]), fixed if fixed is not None else _match(tables, one.labels)))
    ready = [(i, values, limit) for i, (_, values, limit, reason) in enumerate(prepared) if values is not None and not reason]
    found = each(_simulated, [(query, values, limit, series_id(prepared[i][0].labels)) for i, values, limit in ready], seconds=ONE, jobs=jobs)
    answers = {i: one for (i, _, _), one in zip(ready, found, strict=True)}
    out = []
    for i, (one, values, limit, reason) in enumerate(prepared):
        answer = answers.get(i)
        last = float(np.asarray(limit).reshape(-1)[-1]) if np.size(limit) else math.nan
        use = float(values[-1]) if values is not None and len(values) else math.nan
        at = float(one.times[-1]) if len(one.times) else through
        out.append(Outlook(one.labels, at, use, last, answer if isinstance(answer, Exhaustion) else None, answer if isinstance(answer, str) else reason))
    return tuple(out)


def _simulated(query: CapacityQuery, values: Floats, limit: Floats | float, seed: str) -> Exhaustion | str:
    """The words of what is wrong instead of an error: one bad series never spoils the others."""
    season = round(query.season / query.step) or None
    try:
        return exhaustion(values, limit, step=query.step, horizon=query.horizon, rising=not query.falling, season=season, seed=int(seed, 16) % 2**32)
    except ValueError as error:
        return str(error)


def _prepared(query: CapacityQuery, one: SeriesRange, limit: SeriesRange | float | None) -> tuple[SeriesRange, Floats | None, Floats | float, str]:
    """Evenly spaced values and limits, none missing, or the reason why not."""
    if len(one.times) < MINIMUM_SAMPLES:
        return one, one.values if len(one.values) else None, math.nan, f"{len(one.times)} samples; at least {MINIMUM_SAMPLES} are needed"
    if limit is None:
        return one, one.values, math.nan, "no series of the limit has labels that all stand on this one"
    steps = np.rint((one.times - one.times[0]) / query.step)
    grid = np.arange(int(steps[-1]) + 1)
    if len(one.times) < SPARSE * len(grid):
        return one, one.values, math.nan, f"{len(one.times)} samples in {len(grid)} steps: too few to fill the gaps between"
    values = np.interp(grid, steps, one.values)
    if isinstance(limit, float):
        return one, values, limit, ""
    usable = np.isfinite(limit.values)
    if not usable.any():
        return one, values, math.nan, "the limit has no value that is a finite number"
    # A limit holds until the next is known; a line between two would be one that nobody set.
    at = np.searchsorted(limit.times[usable], one.times[0] + grid * query.step + 0.5 * query.step, side="right") - 1
    return one, values, limit.values[usable][np.maximum(at, 0)], ""


def _by_labels(limits: Sequence[SeriesRange]) -> dict[tuple[str, ...], dict[tuple[str, ...], SeriesRange]]:
    tables: dict[tuple[str, ...], dict[tuple[str, ...], SeriesRange]] = {}
    for one in limits:
        pairs = [(k, v) for k, v in label_key(one.labels) if k != "__name__"]
        tables.setdefault(tuple(k for k, _ in pairs), {})[tuple(v for _, v in pairs)] = one
    return tables


def _match(tables: Tables, labels: Labels) -> SeriesRange | None:
    """The limit whose labels all stand on the series; of several the one with most of them."""
    for names in sorted(tables, key=lambda n: (-len(n), n)):
        found = tables[names].get(tuple(labels.get(name, "") for name in names))
        if found is not None:
            return found
    return None


def _levels(batch: SampleBatch) -> dict[Key, SeriesRange]:
    return {label_key(o): SeriesRange(o, np.array([batch.at]), np.array([v])) for o, v in zip(batch.labels, batch.values.tolist(), strict=True) if math.isfinite(v)}


def _at_present(one: Outlook, use: Mapping[Key, SeriesRange], limits: Tables) -> Outlook:
    now, limit = use.get(label_key(one.labels)), _match(limits, one.labels) if limits else None
    return replace(one, use=float(now.values[0]) if now is not None else one.use, limit=float(limit.values[0]) if limit is not None else one.limit)


def share_used(query: CapacityQuery, use: float, limit: float) -> float:
    """Of the limit, 1 where it is met; of what falls the limit over the value. NaN where that means nothing."""
    part, whole = (limit, use) if query.falling else (use, limit)
    met = use <= limit if query.falling else use >= limit
    return 1.0 if met else part / whole if whole > 0.0 else math.nan if math.isnan(use) or math.isnan(limit) else 0.0


def answer_of(rule: Rule, query: CapacityQuery, outlooks: Sequence[Outlook], now: float) -> SampleBatch:
    """Several series for each outlook, told apart by `EXHAUSTION_LABEL`."""
    labels: list[Labels] = []
    values: list[float] = []
    for one in outlooks:
        if one.found is None:
            continue
        passed = max(0.0, now - one.at)
        said = {f"lead {format_duration(query.lead)}": one.found.within(query.lead + passed), "use": share_used(query, one.use, one.limit)}
        said |= {f"within {format_duration(h)}": one.found.within(h + passed) for h in query.horizons}
        for name, share in (("p10", 0.1), ("p50", 0.5), ("p90", 0.9)):
            at = one.found.quantile(share)
            said[name] = max(0.0, at - passed) if at is not None else math.inf
        said[f"model {one.found.model}"] = 1.0
        labels += [{**one.labels, EXHAUSTION_LABEL: name} for name in said]
        values += said.values()
    return SampleBatch(rule.source, str(query), now, tuple(labels), np.full(len(labels), now), np.array(values, dtype=np.float64))
