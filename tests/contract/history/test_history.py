"""What both histories do: in memory, and as Parquet files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from aiops.adapters.history import CHUNK, MemoryHistory, ParquetHistory
from aiops.domain.errors import StoreError
from aiops.domain.series import SeriesRange
from aiops.ports.history import History, Track

TRACK = Track("prometheus", "disk_used", 3600.0)
WIDTH = CHUNK * TRACK.step
T0 = 100 * WIDTH


@pytest.fixture(params=["memory", "parquet"])
def history(request: pytest.FixtureRequest, tmp_path: Path) -> History:
    return MemoryHistory() if request.param == "memory" else ParquetHistory(tmp_path / "history")


def series(name: str, first: float, *values: float) -> SeriesRange:
    return SeriesRange({"disk": name, "__name__": "disk_used"}, first + 3600.0 * np.arange(len(values), dtype=np.float64), np.array(values, dtype=np.float64))


def plain(found: tuple[SeriesRange, ...]) -> dict[str, list[tuple[float, float]]]:
    return {s.labels["disk"]: [((t - T0) / 3600.0, v) for t, v in zip(s.times.tolist(), s.values.tolist(), strict=True)] for s in found}


def test_nothing_is_known_of_what_was_never_asked(history: History) -> None:
    assert history.through(TRACK) is None
    assert history.read(TRACK, 0.0, np.inf) == ()


def test_an_empty_answer_was_an_answer(history: History) -> None:
    history.add(TRACK, [], T0)
    assert history.through(TRACK) == T0
    assert history.read(TRACK, 0.0, 2 * T0) == ()


def test_samples_come_back_within_the_time_asked_and_series_in_order(history: History) -> None:
    history.add(TRACK, [series("b", T0, 1.0, 2.0, 3.0), series("a", T0 + 3600.0, 5.0)], T0 + 7200.0)
    assert plain(history.read(TRACK, T0, T0 + 3600.0)) == {"a": [(1.0, 5.0)], "b": [(0.0, 1.0), (1.0, 2.0)]}
    assert list(plain(history.read(TRACK, -np.inf, np.inf))) == ["a", "b"]
    assert history.through(TRACK) == T0 + 7200.0


def test_what_is_told_again_replaces_and_the_mark_never_goes_back(history: History) -> None:
    history.add(TRACK, [series("a", T0, 1.0, 2.0)], T0 + 3600.0)
    history.add(TRACK, [series("a", T0 + 3600.0, 7.0, 8.0)], T0 + 7200.0)
    history.add(TRACK, [series("a", T0, 0.5)], T0)
    assert plain(history.read(TRACK, 0.0, 2 * T0)) == {"a": [(0.0, 0.5), (1.0, 7.0), (2.0, 8.0)]}
    assert history.through(TRACK) == T0 + 7200.0


def test_a_long_past_lies_in_several_pieces_and_reads_as_one(history: History) -> None:
    values = np.arange(3.0 * CHUNK)
    history.add(TRACK, [series("a", T0, *values)], T0 + 3600.0 * (len(values) - 1))
    found = history.read(TRACK, T0 + WIDTH - 3600.0, T0 + 2 * WIDTH)
    assert found[0].values.tolist() == values[CHUNK - 1 : 2 * CHUNK + 1].tolist()


def test_numbers_come_back_as_they_were(history: History) -> None:
    history.add(TRACK, [series("ä \"'\n", T0, np.nan, np.inf, 1e308, 0.1)], T0)
    assert str(history.read(TRACK, 0.0, 2 * T0)[0].values.tolist()) == "[nan, inf, 1e+308, 0.1]"


def test_tracks_know_nothing_of_each_other(history: History) -> None:
    history.add(TRACK, [series("a", T0, 1.0)], T0)
    assert history.through(Track("prometheus", "disk_used", 300.0)) is None
    assert history.through(Track("other", "disk_used", 3600.0)) is None


def test_what_is_old_goes(history: History) -> None:
    history.add(TRACK, [series("a", T0, *np.arange(2.0 * CHUNK))], T0 + 2 * WIDTH)
    history.purge(T0 + 1.5 * WIDTH)
    assert history.through(TRACK) == T0 + 2 * WIDTH
    assert plain(history.read(TRACK, 0.0, T0 + WIDTH - 3600.0)) == {}
    assert history.read(TRACK, T0 + 1.5 * WIDTH, 2 * T0)[0].values[-1] == 2 * CHUNK - 1
    history.purge(T0 + 9 * WIDTH)
    assert history.through(TRACK) is None


def test_files_outlive_the_process_and_leftovers_of_a_crash_are_swept(tmp_path: Path) -> None:
    ParquetHistory(tmp_path).add(TRACK, [series("a", T0, 1.0)], T0)
    left = tmp_path / TRACK.id / "7.parquet.new"
    left.write_bytes(b"half")
    again = ParquetHistory(tmp_path)
    assert plain(again.read(TRACK, 0.0, 2 * T0)) == {"a": [(0.0, 1.0)]}
    assert not left.exists()


def test_a_damaged_file_is_set_aside_and_asked_for_again(tmp_path: Path) -> None:
    history = ParquetHistory(tmp_path)
    history.add(TRACK, [series("a", T0, *np.arange(CHUNK + 1.0))], T0 + WIDTH)
    newest = tmp_path / TRACK.id / "101.parquet"
    newest.write_bytes(newest.read_bytes()[:-20])
    assert history.through(TRACK) == T0 + WIDTH  # the end of the piece before it
    assert len(history.read(TRACK, 0.0, 2 * T0)[0].values) == CHUNK
    assert newest.with_name("101.parquet.damaged").exists()


def test_a_folder_that_cannot_be_made_is_a_store_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="cannot be used"):
        ParquetHistory(tmp_path / "file" / "history")
