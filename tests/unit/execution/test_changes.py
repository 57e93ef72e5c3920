"""What people are shown of a change: true, bounded, and without secrets."""

from __future__ import annotations

from typing import Any

import yaml
from hypothesis import given
from hypothesis import strategies as st

from aiops.execution.actions.contract import Effect
from aiops.execution.changes import MAX_DIFF, MAX_REQUEST, WITHHELD, change_of, clipped, redacted, request_text, unified, yaml_lines
from aiops.ports.cluster import WriteResult

SCALARS = st.none() | st.booleans() | st.integers(-(10**9), 10**9) | st.text()
JSON = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4), max_leaves=25)


@given(JSON)
def test_the_yaml_is_yaml_and_says_the_same(value: Any) -> None:
    lines = list(yaml_lines(value))
    assert yaml.safe_load("\n".join(lines)) == value
    assert all(len(line.splitlines()) <= 1 for line in lines)


def test_words_that_yaml_would_take_for_something_else_are_quoted() -> None:
    hostile = {"yes": "no", "on": "Off", "null": "~", "n": "0x10", "t": "2027-01-01", "colon:": "a: b", "hash": "a #b", "star": "*x", "lines": "a\n- b", "img": "r/x:1"}
    lines = list(yaml_lines(hostile))
    assert yaml.safe_load("\n".join(lines)) == hostile
    assert "img: r/x:1" in lines


def pod(env: list[dict[str, Any]], **metadata: Any) -> dict[str, Any]:
    return {"kind": "Deployment", "metadata": {"name": "x", **metadata}, "spec": {"template": {"spec": {"containers": [{"name": "main", "env": env}]}}}}


def test_server_bookkeeping_is_no_difference() -> None:
    noise = {"resourceVersion": "1", "generation": 4, "managedFields": [{"manager": "x"}], "uid": "u", "creationTimestamp": "t"}
    assert unified({**pod([]), "status": {"replicas": 1}}, {**pod([], **noise), "status": {"replicas": 2}}) == ""


def test_secrets_are_withheld_everywhere() -> None:
    names = ["DB_PASSWORD", "API_TOKEN", "CLIENT_SECRET", "AWS_SECRET_ACCESS_KEY", "signing_key", "CONNECTION_STRING", "apikey", "PRIVATE_PEM"]
    env = [{"name": name, "value": f"s3cr3t-{name}"} for name in names] + [{"name": "MODE", "value": "fast"}]
    before, after = pod(env), pod([*env[:-1], {"name": "MODE", "value": "slow"}])
    operation = {"op": "replace", "path": "/spec/template", "value": after["spec"]["template"]}
    text = unified(before, after) + request_text([operation]) + repr(redacted(after))
    assert "s3cr3t" not in text
    assert "slow" in text
    assert redacted(operation)["value"]["spec"]["containers"][0]["env"][0] == {"name": "DB_PASSWORD", "value": WITHHELD}


def test_a_change_of_a_secret_alone_is_still_said() -> None:
    before, after = pod([{"name": "DB_PASSWORD", "value": "a"}]), pod([{"name": "DB_PASSWORD", "value": "b"}])
    assert unified(before, after) == "(only withheld values differ)"


def test_kubectls_copy_of_the_object_is_not_shown() -> None:
    key = "kubectl.kubernetes.io/last-applied-configuration"
    assert unified(pod([], annotations={key: '{"a": "s3cr3t"}'}), pod([], annotations={key: '{"a": "other"}'})) == ""
    assert "s3cr3t" not in request_text([{"op": "add", "path": "/metadata/annotations", "value": {key: "s3cr3t"}}])


def test_sizes_are_bounded_and_what_is_missing_is_said() -> None:
    huge = pod([{"name": f"V{n}", "value": "x" * 50} for n in range(1000)])
    diff = unified({"metadata": {}}, huge)
    assert MAX_DIFF < len(diff) < MAX_DIFF + 50
    assert diff.endswith("more characters")
    assert len(request_text([{"op": "add", "path": "/x", "value": huge}])) < MAX_REQUEST + 50
    assert clipped("abc", 3) == "abc"


def test_an_effect_that_touches_no_object_has_no_diff() -> None:
    change = change_of("s", "redis-flush", "shop/deployment/x", {"pattern": "a:*"}, Effect(applied=True, note="3 removed"))
    assert (change.diff, change.origin, change.note) == ("", "none", "3 removed")
    assert '"pattern": "a:*"' in change.request


def test_the_writers_own_note_is_kept() -> None:
    effect = Effect(applied=False, write=WriteResult(pod([]), pod([]), applied=False, origin="computed", note="computed here: may not patch"))
    change = change_of("s", "scale", "t", [], effect)
    assert (change.origin, change.note) == ("computed", "computed here: may not patch")
