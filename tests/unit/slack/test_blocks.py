"""Rendering: within Slack's limits whatever comes, nothing hostile survives, nothing is lost."""

from __future__ import annotations

import json
import re

from hypothesis import given, settings
from hypothesis import strategies as st

from aiops.adapters.slack.blocks import Rendered, link, pieces, render
from aiops.domain.message import MessageKind
from aiops.domain.outcome import GuardMode, Verdict
from aiops.domain.plan import Change
from tests.testbed.slack_server import check_content
from tests.unit.slack.shapes import AT, CHANGE, message

HOSTILE = st.text(alphabet=st.one_of(st.sampled_from("<>&`*_~|!@#\n\x00\u202e\U0001f534"), st.characters()), max_size=400)
OWN = re.compile(r"<(!date\^\d+\^\{date_short_pretty\} \{time_secs\}\|[-0-9: ]+UTC|https://aiops\.example/incidents/inc-1\|incident)>")


def posts(rendered: Rendered):
    return [rendered.first, *rendered.rest]


def texts(rendered: Rendered) -> list[str]:
    """Every mrkdwn text."""
    found: list[str] = []
    for post in posts(rendered):
        for block in post.blocks:
            parts = [block.get("text"), *block.get("fields", ()), *block.get("elements", ())]
            found += [p["text"] for p in parts if p and p["type"] == "mrkdwn"]
            assert all(p.get("verbatim") is True for p in parts if p and p["type"] == "mrkdwn")
    return found


def accepted(rendered: Rendered) -> None:
    """The local Slack's own judgement, with the tighter limit of an update."""
    for post in posts(rendered):
        check_content({"text": post.text, "blocks": list(post.blocks)}, 4000)


def safe(rendered: Rendered) -> None:
    """No angle bracket but those of our dates and links."""
    for text in [*texts(rendered), *(p.text for p in posts(rendered))]:
        assert not re.search(r"[<>]", OWN.sub("", text)), text
        assert re.fullmatch(r"(?:[^&]|&(?:amp|lt|gt);)*", text.replace("https://", "")), text


def test_a_usual_incident_is_one_message():
    rendered = render(message("k"))
    accepted(rendered)
    safe(rendered)
    assert rendered.rest == ()
    assert rendered.first.blocks[0] == {"type": "header", "text": {"type": "plain_text", "text": "🔴 [dry-run] latency of checkout is above its limit", "emoji": False}}
    whole = json.dumps(rendered.first.blocks, ensure_ascii=False)
    for word in ("p99 is 2.1 s", "replicas: 4", "CoolingDown", "scale-out", "measuring", "shop/deployment/checkout", "diff computed here"):
        assert word in whole


@settings(max_examples=150, deadline=None)
@given(HOSTILE, HOSTILE, st.lists(HOSTILE, max_size=4), HOSTILE, st.dictionaries(HOSTILE, HOSTILE, max_size=4))
def test_hostile_texts_neither_mention_nor_link_nor_break_a_limit(title: str, target: str, signals: list[str], diff: str, labels: dict[str, str]):
    change = Change(title, target, diff, diff, diff, title, diff)
    verdict = Verdict(title, GuardMode.ENFORCE, False, target, diff)
    rendered = render(message(
        "k", text=title, title=title, target=target, signals=tuple(signals), evidence=tuple(signals), labels=labels, changes=(change,), refusals=(verdict,),
        verification=diff, outcome=title, runbook=title,
    ))
    accepted(rendered)
    safe(rendered)
    reply = render(message("k", text=diff, kind=MessageKind.UPDATE))
    accepted(reply)
    safe(reply)


def test_a_mention_is_shown_as_text():
    rendered = render(message("k", text="<!channel>", title="<!channel> <@U1> <https://evil.example|click> & co"))
    assert rendered.first.text == "&lt;!channel&gt;"
    safe(rendered)


def test_code_cannot_be_ended_from_within():
    diff = "a ```\n<!here> ` b"
    rendered = render(message("k", changes=(Change("s", "a", "t", "", diff, "server"),)))
    block = next(t for t in texts(rendered) if "here" in t)
    assert block.startswith("```")
    assert block.endswith("```")
    assert "`" not in block[3:-3]


def test_what_is_over_goes_into_the_thread_and_nothing_is_lost():
    lines = [f"+  line {n} <{n}>" for n in range(3000)]
    rendered = render(message("k", changes=(CHANGE, Change("big", "patch", "t", "", "\n".join(lines), "server"))))
    accepted(rendered)
    assert len(rendered.rest) > 1
    assert "replicas: 4" in json.dumps(rendered.first.blocks)
    over = "\n".join(b["text"]["text"] for post in rendered.rest for b in post.blocks)
    assert all(f"+  line {n} &lt;{n}&gt;" in over for n in range(3000))


def test_parts_that_did_not_change_read_the_same_at_each_update():
    big = Change("big", "patch", "t", "", "\n".join(f"+ {n}" for n in range(5000)), "server")
    before = render(message("k1", changes=(big,), evidence=("one",)))
    after = render(message("k2", changes=(big,), evidence=("one", "two", "three"), state="mitigating"))
    assert before.rest == after.rest != ()
    assert before.first != after.first


def test_many_parts_stay_within_fifty_blocks():
    changes = tuple(Change(f"s{n}", "scale", "t", "x" * 2000, "", "none") for n in range(120))
    accepted(render(message("k", changes=changes)))


def test_a_resolved_incident_says_when():
    rendered = render(message("k", state="resolved", resolved_at=AT + 60, dry_run=False))
    assert rendered.first.blocks[0]["text"]["text"].startswith("🟢 latency")
    assert any("resolved <!date^1790000060^" in t for t in texts(rendered))


def test_only_plain_web_addresses_are_linked():
    assert link("https://a.example/x?a=1&b=2", "here") == "<https://a.example/x?a=1&amp;b=2|here>"
    for address in ("javascript:alert(1)", "https://a.example/|x", "https://a.example/> <!channel>", "ftp://a", ""):
        assert link(address, "<here>") == "&lt;here&gt;"


@given(st.text(max_size=300), st.integers(min_value=6, max_value=50))
def test_pieces_hold_the_limit_and_all_that_can_be_seen(text: str, limit: int):
    found = list(pieces(text, limit))
    assert all(0 < len(p) <= limit for p in found)
    seen = "".join("".join(found).split()).replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
    assert seen == "".join("".join(c for c in text if c.isprintable()).split())


def test_the_parts_and_what_else_changed_are_told_escaped():
    told = message("k", contributors=("3 of 40 pods: <!channel> 0.9 (before 0.1)",), causes=("node/n1 (node): disk 1 to 9, 12 deviations",))
    text = str(render(told).first.blocks)
    assert "Who it is" in text
    assert "3 of 40 pods: &lt;!channel&gt; 0.9" in text
    assert "What else changed" in text
    assert "disk 1 to 9" in text


def test_how_to_say_that_it_was_none_is_told_where_that_can_be_said():
    assert "no anomaly? `aiops feedback add inc-1`" in str(render(message("k", learned=True)).first.blocks)
    assert "no anomaly?" not in str(render(message("k")).first.blocks)
