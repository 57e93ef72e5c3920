"""A runbook's steps as the plan has them: items and sub-runbooks written out, templates rendered and typed, targets and conditions bound.

Everything that can be known is known here, so that guards, people and the plan's hash see each step that may be carried out. Neighbours:
`planner` makes the plan, `execution` carries the steps out and renders what is late.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from aiops.domain.errors import ExpressionError, trimmed
from aiops.domain.expression import Renderer
from aiops.domain.plan import COLLECT, Bound, Gate, LateItem, PlannedStep, PlannedUndo
from aiops.domain.runbook import OnFailure, Retry, Runbook, StepSpec, TargetSpec, UndoMode
from aiops.domain.target import KINDS, TargetRef, valid_name
from aiops.domain.templated import PromqlText, answer_of, is_late, speaks_of_item, speaks_of_steps, templated
from aiops.remediate.named import named_by, retargeted, unnamed

Convert = Callable[[str, str, Any], Any]
"""Action, argument and rendered text in, typed value out; raises ValueError saying what is allowed."""

MAX_STEPS = 300


@dataclass(frozen=True, slots=True)
class Place:
    """Where steps stand: see `PlannedStep`. `before`: what those without needs wait for; `late`: the item is known only when they begin."""

    target: TargetRef
    facts: Mapping[str, Any] = field(default_factory=dict)
    scope: str = ""
    part_of: str = ""
    gates: tuple[Gate, ...] = ()
    before: tuple[str, ...] = ()
    late: LateItem | None = None


@dataclass(frozen=True, slots=True)
class Binder:
    """Binds steps to the facts of one incident. All raise ExpressionError naming step and argument."""

    facts: Mapping[str, Any]
    render: Renderer
    convert: Convert

    def steps(self, specs: Sequence[StepSpec], place: Place) -> tuple[PlannedStep, ...]:
        """All steps, each part before the step that collects it."""
        made: list[PlannedStep] = []
        for spec in specs:
            made.extend(self._one(spec, place))
            if len(made) > MAX_STEPS:
                raise ExpressionError(f"step {place.scope}{spec.name}: the plan has more than {MAX_STEPS} steps")
        return tuple(self._bounded(step, made) for step in made)

    @staticmethod
    def _bounded(step: PlannedStep, others: Sequence[PlannedStep]) -> PlannedStep:
        """With what is known beforehand of late arguments: an answer that a person is asked for is of the type and within the bounds of the question."""
        asked = {other.name.removeprefix(step.scope): other for other in others if other.action == "suspend" and other.scope == step.scope}
        bounds = {}
        for name in step.late:
            question = asked.get(answer_of(step.arguments[name]))
            if question is not None and (bound := _bound(question)):
                bounds[name] = bound
        return replace(step, bounds=bounds) if bounds else step

    def _one(self, spec: StepSpec, place: Place) -> Iterator[PlannedStep]:
        name, needs = place.scope + spec.name, tuple(place.scope + need for need in spec.needs) or place.before
        if spec.for_each is None:
            yield from self._call(spec, name, needs, place)
            return
        part, parts = replace(spec, on_failure=OnFailure.CONTINUE if spec.on_failure is OnFailure.CONTINUE else OnFailure.STOP), []
        for index, inner in enumerate(self._items(spec, name, place)):
            parts.append(f"{name}[{index}]")
            yield from self._call(part, parts[-1], needs, inner)
        yield self._collector(spec, name, tuple(parts), needs, place, spec.for_each.concurrency)

    def _call(self, spec: StepSpec, name: str, needs: tuple[str, ...], place: Place) -> Iterator[PlannedStep]:
        if spec.runbook is None:
            yield self._step(spec, name, needs, place)
            return
        parameters = self._parameters(spec.runbook, spec.given, name, place)
        gates = (*place.gates, Gate(spec.when.text, place.scope, place.facts)) if spec.when is not None else place.gates
        target = place.target if spec.target is None else self._target(f"step {name}, target", spec.target, place)
        inner = Place(target, {"parameters": parameters}, f"{name}/", name, gates, needs)
        made = self.steps(spec.runbook.steps, inner)
        yield from made
        yield self._collector(spec, name, tuple(step.name for step in made if step.part_of == name), needs, place, 0)

    @staticmethod
    def _collector(spec: StepSpec, name: str, parts: tuple[str, ...], needs: tuple[str, ...], place: Place, parallel: int) -> PlannedStep:
        return PlannedStep(
            name, COLLECT, {}, needs=parts or needs, on_failure=spec.on_failure, part_of=place.part_of, scope=place.scope, facts=place.facts,
            collects=parts, parallel=parallel,
        )

    def _items(self, spec: StepSpec, name: str, place: Place) -> Iterator[Place]:
        """The place of each part. Where only other steps' outputs tell the items, there is one for each that there may be."""
        each = spec.for_each
        assert each is not None
        if each.expression is not None and speaks_of_steps(each.expression.text):
            for index in range(each.limit):
                yield replace(place, part_of=name, late=LateItem(each.expression.text, index, each.limit))
            return
        try:
            items: Any = each.items if each.expression is None else each.expression.evaluate({**self.facts, **place.facts})
        except ExpressionError as error:
            raise ExpressionError(f"step {name}, forEach: {error}") from error
        if len(items) > each.limit:
            raise ExpressionError(f"step {name}, forEach: {len(items)} items; at most {each.limit} are allowed by its limit")
        for item in items:
            if not isinstance(item, str | Mapping):
                raise ExpressionError(f"step {name}, forEach: {trimmed(repr(item), 60)} is no text and no map")
            yield replace(place, part_of=name, facts={**place.facts, "item": item})

    def _step(self, spec: StepSpec, name: str, needs: tuple[str, ...], place: Place) -> PlannedStep:
        arguments, late = self._arguments(f"step {name}", spec.action, spec.arguments, place)
        made = PlannedStep(
            name=name,
            action=spec.action,
            arguments=arguments,
            needs=needs,
            when=spec.when.text if spec.when is not None else "",
            timeout=spec.timeout,
            retry=self._retry(spec.retry),
            on_failure=spec.on_failure,
            target=self._own_target(spec, name, place),
            late=late,
            undo=self._undo(spec, name, place),
            part_of=place.part_of,
            scope=place.scope,
            facts=place.facts,
            gates=place.gates,
            late_item=place.late,
        )
        try:
            return retargeted(made, made.target or place.target)
        except ValueError as error:
            raise ExpressionError(f"step {name}, {error}") from error

    def _own_target(self, spec: StepSpec, name: str, place: Place) -> TargetRef | None:
        """None where it is the plan's."""
        target = place.target if spec.target is None else self._target(f"step {name}, target", spec.target, place)
        return target if spec.target is not None or place.scope else None

    def _retry(self, retry: Retry) -> Retry:
        """With the limit of the incident's severity."""
        severity = str(self.facts.get("incident.severity", ""))
        return replace(retry, limit=retry.limits.get(severity, retry.limits.get("default", 0)), limits={}) if retry.limits else retry

    def _undo(self, spec: StepSpec, name: str, place: Place) -> PlannedUndo:
        undo, where = spec.undo, f"step {name}, undo"
        if undo.mode is not UndoMode.OWN:
            return PlannedUndo(undo.mode)
        arguments, late = self._arguments(where, undo.action, undo.arguments, place)
        own = None if undo.target is None else self._target(f"{where}.target", undo.target, place)
        try:
            found = named_by(undo.action, arguments, late, own or self._own_target(spec, name, place) or place.target)
        except ValueError as error:
            raise ExpressionError(f"{where}, {error}") from error
        if found is None:
            return PlannedUndo(undo.mode, undo.action, arguments, late, own)
        # What takes a step back on the very object of the step asks first whether what it left is still so.
        same = found == named_by(spec.action, *self._arguments(where, spec.action, spec.arguments, place), self._own_target(spec, name, place) or place.target)
        return PlannedUndo(undo.mode, undo.action, unnamed(undo.action, arguments), late, None if same else found)

    def _parameters(self, runbook: Runbook, given: Mapping[str, Any], name: str, place: Place) -> dict[str, Any]:
        """Those of a sub-runbook: what is given, rendered, or the default."""
        rendered = {}
        for key, value in given.items():
            try:
                rendered[key] = self.render(value, {**self.facts, **place.facts}) if isinstance(value, str) and templated(value) else value
            except ExpressionError as error:
                raise ExpressionError(f"step {name}, with {key}: {error}") from error
        return parameters_of(runbook, rendered, f"step {name}, with")

    def _arguments(self, where: str, action: str, given: Mapping[str, Any], place: Place) -> tuple[Mapping[str, Any], tuple[str, ...]]:
        """Arguments rendered and typed, and the names of those that can only be rendered when the step begins."""
        late = tuple(key for key, value in given.items() if is_late(value) or (place.late is not None and speaks_of_item(value)))
        return {key: value if key in late else self._argument(where, action, key, value, place) for key, value in given.items()}, late

    def _argument(self, where: str, action: str, name: str, value: Any, place: Place) -> Any:
        """What is a template is rendered and typed again; the rest was typed when the file was loaded."""
        if not templated(value):
            return value
        facts = {**self.facts, **place.facts}
        try:
            promql = isinstance(value, PromqlText)
            whole = isinstance(value, str)
            text = self.render(value, facts, promql=promql) if whole else tuple(self.render(v, facts) if templated(v) else v for v in value)
            return self.convert(action, name, text)
        except (ExpressionError, ValueError) as error:
            raise ExpressionError(f"{where}, argument {name}: {error}") from error

    def _target(self, where: str, spec: TargetSpec, place: Place) -> TargetRef:
        """What is not given is the surrounding target's. A name that no object can have is an error now, not a request later."""
        given, main = {}, place.target
        for name, text in (("kind", spec.kind), ("namespace", spec.namespace), ("name", spec.name), ("context", spec.context)):
            try:
                given[name] = self.render(text, {**self.facts, **place.facts}) if templated(text) else text
            except ExpressionError as error:
                raise ExpressionError(f"{where}.{name}: {error}") from error
            if text and not given[name]:
                raise ExpressionError(f"{where}.{name}: it is empty")
        kind = given["kind"] or main.kind
        if kind not in KINDS:
            raise ExpressionError(f"{where}.kind: {trimmed(kind, 80)!r} is no kind; there are {', '.join(KINDS)}")
        namespace = (given["namespace"] or main.namespace) if KINDS[kind].namespaced else ""
        name = given["name"] or main.name
        if not valid_name(name):
            raise ExpressionError(f"{where}.name: no object can be named {trimmed(name, 80)!r}")
        if KINDS[kind].namespaced and not valid_name(namespace):
            raise ExpressionError(f"{where}.namespace: no namespace can be named {trimmed(namespace, 80)!r}")
        return TargetRef(kind, namespace, name, given["context"] or main.context)


