"""What people read and ask from the terminal: a view of the store, and commands for the engine to carry out.

Neighbours: `cli` prints what this gives; the running daemon consumes the commands, so nothing here decides.
"""

from __future__ import annotations

import getpass
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from aiops.adapters.clock import SystemClock
from aiops.adapters.store import open_store
from aiops.app.whys import Why, explained
from aiops.correlate.episodes import Episode, episodes
from aiops.definitions.loader import Definitions
from aiops.domain.command import Command, CommandKind
from aiops.domain.decision import Decision
from aiops.domain.errors import CommandError
from aiops.domain.execution import Execution, JournalEntry, Review, ReviewVerdict
from aiops.domain.feedback import Feedback
from aiops.domain.ids import make_id
from aiops.domain.incident import Incident
from aiops.domain.runbook import Runbook
from aiops.domain.signal import Signal
from aiops.domain.target import TargetRef, parse_target
from aiops.pipeline.autonomy import Standing, look, report_rows, said_of
from aiops.pipeline.damping import NAME as FEEDBACK
from aiops.pipeline.damping import stored_feedback
from aiops.pipeline.killswitch import PAUSED
from aiops.pipeline.orders import ordered_run
from aiops.ports.clock import Clock
from aiops.ports.storage import Changes, Store
from aiops.remediate.autonomy import AutonomyPolicy
from aiops.remediate.outcomes import Outcomes
from aiops.settings import Settings


def plain(value: Any) -> Any:
    """Domain objects as JSON-ready values."""
    return msgspec.to_builtins(value, str_keys=True, enc_hook=_text)


def _text(value: Any) -> Any:
    """Text of a type of its own, as a query that was not rendered yet."""
    if isinstance(value, str):
        return str(value)
    raise NotImplementedError(f"{type(value).__name__} is not JSON")


@dataclass(frozen=True, slots=True)
class IncidentFile:
    """Everything stored about one incident."""

    incident: Incident
    signals: Sequence[Signal]
    executions: Sequence[Execution]
    journals: Mapping[str, Sequence[JournalEntry]]
    decisions: Sequence[Decision]
    feedback: Sequence[Feedback] = ()


