"""What happened since the last look, stage by stage, as a person would tell it: for `aiops demo` and `aiops replay`.

Neighbours: `app.virtual` runs the pipeline, this reads its store and its notifier; `cli.demo` gives it colour. Reads only.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from aiops.adapters.memory_notifier import MemoryNotifier, render_text
from aiops.domain.execution import Execution, ExecutionState
from aiops.domain.incident import Incident
from aiops.domain.signal import SignalState
from aiops.pipeline.announce import evidence_line, verification_line
from aiops.ports.storage import Reading


@dataclass(frozen=True, slots=True)
class Line:
    """One thing that happened: `at` Unix seconds, the stage's name, one line, and a body (a diff, a message) or nothing."""

    at: float
    stage: str
    text: str
    body: str = ""


@dataclass
class Narrator:
    """Remembers what was told."""

    store: Reading
    notifier: MemoryNotifier
    _signals: dict[str, tuple[str, ...]] = field(default_factory=dict)
    _transitions: dict[str, int] = field(default_factory=dict)
    _runs: dict[str, tuple[object, ...]] = field(default_factory=dict)
    _posts: dict[str, int] = field(default_factory=dict)

    def look(self, now: float) -> Iterator[Line]:
        """Everything new, in the order of the flow."""
        for incident in reversed(self.store.incidents()):
            yield from self._incident(incident)
        for run in reversed(self.store.executions()):
            yield from self._run(run, now)
        for post in self.notifier.posts:
            if self._posts.get(post.reference) != post.edits:
                edited = post.reference in self._posts
                self._posts[post.reference] = post.edits
                view = post.message.view
                how = "updates its message" if edited else ("posts" if post.reference == post.root else "replies in the thread")
                body = "" if edited else (render_text(view) if view is not None else "")
                yield Line(now, "announce", f"{post.message.channel} {how}: {post.message.text}", body)

    def _incident(self, incident: Incident) -> Iterator[Line]:
        for signal in incident.signals.values():
            mark = (signal.state.value, signal.severity.value)
            key = f"{incident.id}/{signal.key}"
            if self._signals.get(key) != mark:
                self._signals[key] = mark
                words = "" if signal.state is SignalState.FIRING else f"{signal.state.value}: "
                yield Line(signal.at, "signal", f"{words}{signal.summary}", evidence_line(signal) if signal.state is SignalState.FIRING else "")
        told = self._transitions.get(incident.id, 0)
        for transition in incident.transitions[told:]:
            yield Line(transition.at, "incident", f"{incident.id} {transition.state.value}: {incident.title} ({transition.reason})")
        self._transitions[incident.id] = len(incident.transitions)

    def _run(self, run: Execution, now: float) -> Iterator[Line]:
        before = self._runs.get(run.id)
        state: tuple[object, ...] = (run.state, run.result)
        if before == state:
            return
        self._runs[run.id] = state
        if before is None:
            refused = [v for v in run.plan.verdicts if not v.allowed]
            guards = f"{len(run.plan.verdicts)} guards asked, " + (", ".join(v.reason for v in refused) if refused else "none objects")
            steps = ", ".join(f"{s.action} {_words(s.arguments)}".strip() for s in run.plan.steps)
            yield Line(run.created_at, "plan", f"runbook {run.plan.runbook} ({run.plan.mode.value}) on {run.target}: {steps}; {guards}")
        if run.state is ExecutionState.DONE:
            for change in run.plan.changes:
                yield Line(now, "act", f"step {change.step}: what would be sent; the diff is {_origin(change.origin)}", change.diff or change.note)
            if (words := verification_line(run)):
                yield Line(now, "verify", words)
            if run.result is not None:
                yield Line(now, "outcome", f"{run.id} {run.result.outcome.value}: {run.result.reason} {run.result.detail}")


def _words(arguments: Mapping[str, object]) -> str:
    return " ".join(f"{k}={v}" for k, v in arguments.items())


def _origin(origin: str) -> str:
    return {"server": "the API's own dry-run", "computed": "computed here"}.get(origin, "empty")


@dataclass(frozen=True, slots=True)
class Summary:
    """What a replay came to. `seconds` of virtual time that were replayed."""

    seconds: float
    incidents: int
    resolved: int
    runs: int
    refused: int
    messages: int
    errors: tuple[str, ...]
    rows: tuple[Mapping[str, str], ...]


def summarise(store: Reading, notifier: MemoryNotifier, span: tuple[float, float], errors: tuple[str, ...]) -> Summary:
    """One row an incident: when it opened, how long it stood, what would have been done, what refused it."""
    rows = []
    start, end = span
    incidents = list(reversed(store.incidents(limit=100_000)))
    runs = store.executions(limit=100_000)
    decisions = store.decisions(limit=100_000)
    refused = 0
    for incident in incidents:
        mine = [r for r in runs if r.plan.incident == incident.id]
        no = {d.reason for d in decisions if d.incident == incident.id and d.stage.value == "decide" and "/" in d.subject and not d.passed}
        refused += bool(no)
        rows.append(
            {
                "incident": incident.id,
                "title": incident.title,
                "opened": f"+{incident.opened_at - start:.0f} s",
                "stood": f"{(incident.resolved_at or end) - incident.opened_at:.0f} s" + ("" if incident.resolved_at else ", still open"),
                "would do": ", ".join(f"{r.plan.runbook}" for r in reversed(mine)) or "nothing",
                "outcome": ", ".join(r.result.outcome.value for r in reversed(mine) if r.result) or "–",  # noqa: RUF001
                "refused": ", ".join(sorted(no)) or "",
            }
        )
    resolved = sum(i.resolved_at is not None for i in incidents)
    return Summary(end - start, len(incidents), resolved, len(runs), refused, len(notifier.posts), errors, tuple(rows))
