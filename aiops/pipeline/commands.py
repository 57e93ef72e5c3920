"""Carrying out what people ask: the one place where commands from terminal, page and Slack become decisions.

Neighbours: `ports.storage` holds commands until done; `flow` and the engine do the work. A command is carried out once and keeps its answer.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

import structlog

from aiops.correlate.incident_flow import Flow as Change
from aiops.correlate.incident_flow import acknowledge, resolve
from aiops.domain.command import Command, CommandKind
from aiops.domain.errors import AiopsError, StoreError
from aiops.domain.ids import make_id
from aiops.domain.incident import Incident, Silence
from aiops.pipeline.flow import Flow
from aiops.pipeline.killswitch import PAUSED
from aiops.ports.clock import Clock
from aiops.ports.storage import Changes, Store
from aiops.ports.telemetry import Telemetry

log = structlog.get_logger(__name__)


class Commands:
    """`engine` carries out what is about runs; `reload` reads rules and runbooks again."""

    def __init__(
        self, store: Store, flow: Flow, engine: Callable[[Command], Command], reload: Callable[[], str], clock: Clock, telemetry: Telemetry
    ) -> None:
        self._store, self._flow, self._engine = store, flow, engine
        self._reload, self._clock, self._telemetry = reload, clock, telemetry

    def run(self) -> None:
        """Carry out everything that waits, oldest first."""
        for command in self._store.commands(pending=True):
            try:
                done = self._carry_out(command)
            except StoreError:  # it waits: carrying a command out twice does no more than once
                raise
            except AiopsError as error:
                done = replace(command, done=True, accepted=False, result=str(error))
            except Exception:  # task boundary: one command that cannot be carried out must not keep all later ones waiting for ever
                log.exception("command failed", command=command.id, kind=command.kind.value)
                self._telemetry.count("task_errors", task="command")
                done = refused(command, "failed by a fault of ours; the log has it")
            if not done.done:
                continue  # another owner is at the run just now: asked again with the next look
            self._telemetry.count("commands", kind=command.kind.value, result="accepted" if done.accepted else "refused")
            log.info("command", command=command.id, kind=command.kind.value, by=command.by, accepted=done.accepted, result=done.result)
            self._store.write(Changes(commands=(done,)))

    def _carry_out(self, command: Command) -> Command:
        match command.kind:
            case CommandKind.APPROVE | CommandKind.REJECT | CommandKind.UNDO | CommandKind.ANSWER:
                return self._engine(command)
            case CommandKind.ACKNOWLEDGE | CommandKind.RESOLVE:
                return self._incident(command)
            case CommandKind.SILENCE | CommandKind.NOT_AN_ANOMALY | CommandKind.FORGET_FEEDBACK:
                return self._silence(command) if command.kind is CommandKind.SILENCE else self._feedback(command)
            case CommandKind.PAUSE | CommandKind.RESUME:
                return self._pause(command)
            case CommandKind.PROMOTE | CommandKind.DEMOTE | CommandKind.RUN:
                done, words = self._flow.order(command) if command.kind is CommandKind.RUN else self._flow.autonomy(command)
                return accepted(command, words) if done else refused(command, words)
            case CommandKind.RELOAD:
                return accepted(command, self._reload())

    def _pause(self, command: Command) -> Command:
        pausing = command.kind is CommandKind.PAUSE
        value = {"by": command.by, "at": command.at, "reason": str(command.arguments.get("reason", ""))} if pausing else None
        self._store.write(Changes(values={PAUSED: value}))
        return accepted(command, "acting is paused" if pausing else "acting again")

    def _incident(self, command: Command) -> Command:
        def asked(incident: Incident, now: float) -> Change:
            if command.kind is CommandKind.ACKNOWLEDGE:
                return acknowledge(incident, command.by, now)
            return resolve(incident, command.by, now, str(command.arguments.get("reason", "")))

        change = self._flow.apply(command.subject, asked)
        if change is None:
            return refused(command, "no such active incident")
        return accepted(command, "done") if change.changes else refused(command, change.decisions[-1].reason)

    def _silence(self, command: Command) -> Command:
        matchers, seconds = command.arguments.get("matchers"), command.arguments.get("seconds")
        if not isinstance(matchers, Mapping) or not matchers or not isinstance(seconds, int | float) or not 0 < seconds <= 7 * 86400:
            return refused(command, "a silence needs matchers and a span of at most seven days")
        now = self._clock.now()
        plain = {str(k): str(v) for k, v in matchers.items()}
        silence = Silence(make_id("sil", command.id), plain, now, now + seconds, command.by, str(command.arguments.get("comment", "")))
        self._store.write(Changes(silences=(silence,)))
        return accepted(command, silence.id)

    def _feedback(self, command: Command) -> Command:
        if command.kind is CommandKind.NOT_AN_ANOMALY:
            return accepted(command, self._flow.not_an_anomaly(command))
        taken = self._flow.parts.damping.remove(command.subject, command.by, self._clock.now())
        return accepted(command, "counts no more") if taken is not None else refused(command, "no such feedback in force")


def accepted(command: Command, words: str) -> Command:
    """Done as asked."""
    return replace(command, done=True, accepted=True, result=words)


def refused(command: Command, words: str) -> Command:
    """Not done, and why."""
    return replace(command, done=True, accepted=False, result=words)
