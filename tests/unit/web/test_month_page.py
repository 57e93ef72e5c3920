"""The monthly report as a page: one file that asks for nothing, every text escaped, drawings within their frame."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from aiops.adapters.store import open_store
from aiops.app.monthly import Asked, monthly, write_page
from aiops.cli.main import app
from aiops.domain.errors import CommandError, StoreError
from aiops.ports.storage import Changes
from aiops.settings import Settings
from aiops.web.month_charts import runs_out
from tests.unit.web.shapes import EVIL, execution, incident

MONTH = "2026-09"
"""In which the incidents of `shapes` lie."""


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    url = f"sqlite:///{tmp_path_factory.mktemp('store') / 'aiops.db'}"
    opened = open_store(url)
    evil = incident("inc-2", EVIL, resolved=True)
    run = replace(execution("run-1", "inc-2", EVIL), simulated=False)
    opened.write(Changes(incidents=(incident("inc-1", "usual"), evil), executions=(run,)))
    opened.close()
    return Settings(store_url=url, name=EVIL)


@pytest.fixture(scope="module")
def page(store: Settings, tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("page") / "deep" / "report.html"
    write_page(monthly(store, Asked(MONTH, demo=True)), path)
    return path.read_text(encoding="utf-8")


class Elements(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


def elements(page: str) -> list[tuple[str, dict[str, str | None]]]:
    parser = Elements()
    parser.feed(page)
    return parser.found


def test_it_asks_for_nothing_and_runs_nothing(page: str) -> None:
    found = elements(page)
    tags = {tag for tag, _ in found}
    assert not tags & {"script", "img", "link", "iframe", "object", "embed", "base", "form", "use", "image", "foreignObject"}
    for tag, attributes in found:
        assert not any(name.startswith("on") or name in ("src", "style", "srcset") for name in attributes), (tag, attributes)
        assert (attributes.get("href") or "#").startswith("#"), attributes
    assert "url(" not in page
    assert "@import" not in page


def test_its_policy_allows_its_own_style_and_nothing_else(page: str) -> None:
    policy = next(a["content"] for t, a in elements(page) if a.get("http-equiv") == "Content-Security-Policy")
    style = re.findall(r"<style>(.*?)</style>", page, re.DOTALL)
    assert len(style) == 1
    digest = base64.b64encode(hashlib.sha256(style[0].encode()).digest()).decode()
    assert policy == f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"


def test_hostile_texts_stay_texts(page: str) -> None:
    assert "&lt;script&gt;document.title=" in page
    assert "{{7*7}}" in page
    assert "\u202e" not in page


def test_every_section_and_drawing_is_there_and_told(page: str) -> None:
    found = elements(page)
    assert [a["id"] for t, a in found if t == "section" and "id" in a] == [
        "incidents", "availability", "cost", "returns", "capacity", "recommendations", "performance",
    ]  # fmt: skip
    drawings = [a.get("aria-label") or "" for t, a in found if t == "svg" and a.get("role") == "img"]
    for title in ("Incidents opened each day", "Month to date and forecast", "Cost of each day", "Latency in seconds", "Load and latency", "Share of requests that succeed"):
        assert any(d.startswith(f"{title}: ") and len(d) > len(title) + 5 for d in drawings), title
    assert all(a.get("aria-hidden") or a.get("role") == "img" for t, a in found if t == "svg")
    assert all("scope" in a for t, a in found if t == "th")
    for name in ("made up, for demonstration", "cost.engineerHour", "right-size", "OpenCost"):
        assert name in page, name


def test_all_coordinates_lie_within_the_drawing(page: str) -> None:
    for points in re.findall(r'points="([^"]+)"', page):
        for pair in points.split():
            x, y = map(float, pair.split(","))
            assert 0 <= x <= 680, pair
            assert 0 <= y <= 230, pair


def test_json_is_the_same_document(store: Settings) -> None:
    answer = CliRunner().invoke(app, ["report", "--month", MONTH, "--demo", "-o", "json"], env={"AIOPS_STORE_URL": store.store_url})
    assert answer.exit_code == 0, answer.output
    found: dict[str, Any] = json.loads(answer.stdout)
    assert found["incidents"]["total"] == 2
    assert sum(sum(day.values()) for day in found["incidents"]["daily"]) == 2
    assert found["cost"]["forecast"]["mean"] >= found["cost"]["spent"] > 0
    assert {s["service"]: s["trends"]["p95"]["heading"] for s in found["services"]}["search"] == "worse"
    assert [r["verdict"] for s in found["services"] for r in s["releases"]] == ["worse"]
    assert found["services"][0]["knee"]["bent"]
    assert found["availability"][0]["outages"] >= 1
    first = found["capacity"][0]
    assert first["name"] == "disk of orders-db"
    assert first["p10"] <= first["p50"] <= (first["p90"] or 1e12)


def test_text_and_a_page_beside_it(store: Settings, tmp_path: Path) -> None:
    target = tmp_path / "report.html"
    answer = CliRunner().invoke(app, ["report", "--month", MONTH, "--demo", "--html", str(target)], env={"AIOPS_STORE_URL": store.store_url})
    assert answer.exit_code == 0, answer.output
    for words in ("incidents     2", "cost ", "return ", "assumed: an engineer's hour: 75", "release  2026-09-15", "service       checkout"):
        assert words in answer.output, words
    assert target.read_text().startswith("<!doctype html>")


def test_without_prices_and_use_the_rest_stands(store: Settings, tmp_path: Path) -> None:
    found = monthly(store, Asked(MONTH))
    assert found["cost"] is None
    assert any(n.startswith("no cost: no prices") for n in found["notes"])
    write_page(found, tmp_path / "report.html")
    assert "Nothing is known of cost" in (tmp_path / "report.html").read_text()


def test_what_is_no_month_or_no_store_is_refused(store: Settings, tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="has not begun"):
        monthly(store, Asked("2999-01"))
    with pytest.raises(StoreError):
        monthly(Settings(store_url=f"sqlite:///{tmp_path}/none.db"), Asked(MONTH))
    lone = monthly(Settings(store_url=f"sqlite:///{tmp_path}/none.db"), Asked(MONTH, demo=True))
    assert lone["incidents"]["total"] == 0
    answer = CliRunner().invoke(app, ["report", "--html", "x.html"])
    assert answer.exit_code == 2


def test_what_runs_out_is_drawn_from_early_to_late() -> None:
    day = 86400.0
    chart = runs_out([{"name": "disk", "p10": 3 * day, "p50": 5 * day, "p90": 9 * day}, {"name": "pods", "p10": None, "p50": None, "p90": None}], 0.0)
    assert chart is not None
    (box,) = chart.boxes
    assert box.width > 100
    assert "disk about 6 Jan" in chart.told
    assert runs_out([], 0.0) is None
