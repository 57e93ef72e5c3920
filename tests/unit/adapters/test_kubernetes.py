"""The Kubernetes adapter against servers that misbehave: every refusal has its error, no write is sent twice, no answer holds us up."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any

import pytest

from aiops.adapters.clock import SystemClock
from aiops.adapters.kubernetes import Connection, KubernetesReader, KubernetesWriter, TokenFile, connect
from aiops.adapters.kubernetes.errors import refusal
from aiops.domain import errors
from aiops.domain.target import TargetRef
from tests.unit.adapters.raw_server import RawServer, drips, in_turn, says, serving, silent

SECRET = "s3cr3t-t0ken"
WEB = TargetRef("Deployment", "shop", "web")
BUDGET = {"details": {"causes": [{"reason": "DisruptionBudget", "message": "needs 2 healthy pods"}]}}


def answer(code: int, body: Any, *headers: str) -> bytes:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    lines = [f"HTTP/1.1 {code} X", f"Content-Length: {len(raw)}", "Connection: close", *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + raw


def stream(*events: bytes) -> bytes:
    """A watch's answer, which ends when the connection does."""
    return b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + b"".join(events)


def event(kind: str, obj: dict[str, Any]) -> bytes:
    return json.dumps({"type": kind, "object": obj}).encode() + b"\n"


def connection(url: str, tmp_path: Path, **user: Any) -> Connection:
    config = tmp_path / "config"
    content = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "c", "cluster": {"server": url}}],
        "users": [{"name": "u", "user": user or {"token": SECRET}}],
        "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
        "current-context": "x",
    }
    config.write_text(json.dumps(content))
    return connect("default", SystemClock(), kubeconfig=config)


def clients(server: RawServer, tmp_path: Path) -> tuple[KubernetesReader, KubernetesWriter]:
    made = connection(server.url, tmp_path)
    return KubernetesReader(made, timeout=2), KubernetesWriter(made)


@pytest.mark.parametrize(
    ("code", "status", "expected"),
    [
        (400, {"reason": "BadRequest"}, errors.InvalidError),
        (401, {"reason": "Unauthorized"}, errors.ForbiddenError),
        (403, {"reason": "Forbidden"}, errors.ForbiddenError),
        (404, {"reason": "NotFound"}, errors.NotFoundError),
        (405, {"reason": "MethodNotAllowed"}, errors.InvalidError),
        (409, {"reason": "AlreadyExists"}, errors.ConflictError),
        (410, {"reason": "Expired"}, errors.GoneError),
        (413, {}, errors.InvalidError),
        (422, {"reason": "Invalid"}, errors.InvalidError),
        (429, {"reason": "TooManyRequests"}, errors.ClusterUnavailableError),
        (429, {"reason": "TooManyRequests"} | BUDGET, errors.DisruptionRefusedError),
        (429, {"details": {"causes": "garbage"}}, errors.ClusterUnavailableError),
        (500, {"reason": "InternalError"}, errors.ClusterUnavailableError),
        (503, {}, errors.ClusterUnavailableError),
        (504, {"reason": "Timeout"}, errors.ClusterUnavailableError),
        (307, {}, errors.ClusterUnavailableError),
        (422, {"reason": ["not", "a", "text"], "message": 7}, errors.InvalidError),
    ],
)
def test_every_refusal_has_its_error(code: int, status: dict[str, Any], expected: type[errors.ClusterError], tmp_path: Path):
    assert type(refusal(code, status)) is expected
    with serving(says(answer(code, status | {"kind": "Status"}))) as server:
        _, writer = clients(server, tmp_path)
        with pytest.raises(expected) as caught:
            writer.patch(WEB, {})
    assert caught.value.status == code
    assert type(caught.value) is expected


