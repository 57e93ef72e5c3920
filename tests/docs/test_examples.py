"""What the pages show, tried: YAML is loaded by the product's own loaders, blocks marked `run` are run, Python is compiled."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from aiops.adapters.store import open_store
from aiops.app.cases import run_cases
from aiops.app.check import load
from aiops.app.config import read_settings
from aiops.settings import Settings, SourceSettings
from tests.docs.pages import ALL, PAGES, ROOT, Block, blocks

SOURCES = {
    "prometheus": SourceSettings(type="prometheus", url="http://127.0.0.1:9"),
    "elasticsearch": SourceSettings(type="elasticsearch", url="http://127.0.0.1:9"),
}


def kind(block: Block) -> str:
    """What the document of a YAML block says it is."""
    found: Any = yaml.safe_load(block.text)
    return str(found.get("kind", "")) if isinstance(found, dict) else ""


YAML = [b for b in ALL if b.language == "yaml"]
OURS = ("RuleSet", "Runbook", "Config", "Test")
# Documents of the world's own format, which its loader's tests read.
WORLD = ROOT / "docs" / "world.md"


@pytest.mark.parametrize("block", YAML, ids=str)
def test_yaml_says_what_it_is(block: Block):
    assert kind(block) in (*OURS, "Kustomization") or block.page == WORLD, f"{block}: kind is missing, so nothing would try it"


def test_there_is_an_example_of_each_kind():
    assert set(OURS) <= {kind(b) for b in YAML}


@pytest.fixture(scope="module")
def examples(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """Settings over all rules and runbooks that the pages show, as files named for their page and line."""
    folder = tmp_path_factory.mktemp("examples")
    for block in YAML:
        if kind(block) in ("RuleSet", "Runbook"):
            place = folder / kind(block).lower()
            place.mkdir(exist_ok=True)
            (place / f"{block.page.stem}-{block.line}.yaml").write_text(block.text)
    return Settings(rules=(str(folder / "ruleset"),), runbooks=(str(folder / "runbook"),), sources=SOURCES)


def test_rules_and_runbooks_load(examples):
    found = load(examples)
    assert [str(p) for p in found.problems] == []
    assert [str(n) for n in found.notes] == []
    assert found.rules
    assert found.runbooks


@pytest.mark.parametrize("block", [b for b in YAML if kind(b) == "Test"], ids=str)
def test_tests_pass(block: Block, examples: Settings, tmp_path: Path):
    (tmp_path / "page.test.yaml").write_text(block.text)
    results = run_cases((tmp_path,), examples)
    assert results
    assert {r.name: r.failures for r in results} == {r.name: () for r in results}


@pytest.mark.parametrize("block", [b for b in YAML if kind(b) == "Config"], ids=str)
def test_settings_are_read(block: Block, tmp_path: Path):
    (tmp_path / "aiops.yaml").write_text(block.text)
    read_settings(tmp_path / "aiops.yaml")


@pytest.mark.parametrize("block", [b for b in ALL if b.language == "python"], ids=str)
def test_python_compiles(block: Block):
    compile(block.text, str(block), "exec")


@pytest.mark.parametrize("block", [b for b in ALL if b.language == "bash" and "run" in b.words], ids=str)
def test_blocks_marked_run_end_well(block: Block, tmp_path: Path):
    done = run_block(block.text, tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("block", [b for b in ALL if b.language == "console"], ids=str)
def test_console_blocks_show_what_is_printed(block: Block, tmp_path: Path):
    asked, _, shown = block.text.partition("\n")
    assert asked.startswith("$ "), f"{block}: begins with `$ ` and one command"
    done = run_block(asked[2:], tmp_path)
    assert (done.stdout + done.stderr).rstrip() == shown.rstrip()


def run_block(script: str, state: Path) -> subprocess.CompletedProcess[str]:
    """As a reader would: in the project's folder, with its environment, beside a daemon that has made its store."""
    open_store(f"sqlite:///{state}/aiops.db").close()
    environment = {
        **os.environ, "AIOPS_STATE_DIR": str(state), "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
        "COLUMNS": "120",
    }  # fmt: skip
    environment.pop("AIOPS_CONFIG", None)
    return subprocess.run(["bash", "-eu", "-c", script], check=False, cwd=ROOT, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True)


def test_pages_are_all_read():
    assert sum(1 for page in PAGES for _ in blocks(page)) == len(ALL) > 5
