"""The pages in a real browser: hostile texts are shown and never run, the page refreshes itself, nothing foreign is asked for."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest

from aiops.app.monthly import Asked, monthly, write_page
from aiops.ports.storage import Changes
from aiops.settings import Settings
from tests.testbed import debian
from tests.unit.web.shapes import Kit, incident, serving

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")


@pytest.fixture(scope="module")
def browser() -> str:
    present = next((path for name in NAMES if (path := shutil.which(name))), None)
    return present or str(debian.ensure(debian.Program("chromium", "chromium")))


class Elements(HTMLParser):
    """Every element of a document with its attributes."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, list[tuple[str, str | None]]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, attrs))


def dump(browser: str, address: str, folder: Path, *, virtual_ms: int = 1000) -> tuple[str, str]:
    """The document as it stands after `virtual_ms` of the page's own time, and what the browser logged."""
    command = [
        browser, "--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-dev-shm-usage", "--no-first-run",
        f"--user-data-dir={folder}", "--enable-logging=stderr", "--v=0", f"--virtual-time-budget={virtual_ms}", "--dump-dom", address,
    ]
    done = subprocess.run(command, capture_output=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr.decode(errors="replace")[-2000:]
    return done.stdout.decode(), done.stderr.decode(errors="replace")


@pytest.mark.parametrize("path", ["/", "/incidents/inc-2", "/review"])
def test_hostile_texts_are_shown_and_do_not_run(browser: str, tmp_path: Path, path: str):
    with serving(Kit()) as at:
        document, logged = dump(browser, at(path), tmp_path)
    assert "document.title='owned'" in document  # shown, as text
    assert "<title>owned" not in document
    elements = Elements()
    elements.feed(document)
    assert [dict(attributes).get("src") for tag, attributes in elements.found if tag == "script"] == ["/static/refresh.js"]
    assert {dict(attributes).get("src") for tag, attributes in elements.found if tag == "img"} == {"/static/icon.svg"}
    assert [a for _, attributes in elements.found for a, _ in attributes if a.startswith("on")] == []
    assert "Content Security Policy" not in logged  # nothing of our own page breaks its own policy
    assert "Uncaught" not in logged


def test_the_page_refreshes_itself_and_keeps_what_is_unfolded(browser: str, tmp_path: Path):
    kit = Kit()

    class Later(Kit):
        """After the first answer there is one more incident."""

        def status(self):
            given = super().status()
            self.store.write(Changes(incidents=(replace(incident("inc-9", "a new one"), id="inc-9"),)))
            return given

    later = Later(store=kit.store)
    with serving(later) as at:
        document, logged = dump(browser, at("/"), tmp_path, virtual_ms=12_000)
    asked = [path for _, path, _ in later.counts]
    assert asked.count("/") >= 2
    assert "a new one" in document
    assert "no answer from aiops" not in document
    assert "Uncaught" not in logged


def test_only_our_own_server_is_asked(browser: str, tmp_path: Path):
    kit = Kit()
    with serving(kit) as at:
        dump(browser, at("/incidents/inc-1"), tmp_path)
    assert {path for _, path, code in kit.counts if code == 200} == {"/incidents/{id}", "/static/{name}"}


def test_the_monthly_report_opens_as_a_file_and_breaks_no_policy_of_its_own(browser: str, tmp_path: Path):
    page = tmp_path / "report.html"
    write_page(monthly(Settings(store_url=f"sqlite:///{tmp_path}/none.db"), Asked("2026-09", demo=True)), page)
    document, logged = dump(browser, page.as_uri(), tmp_path / "profile")
    elements = Elements()
    elements.feed(document)
    assert len([1 for tag, attributes in elements.found if tag == "svg" and ("role", "img") in attributes]) >= 6
    assert "Content Security Policy" not in logged
    assert "Refused" not in logged
