"""Ask a person and wait for the typed answer: a stored due time, no thread waits, and a restart changes nothing.

The question goes into the outbox with the record that it was asked, so it is asked once. The answer is put into the step's output by
`execution.approval`, which carries out `aiops answer`; `check` finds it there. Neighbours: `notify`, which tells and does not ask.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from aiops.domain.duration import format_duration, parse_duration
from aiops.domain.outcome import Outcome, Result
from aiops.domain.runbook import ActionSpec, EffectClass, ParamSpec
from aiops.domain.signal import Severity
from aiops.execution.actions.contract import Checked, Context, Done, Effect, Failed, Looked, Prepared, Seen, Waiting
from aiops.execution.actions.notify import messages_of

MAX_ANSWER = 500
"""Characters of an answer in words."""
MAX_QUESTION = 2_000

_WHOLE = re.compile(r"[+-]?[0-9]{1,15}", re.ASCII)
_DECIMAL = re.compile(r"[+-]?[0-9]{1,15}(\.[0-9]{1,15})?", re.ASCII)
_TRUTH = {"true": True, "yes": True, "false": False, "no": False}
_WORDS = {"string": "text", "int": "a whole number", "float": "a number", "bool": "yes or no", "duration": "a duration such as 30s"}


def typed_answer(asked: Mapping[str, Any], text: str) -> Any:
    """What a person wrote, in the type that was asked for. Raises ValueError saying what is allowed. `asked`: type, choices, minimum, maximum."""
    text, choices = text.strip(), list(asked.get("choices") or ())
    if choices and text not in choices:
        raise ValueError(f"{text[:40]!r} is no answer; allowed: {allowed(asked)}")
    try:
        value = _converted(str(asked.get("type", "string")), text)
    except ValueError as error:
        raise ValueError(f"{text[:40]!r} is no answer; allowed: {allowed(asked)}") from error
    low, high = asked.get("minimum"), asked.get("maximum")
    if isinstance(value, int | float) and not isinstance(value, bool) and ((low is not None and value < low) or (high is not None and value > high)):
        raise ValueError(f"{text[:40]!r} is out of bounds; allowed: {allowed(asked)}")
    return value


def _converted(kind: str, text: str) -> Any:
    if kind == "int" and _WHOLE.fullmatch(text):
        return int(text)
    if kind == "float" and _DECIMAL.fullmatch(text):
        return float(text)
    if kind == "bool" and text.lower() in _TRUTH:
        return _TRUTH[text.lower()]
    if kind == "duration":
        return parse_duration(text)
    if kind == "string" and 0 < len(text) <= MAX_ANSWER and text.isprintable():
        return text
    raise ValueError(text)


def allowed(asked: Mapping[str, Any]) -> str:
    """In words."""
    if asked.get("choices"):
        return ", ".join(map(str, asked["choices"]))
    low, high = asked.get("minimum"), asked.get("maximum")
    bounds = (f" from {low:g}" if low is not None else "") + (f" up to {high:g}" if high is not None else "")
    return _WORDS[str(asked.get("type", "string"))] + bounds


def _objection(arguments: Mapping[str, Any]) -> tuple[str, str] | None:
    """A question that no answer fits, and choices or a default that are no answer."""
    low, high = arguments.get("minimum"), arguments.get("maximum")
    if low is not None and high is not None and low > high:
        return "minimum", "is above maximum: there would be no answer"
    if (low is not None or high is not None) and arguments.get("type") not in ("int", "float", "duration"):
        return "minimum" if low is not None else "maximum", "only a number or a duration has bounds"
    asked = {name: arguments.get(name) for name in ("type", "choices", "minimum", "maximum")}
    for name, texts in (("choices", arguments.get("choices") or ()), ("default", [arguments["default"]] if arguments.get("default") is not None else ())):
        for text in texts:
            try:
                typed_answer(asked if name == "default" else {**asked, "choices": ()}, str(text))
            except ValueError as error:
                return name, str(error)
    return None


class Suspend:
    """See `contract.Action`."""

    spec = ActionSpec(
        name="suspend",
        doc="Ask people a question and wait for the answer, which is typed and becomes `steps.NAME.output.answer`. Given by `aiops answer RUN STEP VALUE`.",
        effect=EffectClass.NONE,
        parameters={
            "question": ParamSpec("string", "what is asked", required=True),
            "type": ParamSpec("string", "of the answer", default="bool", choices=tuple(_WORDS)),
            "choices": ParamSpec("strings", "the answers that are allowed; any of the type if it is not given"),
            "minimum": ParamSpec("float", "least number that is allowed"),
            "maximum": ParamSpec("float", "greatest number that is allowed"),
            "for": ParamSpec("duration", "how long an answer is waited for", default=3600.0, minimum=1, maximum=604800),
            "default": ParamSpec("string", "the answer if nobody gives one in time; without it the step has failed then"),
            "severity": ParamSpec("string", "decides the channel", default="warning", choices=tuple(s.value for s in Severity)),
        },
        objection=_objection,
    )

    def prepare(self, context: Context, arguments: Mapping[str, Any]) -> Prepared:
        """Decides the words, and refuses a default that would be no answer."""
        given = {name: arguments.get(name) for name in ("type", "minimum", "maximum", "default")}
        asked = {**{k: v for k, v in given.items() if v is not None}, "choices": list(arguments.get("choices") or ()), "for": float(arguments.get("for") or 3600.0)}
        asked["question"] = str(arguments["question"])[:MAX_QUESTION]
        try:
            for text in (*asked["choices"], *([asked["default"]] if "default" in asked else [])):
                typed_answer(asked, str(text))
        except ValueError as error:
            return Prepared(skip=Result(Outcome.ERROR, "InvalidArguments", f"choices or default: {error}"))
        channels = list(context.channels(str(arguments.get("severity") or "warning"), context.target))
        return Prepared(request={"channels": channels, "text": self._text(context, asked)}, output=asked)

    @staticmethod
    def _text(context: Context, asked: Mapping[str, Any]) -> str:
        step = context.series.removeprefix(f"{context.execution}.").rstrip(".")
        otherwise = f"then it is {asked['default']}" if "default" in asked else "then the step has failed"
        answer = f"answer within {format_duration(asked['for'])}, {otherwise}: aiops answer {context.execution} {step} VALUE"
        return f"{asked['question']}\n({allowed(asked)}; {answer})"

    def start(self, context: Context, prepared: Prepared) -> Effect:
        """The question, named by the operation key, is handed to the one who records."""
        messages = messages_of(context, prepared)
        return Effect(applied=True, note=f"asks in {len(messages)} channel(s) and waits for an answer", messages=messages)

    def look(self, context: Context, prepared: Prepared) -> Seen:  # noqa: ARG002 (the contract's signature)
        """What was asked was recorded in the same transaction; where no record is, nothing was asked."""
        return Seen(Looked.NOT)

    def check(self, context: Context, prepared: Prepared, started_at: float) -> Checked:
        """An answer was given, or the time for one has run out."""
        asked = prepared.output
        if "answer" in asked:
            return Done(detail=f"answered {asked['answer']!r} by {asked.get('by', '')}")
        left = started_at + float(asked["for"]) - context.now
        if left > 0:
            return Waiting(left, "nobody has answered yet", patient=True)
        if "default" in asked:
            return Done({"answer": typed_answer(asked, str(asked["default"])), "by": ""}, f"nobody answered: {asked['default']}")
        return Failed(Result(Outcome.FAILED, "NotAnswered", f"nobody answered within {format_duration(float(asked['for']))}"))
