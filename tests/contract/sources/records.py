"""One set of log records for every log source, and texts that try the splitting into words."""

from __future__ import annotations

from dataclasses import dataclass, field

START = 1_790_000_000.0
INDEX = "contract-logs"
OTHER = "contract-other"

TEXTS = [
    "Connection to db-1.internal:5432 timed out after 3,000.5 ms",
    "OOMKilled: container cart_main (exit_code=137)",
    "can't open file '/var/lib/x.y/z-1.log'",
    "user_id=5 _x_ __ a_b-c a__b 5_a _5",
    "Ünïcödé ÄRGER straße İstanbul ΣΊΣΥΦΟΣ",
    "日本語のログ テスト カタカナ 한국어 文字",
    "a.b a..b a.5 5.a 5.5 5,5 5,a 5;5 5:5 a:b a'b a''b a·b a\u2019b 1'000",
    'x="quoted" <tag> {json: [1, 2]} \\back\\slash\\',
    "tab\tnew\nline\r\nend\u00a0space\u2003wide\u200bzero",
    "e\u0301clair cafe\u0301s",
    "v1.2.3-rc1+build.5 2026-11-23T18:00:00.123Z 10.0.0.1 fe80::1",
    "50% $5 a&b a/b a|b a@b.c #tag ~ ^ ` *",
    "!!! ... ---",
    "",
    "x" * 300 + " tail",
    "İi ßẞ ǅ",
    "\u0661\u0662\u0663 \u0664,\u0665 Ⅷ ½ x²",
]


@dataclass(frozen=True)
class Entry:
    at: float
    message: str
    fields: dict[str, str] = field(default_factory=dict)
    index: str = INDEX


def all_records() -> list[Entry]:
    """Times from START on, some equal, some at the edges of what the tests ask for."""
    made = [Entry(START + 0.5 * i, text, {"kind": "text", "nr": str(i)}) for i, text in enumerate(TEXTS)]
    services = ("cart", "pay", "search")
    for i in range(300):
        fields = {"level": "ERROR" if i % 5 == 0 else "INFO", "service": services[i % 3], "kubernetes.pod": f"{services[i % 3]}-{i % 4}"}
        if i % 7 == 0:
            del fields["kubernetes.pod"]
        message = "Request timed out while calling upstream" if i % 10 == 0 else f"handled request {i} OK"
        made.append(Entry(START + 100 + i, message, fields))
    made += [
        Entry(START + 600, "at the start of the window", {"kind": "edge"}),
        Entry(START + 659.999, "just before the end of the window", {"kind": "edge"}),
        Entry(START + 660, "at the end of the window", {"kind": "edge"}),
        Entry(START + 700, "hostile value", {"kind": 'a"b\\c\n{}[]*?', "level": "error"}),
        Entry(START + 710, "Empty value", {"kind": "", "level": "ERROR "}),
        Entry(START + 720, "in another index", {"level": "ERROR", "service": "other"}, OTHER),
    ]
    made += [Entry(START + 1000 + i, "took a while", {"kind": "timed", "took": took}) for i, took in enumerate(("0", "49.9", "50", "-0.5", "120.25", "99", "50.5"))]
    made.append(Entry(START + 1007, "took nobody knows how long", {"kind": "timed"}))
    made += [Entry(START + 800 + 0.001 * i, f"many groups {i}", {"kind": "many", "nr": f"n{i % 25}"}) for i in range(40)]
    return made
