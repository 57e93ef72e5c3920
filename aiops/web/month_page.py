"""The monthly report as one HTML file that asks for nothing: styles and drawings stand in it, scripts do not, and its policy forbids the rest.

Neighbours: `app.monthly` makes the document, `month_charts` the geometry, `templates/month.html` the page.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from importlib import resources
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from aiops.web import charts, month_charts, texts

STYLES = ("style.css", "month.css")


def render(document: Mapping[str, Any], version: str) -> str:
    """The page for a document as `aiops report --month --output json` prints it. Every text is escaped."""
    environment = Environment(
        loader=PackageLoader("aiops.web", "templates"), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True,
        finalize=texts.clean, auto_reload=False,
    )  # fmt: skip
    environment.filters |= {
        "span": texts.span, "moment": texts.moment, "money": money, "percent": percent, "number": charts.number, "day": month_charts.day_of, "long_day": long_day,
    }
    folder = resources.files("aiops.web").joinpath("static")
    style = "\n".join(folder.joinpath(name).read_text(encoding="utf-8") for name in STYLES)
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    return environment.get_template("month.html").render(
        # Our own files, with nothing of the document's in them: the only text that is not escaped, since the policy's hash is of it as it stands.
        d=document, charts=month_charts, version=version, style=Markup(style), policy=f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'",  # noqa: S704
    )  # fmt: skip


def money(value: float | None) -> str:
    """Whole from a hundred on."""
    if value is None:
        return "not known"
    value = round(value, 2) + 0.0  # no -0.00
    return f"{value:,.0f}" if abs(value) >= 100 or not value else f"{value:,.2f}"


def percent(value: float | None, digits: int = 0) -> str:
    """Of a share; a dash for nothing."""
    return "–" if value is None else f"{value:.{digits}%}"  # noqa: RUF001 (a dash for nothing)


def long_day(at: float | None) -> str:
    """`2026-11-03`."""
    return "–" if at is None else texts.moment(at)[:10]  # noqa: RUF001 (as above)
