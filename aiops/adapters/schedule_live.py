"""Live time: APScheduler 3 for what is periodic, a thread pool with a queue for each key for what is due now.

Neighbours: `ports.schedule`; in virtual time it is `adapters.schedule_virtual`. Jobs never overlap themselves, missed runs coalesce and
are counted; an exception ends that run only, is logged and counted. APScheduler keeps due times on the wall clock: when that is set back, they
are moved along, or nothing would run until it has caught up.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime, timedelta

import structlog
from apscheduler.events import EVENT_JOB_MAX_INSTANCES, EVENT_JOB_MISSED, JobEvent
from apscheduler.executors.pool import ThreadPoolExecutor as JobPool
from apscheduler.jobstores.base import JobLookupError
from apscheduler.schedulers.background import BackgroundScheduler

from aiops.ports.clock import Clock
from aiops.ports.telemetry import Telemetry

Work = Callable[[], object]
WATCH_EVERY, JUMP = 1.0, 1.0
"""Seconds: how often the clocks are compared, and from which difference on the wall clock counts as set."""
log = structlog.get_logger(__name__)


class LiveSchedule:
    """`workers` threads for periodic jobs, as many for keyed work."""

    def __init__(self, clock: Clock, telemetry: Telemetry, workers: int) -> None:
        self._clock, self._telemetry = clock, telemetry
        self._scheduler = BackgroundScheduler(
            timezone=UTC,
            executors={"default": JobPool(workers)},
            job_defaults={"coalesce": True, "max_instances": 1, "misfire_grace_time": None},
        )
        self._scheduler.add_listener(self._missed, EVENT_JOB_MISSED | EVENT_JOB_MAX_INSTANCES)
        self._pool = ThreadPoolExecutor(workers, thread_name_prefix="work")
        self._lock = threading.Lock()
        self._waiting: dict[str, deque[Work]] = {}
        self._idle = threading.Condition(self._lock)
        self._stopping = False
        self._running = 0
        self._offset = clock.now() - clock.monotonic()
        self._ended = threading.Event()
        self._watcher = threading.Thread(target=self._watch, name="clock-watch", daemon=True)

    def _missed(self, event: JobEvent) -> None:
        self._telemetry.count("schedule_missed", job=str(event.job_id).split(":", 1)[0])

    def _guarded(self, name: str, work: Work) -> Work:
        def run() -> None:
            with self._lock:
                if self._stopping:
                    return
                self._running += 1
            try:
                work()
            except Exception:
                self._telemetry.count("task_errors", task=name.split(":", 1)[0])
                log.exception("task failed", task=name)
            finally:
                with self._lock:
                    self._running -= 1
                    self._idle.notify_all()

        return run

    def every(self, name: str, seconds: float, work: Work, *, first_after: float = 0.0) -> None:
        """See `ports.schedule.Schedule.every`."""
        first = datetime.fromtimestamp(self._clock.now(), UTC) + timedelta(seconds=first_after)
        self._scheduler.add_job(
            self._guarded(name, work), "interval", seconds=seconds, id=name, name=name, next_run_time=first, replace_existing=True,
        )

    def cancel(self, name: str) -> None:
        """See `ports.schedule.Schedule.cancel`."""
        with suppress(JobLookupError):
            self._scheduler.remove_job(name)

    def soon(self, key: str, work: Work) -> None:
        """See `ports.schedule.Schedule.soon`. After `stop` began, new work is dropped: what is due is in the store and runs after the restart."""
        with self._lock:
            if self._stopping:
                return
            queue = self._waiting.get(key)
            if queue is not None:
                queue.append(self._guarded(key, work))
                return
            self._waiting[key] = deque([self._guarded(key, work)])
        self._pool.submit(self._drain, key)

    def _drain(self, key: str) -> None:
        while True:
            with self._lock:
                queue = self._waiting[key]
                if not queue or self._stopping:
                    del self._waiting[key]
                    self._idle.notify_all()
                    return
                work = queue.popleft()
            work()

    def start(self) -> None:
        """Begin."""
        self._scheduler.start()
        self._watcher.start()

    def _watch(self) -> None:
        while not self._ended.wait(WATCH_EVERY):
            self.follow_clock()

    def follow_clock(self) -> None:
        """Move the due times along if the wall clock was set back since the last look. Set forward, what is due runs once, as after a sleep."""
        offset = self._clock.now() - self._clock.monotonic()
        jump, self._offset = offset - self._offset, offset
        if abs(jump) < JUMP:
            return
        log.warning("the clock was set", seconds=round(jump, 1))
        if jump < 0:
            for job in self._scheduler.get_jobs():
                try:
                    self._scheduler.modify_job(job.id, next_run_time=job.next_run_time + timedelta(seconds=jump))
                except JobLookupError:  # cancelled just now
                    continue

    def stop(self, grace: float) -> bool:
        """Take nothing new and wait for what runs."""
        with self._lock:
            self._stopping = True
        self._ended.set()
        if self._scheduler.running:
            self._scheduler.shutdown(wait=False)
        with self._lock:
            ended = self._idle.wait_for(lambda: not self._waiting and not self._running, timeout=grace)
        self._pool.shutdown(wait=False, cancel_futures=True)
        return bool(ended)
