"""Recordings through the live code: what broke off is gone, log answers are not guessed, and the same recording tells the same story each time."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from aiops.adapters.memory_logs import MemoryLogs
from aiops.adapters.memory_prometheus import MemoryPrometheus
from aiops.adapters.memory_prometheus.store import MemorySeriesStore
from aiops.adapters.recorded import RecordedLogs, load_series
from aiops.app.config import read_settings
from aiops.app.desk import plain
from aiops.app.narrate import Line, Summary
from aiops.app.replays import DEMO_BUNDLE, open_replay, read_feedback
from aiops.domain.errors import SourceRejectedError, SourceUnavailableError
from aiops.domain.feedback import Feedback, Pattern
from aiops.domain.rule import DetectorSpec, LogQuery, Rule
from aiops.domain.series import SeriesRange
from aiops.domain.signal import Severity
from aiops.pipeline.damping import stored_feedback
from aiops.replay.bundle import Bundle, BundleError, LogAnswer, Manifest, write_bundle
from aiops.replay.record import log_answers, query_key

QUERY = LogQuery("logs-*", 60.0)


def test_a_series_that_broke_off_is_gone_and_comes_back() -> None:
    store = MemorySeriesStore()
    times = np.array([0.0, 5.0, 10.0, 60.0, 65.0])
    assert load_series(store, [SeriesRange({"__name__": "up"}, times, np.ones(5))], 200.0) == 5
    source = MemoryPrometheus("prometheus", store)
    assert {at: len(source.instant("up", at)) for at in (9.0, 12.0, 20.0, 61.0, 66.0, 100.0)} == {9.0: 1, 12.0: 1, 20.0: 0, 61.0: 1, 66.0: 1, 100.0: 0}


def test_a_log_answer_is_the_newest_of_before_and_never_guessed() -> None:
    answers = [LogAnswer(20.0, query_key(QUERY), ({"app": "a"},), (7.0,)), LogAnswer(10.0, query_key(QUERY), ({"app": "a"},), (3.0,))]
    logs = RecordedLogs("logs", answers, query_key)
    assert [list(logs.counts(QUERY, at).values) for at in (5.0, 10.0, 15.0, 99.0)] == [[], [3.0], [3.0], [7.0]]
    with pytest.raises(SourceRejectedError, match="NotRecorded"):
        logs.counts(LogQuery("others-*", 60.0), 15.0)


def test_an_empty_recording_is_refused(tmp_path: Path) -> None:
    write_bundle(tmp_path / "b", Bundle(Manifest("d", 1.0, 9.0, 60.0, "c", "prometheus", "", 0, 0, 0), (), (), ()))
    with pytest.raises(BundleError, match="empty"):
        open_replay(tmp_path / "b", read_settings(None))


def play() -> tuple[Summary, list[Line]]:
    replay = open_replay(DEMO_BUNDLE, read_settings(None))
    lines: list[Line] = []
    try:
        return replay.play(lines.append), lines
    finally:
        replay.run.close()


def test_the_shipped_recording_tells_the_same_story_each_time_and_writes_nothing() -> None:
    summary, lines = play()
    again, more = play()
    assert (summary, lines) == (again, more)
    assert summary.errors == ()
    assert summary.incidents == 1
    assert [row["would do"] for row in summary.rows] == ["scale-out"]
    assert {line.stage for line in lines} >= {"signal", "incident", "plan", "act", "outcome", "announce"}
    assert any("+" in line.body and "replicas" in line.body for line in lines if line.stage == "act")


def test_lines_are_recorded_without_credentials_and_a_pause_is_no_silence() -> None:
    query = LogQuery("logs", 30.0, group_by=("app",), lines=10)
    logs = MemoryLogs("logs")
    logs.add(5.0, "login of ann failed, password=hunter2", {"app": "a", "node": "n"})
    logs.add(7.0, "login of bob failed")
    rule = Rule("r", "logs", query, 30.0, DetectorSpec("logTemplates"), Severity.WARNING)
    answers = log_answers([rule], logs, (10.0, 40.0))
    assert "hunter2" not in str(answers)
    played = RecordedLogs("logs", answers, query_key)
    found = played.samples(query, -20.0, 10.0, 10)
    assert [(line.text, dict(line.fields)) for line in found] == [("login of ann failed, password=[redacted]", {"app": "a"}), ("login of bob failed", {})]
    assert played.samples(query, 10.0, 40.0, 10) == ()
    with pytest.raises(SourceUnavailableError, match="NotRecorded"):
        played.samples(query, 100.0, 130.0, 10)
    assert played.samples(LogQuery("others", 30.0, lines=10), 10.0, 40.0, 10) == ()


def test_feedback_is_taken_along_as_it_was_listed_and_damps_nothing_yet(tmp_path: Path) -> None:
    word = Feedback("fb-1", "r", "s", {}, "", "inc-1", Pattern("Unlike", Severity.WARNING), "ann", 1.0, 4e9, since=5.0, count=3, last_at=5.0)
    file = tmp_path / "words.json"
    file.write_text(json.dumps(plain([word])), encoding="utf-8")
    opened = open_replay(DEMO_BUNDLE, read_settings(None), feedback=read_feedback(file))
    (kept,) = stored_feedback(opened.run.store.value("feedback"))
    assert kept == replace(word, since=None, count=0, last_at=None)
    opened.run.close()


@pytest.mark.parametrize("text", ["", "{", "3", '[{"id": 1}]'])
def test_what_is_no_list_of_feedback_is_refused(tmp_path: Path, text: str) -> None:
    file = tmp_path / "words.json"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(BundleError, match="no list of feedback"):
        read_feedback(file)
