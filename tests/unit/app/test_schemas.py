"""The published schema of the settings says what their file takes."""

from __future__ import annotations

import jsonschema
import pytest

from aiops.app.schemas import schema_of


@pytest.mark.parametrize(
    ("document", "allowed"),
    [
        ({"guards": {"cooldown": "5m"}}, True),
        ({"guards": {"cooldown": 300}}, True),
        ({"guards": {"cooldown": "1h30m", "loopWindow": "2h"}}, True),
        ({"guards": {"cooldown": "five minutes"}}, False),
        ({"guards": {"cooldown": -1}}, False),
        ({"guards": {"loopWindow": 0}}, False),
    ],
)
def test_durations_as_people_write_them(document: dict[str, object], allowed: bool) -> None:
    assert jsonschema.Draft202012Validator(schema_of("config")).is_valid(document) is allowed


def test_defaults_are_written_so_too_and_pass_their_own_schema() -> None:
    schema = schema_of("config")
    assert schema["$defs"]["GuardSettings"]["properties"]["cooldown"]["default"] == "5m"
    assert schema["properties"]["guards"]["default"]["cooldown"] == "5m"
    checker = jsonschema.Draft202012Validator(schema)
    checker.check_schema(schema)
    for name, part in schema["properties"].items():
        if part.get("default") is not None:
            assert checker.is_valid({name: part["default"]}), name
