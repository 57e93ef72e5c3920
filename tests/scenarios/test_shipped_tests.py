"""The unit tests beside the shipped rules and runbooks, as `aiops test` runs them; no runbook is without one."""

from __future__ import annotations

from pathlib import Path

import pytest

from aiops.app.cases import run_cases
from aiops.settings import Settings

ROOT = Path(__file__).parents[2]
FILES = sorted(p for folder in ("rules", "runbooks") for p in (ROOT / folder).rglob("*.test.yaml"))
SHIPPED = Settings(rules=(str(ROOT / "rules"),), runbooks=(str(ROOT / "runbooks"),))


@pytest.mark.parametrize("file", FILES, ids=lambda p: p.name.removesuffix(".test.yaml"))
def test_what_stands_beside_the_packs_holds(file: Path) -> None:
    results = run_cases((file,), SHIPPED)
    assert results
    assert [(r.name, r.failures) for r in results if r.failures] == []


def test_every_runbook_has_its_tests() -> None:
    books = [p for p in (ROOT / "runbooks").rglob("*.yaml") if not p.name.endswith(".test.yaml")]
    assert [p.name for p in books if p.with_suffix(".test.yaml") not in FILES] == []
