"""What the daemon says about itself, scraped by a real Prometheus that holds the shipped alerts; promtool reads both."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from aiops.adapters.telemetry import COUNTERS, GAUGES, HISTOGRAMS
from tests.testbed import binaries
from tests.testbed.daemon import Daemon
from tests.testbed.process import eventually
from tests.testbed.prometheus import Prometheus, Target

ALERTS = Path(__file__).parents[2] / "deploy" / "monitoring" / "alerts.yaml"
RULES = """
apiVersion: aiops/v1
kind: RuleSet
metadata: {name: own}
rules:
  - {name: level, query: up, every: 250ms, severity: warning, expose: 5, detector: {type: threshold, below: 0.5}}
  - {name: usual, query: up, every: 250ms, severity: warning, expose: 5, backfill: 0s, detector: {type: fleet}}
  - {name: burst, query: up, every: 250ms, severity: warning, expose: 5, detector: {type: logErrorRate}}
  - {name: step, query: up, every: 250ms, severity: warning, expose: 5, detector: {type: pageHinkley}}
"""
AT_START = (
    "build_info", "config_last_reload_successful", "leading", "dry_run", "paused", "storm", "rules_loaded", "outbox_pending", "incidents_active", "executions_active",
    "runbooks_loaded", "source_up", "source_last_success_timestamp_seconds", "series", "series_held", "rule_judged_timestamp_seconds", "memory_state",
    "memory_used_bytes", "memory_limit_bytes", "rules_shed", "circuit_open", "store_rows", "polls_total", "series_scored_total", "poll_seconds_count",
    "query_seconds_count", "judge_seconds_count", "store_write_seconds_count", "http_requests_total", "http_request_seconds_count",
)  # fmt: skip
"""Thirty that are there without any fault, cluster or person."""


def test_a_prometheus_scrapes_all_of_it_and_holds_the_alerts(tmp_path: Path) -> None:
    (tmp_path / "rules.yaml").write_text(RULES)
    prometheus = Prometheus(rules=ALERTS.read_text())
    prometheus.start()
    daemon = Daemon(
        tmp_path / "daemon",
        {"sources": {"prometheus": {"type": "prometheus", "url": prometheus.url}}, "rules": [str(tmp_path / "rules.yaml")], "runbooks": []},
        act=False,
    )
    try:
        daemon.start()
        prometheus.scrape(Target("aiops", f"http://127.0.0.1:{daemon.port}/metrics"))
        prometheus.wait_up("aiops")
        known = {f"aiops_{n}_total" for n in COUNTERS} | {f"aiops_{n}" for n in GAUGES} | {f"aiops_{n}_seconds_count" for n in HISTOGRAMS}
        wanted = {f"aiops_{name}" for name in AT_START}
        assert wanted <= known

        def missing() -> set[str]:
            return wanted - {labels["__name__"] for labels, _ in prometheus.instant('{__name__=~"aiops_.*"}')}

        eventually(lambda: not missing(), what="thirty metrics of the daemon in Prometheus")
        # Of each detector the score, and 1 is the threshold: nothing is wrong here.
        eventually(lambda: len(prometheus.instant("aiops_series_score")) == 4, what="the score of each rule's series")
        assert {labels["rule"]: value <= 1.0 for labels, value in prometheus.instant("aiops_series_score")} == dict.fromkeys(("level", "usual", "burst", "step"), True)
        assert [(labels["rule"], value) for labels, value in prometheus.instant("aiops_series_lower")] == [("level", 0.5)]
        assert {labels["rule"] for labels, _ in prometheus.instant("aiops_series_expected")} >= {"usual"}
        assert not prometheus.instant('ALERTS{alertstate="firing"}')
        body = daemon.get("/metrics")[1]
    finally:
        daemon.stop()
        prometheus.stop()
    checked = subprocess.run([str(binaries.debian_program(binaries.PROMTOOL)), "check", "metrics"], input=body, capture_output=True, text=True, check=False)
    # 3 is said of style: names and units that are not as promtool would like them. What cannot be read is 1.
    assert checked.returncode in (0, 3), checked.stderr


@pytest.mark.parametrize("path", sorted(ALERTS.parent.glob("*.yaml")))
def test_promtool_takes_the_alerts(path: Path) -> None:
    checked = subprocess.run([str(binaries.debian_program(binaries.PROMTOOL)), "check", "rules", str(path)], capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stderr
    assert "SUCCESS" in checked.stdout


BLIND = """
rule_files: [ALERTS]
evaluation_interval: 1m
tests:
  - interval: 1m
    input_series:
      - {series: 'aiops_build_info{version="1"}', values: 1x120}
      - {series: 'aiops_series{rule="lost",state="ready"}', values: 3x10 0x110}
      - {series: 'aiops_series{rule="lost",state="warming"}', values: 0x120}
      - {series: 'aiops_series{rule="lost",state="blind"}', values: 0x10 3x110}
      - {series: 'aiops_series{rule="lost",state="shed"}', values: 0x120}
      - {series: 'aiops_series{rule="let-go",state="shed"}', values: 0x10 9x110}
      - {series: aiops_memory_state, values: 0x10 2x110}
      - {series: aiops_rules_shed, values: 0x10 1x110}
    alert_rule_test:
      - {eval_time: 9m, alertname: AiopsRuleBlind, exp_alerts: []}
      - {eval_time: 45m, alertname: AiopsRuleBlind, exp_alerts: [{exp_labels: {rule: lost, severity: warning}, exp_annotations: {summary: No series of the rule lost is seen any more}}]}
      - {eval_time: 9m, alertname: AiopsRulesShed, exp_alerts: []}
      - {eval_time: 12m, alertname: AiopsRulesShed, exp_alerts: [{exp_labels: {severity: critical}, exp_annotations: {summary: "Memory is so short that 1 rules were let go of; they judge nothing"}}]}
      - {eval_time: 18m, alertname: AiopsMemoryShort, exp_alerts: [{exp_labels: {severity: warning}, exp_annotations: {summary: Memory is short; no new series are judged}}]}
      - {eval_time: 45m, alertname: AiopsSeriesDropped, exp_alerts: [{exp_labels: {rule: let-go, severity: warning}, exp_annotations: {summary: 9 series of the rule let-go have no room and are not judged}}]}
"""


def test_promtool_sees_a_rule_that_went_blind_and_memory_that_is_short(tmp_path: Path) -> None:
    (tmp_path / "blind.yaml").write_text(BLIND.replace("ALERTS", str(ALERTS)))
    command = [str(binaries.debian_program(binaries.PROMTOOL)), "test", "rules", str(tmp_path / "blind.yaml")]
    tried = subprocess.run(command, capture_output=True, text=True, check=False)
    assert tried.returncode == 0, tried.stdout + tried.stderr
