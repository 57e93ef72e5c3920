"""Logs in memory, where the contract cannot look: retention, order of writing, words."""

from __future__ import annotations

import pytest

from aiops.adapters.memory_logs import MemoryLogs, holds_phrase, words
from aiops.domain.errors import SourceRejectedError
from aiops.domain.rule import LogQuery


def test_records_may_come_in_any_order() -> None:
    logs = MemoryLogs("logs")
    for at in (5.0, 1.0, 3.0, 3.0, 2.0):
        logs.add(at, f"at {at}")
    assert [line.at for line in logs.samples(LogQuery("logs", 0), 0, 10, 10)] == [1.0, 2.0, 3.0, 3.0, 5.0]


def test_old_records_are_forgotten() -> None:
    logs = MemoryLogs("logs", retention=100)
    for i in range(10_000):
        logs.add(float(i), "x")
    kept = len(logs.samples(LogQuery("logs", 0), 0, 20_000, 100_000))
    assert 100 <= kept <= 2000


def test_an_index_exists_before_its_first_record_if_declared() -> None:
    logs = MemoryLogs("logs", indices=("app-2026",))
    assert len(logs.counts(LogQuery("app-*", 60), 100)) == 0
    with pytest.raises(SourceRejectedError):
        logs.counts(LogQuery("logs", 60), 100)


def test_a_pattern_with_hostile_characters_is_only_a_name() -> None:
    logs = MemoryLogs("logs", indices=("a.b", "axb", "(+)"))
    logs.add(1, "x", index="axb")
    assert len(logs.counts(LogQuery("a.b", 60), 10)) == 0
    assert len(logs.counts(LogQuery("(+)", 60), 10)) == 0


def test_fields_are_kept_as_they_were_when_added() -> None:
    fields, logs = {"a": "1"}, MemoryLogs("logs")
    logs.add(1, "x", fields)
    fields["a"] = "2"
    assert logs.samples(LogQuery("logs", 0), 0, 2, 1)[0].fields == {"a": "1"}


def test_the_message_can_be_compared_whole() -> None:
    logs = MemoryLogs("logs")
    logs.add(1, "exactly this")
    assert len(logs.counts(LogQuery("logs", 60, where={"message": ("exactly this",)}), 10)) == 1
    assert len(logs.counts(LogQuery("logs", 60, where={"message": ("this",)}), 10)) == 0


def test_words_and_phrases() -> None:
    assert words("OOMKilled: can't open /var/x.log (3,000 ms)") == ["oomkilled", "can't", "open", "var", "x.log", "3,000", "ms"]
    assert holds_phrase("Request timed out.", "timed OUT")
    assert not holds_phrase("Request timed out.", "out timed")
    assert not holds_phrase("anything", "!!!")


def test_the_query_is_told_in_words() -> None:
    query = LogQuery(
        "logs", 300, where={"level": ("ERROR", "FATAL")}, exclude={"service": ("cron",)}, phrase="timed out", group_by=("service",)
    )
    text = "logs[300s] level=ERROR|FATAL service!=cron message~'timed out' by (service)"
    assert str(query) == MemoryLogs("logs").counts(query, 0).query == text
