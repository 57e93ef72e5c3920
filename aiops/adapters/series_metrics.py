"""What detectors think of chosen series, for Prometheus to scrape: score (1.0 is the threshold), expected value and bounds, with the series' own labels.

Read at the scrape, so it costs nothing between. Neighbours: `telemetry` has the numbers about ourselves, `detect.bank` the judgements.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping

from prometheus_client.core import Metric
from prometheus_client.registry import Collector

Judged = tuple[str, Mapping[str, str], Mapping[str, float | None]]
"""Rule, labels of the series, and by name (`score`, `expected`, `lower`, `upper`) what is known."""
HELP = {
    "score": "How unusual the newest value of a series is: above 1 it is wrong.",
    "expected": "What the rule's detector expects of a series.",
    "lower": "Values below this are wrong.",
    "upper": "Values above this are wrong.",
}
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


class SeriesMetrics(Collector):
    """`read` gives what is to be shown, of a bounded number of series."""

    def __init__(self, read: Callable[[], Iterable[Judged]]) -> None:
        self._read = read

    def describe(self) -> Iterable[Metric]:
        """Names alone: registering asks nobody."""
        return [Metric(f"aiops_series_{name}", text, "gauge") for name, text in HELP.items()]

    def collect(self) -> Iterator[Metric]:
        """One gauge for each of `HELP`; what is unknown is absent."""
        metrics = {name: Metric(f"aiops_series_{name}", text, "gauge") for name, text in HELP.items()}
        for rule, labels, numbers in self._read():
            shown = {f"exported_{k}" if k == "rule" else k: v for k, v in labels.items() if k != "__name__" and _NAME.fullmatch(k)}
            for name, metric in metrics.items():
                value = numbers.get(name)
                if value is not None and math.isfinite(value):
                    metric.add_sample(metric.name, {**shown, "rule": rule}, value)
        yield from metrics.values()
