"""Alertmanager's silences in memory, for the virtual world and tests: passes the suite that the real one passes. Neighbours: `ports.alerts`."""

from __future__ import annotations

import re
import uuid
from collections.abc import Sequence
from dataclasses import replace

from aiops.domain.errors import OutsideRefusedError
from aiops.ports.alerts import AlertSilence, Matcher, SilenceWrite
from aiops.ports.clock import Clock

_LABEL = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")


class MemorySilences:
    """Silences by id, judged as Alertmanager 0.25 judges them. `broken`, if set, is raised by every call."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._silences: dict[str, AlertSilence] = {}
        self.broken: Exception | None = None
        self.writes: list[tuple[str, AlertSilence]] = []

    def create(self, silence: AlertSilence, *, timeout: float = 10.0) -> SilenceWrite:  # noqa: ARG002 (nothing takes time here)
        """See the port."""
        self._check()
        now = self._clock.now()
        if wrong := _wrong(silence, now):
            raise OutsideRefusedError("BadRequest", wrong)
        identity = str(uuid.uuid5(uuid.NAMESPACE_URL, f"{now}/{len(self._silences)}"))
        stored = replace(silence, id=identity, starts_at=_milli(max(silence.starts_at, now)), ends_at=_milli(silence.ends_at))
        self._silences[identity] = stored
        self.writes.append(("create", stored))
        return SilenceWrite(identity, applied=True)

    def expire(self, silence_id: str, *, timeout: float = 10.0) -> SilenceWrite:  # noqa: ARG002 (nothing takes time here)
        """See the port."""
        self._check()
        found, now = self._silences.get(silence_id), self._clock.now()
        if found is None:
            raise OutsideRefusedError("NotFound", f"silence {silence_id} not found")
        if _state(found, now) != "expired":
            self._silences[silence_id] = replace(found, starts_at=min(found.starts_at, now), ends_at=now)
            self.writes.append(("expire", self._silences[silence_id]))
        return SilenceWrite(silence_id, applied=True)

    def list(self, *, timeout: float = 10.0) -> Sequence[AlertSilence]:  # noqa: ARG002 (nothing takes time here)
        """See the port."""
        self._check()
        now = self._clock.now()
        return [replace(s, state=_state(s, now)) for s in self._silences.values()]

    def _check(self) -> None:
        if self.broken is not None:
            raise self.broken


def _milli(at: float) -> float:
    return round(at, 3)


def _state(silence: AlertSilence, now: float) -> str:
    if silence.ends_at <= now:
        return "expired"
    return "pending" if silence.starts_at > now else "active"


def _wrong(silence: AlertSilence, now: float) -> str:
    checks = (
        (silence.ends_at <= silence.starts_at, "start time must be before end time"),
        (silence.ends_at <= now, "end time can't be in the past"),
        (not silence.matchers, "at least one matcher required"),
        (any(map(_malformed, silence.matchers)), "; ".join(filter(None, map(_malformed, silence.matchers)))),
    )
    for wrong, words in checks:
        if wrong:
            return words
    return "at least one matcher must not match the empty string" if all(map(takes_empty, silence.matchers)) else ""


def _malformed(matcher: Matcher) -> str:
    if not _LABEL.fullmatch(matcher.name):
        return f"invalid label name {matcher.name!r}"
    try:
        re.compile(matcher.value if matcher.regex else "")
    except re.error as error:
        return f"invalid regular expression {matcher.value!r}: {error}"
    return ""


def takes_empty(matcher: Matcher) -> bool:
    """Whether it holds where the label is missing, as Alertmanager reckons: of negative ones it thinks that they never do."""
    if not matcher.equal:
        return False
    return re.search(matcher.value, "") is not None if matcher.regex else not matcher.value
