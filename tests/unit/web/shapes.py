"""A store with incidents as the engine leaves them, among them one whose every text is hostile; and a site over it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

from aiops.adapters.clock import SystemClock
from aiops.adapters.store import SqlStore, open_store
from aiops.app.desk import plain
from aiops.domain.decision import Decision, Stage
from aiops.domain.errors import StoreError
from aiops.domain.execution import EntryKind, Execution, ExecutionState, JournalEntry, Review, ReviewVerdict, StepRun, StepState, VerifyRun
from aiops.domain.incident import Incident, IncidentState, Transition
from aiops.domain.message import Message, MessageKind
from aiops.domain.outcome import GuardMode, Judgement, Outcome, Result, Verdict
from aiops.domain.plan import Change, Plan, PlannedStep
from aiops.domain.runbook import Mode
from aiops.domain.signal import Evidence, Severity, Signal, SignalKind, SignalState
from aiops.domain.target import TargetRef
from aiops.ports.storage import Changes
from aiops.web.routes import build_app
from aiops.web.server import WebServer
from aiops.web.status import Site, SourceStatus, Status

NOW = 1_790_000_000.0
EVIL = "<script>document.title='owned'</script><img src=x onerror=\"document.title='owned'\">'\"&{{7*7}}\u202e"


def signal(number: int, text: str = "p99 is 2.1 s", *, state: SignalState = SignalState.FIRING, at: float = NOW - 300) -> Signal:
    times = tuple(NOW - 600 + 10 * n for n in range(30))
    values = tuple(None if n == 7 else 0.2 + n * 0.05 for n in range(30))
    evidence = Evidence(query=f'up{{job="{text}"}}', times=times, values=values, value=values[-1], expected=0.25, upper=1.0, score=1.6, note="ThresholdCrossed", lines=(text,))
    return Signal(f"sig-{number}", f"rule-{number}", "threshold", SignalKind.METRIC, state, Severity.WARNING, at, f"{number:016d}", {"app": text}, None, text, evidence)


def incident(name: str, text: str, *, resolved: bool = False) -> Incident:
    one, two = signal(1, text), signal(2, text, state=SignalState.CLEARED, at=NOW - 100)
    changes = [Transition(NOW - 300, IncidentState.OPEN, "Opened"), Transition(NOW - 250, IncidentState.MITIGATING, "RunBegan")]
    if resolved:
        changes.append(Transition(NOW - 20, IncidentState.RESOLVED, "Recovered", text))
    return Incident(
        name, f"fp-{name}", text, changes[-1].state, Severity.CRITICAL, NOW - 300, NOW - 20, TargetRef("Deployment", "shop", "checkout"),
        {"namespace": text, "app": "checkout"}, {one.key: one, two.key: two}, tuple(changes), NOW - 20 if resolved else None,
    )


def execution(name: str, incident_id: str, text: str) -> Execution:
    change = Change("more", "scale", text, text, f"--- a\n+++ b\n@@ -1 +1 @@\n-  replicas: 2\n+  replicas: 4 {text}", "computed", text)
    verdicts = (Verdict("cooldown", GuardMode.ENFORCE, False, "CoolingDown", text), Verdict("rate", GuardMode.ENFORCE, True, "Allowed"))
    step = PlannedStep("more", "scale", {"by": "+50%"})
    plan = Plan(f"plan-{name}", incident_id, "scale-out", "hash", Mode.AUTO, TargetRef("Deployment", "shop", "checkout"), (step,), NOW - 240, f"h-{name}", verdicts=verdicts, changes=(change,))
    verify = VerifyRun(2.1, NOW - 200, NOW - 180, (NOW - 200, NOW - 190, NOW - 180), (2.0, None, 0.3), Judgement.HELPED, text)
    run = StepRun("more", StepState.DONE, 1, result=Result(Outcome.SIMULATED, "DryRun", text), started_at=NOW - 230)
    return Execution(name, plan, ExecutionState.DONE, NOW - 240, NOW - 150, 0.0, True, (run,), verify, Result(Outcome.SIMULATED, "DryRun", text))


def filled() -> SqlStore:
    """Three incidents: usual, hostile, resolved."""
    store = open_store("sqlite:///:memory:")
    rows = [("inc-1", "checkout is slow"), ("inc-2", EVIL), ("inc-3", "was slow")]
    incidents = tuple(incident(name, text, resolved=name == "inc-3") for name, text in rows)
    store.write(Changes(
        incidents=incidents, signals=tuple((i.id, replace(s, id=f"{i.id}-{s.id}")) for i in incidents for s in i.signals.values()),
        executions=tuple(execution(f"run-{n}", name, text) for n, (name, text) in enumerate(rows, 1)),
        entries=tuple(JournalEntry(f"run-{n}", EntryKind.INTENT, NOW - 230, "more", 1, {"body": text}) for n, (_, text) in enumerate(rows, 1)),
        decisions=tuple(Decision(NOW - 60, Stage.DECIDE, text, False, "NoMatch", text, incident=name) for name, text in rows),
        messages=tuple(Message(f"{name}/root", "#ops", name, MessageKind.INCIDENT, NOW - 290, 1, text) for name, text in rows),
        reviews=(Review("run-1", ReviewVerdict.RIGHT, "ada", NOW - 10, EVIL),),
    ))
    return store


@dataclass
class Kit:
    """What a test changes about the site."""

    store: SqlStore = field(default_factory=filled)
    dry_run: bool = True
    paused: bool = False
    ready: str = ""
    token: str = ""
    fails: bool = False
    taken: list[Signal] = field(default_factory=list)
    counts: list[tuple[str, str, int]] = field(default_factory=list)

    def status(self) -> Status:
        sources = (SourceStatus("prometheus", "ok", NOW - 3, ""), SourceStatus("elasticsearch", "failing", NOW - 90, EVIL))
        return Status(NOW, NOW - 7200, "0.1.0", self.dry_run, self.paused, 22, 6, (), sources, 2, 0)

    def take(self, signals: Sequence[Signal]) -> None:
        if self.fails:
            raise StoreError("the disk is full")
        self.taken += signals

    def parse(self, body: bytes) -> Sequence[Signal]:
        if body != b"good":
            raise ValueError("line 1: not a webhook of version 4")
        return (signal(9),)

    def site(self) -> Site:
        return Site(
            reading=self.store, status=self.status, ready=lambda: self.ready, metrics=lambda: b"aiops_up 1\n", parse_alerts=self.parse, take=self.take, plain=plain,
            count=lambda method, path, code, _seconds: self.counts.append((method, path, code)), webhook_token=lambda: self.token, clock=SystemClock().monotonic,
        )


@contextmanager
def serving(kit: Kit) -> Iterator[Callable[[str], str]]:
    """The real server on a free loopback port; gives a function from path to address."""
    server = WebServer(build_app(kit.site()), "127.0.0.1", 0)
    server.start()
    try:
        yield lambda path: f"http://127.0.0.1:{server.port}{path}"
    finally:
        server.stop(5.0)
        kit.store.close()
