"""The flow: schedules the polls and runs the stages in order.

Neighbours: `app` builds it and gives it rules; the stages are `poller`, `observe`, `triage`, `decide` and `announce`; `transactions` stores what they
decided and what follows from it; `commands` and `housekeeping` run beside it; `leftovers` is asked on the way. Triage to announce hold one lock: they are arithmetic, one transaction, and no waiting.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterable, Sequence

import structlog

from aiops.correlate.incident_flow import Flow as Change
from aiops.correlate.incident_flow import mitigating, run_ended
from aiops.detect.findings import Finding
from aiops.domain.command import Command
from aiops.domain.decision import Decision
from aiops.domain.errors import StoreError
from aiops.domain.execution import Execution, ExecutionState
from aiops.domain.ids import make_id
from aiops.domain.incident import Incident, IncidentState
from aiops.domain.rule import Rule
from aiops.domain.runbook import Runbook
from aiops.domain.signal import Signal, SignalState
from aiops.pipeline.autonomy import Notice
from aiops.pipeline.explanations import Explanations
from aiops.pipeline.feedback import said
from aiops.pipeline.flow_parts import FlowParts
from aiops.pipeline.housekeeping import AUTONOMY_EVERY, GAUGES_EVERY, PURGE_EVERY, SNAPSHOT_EVERY
from aiops.pipeline.leftovers import Leftovers
from aiops.pipeline.observe import TOLD
from aiops.pipeline.orders import over
from aiops.pipeline.references import References
from aiops.pipeline.stage import Dropped, Passed
from aiops.pipeline.transactions import Transactions
from aiops.pipeline.triage import TriageResult, result
from aiops.ports.storage import Changes

log = structlog.get_logger(__name__)
RECONSIDER, AT_MOST = 5.0, 2.0
"""Seconds from one look at the active incidents to the next, and after which one is broken off: with thousands of them the next goes on from there."""


class Flow:
    """One per daemon, replay or test."""

    def __init__(self, parts: FlowParts) -> None:
        self.parts = parts
        self._lock = threading.RLock()
        self._rules: dict[str, Rule] = {}
        self._transactions = Transactions(parts)
        self._leftovers = Leftovers(parts.board, parts.observer)
        self._references = References(parts.store, parts.observer)
        self._sight: dict[str, Signal] = {}
        self._delivering = threading.Lock()
        self._started = False
        self._looked = (-math.inf, "")
        self._explanations = Explanations(parts, self._transactions, self._lock, lambda: tuple(self._rules.values()))

    @property
    def rules(self) -> tuple[str, ...]:
        """Names of the rules in force."""
        return tuple(self._rules)

    @property
    def rule_count(self) -> int:
        """Rules in force."""
        return len(self._rules)

    @property
    def runbook_count(self) -> int:
        """Runbooks in force."""
        return self.parts.decider.runbook_count

    # What comes in

    def set_definitions(self, rules: Sequence[Rule], runbooks: Sequence[Runbook]) -> None:
        """Take rules and runbooks in force from now on; polls of rules that did not change go on undisturbed."""
        p = self.parts
        with self._lock:
            new = p.observer.set_rules(rules)
            self._safely("recall", lambda: self._references.recall(r for r in rules if r.name in new))
            p.decider.set_runbooks(runbooks)
            p.autonomy.set_runbooks(runbooks)
            old, self._rules = self._rules, {r.name: r for r in rules}
            # Claims of a bank that was replaced cannot clear: the new one says what of them stands.
            self._leftovers.renewed(new & old.keys(), p.clock.now())
            p.context.holding = frozenset(r.name for r in rules if r.waits_for_roll_outs)
            self._transactions.muting.inhibits = {r.name: r.inhibits for r in rules if r.inhibits}
        p.telemetry.gauge("rules_loaded", len(rules))
        for mode in ("observe", "suggest", "approve", "auto"):
            p.telemetry.gauge("runbooks_loaded", sum(r.mode.value == mode for r in runbooks), mode=mode)
        if self._started:
            for name in old.keys() - self._rules.keys():
                p.schedule.cancel(f"poll:{name}")
            for rule in rules:
                if rule.name not in old or old[rule.name].every != rule.every:
                    self._schedule(rule)
            try:
                self._expire_unknown()
            except StoreError as error:  # the definitions are in force all the same
                self._transactions.left("expire", error)

    def start(self) -> None:
        """Load what the last run left, and schedule everything. Runs of a former process are taken over by the engine's own tick."""
        p = self.parts
        p.board.load(p.store)
        p.damping.load()
        for incident in p.board:
            p.announcer.load(incident.id, (message for message, state in p.store.messages(incident.id, 1000) if state in ("pending", "delivered")))
        p.observer.remember(s for i in p.board for s in i.firing)
        self._started = True
        firing = {(s.rule, s.series) for i in p.board for s in i.firing}
        self._leftovers.renewed({name for name, _ in firing}, p.clock.now())
        self._expire_unknown()
        for rule in self._rules.values():
            p.observer.tell_again(rule, (f for f in p.observer.firing(rule) if (rule.name, f.series) not in firing))
            self._schedule(rule)
        for execution in p.store.unfinished():
            self.on_run(execution)
        p.schedule.every("tick", p.tick, self.tick, first_after=p.tick)
        p.schedule.every("reconsider", RECONSIDER, self.reconsider, first_after=RECONSIDER)
        p.schedule.every("gauges", GAUGES_EVERY, self._gauges, first_after=GAUGES_EVERY)
        p.schedule.every("autonomy", AUTONOMY_EVERY, self._autonomy, first_after=AUTONOMY_EVERY)
        p.schedule.every("purge", PURGE_EVERY, p.housekeeping.purge, first_after=60.0)
        p.schedule.every("snapshot", SNAPSHOT_EVERY, p.observer.save, first_after=SNAPSHOT_EVERY)

    def _schedule(self, rule: Rule) -> None:
        # Spread by name, so that a hundred rules of one period do not ask in the same instant; the order is the same at each start.
        offset = int(make_id("", rule.name)[1:7], 16) / 0xFFFFFF * min(rule.every, 5.0)
        self.parts.schedule.every(f"poll:{rule.name}", rule.every, lambda: self.poll(rule.name), first_after=offset)

    def poll(self, name: str) -> None:
        """One poll of one rule, through to the store."""
        rule = self._rules.get(name)
        if rule is None:
            return
        p, began = self.parts, self.parts.clock.monotonic()
        polled = p.poller.poll(rule)
        if isinstance(polled, Dropped):
            self._take_sight(p.watch.failed(polled.decisions[-1], rule.source), polled.decisions)
            return
        batch = polled.record.batch
        skew = p.skews.get(rule.source)
        seen = p.watch.answered(rule.source, batch, p.clock.now(), skew() if skew else None)
        waits = p.backfill.step(rule)
        if waits is not None:
            self._take_sight(seen, (waits,))
            return
        asked = p.clock.monotonic()
        observed = p.observer.observe(polled.record)
        p.telemetry.observe("judge", p.clock.monotonic() - asked, rule=rule.name)
        self._safely("references", lambda: self._references.keep(rule))
        self._safely("feedback", p.damping.keep)
        claims = observed.record if isinstance(observed, Passed) else None
        told = observed.decisions if claims is not None else tuple(d for d in observed.decisions if d.reason in TOLD)
        found = claims.signals if claims is not None else ()
        for signal in found:
            p.telemetry.count("signals", rule=rule.name, state=signal.state.value)
        with self._lock:
            unseen = self._leftovers.unseen(rule, p.clock.now())
        try:
            self._take_sight(seen, told, (*found, *(unseen or ())))
        except StoreError:
            if claims is not None:
                p.observer.not_taken(rule, claims)
            raise
        if claims is not None and (told_of := [(f.labels, s) for f, s in zip(claims.findings, claims.signals, strict=True) if s.state is SignalState.FIRING]):
            self._explanations.soon(rule, told_of)
        if unseen is not None:
            self._leftovers.settled(rule)
        p.telemetry.observe("poll", p.clock.monotonic() - began, source=rule.source)

    def _safely(self, task: str, do: Callable[[], None]) -> None:
        """What can wait for the next time does not stop what cannot."""
        try:
            do()
        except StoreError as error:
            self._transactions.left(task, error)

    def _take_sight(self, seen: Iterable[Signal], decisions: Sequence[Decision] = (), others: Iterable[Signal] = ()) -> None:
        """Signals about sight are told by one transition only, so those that could not be stored wait for the next chance."""
        with self._lock:
            self._sight |= {s.key: s for s in seen}
            waiting = tuple(self._sight.values())
            self.take((*waiting, *others), decisions)
            self._sight = {}

    def take(self, signals: Sequence[Signal], decisions: Sequence[Decision] = ()) -> None:
        """Claims from any side (polls, webhook, sight): stored when this returns. Raises StoreError, and then nothing was taken.

        What follows from them (muting, deciding) is tried at once, and again by `reconsider` if the store fails in between.
        """
        if not signals and not decisions:
            return
        with self._lock:
            now = self.parts.clock.now()
            self._transactions.commit(self.parts.triage.take(signals, now) if signals else TriageResult((), ()), now, decisions)

    # What time brings

    def tick(self) -> None:
        """Each second: sight, incidents whose quiet has lasted, runs that are due, messages that wait."""
        p, now = self.parts, self.parts.clock.now()
        short, done = p.memory.look(now)
        self._take_sight((*p.watch.look(p.views, now), *p.storming.look(now), *short), done)
        with self._lock:
            outcome = p.triage.tick(tuple(p.board), now)
            if outcome.triaged or outcome.decisions:
                self._transactions.commit(outcome, now)
        p.decider.run_due()
        # A channel that is slow must not be asked by a queue that grows each second.
        if self._delivering.acquire(blocking=False):
            p.schedule.soon("outbox", self._deliver)

    def _deliver(self) -> None:
        try:
            self.parts.courier.deliver_due()
        finally:
            self._delivering.release()

    def reconsider(self) -> None:
        """Look at every active incident again, oldest first: a cooldown may have ended, a source may be seen again, the store may be back."""
        self._expire_unknown()
        with self._lock:
            now = self.parts.clock.now()
            self._transactions.mute(now)
            self._catch_up()
        began, places = self.parts.clock.monotonic(), {(i.opened_at, i.id): i for i in self.parts.board}
        for place in sorted(places, key=lambda place: (place <= self._looked, place)):
            # The lock is let go of between incidents: with many of them, claims and progress need not wait for all.
            with self._lock:
                current = self.parts.board.by_id(places[place].id)
                if current is not None:
                    self._transactions.decide_safely(current, self.parts.clock.now())
            self._looked = place
            if self.parts.clock.monotonic() - began >= AT_MOST:
                return
        self._looked = (-math.inf, "")

    def _catch_up(self) -> None:
        """Runs that ended while nobody could write that down: a crash, or the store failing, between the two transactions."""
        p = self.parts
        for incident in [i for i in p.board if i.state is IncidentState.MITIGATING]:
            runs = p.store.executions(incident=incident.id)
            if runs and all(run.state is ExecutionState.DONE for run in runs):
                self.on_run(runs[0])

    def _gauges(self) -> None:
        p = self.parts
        p.housekeeping.gauges(p.board, dry_run=p.dry_run, paused=p.paused())

    def _autonomy(self) -> None:
        """Marks that people set since the last look, budgets whose window moved on, and what all came to."""
        with self._lock:
            self._notify(self.parts.autonomy.look())
        self.parts.autonomy.report()

    def _notify(self, notices: Iterable[Notice]) -> None:
        """Tell what follows for a runbook, in the thread of the incident that gave rise to it."""
        p = self.parts
        for notice in notices:
            incident = p.store.incident(notice.incident) if notice.incident else None
            messages = p.announcer.notice(incident, notice.key, notice.text, p.clock.now()) if incident is not None else ()
            if messages:
                p.store.write(Changes(messages=messages))
                p.announcer.keep(messages)

    # What a run tells

    def on_run(self, execution: Execution) -> None:
        """The engine wrote progress: the incident follows, and people are told."""
        p = self.parts
        self._references.ran(execution)
        with self._lock:
            incident = p.board.by_id(execution.plan.incident) or p.store.incident(execution.plan.incident)
            if incident is None:
                return
            now = p.clock.now()
            if execution.state is ExecutionState.DONE:
                change = run_ended(incident, execution, now)
            elif execution.state is ExecutionState.AWAITING_APPROVAL:
                change = Change(incident)
            else:
                change = mitigating(incident, execution, now)
            if change.changes:
                self._transactions.commit(result((change,)), now, run=execution)
            elif messages := self._transactions.messages(incident, now, execution):
                p.store.write(Changes(messages=messages))
                p.announcer.keep(messages)
            if execution.state is ExecutionState.DONE:
                try:
                    self.take(over(p.board.by_id(incident.id) or incident, now))
                    self._notify(p.autonomy.ran(execution))
                except StoreError as error:  # the next look sees the same
                    self._transactions.left("autonomy", error, incident.id)

    def autonomy(self, command: Command) -> tuple[bool, str]:
        """A person promotes or demotes a runbook: (accepted, words)."""
        with self._lock:
            return self.parts.autonomy.command(command)

    def order(self, command: Command) -> tuple[bool, str]:
        """A person asks for a run by name: (accepted, words). Planned under the lock, as all plans; requests are made after it."""
        orders = self.parts.orders
        with self._lock:
            plan = orders.asked(command)
            if not any(v.refuses for v in plan.verdicts) and (claim := orders.claim(plan, command)) is not None:
                # Guards ask about the run's incident before each effect: it needs one, and people see that it was asked for.
                self.take((claim,))
                plan = orders.asked(command)
        done, words = orders.submit(plan)
        incident = self.parts.store.incident(plan.incident)
        if not done and incident is not None:
            self.take(over(incident, self.parts.clock.now()))
        return done, words

    def apply(self, incident_id: str, change: Callable[[Incident, float], Change]) -> Change | None:
        """A person changes an active incident (acknowledges, resolves it); None if there is none of this id.

        `change` is asked under the lock, so that no claim that comes in meanwhile is lost.
        """
        with self._lock:
            now, incident = self.parts.clock.now(), self.parts.board.by_id(incident_id)
            if incident is None:
                return None
            changed = change(incident, now)
            self._transactions.commit(result((changed,)), now)
            return changed

    def not_an_anomaly(self, command: Command) -> str:
        """A person says so of an incident: the next alarm like it is damped, and what of it fires now is over. Raises CommandError, StoreError."""
        p = self.parts
        with self._lock:
            words, change = said(command, p.board.by_id(command.subject) or p.store.incident(command.subject), p.store, self._standing, p.clock.now())
            p.damping.add(words, p.clock.now())
            if change.changes:
                self._transactions.commit(result((change,)), p.clock.now())
            return ", ".join(word.id for word in words)

    def _standing(self, name: str) -> Iterable[Finding]:
        return self.parts.observer.firing(self._rules[name]) if name in self._rules else ()

    def _expire_unknown(self) -> None:
        with self._lock:
            self.take(self._leftovers.unknown(self._rules, self.parts.clock.now()))
