"""Which symptoms and which kind an expression surely needs, read off its text: `"latency" in incident.symptoms && target.kind == "Pod" && …`.

Only what stands between top-level `&&` in exactly these forms is taken; everything else needs nothing and is left to the evaluation.
Neighbours: `matching` asks before it evaluates.
"""

from __future__ import annotations

import re
from functools import lru_cache

Needs = tuple[frozenset[str], frozenset[str]]

_NOTHING: Needs = (frozenset(), frozenset())
_STRING = r"""(?:"([^"]*)"|'([^']*)')"""
_SYMPTOM = re.compile(rf"{_STRING}\s+in\s+incident\.symptoms")
_KIND = re.compile(rf"target\.kind\s*==\s*{_STRING}|{_STRING}\s*==\s*target\.kind")
# A text or a bracket that is no part of one, or an operator that binds less than `&&`.
_TOKEN = re.compile(r"""(?P<text>"[^"]*"|'[^']*')|(?P<open>[(\[{])|(?P<close>[)\]}])|(?P<and>&&)|(?P<weak>\|\||\?)""")
_UNREAD = ("\\", '"""', "'''", "//", "\n")
"""Escapes, long texts, comments: whoever writes these is evaluated. A raw text has a backslash, or is like any other."""


@lru_cache(maxsize=4096)
def plain_parts(text: str) -> Needs:
    """Symptoms that must all be there, and kinds the target's must be (several: never)."""
    parts = () if any(sign in text.strip() for sign in _UNREAD) else _split(text)
    symptoms = [found for part in parts if (found := _SYMPTOM.fullmatch(part))]
    kinds = [found for part in parts if (found := _KIND.fullmatch(part))]
    return (_texts(symptoms), _texts(kinds)) if symptoms or kinds else _NOTHING


def _split(text: str) -> tuple[str, ...]:
    """The parts between top-level `&&`; none if anything at the top binds less."""
    parts, depth, start = [], 0, 0
    for token in _TOKEN.finditer(text):
        if token["open"]:
            depth += 1
        elif token["close"]:
            depth -= 1
        elif depth == 0 and token["weak"]:
            return ()
        elif depth == 0 and token["and"]:
            parts.append(text[start : token.start()].strip())
            start = token.end()
    return (*parts, text[start:].strip())


def _texts(found: list[re.Match[str]]) -> frozenset[str]:
    return frozenset(next((group for group in match.groups() if group is not None), "") for match in found)
