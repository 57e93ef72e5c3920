"""Numbers about ourselves, for Prometheus to scrape. Neighbours: `ports.telemetry`; `web` serves `render()` at /metrics.

Every metric is declared in one table: a name that is not there is a bug and raises KeyError, so no metric appears undocumented.
"""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector

COUNTERS: dict[str, tuple[str, tuple[str, ...]]] = {
    "polls": ("Polls by what came of them.", ("rule", "result")),
    "series_scored": ("Series that a detector judged.", ("rule",)),
    "samples_dropped": ("Samples not judged: late, duplicate, of a series seen once, or without room.", ("rule", "reason")),
    "regime_changes": ("Alarms that ended because a new level had lasted long enough to be how things are.", ("rule",)),
    "signals": ("Claims by rule and state.", ("rule", "state")),
    "budget_looks": ("Looks at the budgets by what came of them.", ("result",)),
    "findings_damped": ("Alarms that were like one a person called no anomaly, and went no further.", ("rule",)),
    "explanations": ("Looks for the parts and the causes behind a claim, by what came of them.", ("what", "result")),
    "incidents": ("Incident transitions.", ("state",)),
    "decisions": ("Records passed on or dropped, by stage and reason.", ("stage", "passed", "reason")),
    "plans": ("Plans by runbook and whether the guards let them pass.", ("runbook", "result")),
    "guard_refusals": ("Refusals by guard.", ("guard", "mode", "reason")),
    "executions": ("Finished runs by runbook and outcome.", ("runbook", "outcome")),
    "autonomy_changes": ("Rungs of the ladder that runbooks lost, gained or may gain.", ("runbook", "change")),
    "escalations": ("Runbooks that did not help and were followed by another one, or by a person.", ("runbook", "to")),
    "steps": ("Finished steps by action and outcome.", ("action", "outcome")),
    "messages_sent": ("Messages delivered.", ("kind",)),
    "messages_failed": ("Failed deliveries.", ("reason",)),
    "messages_unmarked": ("Delivered, but the store could not be told: they may be sent again.", ()),
    "webhook_alerts": ("Alerts taken in by webhook.", ("result",)),
    "commands": ("People's commands.", ("kind", "result")),
    "reloads": ("Reloads of rules and runbooks.", ("result",)),
    "schedule_missed": ("Runs of a job that were missed or still running.", ("job",)),
    "task_errors": ("Tasks that ended in an unexpected exception.", ("task",)),
    "rows_purged": ("Rows deleted by retention.", ("table",)),
    "executor_errors": ("Transitions of a run that could not be made.", ("reason",)),
    "snapshots_unusable": ("Snapshots of learned state that could not be read.", ("reason",)),
    "history_unusable": ("Files of history that could not be read and were set aside.", ()),
    "history_series_dropped": ("Series of a capacity rule beyond the most that are kept.", ()),
    "http_requests": ("Requests to our own web server.", ("method", "path", "code")),
}
GAUGES: dict[str, tuple[str, tuple[str, ...]]] = {
    "source_up": ("1 if the source's last answer was good.", ("source",)),
    "source_last_success_timestamp_seconds": ("When the source last gave a good answer.", ("source",)),
    "source_clock_skew_seconds": ("The source's clock less ours.", ("source",)),
    "cost_month_to_date": ("What this month cost so far, in the price list's currency.", ("budget",)),
    "cost_month_forecast": ("What it will have cost at its end.", ("budget",)),
    "budget_spent_ratio": ("Share of the month's budget that is spent.", ("budget",)),
    "budget_burn_ratio": ("Spending over the last day against the even pace.", ("budget",)),
    "circuit_open": ("1 while the circuit breaker of a dependency is open.", ("dependency",)),
    "series": ("Series by rule and state: warming, ready, blind, and shed, for which there is no room.", ("rule", "state")),
    "series_held": ("Series that all rules keep, of detection.maximumSeriesTotal.", ()),
    "rules_shed": ("Rules that were let go of because memory is short.", ()),
    "memory_state": ("0: enough; 1: no new series are taken in; 2: rules are let go of.", ()),
    "memory_used_bytes": ("Resident memory of this process.", ()),
    "memory_limit_bytes": ("What it may have, by its control group, the machine or the settings; 0: unknown.", ()),
    "drift_psi": ("Population stability index of what a drift rule watches: of the feature that is farthest from its reference.", ("rule", "target_namespace", "target_name")),
    "rule_judged_timestamp_seconds": ("When a rule last judged at least one series.", ("rule",)),
    "backfilling": ("1 while a rule learns from its source's past.", ("rule",)),
    "learned_bytes": ("Size of what a rule has learnt, as of the last snapshot.", ("rule",)),
    "slo_budget_left_ratio": ("Error budget that an objective has left in its period: 1 untouched, 0 used up, below 0 overdrawn.", ("rule", "target_namespace", "target_name")),
    "exhaustion_probability": ("Probability that what a capacity rule watches meets its limit within the lead time.", ("rule", "target_namespace", "target_name")),
    "incidents_active": ("Incidents that are not resolved.", ("severity",)),
    "executions_active": ("Runs that are not done.", ("state",)),
    "rules_loaded": ("Rules in force.", ()),
    "runbooks_loaded": ("Runbooks in force.", ("mode",)),
    "autonomy_level": ("How far a runbook goes by itself: 0 observe, 1 suggest, 2 approve, 3 auto.", ("runbook",)),
    "automated_resolution_ratio": ("Incidents that a run resolved without a person, of those that ended, within the report's window.", ("runbook",)),
    "wrong_action_ratio": ("Runs that harmed, were marked wrong or taken back by a person, of all, within the report's window.", ("runbook",)),
    "mttd_seconds": ("Mean time from the first bad sample to the incident, within the report's window.", ("runbook",)),
    "mttr_seconds": ("Time from opened to resolved within the report's window: mean, p50 and p95.", ("runbook", "statistic")),
    "time_saved_seconds": ("Persons' time that automated resolutions saved within the report's window, by report.manualFix.", ("runbook",)),
    "config_last_reload_successful": ("1 if the last reload was accepted.", ()),
    "leading": ("1 if this daemon decides and acts, 0 if it stands by for another on the same store.", ()),
    "dry_run": ("1 if nothing is written.", ()),
    "paused": ("1 while acting is paused.", ()),
    "storm": ("1 while so much breaks at once that nothing is done by itself.", ()),
    "outbox_pending": ("Messages not delivered yet.", ()),
    "store_rows": ("Rows for each table.", ("table",)),
    "cluster_synced": ("1 once every kind was listed.", ("cluster",)),
    "build_info": ("Always 1; the version is the label.", ("version",)),
}
HISTOGRAMS: dict[str, tuple[str, tuple[str, ...]]] = {
    "poll": ("From asking a source to its signals being stored.", ("source",)),
    "query": ("A source's answer, decoded.", ("source",)),
    "judge": ("One answer, judged by the rule's detector.", ("rule",)),
    "decide": ("From an incident to a plan or a refusal.", ()),
    "store_write": ("One transaction.", ()),
    "effect": ("A request that could change something, from sending to its answer.", ("action",)),
    "incident_resolved": ("From opened to resolved.", ("severity",)),
    "http_request": ("Our own web server's answers.", ("path",)),
}
_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 900, 3600)


