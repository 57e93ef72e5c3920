"""Many series, through whatever joblib is told to use."""

from __future__ import annotations

import math
import threading

import joblib
import numpy as np

from aiops.forecast.fleet import BATCH, forecast, forecast_each
from aiops.forecast.many import each


def test_answers_come_in_the_order_of_the_questions() -> None:
    assert each(math.pow, [(float(i), 2.0) for i in range(300)]) == [i * i for i in range(300)]


def test_a_backend_that_was_configured_is_taken() -> None:
    seen: set[int] = set()

    def where(i: int) -> int:
        seen.add(threading.get_ident())
        return i

    with joblib.parallel_config(backend="threading", n_jobs=2):
        assert each(where, [(i,) for i in range(100)]) == list(range(100))
    assert threading.get_ident() not in seen


def test_little_work_starts_no_processes() -> None:
    seen: list[int] = []
    assert each(seen.append, [(1,), (2,)], seconds=0.001) == [None, None]
    assert seen == [1, 2]


def test_batches_of_a_fleet_are_forecast_as_one_would_be() -> None:
    at = np.arange(96)
    fleet = [10.0 + i + 3.0 * np.sin(2 * np.pi * at / 24) for i in range(BATCH + 6)]
    with joblib.parallel_config(backend="threading", n_jobs=2):
        found = forecast_each(fleet, 24)
    assert [f.model for f in found] == ["combination"] * len(fleet)
    assert np.array_equal([f.mean for f in found], [f.mean for f in forecast(fleet, 24, together=False)])
