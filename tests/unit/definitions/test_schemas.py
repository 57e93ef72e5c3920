"""The published JSON schemas are the models', and an editor that uses them sees what the loader sees."""

from __future__ import annotations

from pathlib import Path

import jsonschema
import pytest
import yaml

from aiops.definitions.schema_export import schemas, text_of, write

ROOT = Path(__file__).parents[3]
SHIPPED = sorted(p for folder in ("rules", "runbooks") for p in (ROOT / folder).rglob("*.yaml"))


@pytest.mark.parametrize("name", sorted(schemas()))
def test_the_committed_schema_is_the_generated_one(name: str) -> None:
    assert (ROOT / "docs" / "schema" / name).read_text(encoding="utf-8") == text_of(schemas()[name])


@pytest.mark.parametrize("name", sorted(schemas()))
def test_the_schema_is_one(name: str) -> None:
    jsonschema.Draft202012Validator.check_schema(schemas()[name])


@pytest.mark.parametrize("path", SHIPPED, ids=lambda p: p.name)
def test_shipped_files_name_their_schema_and_fit_it(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    first = text.splitlines()[0]
    assert first.startswith("# yaml-language-server: $schema=")
    schema = (path.parent / first.partition("=")[2]).resolve()
    assert schema.parent == ROOT / "docs" / "schema"
    for document in yaml.safe_load_all(text):
        jsonschema.validate(document, schemas()[schema.name])


@pytest.mark.parametrize(
    ("name", "document"),
    [
        ("ruleset.json", {"apiVersion": "aiops/v1", "kind": "RuleSet", "metadata": {"name": "x"}, "rules": [{"name": "a", "severty": "info"}]}),
        ("runbook.json", {"apiVersion": "aiops/v1", "kind": "Runbook", "metadata": {"name": "x"}, "match": "true", "steps": [], "mode": "auto"}),
        ("runbook.json", {"apiVersion": "aiops/v1", "kind": "Runbook", "metadata": {"name": "x"}, "match": "true", "steps": [{"name": "a"}]}),
    ],
)
def test_the_schema_refuses(name: str, document: object) -> None:
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(document, schemas()[name])


def test_writing(tmp_path: Path) -> None:
    write(tmp_path / "a" / "b")
    assert {p.name for p in (tmp_path / "a" / "b").iterdir()} == set(schemas())
