"""Detectors by the name that rules use: an explicit table. None loads a heavy package before it needs it. Neighbours: `definitions` validates parameters, `bank` builds from here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from aiops.detect.burn_rate import BurnRate
from aiops.detect.change import adwin, page_hinkley
from aiops.detect.contract import Detector
from aiops.detect.drift import Drift
from aiops.detect.exhaustion import Exhaustion
from aiops.detect.groups import GroupDetector
from aiops.detect.isolation_forest import ResidualForest
from aiops.detect.live_fleet import LiveFleet
from aiops.detect.log_rate import LogErrorRate
from aiops.detect.log_templates import LogTemplates
from aiops.detect.peers import Peers
from aiops.detect.release import ReleaseComparison
from aiops.detect.seasonal import SeasonalZ
from aiops.detect.threshold import Threshold
from aiops.domain.rule import Direction, LogQuery, MetricKind, Rule


def build_detector(rule: Rule) -> Detector:
    """The detector of a rule. Raises ValueError naming what is unknown or wrong, and what is allowed."""
    make = BUILDERS.get(rule.detector.type)
    if make is None:
        raise ValueError(f"rule {rule.name}: no detector {rule.detector.type!r}; allowed: {', '.join(sorted({*BUILDERS, *GROUP_BUILDERS}))}")
    try:
        return make(rule.detector.parameters, rule.direction, rule.kind)
    except TypeError as error:
        raise ValueError(f"rule {rule.name}: detector {rule.detector.type}: {error}") from error


def build_group(rule: Rule) -> GroupDetector | None:
    """The detector of a rule if it is one that judges whole answers, else None. Raises ValueError naming what is wrong."""
    make = GROUP_BUILDERS.get(rule.detector.type)
    try:
        return make(rule) if make is not None else None
    except TypeError as error:
        raise ValueError(f"rule {rule.name}: detector {rule.detector.type}: {error}") from error


def _threshold(parameters: Mapping[str, Any], direction: Direction, kind: MetricKind) -> Detector:
    del direction, kind  # The levels themselves say which side counts.
    return Threshold(**parameters)


def _seasonal(parameters: Mapping[str, Any], direction: Direction, kind: MetricKind) -> Detector:
    return SeasonalZ(direction=direction, kind=kind, **parameters)


def _fleet(parameters: Mapping[str, Any], direction: Direction, kind: MetricKind) -> Detector:
    return LiveFleet(direction=direction, kind=kind, **parameters)


def _focus(parameters: Mapping[str, Any], direction: Direction, kind: MetricKind) -> Detector:
    return LiveFleet(direction=direction, kind=kind, forest=True, **parameters)


def _peers(parameters: Mapping[str, Any], direction: Direction, kind: MetricKind) -> Detector:
    del kind  # Siblings are compared, whatever their values are.
    return Peers(direction=direction, **parameters)


def _log_rate(parameters: Mapping[str, Any], direction: Direction, kind: MetricKind) -> Detector:
    del direction, kind  # More errors than usual is the only claim it makes.
    return LogErrorRate(**parameters)


def _isolation_forest(parameters: Mapping[str, Any], direction: Direction, kind: MetricKind) -> Detector:
    return ResidualForest(direction=direction, kind=kind, **parameters)


def _adwin(parameters: Mapping[str, Any], direction: Direction, kind: MetricKind) -> Detector:
    del kind  # It is in units of the series' own spread, whatever its values are.
    return adwin(direction=direction, **parameters)


def _page_hinkley(parameters: Mapping[str, Any], direction: Direction, kind: MetricKind) -> Detector:
    del kind  # As for adwin.
    return page_hinkley(direction=direction, **parameters)


def _drift(rule: Rule) -> GroupDetector:
    # The counts of a log query are those of its window, whole: answers that overlap are not added up.
    every = rule.query.window if isinstance(rule.query, LogQuery) else 0.0
    return Drift(counter=rule.kind is MetricKind.COUNTER, every=every, **rule.detector.parameters)


def _burn_rate(rule: Rule) -> GroupDetector:
    return BurnRate(**rule.detector.parameters)


def _exhaustion(rule: Rule) -> GroupDetector:
    return Exhaustion(**rule.detector.parameters)


def _log_templates(rule: Rule) -> GroupDetector:
    return LogTemplates(**rule.detector.parameters)


def _release(parameters: Mapping[str, Any], direction: Direction, kind: MetricKind) -> Detector:
    del kind  # Both sides are of one series.
    return ReleaseComparison(direction=direction, **parameters)


Builder = Callable[[Mapping[str, Any], Direction, MetricKind], Detector]
BUILDERS: Mapping[str, Builder] = {
    "threshold": _threshold,
    "seasonalZ": _seasonal,
    "fleet": _fleet,
    "focus": _focus,
    "peers": _peers,
    "logErrorRate": _log_rate,
    "isolationForest": _isolation_forest,
    "release": _release,
    "adwin": _adwin,
    "pageHinkley": _page_hinkley,
}
GROUP_BUILDERS: Mapping[str, Callable[[Rule], GroupDetector]] = {
    "drift": _drift,
    "burnRate": _burn_rate,
    "exhaustion": _exhaustion,
    "logTemplates": _log_templates,
}
AT_ONCE = frozenset({"threshold", "logErrorRate", *GROUP_BUILDERS})
"""Detectors that judge a series from its first sample on, so it is taken in at once; for the others the first sample is worth nothing alone."""
