"""From a whole answer to claims: the rule's detector bank judges the batch, findings become signals with target, summary and evidence.

Neighbours: `poller` gives the answer, `triage` takes the signals. State is one bank for each rule, touched by that rule's poll alone.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Mapping, Sequence

from aiops.correlate.topology import owner_of
from aiops.detect.bank import NO_ROOM, RuleBank
from aiops.detect.findings import Finding
from aiops.detect.registry import GROUP_BUILDERS
from aiops.domain.decision import Decision, Stage
from aiops.domain.declared import DeclaredQuery
from aiops.domain.errors import ExpressionError, SourceError, StoreError, trimmed
from aiops.domain.expression import Renderer
from aiops.domain.ids import make_id
from aiops.domain.redaction import redact_line
from aiops.domain.rule import LogQuery, ObjectQuery, Priority, Rule
from aiops.domain.series import Labels, SampleBatch
from aiops.domain.signal import Signal, SignalKind, SignalState
from aiops.domain.target import KINDS, TargetRef, valid_name
from aiops.pipeline.accounts import ROOM_AGAIN, Accounts
from aiops.pipeline.damping import OVER, REASON, Damping
from aiops.pipeline.poller import Polled
from aiops.pipeline.quiet_times import QUIET, QuietTime, quiet
from aiops.pipeline.releases import Releases
from aiops.pipeline.room import Room, RoomPolicy
from aiops.pipeline.stage import Dropped, Passed
from aiops.ports.cluster import ClusterView
from aiops.ports.models import Snapshots
from aiops.ports.sources import LogSource
from aiops.ports.telemetry import Telemetry

LOG_LINES = 5
MAX_LABEL = 1024
TOLD = frozenset({QUIET, REASON, OVER, ROOM_AGAIN, *NO_ROOM})
"""Reasons that are stored though nothing was claimed."""


@dataclasses.dataclass(frozen=True, slots=True)
class Claims:
    """What one poll found: signals for triage, and the findings they were made of, for the case that nobody could take them."""

    signals: tuple[Signal, ...]
    findings: tuple[Finding, ...]


class Observer:
    """Detector banks by rule, and the making of signals."""

    def __init__(
        self, views: Mapping[str, ClusterView], logs: Mapping[str, LogSource], render: Renderer, snapshots: Snapshots, telemetry: Telemetry,
        damping: Damping, quiet_times: Sequence[QuietTime] = (), room: RoomPolicy | None = None,
    ) -> None:
        self._views, self._logs, self._render, self._snapshots, self._telemetry = views, logs, render, snapshots, telemetry
        self._banks: dict[str, RuleBank] = {}
        self._rules: dict[str, Rule] = {}
        self._targets: dict[tuple[str, str], TargetRef] = {}
        self._learning: set[str] = set()
        self._damping, self._quiet_times = damping, quiet_times
        self.room = Room(room or RoomPolicy())
        self._accounts = Accounts(telemetry, self.target, self.room.policy.ttl)
        self._releases = Releases(views)

    def remember(self, signals: Iterable[Signal]) -> None:
        """Whom claims of our rules are about, after a restart or when nobody could take them."""
        self._targets |= {(s.rule, s.series): s.target for s in signals if s.target is not None and s.rule in self._rules}

    def set_rules(self, rules: Sequence[Rule]) -> frozenset[str]:
        """Banks of rules that did not change are kept; new ones start from their snapshot if there is a fitting one, else warming.

        Returns the names of the rules whose bank is new.
        """
        kept: dict[str, RuleBank] = {}
        new: set[str] = set()
        for rule in rules:
            bank = self._banks.get(rule.name)
            if bank is None or identity(self._rules[rule.name]) != identity(rule):
                bank = self._new(rule)
                new.add(rule.name)
            else:
                self.room.again(bank, rule)
            kept[rule.name] = bank
        gone = self._rules.keys() - kept.keys()
        self._banks, self._rules = kept, {r.name: r for r in rules}
        self._learning = {name for name in self._learning if name in kept and name not in new}
        self._targets = {key: target for key, target in list(self._targets.items()) if key[0] in kept}
        self.room.keep(rules)
        for name in gone:
            self._accounts.forget(name)
        return frozenset(new)

    def banks(self) -> tuple[RuleBank, ...]:
        """Of all rules in force."""
        return tuple(self._banks.values())

    def renew(self, name: str) -> None:
        """A bank that was let go of begins anew, from its last snapshot if there is one."""
        rule = self._rules.get(name)
        if rule is not None:
            self._banks[name] = self._new(rule)

    def _new(self, rule: Rule) -> RuleBank:
        bank = self.room.bank(rule)
        data = self._snapshots.load(snapshot_name(rule))
        if data is not None:
            try:
                bank.restore(data)
            except ValueError:
                self._telemetry.count("task_errors", task="restore")
        return bank

    def save(self) -> None:
        """Snapshot every bank. Raises StoreError when a file cannot be written, after trying all."""
        failure: StoreError | None = None
        for bank in [bank for name, bank in list(self._banks.items()) if name not in self._learning and not bank.is_shed]:
            try:
                data = bank.snapshot()
                self._telemetry.gauge("learned_bytes", len(data), rule=bank.rule.name)
                self._snapshots.save(snapshot_name(bank.rule), data)
            except StoreError as error:
                failure = error
        if failure is not None:
            raise failure

    def shown(self) -> Iterator[tuple[str, Labels, Mapping[str, float | None]]]:
        """What rules that say `expose` think of their series now: rule, labels, numbers by name."""
        for rule in list(self._rules.values()):
            bank = self._banks.get(rule.name) if rule.expose else None
            if bank is not None:
                yield from ((rule.name, labels, numbers) for labels, numbers in bank.shown(rule.expose))

    def learning(self, rule: Rule, *, under_way: bool) -> None:
        """The past is being taught to this rule: half of it is no snapshot to go on from."""
        (self._learning.add if under_way else self._learning.discard)(rule.name)
        self._telemetry.gauge("backfilling", float(under_way), rule=rule.name)

    def teach(self, rule: Rule, batch: SampleBatch, volume: Mapping[str, float] | None) -> None:
        """Learn from a past answer; nothing is claimed."""
        bank = self.bank(rule.name)
        if bank is not None and self._rules.get(rule.name) is rule:
            bank.teach(batch, volume)

    def observe(self, polled: Polled) -> Passed[Claims] | Dropped:
        """Judge one batch. Dropped when nothing began, changed or ended."""
        rule, batch = polled.rule, polled.batch
        bank = self._banks.get(rule.name)
        if bank is None or self._rules.get(rule.name) is not rule:
            return Dropped((Decision(batch.at, Stage.OBSERVE, rule.name, passed=False, reason="RuleReplaced"),))
        now = quiet(self._quiet_times, rule.name, batch.at)
        if now.result:
            if not now.learning:
                bank.teach(batch, polled.volume)
            # Nobody is to be told that the rule is silent.
            self._telemetry.gauge("rule_judged_timestamp_seconds", batch.at, rule=rule.name)
            return Dropped((Decision(batch.at, Stage.OBSERVE, rule.name, passed=False, reason=QUIET, detail=now.names),))
        if bank.compares:
            about = {series: self.target(rule, labels)[0] for series, labels in bank.subjects()}
            bank.released({series: self._releases.of(one, batch.at) for series, one in about.items() if one is not None})
        observed = bank.observe(batch, polled.volume, learn=not now.learning)
        room = self._accounts.count(rule, observed, batch.at)
        sifted = self._damping.sift(rule, bank, observed.findings, batch.at)
        held = tuple(self._noted(rule, f, why, batch.at, passed=False) for f, why in sifted.dropped)
        decisions = [*room, *held, *(self._noted(rule, f, why, batch.at, passed=True) for f, why in sifted.noted)]
        signals = []
        for finding in sifted.findings:
            signal, problem = self._signal(rule, finding, batch.at)
            signals.append(signal)
            reason = problem or finding.reason
            target = str(signal.target) if signal.target else ""
            decisions.append(Decision(batch.at, Stage.OBSERVE, rule.name, passed=True, reason=reason, detail=signal.summary, target=target))
        if not signals and (held or room):
            return Dropped((*room, *held))
        if not signals:
            reason = "NoSeries" if len(batch) == 0 else "NothingChanged"
            return Dropped((Decision(batch.at, Stage.OBSERVE, rule.name, passed=False, reason=reason),))
        return Passed(Claims(tuple(signals), sifted.findings), tuple(decisions))

    def _noted(self, rule: Rule, finding: Finding, why: str, at: float, *, passed: bool) -> Decision:
        """That a finding is like one that a person called none, or is not."""
        if not passed and finding.state is SignalState.FIRING:
            self._telemetry.count("findings_damped", rule=rule.name)
        key = (rule.name, finding.series)
        target = self._targets.get(key) or self.target(rule, finding.labels)[0]
        if not passed and finding.state is not SignalState.FIRING:
            self._targets.pop(key, None)
        reason = "UnlikeFeedback" if passed else REASON if finding.state is SignalState.FIRING else OVER
        return Decision(at, Stage.OBSERVE, rule.name, passed, reason, why, str(target or ""))

    def bank(self, rule: str) -> RuleBank | None:
        """Of the rule in force of this name."""
        return self._banks.get(rule)

    def retrained(self, target: TargetRef, at: float) -> None:
        """The model that serves this target was trained at `at` (Unix seconds)."""
        for name, bank in list(self._banks.items()):
            if bank.versioned:
                for series, labels in bank.subjects():
                    if self.target(self._rules[name], labels)[0] == target:
                        bank.retrained(series, at)

    def not_taken(self, rule: Rule, claims: Claims) -> None:
        """The store could not take these: the bank tells them again with the next whole answer, about the same targets."""
        self.tell_again(rule, claims.findings)
        self.remember(claims.signals)

    def tell_again(self, rule: Rule, findings: Iterable[Finding]) -> None:
        """Claims that nobody knows of are told with the next whole answer."""
        bank = self._banks.get(rule.name)
        if bank is not None:
            bank.not_taken(findings)

    def firing(self, rule: Rule) -> tuple[Finding, ...]:
        """What the rule's bank holds firing now, with fresh evidence."""
        bank = self._banks.get(rule.name)
        return bank.firing() if bank else ()

    def _signal(self, rule: Rule, finding: Finding, at: float) -> tuple[Signal, str]:
        labels = {k: v for k, v in finding.labels.items() if k != "__name__"}
        target, problem = self._target_of(rule, finding, labels)
        evidence = finding.evidence
        kind = SignalKind.FORECAST if rule.forecast else SignalKind.METRIC
        if isinstance(rule.query, LogQuery):
            kind = SignalKind.LOG
            if finding.state is SignalState.FIRING:
                # Detectors of whole answers show their own; what others say of a count comes after the records behind it.
                shown = () if evidence.lines and rule.detector.type in GROUP_BUILDERS else self._lines(rule, rule.query, labels, at)
                evidence = dataclasses.replace(evidence, lines=(*shown, *evidence.lines))
        elif isinstance(rule.query, ObjectQuery | DeclaredQuery):
            kind = SignalKind.FORECAST if rule.forecast else SignalKind.OBJECT
        # What is stored, shown and told of a series is bounded, as it is of an alert; the series is told apart by its hash.
        labels = {k: trimmed(v, MAX_LABEL) for k, v in labels.items()} | dict(rule.labels)
        try:
            facts = {"labels": labels, "value": evidence.value, "expected": evidence.expected, "rule": rule.name, "target": str(target or "")}
            summary = self._render(rule.summary, facts) if rule.summary else f"{rule.name} on {target or labels}"
        except ExpressionError as error:
            summary, problem = f"{rule.name} on {target or labels}", problem or f"SummaryFailed: {error}"
        # Hidden from labels: which incidents this one mutes travels with the rule, see correlate.inhibition.
        signal = Signal(
            make_id("sig", rule.name, finding.series, finding.state.value, at), rule.name, rule.detector.type, kind, finding.state,
            finding.severity, at, finding.series, labels, target, trimmed(summary, 300), evidence,
        )
        return signal, problem

    def _target_of(self, rule: Rule, finding: Finding, labels: Mapping[str, str]) -> tuple[TargetRef | None, str]:
        """The end of a claim is about whom its beginning was: a pod that is gone has no owner to climb to any more."""
        key = (rule.name, finding.series)
        if key in self._targets:
            firing = finding.state is SignalState.FIRING
            return (self._targets[key] if firing else self._targets.pop(key)), ""
        target, problem = self.target(rule, labels)
        if target is not None and finding.state is SignalState.FIRING:
            self._targets[key] = target
        return target, problem

    def target(self, rule: Rule, labels: Mapping[str, str]) -> tuple[TargetRef | None, str]:
        """Whom the labels are about, and why nobody, if so. Label values are hostile: a name the API could not hold is no target."""
        template = rule.target
        if template is None:
            return None, ""
        facts = {"labels": labels}
        try:
            namespace = self._render(template.namespace, facts) if template.namespace else ""
            name = self._render(template.name, facts)
        except ExpressionError:
            return None, "TargetLabelsMissing"
        namespaced = KINDS[template.kind].namespaced
        if not valid_name(name) or (namespaced and not valid_name(namespace)):
            return None, "TargetNameInvalid"
        ref = TargetRef(template.kind, namespace if namespaced else "", name)
        view = self._views.get(ref.context)
        if template.owner and view is not None:
            return owner_of(ref, view.find), ""
        return ref, ""

    def _lines(self, rule: Rule, query: LogQuery, labels: Mapping[str, str], at: float) -> tuple[str, ...]:
        narrowed = dataclasses.replace(query, where={**query.where, **{f: (labels[f],) for f in query.group_by if f in labels}})
        try:
            found = self._logs[rule.source].samples(narrowed, at - query.window, at, LOG_LINES)
        except SourceError as error:
            return (f"(no samples: {error.reason})",)
        return tuple(trimmed(redact_line(line.text), 300) for line in found)


def identity(rule: Rule) -> tuple[object, ...]:
    """Everything that decides what a bank learns; compiled expressions count by their text."""
    query: object = (rule.query.kind, rule.query.value.text) if isinstance(rule.query, ObjectQuery) else repr(rule.query)
    said = dataclasses.replace(rule, description="", summary="", file="", line=0, target=None, waits_for_roll_outs=False)
    plain = dataclasses.replace(said, query=LogQuery("", 0.0), backfill=0.0, expose=0, priority=Priority.NORMAL, max_series=0)
    return (query, repr(plain))


def snapshot_name(rule: Rule) -> str:
    """File-safe and different for another rule of the same name: a changed rule starts anew."""
    return make_id("bank", rule.name, repr(identity(rule)))
