"""What a flush may be asked for, and Redis' glob for caches without a server. Pure. Neighbours: `redis_cache`, `memory_cache`."""

from __future__ import annotations

import re
from collections.abc import Callable

SAMPLE = 5
"""Keys shown as examples in a result."""
_MOST_PATTERN = 1024


def checked(pattern: str, batch: int, limit: int, *, everything: bool = False) -> None:
    """Raises ValueError, saying what is allowed, for a pattern that would take everything (unless that is meant), and for bounds that are none."""
    if not pattern or len(pattern) > _MOST_PATTERN or not pattern.isprintable():
        raise ValueError(f"a pattern is 1 to {_MOST_PATTERN} printable characters, for example catalog:*")
    if not everything and not any(c not in "*?" for c in _literals(pattern)):
        raise ValueError(f"the pattern {pattern!r} would flush everything: give a part that keys have in common, for example catalog:*")
    if batch < 1 or limit < 1:
        raise ValueError("batch and limit are at least 1")


def _literals(pattern: str) -> str:
    """The pattern without classes, which could stand for any character, and with escaped ones as they are."""
    return re.sub(r"\\(.)", "x", re.sub(r"(?<!\\)\[.*?(?<!\\)\]", "*", pattern))


def matcher(pattern: str) -> Callable[[str], bool]:
    """Redis' glob: `*`, `?`, `[abc]`, `[a-c]`, `[^a]`, and a backslash before a character that means itself."""
    parts: list[str] = []
    rest = pattern
    while rest:
        if rest[0] == "\\" and len(rest) > 1:
            parts.append(re.escape(rest[1]))
            rest = rest[2:]
        elif found := re.match(r"\[(\^?)((?:\\.|[^\]\\])*)\]", rest):
            parts.append(_class(found[1], found[2]))
            rest = rest[found.end() :]
        else:
            parts.append({"*": ".*", "?": "."}.get(rest[0], re.escape(rest[0])))
            rest = rest[1:]
    # Neighbouring stars are one: a chain of them would make matching slow.
    text = re.sub(r"(?:\.\*)+", ".*", "".join(parts))
    compiled = re.compile(text, re.DOTALL)
    return lambda key: compiled.fullmatch(key) is not None


def _class(negated: str, inside: str) -> str:
    plain = re.sub(r"\\(.)", lambda m: f"\\{m[1]}", inside)
    plain = plain.replace("[", "\\[").replace("^", "\\^").replace("&&", "&\\&").replace("||", "|\\|").replace("~~", "~\\~")
    return f"[{negated}{plain}]" if plain else ("." if negated else "(?!)")