@pytest.mark.parametrize(
    "talk",
    [
        says(),
        says(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{"),
        says(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{"),
        says(b"nonsense\r\n\r\n"),
        says(answer(200, b"<html>")),
        says(answer(200, b"[]")),
        says(answer(200, b'{"a": "\xff"}')),
        says(answer(200, b"")),
        says(answer(200, b"[" * 100_000)),
        says(answer(502, b"bad gateway")),
        says(answer(429, b"slow down", "Retry-After: 1")),
        says(answer(307, b"", "Location: /elsewhere")),
        silent,
        drips(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n", b"x", every=0.05),
    ],
)
def test_a_write_without_a_whole_answer_is_unknown_and_never_sent_twice(talk: Any, tmp_path: Path):
    with serving(talk) as server:
        _, writer = clients(server, tmp_path)
        with pytest.raises(errors.ClusterUnavailableError) as caught:
            writer.patch(WEB, [{"op": "test", "path": "/metadata/uid", "value": "1"}], timeout=0.5)
        assert len(server.requests) == 1
    assert SECRET not in str(caught.value)


def test_no_server_at_all_is_unavailable(tmp_path: Path):
    with serving(silent) as server:
        url = server.url
    made = connection(url, tmp_path)
    for attempt in (lambda: KubernetesReader(made).get(WEB), lambda: KubernetesWriter(made).patch(WEB, {})):
        with pytest.raises(errors.ClusterUnavailableError) as caught:
            attempt()
        assert caught.value.status == 0


def test_what_a_write_sends(tmp_path: Path):
    with serving(says(answer(200, {"kind": "Deployment", "metadata": {}}))) as server:
        made = connection(server.url, tmp_path)
        KubernetesWriter(made).patch(WEB, [{"op": "test", "path": "/a", "value": 1}])
        KubernetesWriter(made, dry_run=True).patch(WEB, {"a": 1}, subresource="scale")
        KubernetesWriter(made, dry_run=True).delete(WEB, uid="u-1")
        KubernetesWriter(made, dry_run=True).evict(TargetRef("Pod", "shop", "p"), uid="u-2")
        KubernetesWriter(made, dry_run=True).create("Event", "shop", {})
        sent = server.requests
    lines = [r.split(b"\r\n")[0].decode() for r in sent]
    assert lines == [
        "PATCH /apis/apps/v1/namespaces/shop/deployments/web?fieldManager=aiops HTTP/1.1",
        "PATCH /apis/apps/v1/namespaces/shop/deployments/web/scale?fieldManager=aiops&dryRun=All HTTP/1.1",
        "DELETE /apis/apps/v1/namespaces/shop/deployments/web HTTP/1.1",
        "POST /api/v1/namespaces/shop/pods/p/eviction?fieldManager=aiops&dryRun=All HTTP/1.1",
        "POST /api/v1/namespaces/shop/events?fieldManager=aiops&dryRun=All HTTP/1.1",
    ]
    assert b"Content-Type: application/json-patch+json" in sent[0]
    assert b"Content-Type: application/merge-patch+json" in sent[1]
    assert all(f"authorization: bearer {SECRET}".encode() in r.lower() and b"User-Agent: aiops" in r for r in sent)


def test_the_body_of_a_dry_run_deletion_says_so(tmp_path: Path):
    """The server takes the options from the body alone when there is one."""
    bodies: list[bytes] = []

    def talk(sock: Any) -> None:
        # The body may come in a piece of its own, after the head that the server has read.
        sock.settimeout(0.3)
        try:
            bodies.append(sock.recv(65536))
        except TimeoutError:
            bodies.append(b"")
        sock.sendall(answer(200, {}))

    with serving(talk) as server:
        made = connection(server.url, tmp_path)
        KubernetesWriter(made, dry_run=True).delete(WEB, uid="u-1")
        KubernetesWriter(made, dry_run=True).evict(TargetRef("Pod", "shop", "p"), uid="u-2")
        sent = [head.partition(b"\r\n\r\n")[2] + rest for head, rest in zip(server.requests, bodies, strict=True)]
    deleted, evicted = (json.loads(raw) for raw in sent)
    assert (deleted["dryRun"], deleted["preconditions"]) == (["All"], {"uid": "u-1"})
    assert evicted["deleteOptions"] == {"dryRun": ["All"], "preconditions": {"uid": "u-2"}}


def test_hostile_names_are_not_sent(tmp_path: Path):
    with serving(says(answer(200, {}))) as server:
        reader, writer = clients(server, tmp_path)
        for name in ("..", "a/b", "a?b", "a%2fb", "", "Ä", "a\nb", "x" * 400):
            with pytest.raises(errors.NotFoundError):
                reader.get(TargetRef("Deployment", "shop", name))
            with pytest.raises(errors.NotFoundError):
                writer.patch(TargetRef("Deployment", "shop", name), {})
            with pytest.raises((errors.InvalidError, errors.NotFoundError)):
                reader.get(TargetRef("Deployment", name, "web"))
        assert server.requests == []


# --- lists


def page(*names: str, following: str = "") -> bytes:
    meta = {"resourceVersion": "7"} | ({"continue": following} if following else {})
    return answer(200, {"kind": "PodList", "metadata": meta, "items": [{"metadata": {"name": n}} for n in names]})


EXPIRED = answer(410, {"kind": "Status", "reason": "Expired", "code": 410})


def test_pages_are_followed(tmp_path: Path):
    with serving(in_turn(says(page("a", "b", following="next=1&x")), says(page("c")))) as server:
        reader, _ = clients(server, tmp_path)
        found = reader.list("Pod", "shop", label_selector="app in (a,b)")
        second = server.requests[1].split(b"\r\n")[0].decode()
    assert [(i["kind"], i["apiVersion"], i["metadata"]["name"]) for i in found.items] == [("Pod", "v1", n) for n in "abc"]
    assert found.resource_version == "7"
    assert "labelSelector=app+in+%28a%2Cb%29" in second
    assert "continue=next%3D1%26x" in second


def test_pages_that_expire_on_the_way_are_begun_anew(tmp_path: Path):
    with serving(in_turn(says(page("old", following="1")), says(EXPIRED), says(page("a", following="2")), says(page("b")))) as server:
        reader, _ = clients(server, tmp_path)
        assert [i["metadata"]["name"] for i in reader.list("Pod").items] == ["a", "b"]


def test_pages_that_always_expire_are_gone_in_the_end(tmp_path: Path):
    with serving(in_turn(*[says(page("a", following="1")), says(EXPIRED)] * 3)) as server:
        reader, _ = clients(server, tmp_path)
        with pytest.raises(errors.GoneError):
            reader.list("Pod")
        assert len(server.requests) == 6


@pytest.mark.parametrize("body", [{}, {"items": []}, {"metadata": {"resourceVersion": 7}, "items": []}])
def test_an_answer_that_is_no_list_is_refused(body: dict[str, Any], tmp_path: Path):
    with serving(says(answer(200, body))) as server:
        reader, _ = clients(server, tmp_path)
        with pytest.raises(errors.ClusterUnavailableError):
            reader.list("Pod")


# --- watches


def watched(reader: KubernetesReader) -> list[tuple[str, str]]:
    return [(e.type, e.object["metadata"]["name"]) for e in reader.watch("Pod", "1", timeout=2)]


def test_events_come_whole_however_they_are_cut(tmp_path: Path):
    whole = event("ADDED", {"metadata": {"name": "a"}}) + event("DELETED", {"metadata": {"name": "b"}})
    for cut in (1, 20, len(whole) // 2, len(whole) - 1):
        with serving(says(stream(whole[:cut]), whole[cut:])) as server:
            reader, _ = clients(server, tmp_path)
            assert watched(reader) == [("ADDED", "a"), ("DELETED", "b")]


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (stream(event("ERROR", {"kind": "Status", "code": 410, "reason": "Expired"})), errors.GoneError),
        (stream(event("ERROR", {"kind": "Status", "code": 500})), errors.ClusterUnavailableError),
        (stream(event("ERROR", {})), errors.ClusterUnavailableError),
        (stream(b'{"type": "ADDED", "obj'), errors.ClusterUnavailableError),
        (stream(b"not json\n"), errors.ClusterUnavailableError),
        (stream(b'{"type": "ADDED"}\n'), errors.ClusterUnavailableError),
        (answer(410, {"reason": "Expired"}), errors.GoneError),
        (answer(403, {"reason": "Forbidden"}), errors.ForbiddenError),
        (answer(500, b"oops"), errors.ClusterUnavailableError),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{", errors.ClusterUnavailableError),
    ],
)
def test_a_watch_that_goes_wrong_says_how(raw: bytes, expected: type[errors.ClusterError], tmp_path: Path):
    with serving(says(raw)) as server:
        reader, _ = clients(server, tmp_path)
        with pytest.raises(expected):
            watched(reader)


def test_a_silent_watch_is_broken_off_from_another_thread(tmp_path: Path):
    heard, ended = threading.Event(), threading.Event()

    def talk(sock: Any) -> None:
        sock.sendall(stream(event("ADDED", {"metadata": {"name": "a"}})))
        silent(sock)

    with serving(talk) as server:
        reader, _ = clients(server, tmp_path)

        def follow() -> None:
            try:
                for _ in reader.watch("Pod", "1", timeout=600):
                    heard.set()
            except errors.ClusterUnavailableError:
                pass
            finally:
                ended.set()

        thread = threading.Thread(target=follow)
        thread.start()
        assert heard.wait(20)
        assert not ended.is_set()
        reader.interrupt()
        assert ended.wait(20)
        thread.join()


# --- who we are


def test_a_token_file_is_read_again_when_it_changes(tmp_path: Path):
    path = tmp_path / "token"
    path.write_text("first\n")
    token = TokenFile(path)
    assert (token.token(), token.token()) == ("first", "first")
    fresh = tmp_path / "fresh"
    fresh.write_text("second\n")
    fresh.replace(path)
    assert token.token() == "second"
    path.unlink()
    with pytest.raises(errors.ClusterUnavailableError, match="token"):
        token.token()


def test_a_rotated_token_is_used_for_the_next_request(tmp_path: Path):
    path = tmp_path / "token"
    path.write_text("first")
    with serving(says(answer(200, {"metadata": {}}))) as server:
        reader = KubernetesReader(connection(server.url, tmp_path, tokenFile=str(path)))
        reader.get(WEB)
        fresh = tmp_path / "fresh"
        fresh.write_text("second")
        fresh.replace(path)
        reader.get(WEB)
        first, second = server.requests
    assert b"Authorization: Bearer first\r\n" in first
    assert b"Authorization: Bearer second\r\n" in second


def test_a_redirect_does_not_carry_the_token_away(tmp_path: Path):
    with serving(says(answer(200, {}))) as elsewhere, serving(says(answer(302, b"", f"Location: {elsewhere.url}/x"))) as server:
        reader, _ = clients(server, tmp_path)
        with pytest.raises(errors.ClusterUnavailableError):
            reader.get(WEB)
        assert elsewhere.requests == []


@pytest.mark.parametrize(
    "content",
    [
        None,
        "",
        "[]",
        "{:",
        "current-context: nowhere\ncontexts: []\nclusters: []\nusers: []\napiVersion: v1\nkind: Config\n",
        "current-context: x\n",
        "\x00",
    ],
)
def test_a_kubeconfig_that_cannot_be_used_is_named(content: str | None, tmp_path: Path):
    path = tmp_path / "kubeconfig"
    if content is not None:
        path.write_text(content)
    with pytest.raises(errors.ClusterError, match="kubeconfig") as caught:
        connect("default", SystemClock(), kubeconfig=path)
    assert caught.value.reason == "BadKubeconfig"


def test_an_unknown_context_is_named(tmp_path: Path):
    with serving(silent) as server:
        connection(server.url, tmp_path)
    with pytest.raises(errors.ClusterError, match="elsewhere"):
        connect("default", SystemClock(), kubeconfig=tmp_path / "config", kube_context="elsewhere")


def test_outside_of_a_cluster_there_is_no_in_cluster_configuration():
    with pytest.raises(errors.ClusterError, match="in-cluster"):
        connect("default", SystemClock())