def _bound(question: PlannedStep) -> Bound | None:
    """Of the answer to a `suspend`; None where nothing bounds it, or what does is itself known only later."""
    low, high, choices = (None if name in question.late else question.arguments.get(name) for name in ("minimum", "maximum", "choices"))
    if question.arguments.get("type") not in ("int", "float"):
        return Bound(choices=tuple(map(str, choices))) if choices and question.arguments.get("type") == "string" else None
    return None if low is None and high is None else Bound(low, high)


def parameters_of(runbook: Runbook, given: Mapping[str, Any], where: str = "parameters") -> dict[str, Any]:
    """Every parameter of the runbook with what is given, typed, or its default. Raises ExpressionError on an unknown, missing or wrong one."""
    if unknown := sorted(set(given) - set(runbook.parameters)):
        raise ExpressionError(f"{where} {unknown[0]}: the runbook {runbook.name} takes no such parameter; it takes {', '.join(runbook.parameters) or 'none'}")
    values = {}
    for name, parameter in runbook.parameters.items():
        if name not in given:
            if parameter.spec.required:
                raise ExpressionError(f"{where} {name}: the runbook {runbook.name} needs it: {parameter.spec.doc}")
            values[name] = parameter.spec.default
            continue
        try:
            values[name] = parameter.convert(given[name])
        except ValueError as error:
            raise ExpressionError(f"{where} {name}: {error}") from error
    return values
