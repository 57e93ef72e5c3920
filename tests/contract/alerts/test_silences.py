"""What both forms of the silences port promise."""

from __future__ import annotations

import uuid
from dataclasses import replace

import pytest

from aiops.adapters.dry_run_outside import DryRunSilences
from aiops.domain.errors import OutsideRefusedError
from aiops.ports.alerts import AlertSilence, Matcher
from tests.contract.alerts.conftest import Bench


def wanted(bench: Bench, **fields: object) -> AlertSilence:
    now = bench.clock.now()
    matchers = (Matcher("namespace", "shop"), Matcher("alertname", "Latency.*", regex=True), Matcher("severity", "critical", equal=False))
    return replace(AlertSilence(matchers, now, now + 600, "aiops", f"while scaling {uuid.uuid4()}"), **fields)  # type: ignore[arg-type]


def found(bench: Bench, silence_id: str) -> AlertSilence:
    return next(s for s in bench.silences.list() if s.id == silence_id)


def test_a_silence_is_there_once_it_was_created(bench: Bench) -> None:
    asked = wanted(bench)
    written = bench.silences.create(asked)
    assert written.applied
    there = found(bench, written.id)
    assert there.state == "active"
    assert (set(there.matchers), there.created_by, there.comment) == (set(asked.matchers), asked.created_by, asked.comment)
    assert there.ends_at == pytest.approx(asked.ends_at, abs=0.01)
    assert there.starts_at >= asked.starts_at - 0.01


def test_the_same_again_is_a_second_one(bench: Bench) -> None:
    asked = wanted(bench)
    assert bench.silences.create(asked).id != bench.silences.create(asked).id
    assert [s.comment for s in bench.silences.list()].count(asked.comment) == 2


def test_one_of_the_future_is_pending(bench: Bench) -> None:
    now = bench.clock.now()
    written = bench.silences.create(wanted(bench, starts_at=now + 300, ends_at=now + 600))
    assert found(bench, written.id).state == "pending"


def test_expiring_ends_it_and_expiring_again_is_harmless(bench: Bench) -> None:
    written = bench.silences.create(wanted(bench))
    assert bench.silences.expire(written.id).applied
    assert found(bench, written.id).state == "expired"
    assert bench.silences.expire(written.id).applied
    pending = bench.silences.create(wanted(bench, starts_at=bench.clock.now() + 300))
    assert bench.silences.expire(pending.id).applied
    assert found(bench, pending.id).state == "expired"


@pytest.mark.parametrize("identity", ["da3b1c73-61fa-429e-80c9-d93ff53d61d9", "no-such", "../../-/quit", ""])
def test_an_unknown_id_is_refused(bench: Bench, identity: str) -> None:
    with pytest.raises(OutsideRefusedError, match="NotFound"):
        bench.silences.expire(identity)


@pytest.mark.parametrize(
    "fields",
    [
        {"matchers": ()},
        {"matchers": (Matcher("a", ".*", regex=True),)},
        {"matchers": (Matcher("a", "(", regex=True),)},
        {"matchers": (Matcher("a b", "x"),)},
        {"matchers": (Matcher("a", ""),)},
    ],
)
def test_what_is_malformed_is_refused(bench: Bench, fields: dict[str, object]) -> None:
    before = len(bench.silences.list())
    with pytest.raises(OutsideRefusedError, match="BadRequest"):
        bench.silences.create(wanted(bench, **fields))
    assert len(bench.silences.list()) == before


def test_an_end_that_is_over_is_refused(bench: Bench) -> None:
    now = bench.clock.now()
    for start, end in ((now - 600, now - 300), (now + 300, now + 200)):
        with pytest.raises(OutsideRefusedError, match="BadRequest"):
            bench.silences.create(wanted(bench, starts_at=start, ends_at=end))


def test_dry_run_reads_and_writes_nothing(bench: Bench) -> None:
    written = bench.silences.create(wanted(bench))
    dry, before = DryRunSilences(bench.silences), list(bench.silences.list())
    assert not dry.create(wanted(bench)).applied
    assert not dry.expire(written.id).applied
    assert sorted(dry.list(), key=lambda s: s.id) == sorted(before, key=lambda s: s.id)
