"""The published JSON schemas. Neighbours: `definitions.schema_export` makes those of rules and runbooks; `cli schema` prints."""

from __future__ import annotations

from typing import Any

from aiops.definitions.schema_export import schemas
from aiops.settings import Settings


def schema_of(document: str) -> dict[str, Any]:
    """`rules`, `runbook` or `config`. Raises KeyError on another name."""
    if document == "config":
        return {"$schema": "https://json-schema.org/draft/2020-12/schema", **Settings.model_json_schema(by_alias=True), "title": "aiops settings"}
    return dict(schemas()[{"rules": "ruleset.json", "runbook": "runbook.json"}[document]])
