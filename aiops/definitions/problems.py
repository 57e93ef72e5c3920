"""What pydantic found wrong, as people need it: file, line, key, what is wrong and what is allowed.

Neighbours: `loader` calls `validate` for each rule and runbook.
"""

from __future__ import annotations

import difflib
import types
from collections.abc import Iterable
from typing import Annotated, Any, TypeVar, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError

from aiops.definitions.yaml_tree import Document, Path, dotted
from aiops.domain.errors import Problem, trimmed

M = TypeVar("M", bound=BaseModel)

_WORDS = {
    "string_type": "must be text; put it in quotes",
    "int_type": "must be a whole number",
    "int_from_float": "must be a whole number",
    "float_type": "must be a number",
    "finite_number": "must be a finite number",
    "bool_type": "must be true or false",
    "list_type": "must be a list",
    "dict_type": "must be a map",
    "model_type": "must be a map",
    "model_attributes_type": "must be a map",
}


def validate(model: type[M], data: Any, file: str, document: Document, base: Path = ()) -> M | list[Problem]:
    """The model, or every problem in it; `base` is where `data` stands in the document."""
    try:
        return model.model_validate(data)
    except ValidationError as error:
        return [_problem(model, data, item, file, document, base) for item in error.errors(include_url=False, include_input=True)]


def _problem(model: type[BaseModel], data: Any, item: Any, file: str, document: Document, base: Path) -> Problem:
    kind, location = item["type"], item["loc"]
    path = (*base, *_path(data, location, missing=kind == "missing"))
    key, context = dotted(path) or "document", item.get("ctx", {})
    if kind in ("union_tag_invalid", "union_tag_not_found"):
        key += ".type"
    if kind == "extra_forbidden":
        words = unknown(str(location[-1]), _allowed(model, location[:-1]))
    elif kind == "missing":
        words = "is missing and must be given"
    elif kind == "union_tag_not_found":
        words = f"is missing; allowed: {', '.join(_tags(model, location))}"
    elif kind == "union_tag_invalid":
        words = suggestion(f"no detector type {_shown(context['tag'])}", str(context["tag"]), _listed(context["expected_tags"]))
    elif kind == "literal_error":
        words = suggestion(f"{_shown(item['input'])} is not allowed", item["input"], _listed(context["expected"]))
    else:
        words = _other(kind, item, context)
    return Problem(file, document.line(path), key, trimmed(words, 900))


def _other(kind: str, item: Any, context: Any) -> str:
    if kind in ("value_error", "assertion_error"):
        return str(context.get("error", item["msg"]))
    if kind == "string_pattern_mismatch":
        return f"{_shown(item['input'])} is not allowed; it must match {context['pattern']}"
    words = _WORDS.get(kind) or str(item["msg"]).replace("Input should", "must").replace("String should", "must").replace("List should", "must")
    return f"{words}, not {_shown(item['input'])}"


def _listed(expected: str) -> list[str]:
    """Pydantic's `'a', 'b' or 'c'` as a list."""
    return expected.replace(" or ", ", ").replace("'", "").split(", ")


def unknown(name: str, allowed: Iterable[str]) -> str:
    """`unknown key 'abvoe'; did you mean 'above'? allowed: …`."""
    return suggestion(f"unknown key {_shown(name)}", name, list(allowed))


def suggestion(what: str, name: object, allowed: list[str]) -> str:
    """What is wrong, the nearest that is allowed (if `name` is a text), and all that is."""
    near = difflib.get_close_matches(name, allowed, n=1, cutoff=0.6) if isinstance(name, str) else []
    hint = f"; did you mean {near[0]!r}?" if near else ";"
    return trimmed(f"{what}{hint} allowed: {', '.join(allowed) or 'none'}", 900)


def _shown(value: Any) -> str:
    if isinstance(value, dict):
        return "a map"
    if isinstance(value, (list, tuple)):
        return "a list"
    return "nothing" if value is None else trimmed(repr(value), 60)


def _path(data: Any, location: tuple[Any, ...], *, missing: bool) -> Path:
    """The location without what pydantic adds (tags of unions); if the last part is what is `missing`, it stays."""
    path: list[str | int] = []
    for place, part in enumerate(location):
        if (isinstance(data, dict) and part in data) or (isinstance(data, list) and isinstance(part, int) and part < len(data)):
            data = data[part]
        elif not missing or place < len(location) - 1:
            continue
        path.append(part)
    # Nothing of it stands in the data: it came from the environment, and its name is all there is to say.
    return tuple(path) or tuple(location)


def _allowed(model: type[BaseModel], location: tuple[Any, ...]) -> list[str]:
    """The keys of the model that stands at this location."""
    found = _descend(model, location)
    if isinstance(found, type) and issubclass(found, BaseModel):
        return [field.alias or name for name, field in found.model_fields.items()]
    return []


def _descend(annotation: Any, location: tuple[Any, ...]) -> Any:
    annotation = _bare(annotation, location[0] if location else None)
    if not location:
        return annotation
    part, rest = location[0], location[1:]
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        for name, field in annotation.model_fields.items():
            if part in (field.alias, name):
                return _descend(field.annotation, rest)
        return _descend(annotation, rest)  # the tag of a union, which `_bare` used to choose
    if get_origin(annotation) in (list, dict, tuple):
        return _descend(next(a for a in reversed(get_args(annotation)) if a is not Ellipsis), rest)
    return None


def _bare(annotation: Any, tag: Any) -> Any:
    """Without Annotated and Optional; of a tagged union the member with this tag, of another the one that has keys."""
    while get_origin(annotation) is Annotated:
        annotation = get_args(annotation)[0]
    if get_origin(annotation) not in (Union, types.UnionType):
        return annotation
    members = [m for m in get_args(annotation) if m is not type(None)]
    for member in members:
        if isinstance(member, type) and issubclass(member, BaseModel) and "type" in member.model_fields and tag in _literals(member):
            return member
    bare = [_bare(m, None) for m in members]
    models = [m for m in bare if isinstance(m, type) and issubclass(m, BaseModel)]
    return models[0] if models else bare[0]


def _literals(model: type[BaseModel]) -> tuple[Any, ...]:
    return get_args(model.model_fields["type"].annotation)


def _tags(model: type[BaseModel], location: tuple[Any, ...]) -> list[str]:
    holder = _descend(model, location[:-1])
    annotation = holder.model_fields[str(location[-1])].annotation if isinstance(holder, type) and issubclass(holder, BaseModel) else None
    while get_origin(annotation) is Annotated:
        annotation = get_args(annotation)[0]
    return [str(tag) for m in get_args(annotation) if isinstance(m, type) and issubclass(m, BaseModel) for tag in _literals(m)]
