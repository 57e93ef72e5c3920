"""Silence alerts in Alertmanager for a while. The comment carries the operation key: so it is found again, made once, and taken back.

Neighbours: `ports.alerts`. A silence that fits more than what the incident is about hides other faults, so one plain `name=value` must be among the matchers.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from aiops.domain.outcome import Outcome, Result
from aiops.domain.runbook import ActionSpec, EffectClass, ParamSpec
from aiops.execution.actions.contract import Checked, Context, Done, Effect, Failed, Looked, Prepared, Seen
from aiops.ports.alerts import AlertSilence, Matcher

AUTHOR = "aiops"
MAX_COMMENT = 500
_MATCHER = re.compile(r"\s*([A-Za-z_][A-Za-z0-9_]{0,127})\s*(=~|!~|!=|=)\s*(.*?)\s*", re.DOTALL)
_KEY = re.compile(r"\[aiops/operation=([^\]\s]+)\]")


def matcher(text: str) -> Matcher:
    """`name="value"`, with `=`, `!=`, `=~` or `!~`; quotes may be left out. Raises ValueError.

    All after the operator is the value: whatever a template put there, it stays one matcher.
    """
    found = _MATCHER.fullmatch(text)
    if found is None:
        raise ValueError(f'{text[:80]!r} is no matcher: write for example namespace="shop"')
    name, operator, value = found.groups()
    if len(value) >= 2 and value[0] == value[-1] == '"':
        value = value[1:-1]
    return Matcher(name, value, regex="~" in operator, equal=not operator.startswith("!"))


def key_of(silence: AlertSilence) -> str:
    """The operation key in a comment, or empty."""
    found = _KEY.search(silence.comment)
    return found[1] if found else ""


def ours(silences: Iterable[AlertSilence], prefix: str) -> AlertSilence | None:
    """The silence made under a key that begins so."""
    return next((s for s in silences if key_of(s).startswith(prefix)), None)


class Silence:
    """See `contract.Action`. The inverse is `{"expire": KEY}`, which no author writes."""

    spec = ActionSpec(
        name="silence",
        doc="Silence alerts in the Alertmanager of the settings; undoing ends the silence, unless somebody changed it.",
        effect=EffectClass.CONVERGENT,
        parameters={
            "matchers": ParamSpec("strings", 'what is silenced, such as `namespace="shop"` and `alertname=~"Latency.*"`; one must be a plain `name=value`', required=True),
            "for": ParamSpec("duration", "how long", required=True, minimum=60, maximum=7 * 86400),
            "comment": ParamSpec("string", "why", default="a runbook is at work"),
        },
        undoable=True,
    )

    def prepare(self, context: Context, arguments: Mapping[str, Any]) -> Prepared:
        """Reads what is silenced already."""
        if "expire" in arguments:
            return self._expiring(context, str(arguments["expire"]))
        matchers = tuple(map(matcher, arguments["matchers"]))
        if not any(m.equal and not m.regex and m.value for m in matchers):
            return Prepared(skip=Result(Outcome.ERROR, "TooBroad", 'one matcher must be a plain name="value", or the silence may hide everything'))
        ends = round(context.now + float(arguments["for"]), 3)
        for silence in context.alerts.list(timeout=context.request_timeout):
            if silence.state == "active" and set(silence.matchers) == set(matchers) and silence.ends_at >= ends:
                return Prepared(skip=Result(Outcome.SKIPPED, "AlreadySilenced", f"by {silence.created_by}: {silence.comment[:200]}"))
        comment = f"{str(arguments.get('comment') or '')[:MAX_COMMENT]} [aiops/operation={context.key}]"
        shown = [{"name": m.name, "value": m.value, "regex": m.regex, "equal": m.equal} for m in matchers]
        request = {"matchers": shown, "startsAt": context.now, "endsAt": ends, "createdBy": AUTHOR, "comment": comment}
        left = {"endsAt": ends, "createdBy": AUTHOR}
        return Prepared(leaves=left, inverse={"expire": context.key}, request=request, output={"until": ends})

    def _expiring(self, context: Context, key: str) -> Prepared:
        found = ours(context.alerts.list(timeout=context.request_timeout), key)
        if found is None or found.state == "expired":
            return Prepared(skip=Result(Outcome.SKIPPED, "AlreadyExpired", "the silence is over"))
        present = {"endsAt": round(found.ends_at, 3), "createdBy": found.created_by}
        return Prepared(pre_state=present, request={"expire": found.id}, output={"silence": found.id, "expired": True})

    def start(self, context: Context, prepared: Prepared) -> Effect:
        """Create, or end."""
        request = prepared.request
        if "expire" in request:
            written = context.alerts.expire(request["expire"], timeout=context.request_timeout)
            return Effect(applied=written.applied, note=f"ends the silence {written.id}")
        silence = AlertSilence(
            tuple(Matcher(**m) for m in request["matchers"]), request["startsAt"], request["endsAt"], request["createdBy"], request["comment"],
        )
        written = context.alerts.create(silence, timeout=context.request_timeout)
        words = ", ".join(f"{m.name}{'=' if m.equal else '!'}{'~' if m.regex else '' if m.equal else '='}{m.value}" for m in silence.matchers)
        return Effect(applied=written.applied, note=f"silences {words}", output={"silence": written.id} if written.id else {})

    def look(self, context: Context, prepared: Prepared) -> Seen:
        """By the key in the comments."""
        silences = context.alerts.list(timeout=context.request_timeout)
        if prepared.output.get("expired"):
            gone = all(s.id != prepared.output["silence"] or s.state == "expired" for s in silences)
            return Seen(Looked.HAPPENED, context.key) if gone else Seen(Looked.NOT)
        found = ours(silences, context.series)
        return Seen(Looked.HAPPENED, key_of(found)) if found else Seen(Looked.NOT)

    def check(self, context: Context, prepared: Prepared, started_at: float) -> Checked:  # noqa: ARG002 (the contract's signature)
        """It is in force, or over."""
        silences = context.alerts.list(timeout=context.request_timeout)
        if prepared.output.get("expired"):
            return Done(detail=f"silence {prepared.output['silence']} is over")
        found = ours(silences, context.series)
        if found is None or found.state == "expired":
            return Failed(Result(Outcome.FAILED, "Superseded", "the silence is gone, or somebody ended it"))
        return Done({"silence": found.id}, f"silence {found.id} is in force")
