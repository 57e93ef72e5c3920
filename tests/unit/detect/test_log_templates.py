"""Templates of log lines: what belongs together, what is new, what bursts, what is taken out, and that no stream makes them grow without bound."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aiops.adapters.memory_logs import MemoryLogs
from aiops.adapters.schedule_virtual import VirtualTime
from aiops.detect import drain as drain_module
from aiops.detect.bank import RuleBank
from aiops.detect.drain import ANY, Drain
from aiops.detect.groups import Assessed
from aiops.detect.log_templates import FIELD, SUBJECTS, LogTemplates
from aiops.domain.errors import SourceError, SourceGarbledError, SourceRejectedError, SourceThrottledError, SourceUnavailableError
from aiops.domain.redaction import redact_line
from aiops.domain.rule import DetectorSpec, LogQuery, Rule
from aiops.domain.series import LogLine, series_id
from aiops.domain.signal import Severity
from aiops.pipeline.poller import Poller, Sources
from aiops.pipeline.stage import Passed
from aiops.ports.telemetry import NullTelemetry
from tests.unit.detect.groups import T0, answer


def test_lines_that_differ_in_numbers_and_in_a_word_or_two_are_one_template() -> None:
    drain = Drain()
    first = drain.add("connection from 10.0.0.1 closed by peer ann")[0]
    assert drain.add("connection from 10.0.0.2 closed by peer bob") == (first, False, None)
    assert drain.text(first) == f"connection from {ANY} closed by peer {ANY}"
    assert drain.add("connection from 10.0.0.2 refused")[1]
    assert drain.add("")[1]
    assert not drain.add("   ")[1]


def test_the_template_that_was_not_seen_for_longest_goes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drain_module, "TEMPLATES", 2)
    drain = Drain()
    one, two = drain.add("alpha beta")[0], drain.add("gamma delta")[0]
    drain.add("alpha beta")
    assert drain.add("epsilon zeta")[2] == two
    assert drain.add("alpha beta") == (one, False, None)
    assert len(drain) == 2


@settings(deadline=None, max_examples=30)
@given(st.lists(st.text(max_size=80), max_size=60), st.lists(st.text(alphabet="ab \n", max_size=30), max_size=60))
def test_any_stream_takes_bounded_memory_and_is_restored_exactly(texts: list[str], alike: list[str]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(drain_module, "TEMPLATES", 8)
        patch.setattr(drain_module, "CHILDREN", 3)
        drain = Drain()
        for text in (*texts, *alike):
            drain.add(text)
            assert len(drain) <= 8
        # One leaf and at most DEPTH nodes for each template, and no more.
        assert len(drain._leaves) <= 8
        assert sum(map(len, drain._children.values())) <= 8 * drain_module.DEPTH
        other = Drain.load(drain.dump())
        assert other.dump() == drain.dump()
        for text in alike:
            assert other.add(text) == drain.add(text)
        assert other._children == drain._children


def told(detector: LogTemplates, at: float, lines: Sequence[str], app: str = "a") -> Assessed:
    return detector.assess(answer(T0 + at, [({"aiops_line": line, "app": app}, 1.0) for line in lines]))


def claims(found: Assessed) -> list[str]:
    return [labels["template"] for labels, breach in zip(found.labels, found.scores.breach, strict=True) if breach]


def test_a_template_never_seen_before_is_a_claim_after_the_warm_up() -> None:
    detector = LogTemplates(warm_up=600.0, new_for=120.0)
    for i in range(60):
        assert claims(told(detector, 15.0 * i, ["all is well", *(["in the warm-up"] * 5 if i == 20 else [])])) == []
    found = told(detector, 900.0, ["all is well", *(["certificate of shop has expired"] * 3)])
    assert claims(found) == ["certificate of shop has expired"]
    subject = series_id({"app": "a", "template": "certificate of shop has expired"})
    assert detector.lines(subject) == ("a template never seen before", *["certificate of shop has expired"] * 3)
    assert claims(told(detector, 915.0, ["all is well"])) == []
    assert claims(told(detector, 1200.0, ["certificate of shop has expired"] * 3)) == []  # no longer new


def test_a_burst_of_one_template_is_told_for_its_group_alone() -> None:
    detector = LogTemplates(new_count=0)
    for i in range(40):
        found = detector.assess(answer(T0 + 15.0 * i, [({"aiops_line": f"retry {j}", "app": app}, 1.0) for app in "ab" for j in range(2)]))
        assert claims(found) == []
    lines = [({"aiops_line": f"retry {j}", "app": "a"}, 1.0) for j in range(50)] + [({"aiops_line": "retry 1", "app": "b"}, 1.0)]
    found = detector.assess(answer(T0 + 600.0, lines))
    assert [labels["app"] for labels, breach in zip(found.labels, found.scores.breach, strict=True) if breach] == ["a"]


def test_what_looks_like_a_credential_is_taken_out() -> None:
    detector = LogTemplates()
    found = told(detector, 0.0, ["login with password=hunter2 failed", "calling https://ann:pass@shop.example/ failed"])
    words = str(found.labels) + str(detector.lines(series_id(found.labels[0]))) + str(detector.lines(series_id(found.labels[1])))
    assert "hunter2" not in words
    assert "ann:pass" not in words
    assert redact_line('{"token": "abc", "n": 1}') == '{"token": "[redacted]", "n": 1}'


def test_the_poller_reads_lines() -> None:
    logs = MemoryLogs("logs")
    for i in range(5):
        logs.add(T0 - 10.0 + i, f"job {i} failed", {"app": "a", "level": "error"})
    query = LogQuery("logs", 15.0, where={"level": ("error",)}, group_by=("app",), lines=3)
    rule = Rule("r", "logs", query, 15.0, DetectorSpec("logTemplates"), Severity.WARNING)
    polled = Poller(Sources({}, {"logs": logs}, {}), VirtualTime(T0), NullTelemetry()).poll(rule)
    assert isinstance(polled, Passed)
    assert [dict(labels) for labels in polled.record.batch.labels] == [{"aiops_line": f"job {i} failed", "app": "a"} for i in range(3)]


def random_lines(seed: int, count: int) -> list[str]:
    random = Random(seed)
    return [" ".join("".join(random.choices("abcdefghijklmnop", k=8)) for _ in range(random.randint(1, 12))) for _ in range(count)]


def test_random_lines_of_many_groups_take_bounded_memory() -> None:
    detector, sizes = LogTemplates(), []
    for i in range(4):
        lines = [({"aiops_line": line, "app": f"app-{n % 40}"}, 1.0) for n, line in enumerate(random_lines(i, 700))]
        detector.assess(answer(T0 + 30.0 * i, lines))
        sizes.append(len(detector.snapshot()))
    assert len(detector._drain) == drain_module.TEMPLATES
    assert len(detector._subjects) <= SUBJECTS
    assert sizes[-1] < 1.2 * sizes[1] < 3_000_000
    restored = LogTemplates()
    restored.restore(detector.snapshot())
    assert restored.snapshot() == detector.snapshot()


def test_lines_of_a_megabyte_are_cut_and_keep_nothing_of_it() -> None:
    detector = LogTemplates()
    huge = ["x " * 500_000, "y" * 1_000_000, "Z1a" * 300_000, "password=" * 100_000]
    found = told(detector, 0.0, huge, app="a" * 100_000)
    assert len(found.labels) == 4
    assert len(detector.snapshot()) < 50_000
    assert max(len(value) for labels in found.labels for value in labels.values()) <= FIELD


def test_words_tell_code_from_numbers() -> None:
    drain = Drain()
    first = drain.add("17:20:11.371 ERROR c.s.ContactsServiceImpl#37 order 5 not found")[0]
    assert drain.add("17:21:59.001 ERROR c.s.ContactsServiceImpl#37 order 77 not found") == (first, False, None)
    assert drain.text(first) == f"{ANY} ERROR c.s.ContactsServiceImpl#{ANY} order {ANY} not found"
    # What varies in both does not make two lines alike.
    assert drain.add("17:20:11.371 WARN 5 7 8 9 stock low")[0] != drain.add("17:20:11.371 INFO 5 7 8 9 mail sent")[0]


class Moody(MemoryLogs):
    """Fails when told so, as the adapter does."""

    fault: SourceError | None = None

    def samples(self, query: LogQuery, start: float, end: float, limit: int, *, whole: bool = False) -> Sequence[LogLine]:
        if self.fault is not None:
            raise self.fault
        return super().samples(query, start, end, limit, whole=whole)


@pytest.mark.parametrize(
    "fault",
    [
        SourceThrottledError("logs", "too many", 7.0), SourceUnavailableError("logs", "Timeout"), SourceUnavailableError("logs", "Partial", "1 of 2 shards failed"),
        SourceRejectedError("logs", "Unauthorized"), SourceGarbledError("logs", "Garbled"),
    ],
    ids=lambda fault: fault.reason,
)  # fmt: skip
def test_a_source_that_fails_ends_no_claim_and_teaches_nothing(fault: SourceError) -> None:
    logs = Moody("logs")
    for i in range(60):
        logs.add(T0 + 15.0 * i, "all is well", {"app": "a"})
    for i in range(60):
        logs.add(T0 + 600.0 + i, f"no route {i}", {"app": "a"})
    rule = Rule("r", "logs", LogQuery("logs", 30.0, group_by=("app",), lines=100), 30.0, DetectorSpec("logTemplates", {"new_count": 0}), Severity.WARNING)
    bank, time = RuleBank(rule), VirtualTime(T0)
    poller = Poller(Sources({}, {"logs": logs}, {}), time, NullTelemetry())

    def poll(at: float) -> list[str] | str:
        time.run_until(T0 + at)
        polled = poller.poll(rule)
        return [f.state.value for f in bank.observe(polled.record.batch).findings] if isinstance(polled, Passed) else polled.reason

    assert [poll(30.0 * i) for i in range(1, 21)] == [[]] * 20
    assert poll(630.0) == ["firing"]
    before = bank.snapshot()
    logs.fault = fault
    assert [poll(660.0), poll(690.0)] == [fault.reason] * 2
    assert bank.snapshot() == before
    assert [f.state.value for f in bank.firing()] == ["firing"]
    logs.fault = None
    assert poll(720.0) == ["cleared"]
