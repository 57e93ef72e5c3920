"""What a runbook may be given: declared with type, default and bounds; checked where another runbook gives it.

Neighbours: `loader` calls both checks; `remediate.expansion` gives the values, through the converter that is made here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

from pydantic import ValidationError

from aiops.definitions.arguments import retyped, typed, wanted
from aiops.definitions.fields import RUNBOOK_NAMES
from aiops.definitions.problems import suggestion
from aiops.definitions.references import Wrong
from aiops.definitions.references import check_parameters as check_spoken
from aiops.definitions.schema_runbooks import ParameterModel, RunbookModel
from aiops.domain.duration import parse_duration
from aiops.domain.runbook import Parameter, ParamSpec
from aiops.domain.templated import parameter_names

NEVER = "false"
"""The `match` of a runbook that is only called or run by a person."""


def parameters_of(model: RunbookModel) -> Mapping[str, Parameter]:
    """The domain's; call it when `check_parameters` found nothing."""
    specs = {name: _spec(one) for name, one in model.parameters.items()}
    return {name: Parameter(spec, partial(retyped, spec)) for name, spec in specs.items()}


def check_parameters(data: Any) -> Iterator[Wrong]:
    """Defaults and bounds that cannot be, and parameters that nobody gives. `data`: the plain runbook, so that an error elsewhere hides none here."""
    given = data.get("parameters")
    for name, plain in given.items() if isinstance(given, dict) else ():
        try:
            one = ParameterModel.model_validate(plain)
        except ValidationError:
            continue  # told by the schema
        try:
            spec = _spec(one)
        except ValueError as error:
            yield ("parameters", name, "minimum" if one.minimum is not None else "maximum"), str(error)
            continue
        if spec.minimum is not None and spec.maximum is not None and spec.minimum > spec.maximum:
            yield ("parameters", name, "minimum"), "is above maximum"
        if one.required == (one.default is not None):
            yield ("parameters", name), "needs a default, or required: true" if not one.required else "is required, so its default is never used; leave one out"
        elif one.required and str(data.get("match", NEVER)).strip() != NEVER:
            yield ("parameters", name, "required"), f'incidents give no parameters: give it a default, or make the runbook one that is only called, with match: "{NEVER}"'
        elif one.default is not None:
            try:
                typed(spec, one.default)
            except ValueError as error:
                yield ("parameters", name, "default"), str(error)


def check_query(model: RunbookModel) -> Iterator[Wrong]:
    """Parameters that the query of `verify` speaks of and that there are not."""
    if model.verify is not None:
        yield from check_spoken(("verify", "query"), parameter_names(model.verify.query), model.parameters)


def _spec(model: ParameterModel) -> ParamSpec:
    numeric = model.type in ("int", "float", "duration")
    if not numeric and (model.minimum is not None or model.maximum is not None):
        raise ValueError(f"a {model.type} has no bounds; int, float and duration have")
    low, high = (_bound(model.type, bound) for bound in (model.minimum, model.maximum))
    bare = ParamSpec(model.type, model.description, required=model.required, minimum=low, maximum=high, choices=tuple(model.choices))
    if model.default is None:
        return bare
    try:
        default = typed(bare, model.default)
    except ValueError:
        return bare  # told by `check_parameters`
    return ParamSpec(model.type, model.description, required=model.required, default=default, minimum=low, maximum=high, choices=tuple(model.choices))


def _bound(kind: str, bound: float | str | None) -> float | None:
    if bound is None:
        return None
    if (kind == "duration") != isinstance(bound, str):
        raise ValueError(f"must be {'a duration such as 5m' if kind == 'duration' else 'a number'}, not {str(bound)[:40]!r}")
    return parse_duration(bound) if isinstance(bound, str) else float(bound)


def check_given(name: str, parameters: Mapping[str, Parameter], given: Mapping[str, Any], *, item: bool) -> Iterator[tuple[str, str]]:
    """(key, message) for what a step gives the runbook of this name and should not. `item`: templates may speak of it."""
    for key, value in given.items():
        if key not in parameters:
            yield key, suggestion(f"the runbook {name} takes no {key!r}", key, sorted(parameters))
            continue
        try:
            typed(parameters[key].spec, value, templates=(*RUNBOOK_NAMES, *(("item",) if item else ())))
        except ValueError as error:
            yield key, str(error)
    for key, parameter in parameters.items():
        if parameter.spec.required and key not in given:
            yield key, f"the runbook {name} needs it: {parameter.spec.doc} ({wanted(parameter.spec)})"
