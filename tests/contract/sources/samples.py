"""One set of samples for every metric source: counters that reset, gauges with NaN and infinities, gaps, stale markers, histograms."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np

from aiops.adapters.memory_prometheus import STALE
from tests.contract.sources.remote_write import Sample, Series

START = 1_790_000_000.0
MINUTES = 70
EVERY = 15.0


def all_series() -> list[Series]:
    """The same each time: the generator has a fixed seed."""
    rng = np.random.default_rng(20)
    return [*_counters(rng), *_gauges(rng), *_oddities(), *_histograms(rng), *_presence(), *_texts()]


def _times(rng: np.random.Generator | None = None, count: int = int(MINUTES * 60 / EVERY)) -> list[float]:
    """Scrape times, with some milliseconds of jitter if a generator is given."""
    jitter = np.zeros(count) if rng is None else rng.integers(0, 400, count) / 1000.0
    return [START + EVERY * i + float(jitter[i]) for i in range(count)]


def _series(name: str, samples: Sequence[Sample], /, **labels: str) -> Series:
    return {"__name__": name, **{key.rstrip("_"): value for key, value in labels.items()}}, list(samples)


def always(value: float) -> Callable[[int], float]:
    """The same at each scrape."""
    return lambda _: value


def _by(name: str, value: Callable[[int], float], /, **labels: str) -> Series:
    return _series(name, [(t, float(value(i))) for i, t in enumerate(_times())], **labels)


def _counters(rng: np.random.Generator) -> list[Series]:
    made = []
    for workload in ("cart", "pay"):
        for pod in ("a", "b", "c"):
            for code in ("200", "500"):
                steps = rng.poisson(30 if code == "200" else 1, int(MINUTES * 60 / EVERY)).astype(float)
                total = np.cumsum(steps)
                reset = int(rng.integers(40, 250))
                total[reset:] -= total[reset - 1]
                samples = list(zip(_times(rng), total.tolist(), strict=True))
                # A scrape in ten fails; pod c of pay ends in the middle, marked stale.
                samples = [s for s in samples if rng.random() > 0.1]
                if (workload, pod) == ("pay", "c"):
                    samples = [s for s in samples if s[0] < START + 1800]
                    samples.append((START + 1801, STALE))
                made.append(
                    _series("http_requests_total", samples, namespace="shop", workload=workload, pod=f"{workload}-{pod}", code=code)
                )
    made.append(_by("slow_total", lambda i: i // 7, namespace="shop"))
    # Big enough that 2^53 is near, and starting at zero.
    made.append(_by("huge_total", lambda i: 1e15 + i * 3, namespace="shop"))
    made.append(_series("late_total", [(t, (t - START - 2000) / 3) for t in _times() if t > START + 2000], namespace="shop"))
    return made


def _gauges(rng: np.random.Generator) -> list[Series]:
    made = []
    for i, pod in enumerate(("cart-a", "cart-b", "cart-c", "pay-a", "pay-b")):
        level = np.cumsum(rng.normal(0.2, 2.0, int(MINUTES * 60 / EVERY))) + 100 * i + 13
        workload = pod.split("-")[0]
        made.append(
            _series("memory_bytes", list(zip(_times(rng), level.tolist(), strict=True)), namespace="shop", pod=pod, workload=workload)
        )
        made.append(_by("memory_limit_bytes", always(500.0 + 50 * i), namespace="shop", pod=pod))
        made.append(_by("pod_info", always(1.0), namespace="shop", pod=pod, node=f"n{i % 2}", version=f"v{i}"))
    made.append(_by("node_info", always(1.0), node="n0", zone="z1", rack=""))
    made.append(_by("node_info", always(1.0), node="n1", zone="z2"))
    made.append(_by("signed", lambda i: math.sin(i / 9) * 4, sign="both"))
    made.append(_by("signed", always(-7.5), sign="minus"))
    made.append(_by("signed", always(0.0), sign="zero"))
    made.append(_by("moments", lambda i: 1709164800.0 + i * 86_400 * 1.37, of="days"))
    made.append(_by("moments", lambda i: -1e9 + i * 1e7, of="past"))
    return made


def _oddities() -> list[Series]:
    values = [1.0, math.nan, 3.0, math.inf, -math.inf, 2.0, 2.0, math.nan, math.nan, 5.0]
    return [
        _by("odd", lambda i: values[i % len(values)], kind="all"),
        _by("odd", always(math.inf), kind="plus"),
        _by("odd", always(-math.inf), kind="minus"),
        _by("odd", always(math.nan), kind="nan"),
        _by("odd", lambda i: [1.0, 1e100, 1.0, -1e100][i % 4], kind="cancel"),
        _by("odd", always(1.7e308), kind="large"),
        _by("odd", lambda i: 5e-324 if i % 2 else 1e-300, kind="small"),
        _by("constant", always(42.0), kind="finite"),
        _by("constant", always(math.inf), kind="infinite"),
        _by("mix", always(math.inf), a="1"),
        _by("mix", always(4.0), a="2"),
        _by("mix", lambda i: math.nan if i % 2 else 6.0, a="3"),
        _by("same_value", always(0.1), a="1"),
        _by("same_value", always(0.1), a="2"),
        _by("same_value", always(1e21), a="3"),
        _by("same_value", lambda _: 1.5e-7, a="4"),
    ]


def _histograms(rng: np.random.Generator) -> list[Series]:
    made = []
    bounds = ["0.1", "0.25", "0.5", "1", "2.5", "+Inf"]
    for workload in ("cart", "pay"):
        counts = np.cumsum(np.cumsum(rng.poisson(4, (len(bounds), int(MINUTES * 60 / EVERY))), axis=0), axis=1).astype(float)
        for bound, row in zip(bounds, counts, strict=True):
            made.append(_series("latency_seconds_bucket", list(zip(_times(), row.tolist(), strict=True)), workload=workload, le=bound))
        made.append(_series("latency_seconds_count", list(zip(_times(), counts[-1].tolist(), strict=True)), workload=workload))
    odd: dict[str, dict[str, float]] = {
        "no_inf": {"1": 3, "2": 5},
        "one_bucket": {"+Inf": 3},
        "empty": {"1": 0, "+Inf": 0},
        "negative": {"-2": 4, "0": 6, "3": 9, "+Inf": 9},
        "twice": {"1": 2, "1.0": 3, "2": 8, "+Inf": 9},
        "falling": {"1": 5, "2": 3, "4": 8, "+Inf": 7},
        "text": {"abc": 5, "1": 3, "+Inf": 6},
        "top": {"1": 1, "2": 2, "+Inf": 50},
        "nan": {"1": math.nan, "2": 3, "+Inf": 4},
    }
    for kind, buckets in odd.items():
        made.extend(_by("odd_bucket", always(float(count)), kind=kind, le=bound) for bound, count in buckets.items())
    # A bucket that is there only half of the time.
    made.append(_series("odd_bucket", [(t, 4.0) for t in _times() if t < START + 1000], kind="falling", le="3"))
    return made


def _presence() -> list[Series]:
    gap = [(t, 1.0 + i) for i, t in enumerate(_times()) if not START + 900 < t < START + 1800]
    comes_and_goes: list[Sample] = []
    for i, t in enumerate(_times()):
        comes_and_goes.append((t, STALE if i % 20 == 12 else float(i)))
        if i % 20 == 12:
            comes_and_goes.append((t + 1, 7.0))
    return [
        _series("gap", gap, kind="long"),
        _series("once", [(START + 600.0, 3.0)], kind="one"),
        _series("blinking", comes_and_goes, kind="stale"),
        _series("first_half", [(t, 1.0) for t in _times() if t < START + 1500] + [(START + 1501, STALE)], side="x", of="early"),
        _series("second_half", [(t, 2.0) for t in _times() if t > START + 1500], side="x", of="late"),
        _by("up", lambda i: float(i % 50 != 3), job="shop", instance="1"),
        _by("up", always(1.0), job="shop", instance="2"),
        _by("up", always(0.0), job="db", instance="3"),
    ]


def _texts() -> list[Series]:
    hostile = [
        'a"b',
        "back\\slash",
        "new\nline",
        "ünïcödé",
        "a.b",
        "a+b",
        "x" * 300,
        "$1",
        "{}",
        "a,b",
        "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa!",
    ]
    return [_by("text", always(float(i)), value=value, nr=str(i)) for i, value in enumerate(hostile)]