class Desk:
    """Reading and asking. `close` when done."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store, self._clock = store, clock

    def close(self) -> None:
        """Release the store."""
        self._store.close()

    def incidents(self, *, everything: bool, limit: int = 50) -> Sequence[Incident]:
        """Active ones, or the latest of all."""
        return self._store.incidents(limit=limit) if everything else list(self._store.active_incidents())[:limit]

    def episodes(self, limit: int = 200) -> Sequence[Episode]:
        """The latest incidents, those together that are likely one fault."""
        return episodes(self._store.incidents(limit=limit))

    def incident(self, incident_id: str) -> IncidentFile:
        """All about one. Raises CommandError if there is none of this id."""
        found = self._store.incident(incident_id)
        if found is None:
            raise CommandError(f"no incident {incident_id!r}: `aiops incidents list --all` shows them")
        runs = self._store.executions(incident=incident_id)
        return IncidentFile(
            found, self._store.signals(incident_id), runs, {r.id: self._store.journal(r.id) for r in runs}, self._store.decisions(incident=incident_id),
            [f for f in self.feedback(everything=True) if f.incident == incident_id],
        )

    def why(self, target: str, *, since: float, limit: int = 100) -> Sequence[Decision]:
        """What was decided about a target in the last `since` seconds, newest first. Raises CommandError on a text that is no target."""
        try:
            ref = parse_target(target)
        except ValueError as error:
            raise CommandError(str(error)) from error
        return self._store.decisions(target=str(ref), since=self._clock.now() - since, limit=limit)

    def explain(self, target: str, settings: Settings, definitions: Definitions, *, since: float, limit: int = 100) -> Why:
        """The record of a target sorted by what it means, and what is missing. Raises CommandError on a text that is no target."""
        decisions = self.why(target, since=since, limit=limit)
        value = self._store.value(PAUSED)
        paused = f"paused by {value.get('by', 'somebody')}: {value.get('reason') or 'no reason given'}" if isinstance(value, dict) else ""
        return explained(parse_target(target), decisions, definitions, clusters=bool(settings.clusters), paused=paused)

    def reviews(self, *, unmarked: bool, limit: int = 50) -> Sequence[tuple[Execution, Review | None]]:
        """Simulated runs with a person's mark, newest first."""
        marks = {r.execution: r for r in self._store.reviews()}
        runs = [e for e in self._store.executions(limit=1000) if e.simulated or (e.result and e.result.reason == "Suggested")]
        return [(e, marks.get(e.id)) for e in runs if not (unmarked and e.id in marks)][:limit]

    def mark(self, execution_id: str, verdict: ReviewVerdict, note: str) -> Review:
        """A person's mark; the last one wins."""
        if self._store.execution(execution_id) is None:
            raise CommandError(f"no execution {execution_id!r}: `aiops review list` shows them")
        review = Review(execution_id, verdict, who(), self._clock.now(), note)
        self._store.write(Changes(reviews=(review,)))
        return review

    def execution(self, execution_id: str) -> Execution:
        """One run. Raises CommandError."""
        found = self._store.execution(execution_id)
        if found is None:
            raise CommandError(f"no execution {execution_id!r}: `aiops incidents show INCIDENT` and `aiops review list` show them")
        return found

    def feedback(self, *, everything: bool) -> Sequence[Feedback]:
        """What people called no anomaly, newest first: what counts now, or all that is kept."""
        now = self._clock.now()
        return [f for f in reversed(stored_feedback(self._store.value(FEEDBACK))) if everything or f.in_force(now)]

    def autonomy(self, runbooks: Sequence[Runbook], policy: AutonomyPolicy) -> Sequence[Standing]:
        """Where each of these stands on the ladder, by name."""
        now = self._clock.now()
        said = said_of(self._store, now - policy.window)
        return [look(self._store, r, policy, now, said)[0] for r in sorted(runbooks, key=lambda r: r.name)]

    def report(self, seconds: float, manual: float) -> Sequence[Outcomes]:
        """What all acting of the last `seconds` came to, a row for each runbook and one over all."""
        return report_rows(self._store, self._clock.now() - seconds, manual)

    def ask(self, kind: CommandKind, subject: str, arguments: Mapping[str, Any] | None = None) -> Command:
        """Write a command for the daemon; it is carried out within a second of a running one."""
        self._exists(kind, subject)
        if kind is CommandKind.APPROVE:
            # An approval is for the plan that stands there now, and for no other.
            arguments = {"hash": self.execution(subject).plan.hash, **(arguments or {})}
        now = self._clock.now()
        command = Command(make_id("cmd", kind.value, subject, now, who()), kind, subject, who(), now, dict(arguments or {}))
        self._store.write(Changes(commands=(command,)))
        return command

    def order(self, runbook: str, target: TargetRef, parameters: Mapping[str, str]) -> tuple[Command, str]:
        """Ask the daemon for a run that waits for approval: the command, and the id of the run that comes of it under a daemon that acts."""
        command = self.ask(CommandKind.RUN, runbook, {"target": str(target), "parameters": dict(parameters)})
        return command, ordered_run(command.id)

    def _exists(self, kind: CommandKind, subject: str) -> None:
        if kind in (CommandKind.APPROVE, CommandKind.REJECT, CommandKind.UNDO, CommandKind.ANSWER):
            self.execution(subject)
        if kind is CommandKind.FORGET_FEEDBACK and subject not in {f.id for f in self.feedback(everything=False)}:
            raise CommandError(f"no feedback {subject!r}: `aiops feedback list` shows what counts")
        if kind in (CommandKind.ACKNOWLEDGE, CommandKind.RESOLVE, CommandKind.NOT_AN_ANOMALY) and self._store.incident(subject) is None:
            raise CommandError(f"no incident {subject!r}: `aiops incidents list --all` shows them")

    def answer(self, command: Command) -> Command | None:
        """The command once the daemon carried it out, else None."""
        done = {c.id: c for c in self._store.commands(pending=False, limit=500)}.get(command.id)
        return done if done is not None and done.done else None


def who() -> str:
    """The person at the terminal, as the system knows them."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # an account without a name, as in a container
        return "unknown"


def open_desk(settings: Settings) -> Desk:
    """The desk over the settings' store, which must be there: a mistyped path is an error, no new database. Raises StoreError."""
    return Desk(open_store(settings.database_url, create=False, password_file=settings.store_password_file), SystemClock())
