"""The published JSON schemas. Neighbours: `definitions.schema_export` makes those of rules and runbooks; `cli schema` prints."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aiops.definitions.schema_export import schemas
from aiops.domain.duration import format_duration
from aiops.settings import Settings


def schema_of(document: str) -> dict[str, Any]:
    """`rules`, `runbook`, `test`, `prices` or `config`. Raises KeyError on another name."""
    if document == "config":
        made = {"$schema": "https://json-schema.org/draft/2020-12/schema", **Settings.model_json_schema(by_alias=True), "title": "aiops settings"}
        _written(made, made["$defs"])
        return made
    return dict(schemas()[{"rules": "ruleset.json", "runbook": "runbook.json", "test": "test.json", "prices": "prices.json"}[document]])


def _written(schema: Any, named: Mapping[str, Any]) -> None:
    """Defaults of durations, also within those of whole sections, as people write them, not in seconds."""
    if isinstance(schema, list):
        for item in schema:
            _written(item, named)
    elif isinstance(schema, dict):
        if "default" in schema:
            schema["default"] = _told(schema["default"], schema, named)
        for item in schema.values():
            _written(item, named)


def _told(value: Any, schema: Mapping[str, Any], named: Mapping[str, Any]) -> Any:
    meant = named.get(str(schema.get("$ref", "")).rpartition("/")[2], schema)
    if isinstance(value, dict):
        properties = meant.get("properties", {})
        return {key: _told(item, properties.get(key, {}), named) for key, item in value.items()}
    duration = any(str(option.get("pattern", "")).endswith("(ms|s|m|h|d|w))+$") for option in meant.get("anyOf", ()))
    return format_duration(value) if duration and isinstance(value, int | float) else value
