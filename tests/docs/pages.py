"""Reads the project's pages: fenced blocks and links, with the line where they begin; used by the tests of this folder."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGES = (
    *sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").glob("*.md")), *sorted((ROOT / "docs" / "adr").glob("*.md")),
    ROOT / "deploy" / "README.md", ROOT / "tests" / "testbed" / "README.md",
)  # fmt: skip
_FENCE = re.compile(r"^( *)(```+)(.*)$")
_LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)")
_CODE = re.compile(r"`[^`]*`")


@dataclass(frozen=True, slots=True)
class Block:
    """One fenced block: its language, the words after it, and its text."""

    page: Path
    line: int
    language: str
    words: tuple[str, ...]
    text: str

    def __str__(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"


def blocks(page: Path) -> Iterator[Block]:
    """Every fenced block of a page. A fence that is not closed is an error of the page."""
    lines = page.read_text(encoding="utf-8").splitlines()
    start, fence, info, body = 0, "", "", list[str]()
    for number, line in enumerate(lines, 1):
        found = _FENCE.match(line)
        if not fence and found:
            start, fence, info, body = number, found[2], found[3].strip(), []
        elif fence and line.strip() == fence:
            language, *words = info.split() or [""]
            yield Block(page, start, language, tuple(words), "\n".join(body) + "\n")
            fence = ""
        elif fence:
            body.append(line)
    if fence:
        raise ValueError(f"{page}:{start}: the block is not closed")


ALL = tuple(block for page in PAGES for block in blocks(page))


def links(page: Path) -> Iterator[str]:
    """Where a page's links lead; what stands in code is no link."""
    inside = False
    for line in page.read_text(encoding="utf-8").splitlines():
        if _FENCE.match(line):
            inside = not inside
        elif not inside:
            yield from _LINK.findall(_CODE.sub("", line))


def anchors(page: Path) -> set[str]:
    """The fragments that a page's headings make."""
    heads = [line.lstrip("#").strip() for line in page.read_text(encoding="utf-8").splitlines() if line.startswith("#")]
    return {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}
