"""Days on which nothing is wrong: a daily pattern, two roll-outs a day, and a night on which the clocks are changed. How many incidents are there?

    python -m benchmarks.quiet_day [--seeds 3] [--first 1] [--days 2] [--clocks forward,back,unchanged] [--jobs 2] [--rules shipped,learned] [--pace 1]

One line for each seed and clock: incidents opened, claims by rule, messages to people, writes. `--rules learned` adds rules of `fleet` and `peers` on what
every service has (`LEARNED`), which ask for one false alarm a week each; of the shipped ones alone none is to be a warning or worse. Exit 1 if one is, or if anything
was written. A service that has little to do at night is `idle` (info) then, and that is true.
"""

from __future__ import annotations

import argparse
import multiprocessing
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

from aiops.app.check import load_or_raise
from aiops.app.config import read_settings
from aiops.definitions.loader import Definitions
from tests.scenarios.quiet_day import CLOCKS, ZONE, Noise, quiet_days
from tests.scenarios.story import Story

LEARNED = """
apiVersion: aiops/v1
kind: RuleSet
metadata: {name: learned}
rules:
""" + "".join(
    f"""
  - name: {name}
    query: {query}
    every: 30s
    for: 1m
    severity: warning
    kind: {kind}
    detector: {{type: fleet, falseAlarms: 1/week}}
    direction: {direction}
    deadBand: {{absolute: {absolute}, relative: {relative}}}
    backfill: 1s
    target: {{kind: Deployment, namespace: "{{{{ labels.namespace }}}}", name: "{{{{ labels.workload }}}}"}}
    labels: {{symptom: {name}}}
"""
    for name, query, kind, direction, absolute, relative in (
        ("requests", "sum by (namespace, workload) (rate(http_requests_total[2m]))", "gauge", "both", 1, 0.3),
        ("delay", "histogram_quantile(0.9, sum by (namespace, workload, le) (rate(http_request_duration_seconds_bucket[2m])))", "gauge", "up", 0.02, 0.5),
        ("failing", 'sum by (namespace, workload) (rate(http_requests_total{code=~"5.."}[2m])) / sum by (namespace, workload) (rate(http_requests_total[2m]))',
         "ratio", "up", 0.01, 0.5),
        ("busy", "avg by (namespace, workload) (worker_utilization_ratio)", "ratio", "both", 0.05, 0.3),
        ("memory", 'label_replace(max by (namespace, pod) (container_memory_working_set_bytes), "workload", "$1", "pod", "(.+)-[^-]+-[^-]+")', "gauge", "up", 1000000, 0.2),
    )
) + """
  - name: unlike-siblings
    query: label_replace(max by (namespace, pod) (rate(container_cpu_usage_seconds_total[2m])), "workload", "$1", "pod", "(.+)-[^-]+-[^-]+")
    every: 30s
    for: 1m
    severity: warning
    detector: {type: peers, by: [namespace, workload], falseAlarms: 1/week}
    target: {kind: Deployment, namespace: "{{ labels.namespace }}", name: "{{ labels.workload }}"}
    labels: {symptom: siblings}
"""
Job = tuple[int, str, int, str, float]


def with_learned(definitions: Definitions) -> Definitions:
    """The shipped rules and `LEARNED`."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "learned.yaml").write_text(LEARNED)
        more = load_or_raise(read_settings(None).model_copy(update={"rules": (folder,), "runbooks": ()}))
    return replace(definitions, rules=(*definitions.rules, *more.rules))


def slower(definitions: Definitions, pace: float) -> Definitions:
    """Rules asked so many times less often: a day in a fraction of the time, holds being no longer than a few polls then."""
    rules = tuple(replace(rule, every=rule.every * pace) if rule.every < 30.0 else rule for rule in definitions.rules)
    return replace(definitions, rules=type(definitions.rules)(rules))


def one(job: Job) -> tuple[Noise, float]:
    """The days of a seed, and the seconds of CPU they took."""
    seed, clocks, days, rules, pace = job
    began = time.process_time()

    def told(story: Story) -> None:
        clock = datetime.fromtimestamp(story.time.now(), ZoneInfo(ZONE))
        opened = [f"{i.title} ({i.severity.value})" for i in story.store.incidents(limit=10000)]
        print(f"  seed {seed} {clocks} {clock:%a %H:%M}: {len(opened)} incidents; {'; '.join(opened[:3])}", file=sys.stderr, flush=True)

    def defined(definitions: Definitions) -> Definitions:
        return slower(with_learned(definitions) if rules == "learned" else definitions, pace)

    found = quiet_days(seed, clocks=clocks, days=days, define=defined, each_hour=told)
    return found, time.process_time() - began


def show(found: Noise, cpu: float, rules: str) -> None:
    """One of them, in words."""
    signals = ", ".join(f"{rule} {count}" for rule, count in sorted(found.signals.items(), key=lambda item: -item[1])) or "none"
    print(f"{rules}, clocks {found.clocks}, seed {found.seed}, {found.hours:.0f} h: {len(found.incidents)} incidents, {found.messages} messages, "
          f"{len(found.writes)} writes; claims: {signals} (CPU {cpu:.0f} s)")
    for line in (*found.incidents, *found.writes):
        print(f"    {line}")
    sys.stdout.flush()


def main(arguments: Sequence[str] | None = None) -> int:
    """See above."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--first", type=int, default=1)
    parser.add_argument("--days", type=int, default=2)
    parser.add_argument("--clocks", default="forward,back")
    parser.add_argument("--rules", default="shipped", choices=("shipped", "learned"))
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--pace", type=float, default=1.0, help="ask so many times less often")
    given = parser.parse_args(arguments)
    clocks = given.clocks.split(",")
    if unknown := set(clocks) - set(CLOCKS):
        parser.error(f"--clocks: {', '.join(sorted(unknown))}: there are {', '.join(CLOCKS)}")
    jobs: list[Job] = [(seed, each, given.days, given.rules, given.pace) for seed in range(given.first, given.first + given.seeds) for each in clocks]
    total = told = 0
    with ProcessPoolExecutor(given.jobs, mp_context=multiprocessing.get_context("spawn")) as pool:
        for found, cpu in pool.map(one, jobs):
            show(found, cpu, given.rules)
            info = sum(" info " in line for line in found.incidents)
            total += len(found.incidents) - info + len(found.writes)
            told += info
    print(f"\n{len(jobs)} times {given.days} days: {total} incidents of warning or worse and writes where nothing was wrong, {told} incidents of info")
    return 1 if total and given.rules == "shipped" else 0


if __name__ == "__main__":
    sys.exit(main())
