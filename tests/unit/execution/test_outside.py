"""Actions that reach outside the clusters: what is sent, how often, and what a lost answer, a crash, a refusal and dry-run make of it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from aiops.adapters.memory_cache import MemoryCache
from aiops.domain.errors import OutsideUnavailableError, OutsideUnsentError
from aiops.domain.execution import ExecutionState
from aiops.domain.outcome import GuardMode, Outcome, Verdict
from aiops.domain.runbook import Retry
from aiops.execution.actions import redis_flush
from aiops.execution.actions.silence import key_of, matcher
from aiops.ports.alerts import AlertSilence, Matcher
from aiops.ports.outbound import OutboundAnswer
from tests.unit.execution.kill import Dying, die_and_live
from tests.unit.execution.stage import Stage, scale, step

URL = "https://hooks.example.org/train"
LOST = OutsideUnavailableError("ConnectionLost", "reset by peer")


@pytest.fixture
def stage():
    return Stage()


def request(**arguments: Any) -> Any:
    fields = {name: arguments.pop(name) for name in ("retry", "timeout", "name") if name in arguments}
    return step("http-request", arguments={"url": URL, "body": '{"model": "demand"}', **arguments}, **fields)


def outbound(stage: Stage, port: Any) -> None:
    stage.outbound = port
    stage.restart()


# --- http-request


def test_a_request_is_sent_and_its_answer_is_output(stage):
    stage.outbound.handler = lambda _request: OutboundAnswer(201, {"content-type": "application/json"}, b'{"job": 7}')
    done = stage.run(stage.submit(request(headers=("X-Team: shop",))))
    assert done.result.outcome is Outcome.SUCCEEDED
    output = done.steps[0].output
    assert (output["status"], output["json"], output["body"]) == (201, {"job": 7}, '{"job": 7}')
    (sent,) = stage.outbound.received
    assert (sent.method, sent.url, sent.body) == ("POST", URL, b'{"model": "demand"}')
    assert sent.headers == {"X-Team": "shop", "Content-Type": "application/json"}


def test_a_lost_answer_goes_to_a_person_and_is_never_sent_again(stage):
    outbound(stage, port := Dying(real := stage.outbound, "send", error=LOST, times=99))
    done = stage.run(stage.submit(request(retry=Retry(limit=5))))
    assert (done.result.outcome, done.result.reason) == (Outcome.INCONCLUSIVE, "EffectUnknown")
    assert (len(real.received), port.left) == (1, 98)


@pytest.mark.parametrize("when", ["before", "after"])
def test_after_a_crash_it_is_not_sent_again(stage, when):
    real = stage.outbound
    outbound(stage, Dying(real, "send", when=when))
    done = die_and_live(stage, stage.submit(request(retry=Retry(limit=5))), lambda: outbound(stage, real))
    assert (done.result.outcome, done.result.reason) == (Outcome.INCONCLUSIVE, "EffectUnknown")
    assert len(real.received) == (when == "after")


@pytest.mark.parametrize("when", ["before", "after"])
def test_with_a_key_it_is_sent_again_with_the_same_key(stage, when):
    real = stage.outbound
    outbound(stage, Dying(real, "send", when=when))
    execution = stage.submit(request(idempotencyKey=True))
    done = die_and_live(stage, execution, lambda: outbound(stage, real))
    assert done.result.outcome is Outcome.SUCCEEDED
    assert {r.headers["Idempotency-Key"] for r in real.received} == {f"{execution.id}.http-request"}
    assert len(real.received) == 1 + (when == "after")


def test_with_a_key_lost_answers_end_too(stage):
    outbound(stage, Dying(real := stage.outbound, "send", error=LOST, times=99))
    done = stage.run(stage.submit(request(idempotencyKey=True)))
    assert (done.result.outcome, done.result.reason) == (Outcome.ERROR, "NotSent")
    assert len(real.received) == stage.settings.recoveries + 1


def test_what_was_surely_not_sent_is_tried_again(stage):
    outbound(stage, Dying(real := stage.outbound, "send", when="before", error=OutsideUnsentError("Unreachable", "refused"), times=2))
    done = stage.run(stage.submit(request(retry=Retry(limit=2, initial=1))))
    assert done.result.outcome is Outcome.SUCCEEDED
    assert len(real.received) == 1


@pytest.mark.parametrize(
    ("status", "outcome", "reason", "sent"),
    [
        (404, Outcome.ERROR, "Status404", 1),
        (302, Outcome.ERROR, "Status302", 1),
        (429, Outcome.FAILED, "Throttled", 3),
        (500, Outcome.INCONCLUSIVE, "EffectUnknown", 1),
        (503, Outcome.INCONCLUSIVE, "EffectUnknown", 1),
    ],
)
def test_statuses_that_are_no_success(stage, status, outcome, reason, sent):
    stage.outbound.handler = lambda _request: OutboundAnswer(status, {}, b"no")
    done = stage.run(stage.submit(request(retry=Retry(limit=2, initial=1))))
    assert (done.result.outcome, done.result.reason) == (outcome, reason)
    assert len(stage.outbound.received) == sent


def test_other_statuses_may_be_a_success(stage):
    stage.outbound.handler = lambda _request: OutboundAnswer(409, {}, b"is training already")
    assert stage.run(stage.submit(request(accept=("202", "409")))).result.outcome is Outcome.SUCCEEDED
    stage.outbound.handler = lambda _request: OutboundAnswer(200)
    assert stage.run(stage.submit(request(accept=("202",)), id="plan-2")).result.reason == "Status200"


@pytest.mark.parametrize("url", ["https://elsewhere.example/", "http://169.254.169.254/", "file:///etc/passwd", "https://hooks.example.org/a/../b"])
def test_what_is_not_on_the_list_is_an_error_before_any_intent(stage, url):
    done = stage.run(stage.submit(request(url=url)))
    assert (done.result.outcome, done.result.reason) == (Outcome.ERROR, "NotAllowed")
    assert "intent" not in stage.journal(done)
    assert stage.outbound.received == []


def test_a_header_that_is_a_credential_is_refused(stage):
    done = stage.run(stage.submit(request(headers=("Authorization: Bearer x",))))
    assert (done.result.outcome, done.result.reason) == (Outcome.ERROR, "HeaderRefused")
    assert stage.run(stage.submit(request(headers=("nonsense",)), id="plan-2")).result.reason == "InvalidArguments"
    assert stage.outbound.received == []


@pytest.mark.parametrize("arguments", [{}, {"idempotencyKey": True}, {"method": "GET", "body": ""}])
def test_dry_run_records_and_sends_nothing(stage, arguments):
    done = stage.run(stage.submit(request(**arguments), simulated=True))
    assert done.result.outcome is Outcome.SIMULATED
    assert stage.outbound.received == []
    (change,) = done.plan.changes
    assert change.note == f"would send {arguments.get('method', 'POST')} {URL}"
    assert json.loads(change.request)["url"] == URL


# --- silence


def silence(**arguments: Any) -> Any:
    given = {"matchers": ('namespace="shop"', 'alertname=~"Latency.*"'), "for": 600.0, "comment": "a roll-out", **arguments}
    return step("silence", arguments=given)


def alerts(stage: Stage, port: Any) -> None:
    stage.alerts = port
    stage.restart()


def active(stage: Stage) -> list[AlertSilence]:
    return [s for s in stage.alerts.list() if s.state == "active"]


def test_a_silence_is_made_and_says_whose_it_is(stage):
    execution = stage.submit(silence())
    done = stage.run(execution)
    assert done.result.outcome is Outcome.SUCCEEDED
    (made,) = active(stage)
    assert made.id == done.steps[0].output["silence"]
    assert (made.created_by, key_of(made), made.comment) == ("aiops", f"{execution.id}.silence.1", f"a roll-out [aiops/operation={execution.id}.silence.1]")
    assert made.matchers == (Matcher("namespace", "shop"), Matcher("alertname", "Latency.*", regex=True))
    assert made.ends_at - made.starts_at == pytest.approx(600, abs=1)


@pytest.mark.parametrize("when", ["before", "after"])
def test_after_a_crash_there_is_one_silence(stage, when):
    real = stage.alerts
    alerts(stage, Dying(real, "create", when=when))
    done = die_and_live(stage, stage.submit(silence()), lambda: alerts(stage, real))
    assert done.result.outcome is Outcome.SUCCEEDED
    assert [kind for kind, _ in real.writes] == ["create"]
    assert done.steps[0].output["silence"] == active(stage)[0].id


@pytest.mark.parametrize("when", ["before", "after"])
def test_after_a_lost_answer_there_is_one_silence(stage, when):
    real = stage.alerts
    alerts(stage, Dying(real, "create", when=when, error=LOST))
    assert stage.run(stage.submit(silence())).result.outcome is Outcome.SUCCEEDED
    assert [kind for kind, _ in real.writes] == ["create"]


def failing() -> Any:
    return step("redis-flush", arguments={"cache": "none", "pattern": "a*"}, needs=("silence",), on_failure="undo")


def test_undoing_ends_it(stage):
    done = stage.run(stage.submit(silence(), failing()))
    assert done.result.reason == "UnknownCache"
    assert done.steps[0].state == "undone"
    assert active(stage) == []
    assert [kind for kind, _ in stage.alerts.writes] == ["create", "expire"]


def test_undoing_leaves_alone_what_a_person_changed(stage):
    execution = stage.submit(silence(), step("wait", arguments={"for": 60.0}, needs=("silence",)), failing())
    stage.run(execution, seconds=30)
    (made,) = active(stage)
    stage.alerts._silences[made.id] = AlertSilence(made.matchers, made.starts_at, made.ends_at + 7200, "ann", made.comment, made.id)
    done = stage.run(execution)
    assert done.steps[0].undo.reason == "ChangedByOther"
    assert len(active(stage)) == 1


def test_undoing_what_is_over_is_done_already(stage):
    execution = stage.submit(silence(), step("wait", arguments={"for": 60.0}, needs=("silence",)), failing())
    stage.run(execution, seconds=30)
    stage.alerts.expire(active(stage)[0].id)
    assert stage.run(execution).steps[0].undo.reason == "AlreadyExpired"


def test_what_is_silenced_long_enough_is_not_silenced_again(stage):
    now = stage.time.now()
    stage.alerts.create(AlertSilence((Matcher("alertname", "Latency.*", regex=True), Matcher("namespace", "shop")), now, now + 9000, "ann", "mine"))
    done = stage.run(stage.submit(silence()))
    assert (done.result.outcome, done.steps[0].result.reason) == (Outcome.SKIPPED, "AlreadySilenced")


@pytest.mark.parametrize("matchers", [('alertname=~".*"',), ('namespace!="shop"',), ('namespace=""',), ()])
def test_a_silence_over_everything_is_refused(stage, matchers):
    assert stage.run(stage.submit(silence(matchers=matchers))).result.reason == "TooBroad"
    assert stage.alerts.writes == []


def test_a_silence_that_vanished_is_a_failure(stage):
    execution = stage.submit(silence())
    stage.executor.advance(execution.id)
    stage.alerts.expire(active(stage)[0].id)
    assert stage.run(execution).result.reason == "Superseded"


def test_an_alertmanager_that_is_down_is_waited_for_and_one_that_is_none_is_an_error(stage):
    real = stage.alerts
    real.broken = LOST
    execution = stage.submit(silence())
    stage.run(execution, seconds=15)
    assert stage.get(execution).steps[0].attempt == 0
    real.broken = None
    assert stage.run(execution).result.outcome is Outcome.SUCCEEDED


def test_a_silence_in_dry_run_is_only_recorded(stage):
    done = stage.run(stage.submit(silence(), simulated=True))
    assert done.result.outcome is Outcome.SIMULATED
    assert done.plan.changes[0].note == "silences namespace=shop, alertname=~Latency.*"
    assert stage.alerts.writes == []


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('a="b"', Matcher("a", "b")),
        ("a=b", Matcher("a", "b")),
        (' a != "b" ', Matcher("a", "b", equal=False)),
        ('a=~"b|c"', Matcher("a", "b|c", regex=True)),
        ('a!~"b"', Matcher("a", "b", regex=True, equal=False)),
        ('a="x",b=~".*"', Matcher("a", 'x",b=~".*')),
        ('a="x\n"', Matcher("a", "x\n")),
        ('a=""', Matcher("a", "")),
    ],
)
def test_matchers(text, expected):
    assert matcher(text) == expected


@pytest.mark.parametrize("text", ["", "a", "a b=c", "=x", "1a=b"])
def test_matchers_that_are_none(text):
    with pytest.raises(ValueError, match="write for example"):
        matcher(text)


# --- warm-cache

PAGES = tuple(f"https://hooks.example.org/page/{n}" for n in range(10))


def warm(**arguments: Any) -> Any:
    return step("warm-cache", arguments={"urls": PAGES, "rate": 4.0, **arguments})


def test_every_page_is_asked_for_once_a_few_at_a_time(stage):
    times: list[float] = []
    stage.outbound.handler = lambda _request: times.append(stage.time.now()) or OutboundAnswer(200)
    done = stage.run(stage.submit(warm()))
    assert done.result.outcome is Outcome.SUCCEEDED
    assert tuple(r.url for r in stage.outbound.received) == PAGES
    assert max(times.count(at) for at in times) == 4
    assert done.steps[0].attempt == 3


def test_pages_that_fail_are_passed_over_but_not_all_of_a_batch(stage):
    stage.outbound.handler = lambda r: OutboundAnswer(500 if r.url.endswith(("0", "1")) else 200)
    assert stage.run(stage.submit(warm())).result.outcome is Outcome.SUCCEEDED
    stage.outbound.handler = lambda _r: OutboundAnswer(500)
    before = len(stage.outbound.received)
    done = stage.run(stage.submit(warm(), id="plan-2"))
    assert (done.result.reason, len(stage.outbound.received) - before) == ("NotWarmed", 4)


def test_a_lost_page_is_a_failed_one(stage):
    outbound(stage, Dying(stage.outbound, "send", error=LOST))
    assert stage.run(stage.submit(warm())).result.outcome is Outcome.SUCCEEDED


@pytest.mark.parametrize("when", ["before", "after"])
def test_warming_goes_on_after_a_crash(stage, when):
    real = stage.outbound
    outbound(stage, Dying(real, "send", when=when))
    done = die_and_live(stage, stage.submit(warm()), lambda: outbound(stage, real))
    assert done.result.outcome is Outcome.SUCCEEDED
    assert {PAGES[4], PAGES[9]} <= {r.url for r in real.received}


def test_one_page_that_is_not_allowed_stops_all(stage):
    assert stage.run(stage.submit(warm(urls=(*PAGES, "https://elsewhere.example/")))).result.reason == "NotAllowed"
    assert stage.run(stage.submit(warm(urls=()), id="plan-2")).result.reason == "InvalidArguments"
    assert stage.outbound.received == []


def test_warming_in_dry_run_sends_nothing(stage):
    done = stage.run(stage.submit(warm(), simulated=True))
    assert done.result.outcome is Outcome.SIMULATED
    assert done.plan.changes[0].note.startswith("would ask for 10 URLs")
    assert stage.outbound.received == []


# --- redis-flush


@pytest.fixture
def catalog(stage):
    stage.caches["catalog"] = MemoryCache("catalog", [f"item:{n}" for n in range(120)] + ["session:1"])
    stage.restart()
    return stage.caches["catalog"]


def flush(**arguments: Any) -> Any:
    return step("redis-flush", arguments={"cache": "catalog", **arguments})


def test_a_large_flush_is_done_in_attempts_of_their_own(stage, catalog, monkeypatch):
    monkeypatch.setattr(redis_flush, "CHUNK", 50)
    done = stage.run(stage.submit(flush(pattern="item:*")))
    assert done.result.outcome is Outcome.SUCCEEDED
    assert catalog.keys == ("session:1",)
    assert stage.journal(done).count("intent") == 3


def test_the_limit_holds_over_all_attempts(stage, catalog, monkeypatch):
    monkeypatch.setattr(redis_flush, "CHUNK", 50)
    done = stage.run(stage.submit(flush(pattern="item:*", limit=70)))
    assert (done.result.reason, len(catalog.keys)) == ("FlushIncomplete", 51)


@pytest.mark.parametrize("arguments", [{"all": True}, {"all": True, "confirm": "sessions"}, {"pattern": "*"}, {"pattern": "*", "confirm": "catalog"}])
def test_all_keys_must_be_said_twice(stage, catalog, arguments):
    done = stage.run(stage.submit(flush(**arguments)))
    assert done.result.reason in ("NotConfirmed", "PatternRefused")
    assert len(catalog.keys) == 121


def test_all_keys_said_twice_go(stage, catalog):
    assert stage.run(stage.submit(flush(all=True, confirm="catalog"))).result.outcome is Outcome.SUCCEEDED
    assert catalog.keys == ()


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_flush_goes_on_after_a_crash(stage, catalog, when):
    stage.caches["catalog"] = Dying(catalog, "flush", when=when)
    stage.restart()
    done = die_and_live(stage, stage.submit(flush(pattern="item:*")), lambda: stage.caches.update(catalog=catalog))
    assert done.result.outcome is Outcome.SUCCEEDED
    assert catalog.keys == ("session:1",)


def test_a_flush_in_dry_run_counts(stage, catalog):
    done = stage.run(stage.submit(flush(all=True, confirm="catalog"), simulated=True))
    assert done.plan.changes[0].note == "121 keys of catalog match '*', 0 removed"
    assert len(catalog.keys) == 121


# --- what all have in common


def test_the_kill_switch_stops_between_batches(stage):
    execution = stage.submit(warm())
    stage.executor.advance(execution.id)
    stage.verdict = Verdict("paused", GuardMode.ENFORCE, allowed=False, reason="Paused")
    done = stage.run(execution)
    assert (done.state, done.result.reason) == (ExecutionState.DONE, "Paused")
    assert len(stage.outbound.received) == 4


def test_outputs_are_arguments_of_later_steps(stage):
    stage.outbound.handler = lambda _request: OutboundAnswer(200, {"content-type": "application/json"}, b'{"replicas": "+3"}')
    later = scale("{{ steps.ask.output.json.replicas }}", needs=("ask",), late=("by",))
    done = stage.run(stage.submit(request(name="ask"), later))
    assert done.result.outcome is Outcome.SUCCEEDED
    assert stage.replicas == 5