class PrometheusTelemetry:
    """The port over prometheus_client, with a registry of its own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)
        self._counters = {n: Counter(f"aiops_{n}", h, labels, registry=self.registry) for n, (h, labels) in COUNTERS.items()}
        self._gauges = {n: Gauge(f"aiops_{n}", h, labels, registry=self.registry) for n, (h, labels) in GAUGES.items()}
        self._histograms = {
            n: Histogram(f"aiops_{n}_seconds", h, labels, registry=self.registry, buckets=_BUCKETS) for n, (h, labels) in HISTOGRAMS.items()
        }

    def count(self, name: str, amount: float = 1.0, **labels: str) -> None:
        """See the port."""
        metric = self._counters[name]
        (metric.labels(**labels) if labels else metric).inc(amount)

    def gauge(self, name: str, value: float, **labels: str) -> None:
        """See the port."""
        metric = self._gauges[name]
        (metric.labels(**labels) if labels else metric).set(value)

    def forget(self, name: str, **labels: str) -> None:
        """See the port."""
        for one, (_, names) in GAUGES.items():
            if name in ("", one) and labels.keys() <= set(names):
                for metric in self._gauges[one].collect():
                    for sample in metric.samples:
                        if labels.items() <= sample.labels.items():
                            self._gauges[one].remove(*(sample.labels[label] for label in names))

    def observe(self, name: str, seconds: float, **labels: str) -> None:
        """See the port."""
        metric = self._histograms[name]
        (metric.labels(**labels) if labels else metric).observe(seconds)

    def render(self) -> bytes:
        """The exposition text."""
        return bytes(generate_latest(self.registry))
