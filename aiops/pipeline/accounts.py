"""What came of each answer, for our own metrics; gauges of subjects that are gone are taken back, and want of room is said once.

Neighbours: `observe` judges and reports here, `ports.telemetry` counts.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping
from itertools import islice

from aiops.detect.bank import NO_ROOM, SHED
from aiops.detect.findings import Observed
from aiops.detect.groups import Measure
from aiops.domain.decision import Decision, Stage
from aiops.domain.errors import trimmed
from aiops.domain.rule import Rule
from aiops.domain.target import TargetRef
from aiops.ports.telemetry import Telemetry

MAX_MEASURES = 100
ROOM_AGAIN = "RoomAgain"
_Key = tuple[str, tuple[tuple[str, str], ...]]


class Accounts:
    """`target`: whom labels are about. `ttl`: seconds after which what a detector measured of a subject is taken back. Thread-safe: rules are polled side by side."""

    def __init__(self, telemetry: Telemetry, target: Callable[[Rule, Mapping[str, str]], tuple[TargetRef | None, str]], ttl: float) -> None:
        self._telemetry, self._target, self._ttl = telemetry, target, ttl
        self._set: dict[str, dict[_Key, float]] = {}
        self._short: dict[str, str] = {}
        self._lock = threading.Lock()

    def count(self, rule: Rule, observed: Observed, at: float) -> list[Decision]:
        """One answer. Returns what is to be stored of it: that series are left out, or are not any more."""
        for state, count in observed.states.items():
            self._telemetry.gauge("series", count, rule=rule.name, state=state)
        if observed.states.get("ready"):
            self._telemetry.gauge("rule_judged_timestamp_seconds", at, rule=rule.name)
        if observed.scored:
            self._telemetry.count("series_scored", observed.scored, rule=rule.name)
        for reason, count in observed.dropped.items():
            self._telemetry.count("samples_dropped", count, rule=rule.name, reason=reason)
        self._measures(rule, observed.measures, at)
        changes = sum(finding.reason == "RegimeChanged" for finding in observed.findings)
        if changes:
            self._telemetry.count("regime_changes", changes, rule=rule.name)
        return self._shortage(rule, observed, at)

    def _shortage(self, rule: Rule, observed: Observed, at: float) -> list[Decision]:
        now = next((reason for reason in NO_ROOM if observed.dropped.get(reason)), "")
        before = self._short.get(rule.name, "")
        if now == before:
            return []
        self._short[rule.name] = now
        if SHED in (now, before):
            return []  # told by who let go of the rule, and let it begin anew
        if not now:
            return [Decision(at, Stage.OBSERVE, rule.name, passed=True, reason=ROOM_AGAIN, detail=f"no series is left out any more, after {before}")]
        known = sum(n for state, n in observed.states.items() if state != "shed")
        why = {
            "SeriesLimit": f"{observed.dropped[now]} new series found no room beside the {known} that are known: the rule has its most, or all rules have, or memory is short",
            "AnswerTooLarge": f"an answer of {observed.dropped[now]} series is not looked at",
        }[now]
        return [Decision(at, Stage.OBSERVE, rule.name, passed=False, reason=now, detail=why)]

    def _measures(self, rule: Rule, measures: Iterable[Measure], at: float) -> None:
        """What detectors measured; of a bounded number of subjects."""
        for measure in islice(measures, MAX_MEASURES):
            target, _ = self._target(rule, measure.labels)
            namespace, name = (target.namespace, target.name) if target is not None else ("", ", ".join(f"{k}={v}" for k, v in sorted(measure.labels.items())))
            labels = {"rule": rule.name, "target_namespace": namespace, "target_name": trimmed(name, 200)}
            with self._lock:
                self._set.setdefault(rule.name, {})[measure.name, tuple(labels.items())] = at
            self._show(measure, rule.name, namespace, labels["target_name"])
        with self._lock:
            known = self._set.get(rule.name, {})
            # A clock that is set back makes nothing old by itself, but what then stays behind for long is.
            old = [key for key, since in known.items() if abs(at - since) >= max(self._ttl, 3.0 * rule.every)]
            for key in old:
                del known[key]
        for measured, gone in old:
            self._telemetry.forget("slo_budget_left_ratio" if measured == "slo_budget_left" else measured, **dict(gone))

    def _show(self, measure: Measure, rule: str, namespace: str, name: str) -> None:
        # Each by its own name, so that what is declared and what is shown can be held against each other.
        if measure.name == "drift_psi":
            self._telemetry.gauge("drift_psi", measure.value, rule=rule, target_namespace=namespace, target_name=name)
        elif measure.name == "exhaustion_probability":
            self._telemetry.gauge("exhaustion_probability", measure.value, rule=rule, target_namespace=namespace, target_name=name)
        elif measure.name == "slo_budget_left":
            self._telemetry.gauge("slo_budget_left_ratio", measure.value, rule=rule, target_namespace=namespace, target_name=name)

    def forget(self, rule: str) -> None:
        """The rule is gone, and every gauge of it."""
        with self._lock:
            self._set.pop(rule, None)
        self._short.pop(rule, None)
        self._telemetry.forget("", rule=rule)
