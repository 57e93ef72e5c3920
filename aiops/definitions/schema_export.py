"""The JSON schemas of rules, runbooks, their tests and price lists, for editors and for `aiops schema`; the committed ones under docs/schema are these, which a test checks.

`python -m aiops.definitions.schema_export FOLDER` writes them.
Neighbours: the models of `schema_rules`, `schema_runbooks`, `schema_cases` and `schema_prices`.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from aiops.definitions.schema_cases import CaseFileModel
from aiops.definitions.schema_prices import PriceListModel
from aiops.definitions.schema_rules import RuleSetModel
from aiops.definitions.schema_runbooks import RunbookModel


def schemas() -> Mapping[str, dict[str, Any]]:
    """File name → JSON schema (draft 2020-12)."""
    return {
        "ruleset.json": _schema(RuleSetModel, "aiops rule set"),
        "runbook.json": _schema(RunbookModel, "aiops runbook"),
        "prices.json": _schema(PriceListModel, "aiops price list"),
        "test.json": _schema(CaseFileModel, "aiops tests of rules and runbooks"),
    }


def _schema(model: type[RuleSetModel | RunbookModel | CaseFileModel | PriceListModel], title: str) -> dict[str, Any]:
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **model.model_json_schema(by_alias=True, mode="validation"),
        "title": title,
    }


def text_of(schema: Mapping[str, Any]) -> str:
    """As it is committed: sorted, indented, one newline at the end."""
    return json.dumps(schema, indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def write(folder: Path) -> None:
    """Write each schema into the folder, which is made if need be."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, schema in schemas().items():
        (folder / name).write_text(text_of(schema), encoding="utf-8")


if __name__ == "__main__":
    write(Path(sys.argv[1] if len(sys.argv) > 1 else "docs/schema"))
