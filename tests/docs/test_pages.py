"""The pages against the project: generated parts are what the code says, links lead somewhere, every command in a page is one."""

from __future__ import annotations

import itertools
import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import typer.main
from typer.testing import CliRunner

from aiops.cli.main import app
from aiops.remediate.guardrails import GUARDS
from aiops.settings import Settings
from tests.docs import generate
from tests.docs.meanings import GUARD_MEANINGS, MEANINGS
from tests.docs.pages import ALL, PAGES, ROOT, Block, anchors, links

RERUN = "run: python -m tests.docs.generate"
KNOWN = {"bash", "console", "yaml", "python", "", "text"}


@pytest.mark.parametrize("name", generate.PAGES)
def test_generated_page_is_what_the_code_says(name):
    assert (generate.DOCS / name).read_text() == generate.PAGES[name](), RERUN


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_generated_sections_are_what_the_code_says(page):
    text = page.read_text()
    assert generate.filled(text) == text, RERUN


def test_every_generated_section_is_in_a_page():
    found = {name for page in PAGES for name in re.findall(r"<!-- generated: ([a-z]+) -->", page.read_text())}
    assert found == set(generate.SECTIONS)


def test_no_meaning_is_of_a_key_that_is_gone():
    assert set(MEANINGS) == {key for key, _ in generate.keys(Settings)}
    assert set(GUARD_MEANINGS) == set(GUARDS)


def test_every_command_has_help_and_help_answers():
    runner = CliRunner()
    for path, command in generate.walk(typer.main.get_command(app), ()):
        assert command.help, path
        answer = runner.invoke(app, [*path, "--help"])
        assert answer.exit_code == 0, (path, answer.output)


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_links_lead_somewhere(page):
    for link in links(page):
        if re.match(r"[a-z]+:", link):
            continue
        place, _, fragment = link.partition("#")
        target = (page.parent / place).resolve() if place else page
        assert target.exists(), f"{page.name}: {link}"
        assert target.is_relative_to(ROOT), f"{page.name}: {link}"
        assert not fragment or fragment in anchors(target), f"{page.name}: {link}"


def test_every_block_has_a_language_that_is_tried():
    assert [str(b) for b in ALL if b.language not in KNOWN] == []


BASH = [b for b in ALL if b.language == "bash"]
MAKE_TARGETS = set(re.findall(r"^([a-z][a-z-]*):", (ROOT / "Makefile").read_text(), re.MULTILINE))


@pytest.mark.parametrize("block", BASH, ids=str)
def test_every_command_of_a_bash_block_is_one(block: Block):
    joined = block.text.replace("\\\n", " ")
    if "<<" in joined or "set +e" in joined:
        assert block.words == ("run",), f"{block}: a script is run, so mark it ```bash run"
        return
    for line in joined.splitlines():
        words = shlex.split(line, comments=True)
        if words:
            check_words(words, block)


def check_words(words: list[str], block: Block) -> None:
    """One command of a page."""
    program = Path(words[0]).name
    if program == "aiops":
        parse(words[1:])
    elif program == "make":
        assert set(words[1:]) <= MAKE_TARGETS, f"{block}: {words}"
    elif program.startswith("python") and words[1:3] == ["-m", "tests.testbed"]:
        from tests.testbed.__main__ import _read

        _read(words[3:])
    elif program.startswith("python") and words[1] == "-m":
        assert (ROOT / Path(*words[2].split("."))).with_suffix(".py").exists() or (ROOT / Path(*words[2].split(".")) / "__main__.py").exists(), f"{block}: {words}"
    elif program == "kubectl":
        for flag, place in itertools.pairwise(words):
            assert flag != "-k" or (ROOT / place / "kustomization.yaml").exists(), f"{block}: {place}"
    else:
        assert program in ("git", "cd", "pre-commit"), f"{block}: {words[0]} is not tried by this test"


def parse(words: list[str]) -> None:
    """Read the words as the program would, carrying nothing out. UsageError on what it would refuse."""
    command: Any = typer.main.get_command(app)
    context = command.make_context("aiops", list(words))
    while getattr(command, "commands", None):
        rest = [*getattr(context, "_protected_args", ()), *context.args]
        name, command, rest = command.resolve_command(context, rest)
        context = command.make_context(name, list(rest), parent=context)


def test_words_that_the_program_refuses_are_found():
    for words in (["incidents", "lst"], ["why"], ["review", "verdict", "run-1", "maybe"], ["run", "--acting"]):
        with pytest.raises(Exception, match=r"(?i)no such|missing|is not one of"):
            parse(words)


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_commands_named_in_the_text_exist(page):
    text = re.sub(r"^```.*?^```", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    names = {" ".join(path) for path, _ in generate.walk(typer.main.get_command(app), ())}
    groups = {name.split()[0] for name in names}
    for first, second in re.findall(r"`(?:\.venv/bin/)?aiops ([a-z]+)(?: ([a-z]+))?", text):
        assert first in groups, f"{page.name}: aiops {first}"
        assert first in names or not second or f"{first} {second}" in names, f"{page.name}: aiops {first} {second}"
    for target in re.findall(r"`make ([a-z-]+)`", text):
        assert target in MAKE_TARGETS, f"{page.name}: make {target}"
