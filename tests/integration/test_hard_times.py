"""Hard times on real servers: no rights, no sight, sudden deaths, hostile words, broken files, people in the way.

What counts is what the API server has: its objects and its audit log. Each case has its own account, namespace and daemon on one stand.
Neighbours: `hard_kit`, `gate`, `shoal/`, `tests/testbed/stand.py`; `test_loop.py` has the good times.
"""

from __future__ import annotations

import json
import re
import resource
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from email.utils import formatdate, parsedate_to_datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.integration.gate import Gate, Request
from tests.integration.hard_kit import (
    PATIENCE_S,
    UNWELL,
    WELL,
    Case,
    Dial,
    account,
    done,
    ended,
    held_store,
    incident_of,
    incidents,
    leased,
    rows,
    ruleset,
    runs,
    settled,
    untold,
)
from tests.testbed import web
from tests.testbed.alertmanager import Alertmanager
from tests.testbed.daemon import Daemon
from tests.testbed.process import eventually
from tests.testbed.prometheus import Prometheus
from tests.testbed.slack_server import SlackServer
from tests.testbed.stand import Stand

SHOAL = Path(__file__).parent / "shoal"
QUIET_S = 20.0
pytestmark = pytest.mark.timeout(900)


@pytest.fixture(scope="module")
def stand() -> Iterator[Stand]:
    with Stand(services=[SHOAL / "services.yaml"], faults=[SHOAL / "faults.yaml"]) as one:
        yield one


@pytest.fixture(scope="module")
def dial(stand: Stand) -> Iterator[Dial]:
    with Dial() as one:
        stand.prometheus.scrape(one.target)
        stand.prometheus.wait_up("dial")
        yield one


def telling(slack: SlackServer, folder: Path) -> dict[str, Any]:
    """The settings' part about Slack."""
    token = folder / "slack-token"
    token.write_text("xoxb-for-the-local-server")
    return {"tokenFile": str(token), "baseUrl": slack.base_url, "routes": [{"channel": "#ops"}]}


# --- 1. an account that may only read, with the shipped rules and runbooks, in a storm of requests


@dataclass(frozen=True)
class Readers:
    """Two daemons under read-only accounts: one told to act, one in dry-run."""

    acting: Daemon
    acting_user: str
    dry: Daemon
    dry_user: str
    slack: SlackServer


@pytest.fixture(scope="module", autouse=True)
def readers(stand: Stand) -> Iterator[Readers]:
    """Started first and read last: the storm begins after a quiet time and is found while the other cases go on."""
    tokens = {name: account(stand, name, act=False) for name in ("reader-act", "reader-dry")}
    with SlackServer() as slack:
        acting = stand.daemon("reader-act", act=True, token=tokens["reader-act"][0], change=lambda s: s.update(slack=telling(slack, stand.folder)))
        dry = stand.daemon("reader-dry", act=False, token=tokens["reader-dry"][0])
        for one in (acting, dry):
            one.start()
        storm = threading.Timer(QUIET_S, stand.world.switch_on, ["storm"])
        storm.start()
        yield Readers(acting, tokens["reader-act"][1], dry, tokens["reader-dry"][1], slack)
        storm.cancel()
        storm.join()
        assert [one.stop() for one in (acting, dry)] == [0, 0], acting.tail() + dry.tail()


# --- 2. Prometheus goes dark in the middle


def test_nothing_is_done_while_prometheus_is_dark_and_the_loop_closes_after(stand: Stand, dial: Dial) -> None:
    case = Case("dark", stand, dial)
    names = ("begun", "caught", "waiting")
    case.deployments(*names)
    own = Prometheus([dial.target])
    with ExitStack() as stack:
        own.start()
        stack.callback(own.stop)

        def through(settings: dict[str, Any]) -> None:
            settings["sources"]["prometheus"] |= {"url": own.url, "darkAfter": "5s", "timeout": "2s"}

        daemon = case.daemon(change=through, within="5m")
        daemon.start()
        case.trouble("caught", "waiting", level=UNWELL)
        eventually(lambda: own.instant('trouble{case="dark"} == 1') != [], deadline_s=PATIENCE_S, what="the dial to be scraped")
        case.trouble("begun")
        case.wait_effect("begun")
        own.server.freeze()
        # Told before it is known to be dark: a run begins and finds that it sees nothing. Told after that: none begins.
        alert(daemon, alertname="Told", namespace=case.namespace, deployment="caught", symptom="trouble")
        eventually(lambda: "prometheus" in dark_sources(daemon), deadline_s=PATIENCE_S, what="the dark source to be told")
        metrics = daemon.get("/metrics")[1]
        assert re.search(r'^aiops_source_up\{source="prometheus"\} 0\.0$', metrics, re.MULTILINE), metrics
        own.server.kill()
        alert(daemon, alertname="Told", namespace=case.namespace, deployment="waiting", symptom="trouble")
        eventually(lambda: "SourceDark" in daemon.cli("why", f"{case.namespace}/deployment/waiting"), deadline_s=PATIENCE_S, what="why nothing is done")
        assert [len(case.effects(name)) for name in names] == [1, 0, 0]
        assert done(daemon, "begun") == "", "what cannot be measured is not over"
        own.restart()
        for name in ("caught", "waiting"):
            case.wait_effect(name)
        case.trouble(*names, level=WELL)
        for name in names:
            eventually(lambda name=name: "succeeded Verified" in ended(daemon, name), deadline_s=PATIENCE_S, what=f"{name} to end well")  # type: ignore[misc]
        assert [len(case.effects(name)) for name in names] == [1, 1, 1]
        eventually(lambda: "prometheus" not in dark_sources(daemon), deadline_s=PATIENCE_S, what="the dark source to be over")
        assert daemon.stop() == 0, daemon.tail()


def dark_sources(daemon: Daemon) -> set[str]:
    """Sources of which an active incident says that they are dark."""
    active = daemon.json("/api/v1/incidents?active=true")
    firing = [s for i in active for s in i["signals"].values() if s["state"] == "firing"]
    return {s["labels"]["source"] for s in firing if s["rule"] == "SourceDark"}


# --- 3. kill -9 between intent and effect


def test_killed_between_intent_and_effect_it_happens_once(stand: Stand, dial: Dial) -> None:
    """Four requests are under way when the process dies: lost, carried out unheard, delivered late, and crossing the second life's own."""
    case = Case("kill", stand, dial)
    fates = ("lost", "landed", "late", "crossed")
    case.deployments(*fates)
    with Gate(stand.plane.url, ca_file=stand.plane.ca_file) as gate, SlackServer() as slack:
        kubeconfig = gate.kubeconfig(stand.folder / "through-the-gate", case.token)

        def through(settings: dict[str, Any]) -> None:
            settings |= {"clusters": [{"name": "testbed", "kubeconfig": str(kubeconfig)}], "slack": telling(slack, stand.folder)}

        daemon = case.daemon(change=through)
        gate.judge = lambda r: "pass" if r.method != "PATCH" else "swallow" if r.name == "landed" else "hold"
        daemon.start()
        case.trouble(*fates)
        eventually(lambda: all(gate.held(name) for name in fates), deadline_s=PATIENCE_S, what="four requests under way")
        assert {e[0] for e in rows(daemon, "select execution from journal where kind = 'intent'")} == {r["id"] for r in runs(daemon)}
        daemon.kill()
        first = {name: gate.held(name)[0] for name in fates}
        assert {name: len(case.effects(name)) for name in fates} == {"lost": 0, "landed": 1, "late": 0, "crossed": 0}

        gate.judge = lambda r: "hold" if r.method == "PATCH" and r.name == "crossed" and len(gate.held("crossed")) < 2 else "pass"
        daemon.start()
        case.wait_effect("late")
        assert gate.deliver(first["late"]) >= 400, "the first life's request comes too late"
        eventually(lambda: len(gate.held("crossed")) == 2, deadline_s=PATIENCE_S, what="the second life's request for what crosses")
        second: Request = gate.held("crossed")[1]
        assert gate.deliver(first["crossed"]) == 200
        assert gate.deliver(second) >= 400
        second.let_go.set()
        for name in fates:
            case.wait_effect(name)
        case.trouble(*fates, level=WELL)
        for name in fates:
            eventually(lambda name=name: done(daemon, name) == "succeeded Verified", deadline_s=PATIENCE_S, what=f"{name} to end well")  # type: ignore[misc]
            assert len(case.effects(name)) == 1, name
            assert case.replicas(name) == 3, name
        assert leased(daemon) == []
        eventually(lambda: untold(daemon) == [], deadline_s=PATIENCE_S, what="the outbox to be empty")
        assert len(slack.slack.messages(thread="")) == len(incidents(daemon)) == len(fates)
        assert daemon.stop() == 0, daemon.tail()


def test_an_answer_that_does_not_come_leads_to_one_effect(stand: Stand, dial: Dial) -> None:
    """The process lives on: one request is carried out and nobody hears of it, another arrives after it was given up and sent anew."""
    case = Case("deaf", stand, dial)
    fates = ("unheard", "slow")
    case.deployments(*fates)
    with Gate(stand.plane.url, ca_file=stand.plane.ca_file) as gate:
        kubeconfig = gate.kubeconfig(stand.folder / "through-another-gate", case.token)
        daemon = case.daemon(change=lambda s: s.update(clusters=[{"name": "testbed", "kubeconfig": str(kubeconfig)}]))

        def judge(request: Request) -> str:
            if request.method != "PATCH" or gate.held(request.name):
                return "pass"
            return "swallow" if request.name == "unheard" else "hold"

        gate.judge = judge
        daemon.start()
        case.trouble(*fates)
        for name in fates:
            case.wait_effect(name)
        assert gate.deliver(gate.held("slow")[0]) >= 400
        case.trouble(*fates, level=WELL)
        for name in fates:
            eventually(lambda name=name: done(daemon, name) == "succeeded Verified", deadline_s=PATIENCE_S, what=f"{name} to end well")  # type: ignore[misc]
            assert (len(case.effects(name)), case.replicas(name)) == (1, 3), name
        assert daemon.stop() == 0, daemon.tail()


# --- 4. hostile words


WORDS = {
    "quote": 'a"b\'c`d\\',
    "brace": '"} or vector(1) #',
    "promql": '",namespace=~".*"}) > -1 or (up{job="',
    "shell": "$(rm -rf /) `id` ; reboot",
    "jinja": "{{ 7*191 }} {% for x in y %} {{ cycler.__init__ }}",
    "cel": '" || true || "',
    "html": "<script>document.title='owned'</script><img src=x onerror=alert(1)>",
    "markup": "[bold red]red[/] [link=http://evil.example]x[/link]",
    "lines": "one\ntwo\r\nthree\u2028four",
    "terminal": "\x1b]0;owned\x07\x1b[2J",
    "bidi": "\u202egnp.exe\u2066 \u200b",
    "path": "../../kube-system/deployments/coredns",
    "upper": "BAIT",
    "mention": "<!channel> <@U012345> *bold*",
    "long": "x" * 10_000,
    "sql": "'; drop table incidents; --",
}


def post(daemon: Daemon, body: bytes, token: str = "") -> tuple[int, str]:
    """One notification to the webhook."""
    headers = {"Content-Type": "application/json", **({"Authorization": f"Bearer {token}"} if token else {})}
    answer = web.call("POST", f"http://127.0.0.1:{daemon.port}/api/v1/alerts", body=body, headers=headers, timeout_s=60)
    return answer.status, answer.body.decode()


def notification(*labels: dict[str, str], annotations: dict[str, str] | None = None, status: str = "firing") -> bytes:
    """As Alertmanager writes it, version 4."""
    alerts = [{"status": status, "labels": one, "annotations": annotations or {}, "startsAt": "2026-01-01T00:00:00Z"} for one in labels]
    return json.dumps({"version": "4", "receiver": "daemon", "status": status, "alerts": alerts}).encode()


def alert(daemon: Daemon, token: str = "", **labels: str) -> None:
    """One alert, taken."""
    code, said = post(daemon, notification(labels), token)
    assert code == 200, said


def hostile(namespace: str) -> list[dict[str, str]]:
    """Each word in each place where a name is expected, and beside a target that is right but fits no runbook."""
    right = {"alertname": "Hostile", "namespace": namespace, "deployment": "bait"}
    found = []
    for word in WORDS.values():
        found += [right | {place: word} for place in ("deployment", "namespace", "alertname", "symptom", "severity", "aiops_target", "pod")]
        found.append({"alertname": "Hostile", "aiops_target": f"{namespace}/deployment/{word}", "symptom": "trouble"})
    return found


@pytest.fixture(scope="module")
def mail() -> Iterator[SlackServer]:
    with SlackServer() as one:
        yield one


@pytest.fixture(scope="module")
def words(stand: Stand, dial: Dial, mail: SlackServer) -> Iterator[tuple[Case, Daemon, str]]:
    case, token = Case("words", stand, dial), "for-the-webhook-only"
    case.deployments("bait", "legit")
    file = stand.folder / "webhook-token"
    file.write_text(token)
    case.trouble("bait", "legit", level=UNWELL)
    # So many incidents at once are a storm, in which nothing is done by itself; here it is asked what the words alone do.
    calm = {"cooldown": "10m", "stormTargets": 1000, "stormIncidents": 1000}
    daemon = case.daemon(change=lambda s: s.update(web={"webhookTokenFile": str(file)}, slack=telling(mail, stand.folder), guards=calm))
    daemon.start()
    yield case, daemon, token
    assert daemon.stop() == 0, daemon.tail()


def test_hostile_alerts_move_nothing_and_are_shown_as_text(words: tuple[Case, Daemon, str]) -> None:
    case, daemon, token = words
    for one in hostile(case.namespace):
        assert post(daemon, notification(one, annotations={"summary": one["alertname"], "description": "".join(one.values())}), token)[0] == 200, one
    # The same words as the label that a rule takes for a workload's name.
    case.trouble(*WORDS.values())
    eventually(lambda: any("$(rm" in i["labels"].get("workload", "") for i in incidents(daemon)), deadline_s=PATIENCE_S, what="hostile series to be told")
    # A right claim with hostile words beside it is a right claim: the runbook does what it always does.
    beside = {f"x{place}": word for place, word in WORDS.items()}
    alert(daemon, token, alertname="Right", namespace=case.namespace, deployment="legit", symptom="trouble", **beside)
    case.wait_effect("legit")
    case.trouble("legit", level=WELL)
    eventually(lambda: done(daemon, "legit") == "succeeded Verified", deadline_s=PATIENCE_S, what="the right claim to be acted on")
    told = {w.request_body["involvedObject"]["name"] for w in case.writes() if w.resource == "events"}
    moved = {(w.verb, w.resource, w.subresource, w.namespace, w.name) for w in case.writes() if w.resource != "events"}
    assert (moved, told) == ({("patch", "deployments", "", case.namespace, "legit")}, {"legit"})
    assert len(case.effects()) == 1
    assert (case.replicas("bait"), case.replicas("legit")) == (2, 3)
    assert daemon.metric("aiops_task_errors_total") == daemon.metric("aiops_executor_errors_total") == 0, daemon.tail()
    shown = incidents(daemon)
    for path in ("/", "/review", *(f"/incidents/{i['id']}" for i in shown)):
        code, page = daemon.get(path)
        assert code == 200, path
        assert "<script>document" not in page, path
        assert "<img src=x" not in page, path
    assert any("&lt;script&gt;" in daemon.get(f"/incidents/{i['id']}")[1] for i in shown)
    for said in (daemon.cli("incidents", "list"), *(daemon.cli("incidents", "show", i["id"]) for i in incident_of(daemon, "bait"))):
        assert [c for c in said if not (c.isprintable() or c == "\n")] == []
        assert "1337" not in said
    assert max(len(v) for i in shown for v in i["labels"].values()) <= 1024


def test_hostile_words_mention_nobody_in_slack(words: tuple[Case, Daemon, str], mail: SlackServer) -> None:
    case, daemon, token = words
    labels = {"alertname": WORDS["mention"], "namespace": case.namespace, "deployment": "bait", "symptom": WORDS["mention"]}
    assert post(daemon, notification(labels, annotations={"summary": WORDS["mention"] + WORDS["html"]}), token)[0] == 200
    eventually(lambda: "&lt;!channel&gt;" in str(parsed(mail)), deadline_s=PATIENCE_S, what="the alert to be told")
    eventually(lambda: untold(daemon) == [], deadline_s=PATIENCE_S, what="the outbox to be empty")
    assert [t for t in parsed(mail) if "<!channel" in t or "<@U012345" in t or "<script" in t] == []


def parsed(mail: SlackServer) -> list[str]:
    """The texts in which Slack looks for mentions and links."""
    found: list[str] = []

    def look(value: Any) -> None:
        if isinstance(value, dict):
            if value.get("type") == "mrkdwn":
                found.append(str(value["text"]))
            for one in value.values():
                look(one)
        elif isinstance(value, list):
            for one in value:
                look(one)

    for message in mail.slack.messages():
        found.append(message.text)
        look(message.blocks)
    return found


def test_hostile_alerts_through_a_real_alertmanager(words: tuple[Case, Daemon, str]) -> None:
    case, daemon, token = words
    before = len(case.effects())
    own = Alertmanager(f"http://127.0.0.1:{daemon.port}/api/v1/alerts", bearer_token=token)
    own.start()
    try:
        texts = [{"alertname": f"Relayed{n}", "namespace": case.namespace, "deployment": "bait", "word": w} for n, w in enumerate(WORDS.values())]
        own.fire([{"labels": one, "annotations": {"summary": one["word"]}} for one in texts])
        wanted = {f"alert:{one['alertname']}" for one in texts}
        eventually(
            lambda: wanted <= {s["rule"] for i in incident_of(daemon, "bait") for s in i["signals"].values()}, deadline_s=PATIENCE_S,
            what="all relayed alerts to be taken",
        )
    finally:
        own.stop()
    assert len(case.effects()) == before
    assert daemon.metric("aiops_task_errors_total") == 0, daemon.tail()


@pytest.mark.parametrize(
    "body",
    [
        b"", b"{", b"null", b"[]", b'"4"', b'{"version":"3","alerts":[]}', b'{"version":"4"}', b'{"version":"4","alerts":[{}]}', b"\xff\xfe\x00",
        b'{"version":"4","alerts":[{"status":"on fire","labels":{},"startsAt":"2026-01-01T00:00:00Z"}]}',
        b'{"version":"4","alerts":[{"status":"firing","labels":{"a":1},"startsAt":"2026-01-01T00:00:00Z"}]}',
        b'{"version":"4","alerts":[{"status":"firing","labels":{},"startsAt":"yesterday"}]}', b"[" * 100_000, b'{"a":' * 50_000,
    ],
    ids=["empty", "cut", "null", "list", "text", "version", "no-alerts", "bare", "bytes", "status", "number", "date", "deep", "deeper"],
)  # fmt: skip
def test_a_wrong_body_is_refused_in_one_sentence(words: tuple[Case, Daemon, str], body: bytes) -> None:
    _, daemon, token = words
    before = rows(daemon, "select count(*) from signals")
    code, said = post(daemon, body, token)
    assert code == 400, said
    told = json.loads(said)["error"]
    assert told
    assert "\n" not in told
    assert len(told) < 600
    assert rows(daemon, "select count(*) from signals") == before


def test_only_who_has_the_token_is_heard(words: tuple[Case, Daemon, str]) -> None:
    case, daemon, token = words
    before = rows(daemon, "select count(*) from signals")
    for wrong in ("", "wrong", token[:-1], token + "x", "ü"):
        headers = {"Authorization": f"Bearer {wrong}".encode().decode("latin-1")} if wrong else {}
        labels = {"alertname": "NoToken", "namespace": case.namespace, "deployment": "bait", "symptom": "trouble"}
        answer = web.call("POST", f"http://127.0.0.1:{daemon.port}/api/v1/alerts", body=notification(labels), headers=headers)
        assert answer.status == 401, wrong
    assert rows(daemon, "select count(*) from signals") == before


def test_a_full_disk_is_told_to_the_sender_and_the_alert_is_taken_when_sent_again(words: tuple[Case, Daemon, str]) -> None:
    """A limit on the size of files stands for a full disk: writes past it fail, for the log as well as for the store."""
    case, daemon, token = words
    _, hard = resource.prlimit(daemon.pid, resource.RLIMIT_FSIZE)
    refused: list[dict[str, str]] = []

    def is_refused() -> bool:
        labels = {"alertname": f"Full{len(seen)}", "namespace": case.namespace, "deployment": "bait", "text": "y" * 1000}
        seen.append(labels)
        code, said = post(daemon, notification(labels), token)
        assert code in (200, 503), said
        if code == 503:
            refused.append(labels)
        return code == 503

    seen: list[dict[str, str]] = []
    resource.prlimit(daemon.pid, resource.RLIMIT_FSIZE, (daemon.log.stat().st_size // 4096 * 4096, hard))
    try:
        eventually(is_refused, deadline_s=PATIENCE_S, what="a store that cannot grow to be told")
        assert daemon.get("/livez")[0] == 200
        assert f"alert:{refused[0]['alertname']}" not in str(incidents(daemon))
    finally:
        resource.prlimit(daemon.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY if hard == resource.RLIM_INFINITY else hard, hard))
    eventually(lambda: post(daemon, notification(*refused), token)[0] == 200, deadline_s=PATIENCE_S, what="the alert to be taken")
    assert f"alert:{refused[0]['alertname']}" in str(incident_of(daemon, "bait"))
    eventually(lambda: daemon.get("/readyz")[0] == 200, deadline_s=PATIENCE_S, what="the daemon to be ready again")


def test_a_store_that_somebody_holds_is_told_to_the_sender_and_nothing_is_lost(words: tuple[Case, Daemon, str]) -> None:
    case, daemon, token = words
    body = notification({"alertname": "Locked", "namespace": case.namespace, "deployment": "bait"})
    with held_store(daemon):
        code, said = post(daemon, body, token)
        assert code == 503, said
        assert daemon.get("/livez")[0] == 200
    eventually(lambda: post(daemon, body, token)[0] == 200, deadline_s=PATIENCE_S, what="the alert to be taken")
    assert "alert:Locked" in str(incident_of(daemon, "bait"))


# --- 5. rules that change while it runs


def test_rules_are_taken_anew_and_broken_ones_leave_the_last_good_set(stand: Stand, dial: Dial) -> None:
    case = Case("reload", stand, dial, act=False)
    case.deployments("one", "two")
    daemon = case.daemon(act=False, above=5.0)
    daemon.start()
    case.trouble("one")
    eventually(lambda: stand.prometheus.instant('trouble{case="reload",workload="one"} == 2') != [], deadline_s=PATIENCE_S, what="the dial to be scraped")
    assert incidents(daemon) == []
    case.rules.write_text(yaml.safe_dump(ruleset("reload")))
    eventually(lambda: bool(incident_of(daemon, "one")), deadline_s=PATIENCE_S, what="the new limit to be in force")
    assert daemon.metric("aiops_config_last_reload_successful") == 1
    good = case.rules.read_text()
    case.rules.write_text(good.replace("above:", "abvoe:"))
    eventually(lambda: daemon.metric("aiops_config_last_reload_successful") == 0, deadline_s=PATIENCE_S, what="the broken file to be refused")
    told = [json.loads(line) for line in daemon.log.read_text().splitlines() if "definitions refused" in line]
    assert re.search(r"trouble\.yaml:\d+: \S*detector\S*abvoe", str(told)), told
    case.trouble("two")
    eventually(lambda: bool(incident_of(daemon, "two")), deadline_s=PATIENCE_S, what="the last good set to be in force still")
    case.rules.write_text(good)
    eventually(lambda: daemon.metric("aiops_config_last_reload_successful") == 1, deadline_s=PATIENCE_S, what="the mended file to be taken")
    assert daemon.stop() == 0, daemon.tail()


# --- 6. SIGTERM between effect and verification


def test_stopped_between_effect_and_verification_it_goes_on_where_it_was(stand: Stand, dial: Dial) -> None:
    case = Case("term", stand, dial)
    case.deployments("one")
    daemon = case.daemon(within="5m")
    daemon.start()
    case.trouble("one")
    eventually(lambda: [r["state"] for r in runs(daemon, "one")] == ["verifying"], deadline_s=PATIENCE_S, what="the run to be verified")
    assert len(case.effects("one")) == 1
    assert daemon.stop() == 0, daemon.tail()
    assert settled(daemon.folder / "state" / "aiops.db") == "ok"
    assert leased(daemon) == []
    daemon.start()
    case.trouble("one", level=WELL)
    eventually(lambda: done(daemon, "one") == "succeeded Verified", deadline_s=PATIENCE_S, what="verification to go on")
    assert len(case.effects("one")) == 1
    kinds = [kind for (kind,) in rows(daemon, "select kind from journal order by number")]
    assert kinds.count("intent") == kinds.count("effect") == 1, kinds
    assert daemon.stop() == 0, daemon.tail()


# --- 7. what is not ours to move


def test_what_belongs_to_others_is_left_alone_and_why_says_so(stand: Stand, dial: Dial) -> None:
    case = Case("others", stand, dial)
    kept, opted = "hard-others-kept", "hard-others-opted"
    case.deployments("scaled", "free")
    case.deployments("kept", namespace=kept)
    case.deployments("opted", namespace=opted)
    stand.plane.kubectl("label", "namespace", opted, "aiops/automation=disabled")
    stand.plane.apply({
        "apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler",
        "metadata": {"namespace": case.namespace, "name": "scaled", "labels": {"scaledobject.keda.sh/name": "scaled"}},
        "spec": {
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "scaled"}, "minReplicas": 1, "maxReplicas": 9,
            "metrics": [{"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 50}}}],
        },
    })
    daemon = case.daemon(change=lambda s: s.update(guards={"protectedNamespaces": [kept]}))
    daemon.start()
    wanted = {(case.namespace, "scaled"): "OwnedByKeda", (kept, "kept"): "ProtectedNamespace", (opted, "opted"): "OptedOut"}
    for namespace, name in wanted:
        case.trouble(name, namespace=namespace)
    case.trouble("free")
    case.wait_effect("free")
    for (namespace, name), reason in wanted.items():
        eventually(
            lambda target=f"{namespace}/deployment/{name}", reason=reason: reason in daemon.cli("why", target), deadline_s=PATIENCE_S,  # type: ignore[misc]
            what=f"{reason} for {name}",
        )
    assert {w.name for w in case.effects()} == {"free"}
    assert {w.name for w in case.writes() if w.resource == "deployments"} == {"free"}, "nothing was even asked for"
    assert runs(daemon, "scaled") == runs(daemon, "kept") == runs(daemon, "opted") == []
    assert daemon.stop() == 0, daemon.tail()


# --- 8. two clocks


def test_a_clock_that_is_off_is_told_and_nothing_else_breaks(stand: Stand, dial: Dial) -> None:
    case = Case("clock", stand, dial)
    case.deployments("one")

    def later(name: str, value: str) -> str:
        return formatdate(parsedate_to_datetime(value).timestamp() + 300, usegmt=True) if name.lower() == "date" else value

    with Gate(stand.prometheus.url, answer_heads=later) as gate:
        daemon = case.daemon(change=lambda s: s["sources"]["prometheus"].update(url=gate.url))
        daemon.start()
        eventually(lambda: "ClockSkew" in str(incidents(daemon)), deadline_s=PATIENCE_S, what="the skew to be told")
        assert 290 < daemon.metric("aiops_source_clock_skew_seconds") < 310
        case.trouble("one")
        case.wait_effect("one")
        case.trouble("one", level=WELL)
        eventually(lambda: done(daemon, "one") == "succeeded Verified", deadline_s=PATIENCE_S, what="the loop to close all the same")
        assert daemon.metric("aiops_source_up") >= 1
        assert daemon.stop() == 0, daemon.tail()


# --- 9. a person decides


def test_a_run_waits_for_a_person_and_an_approval_is_void_when_the_target_changed(stand: Stand, dial: Dial) -> None:
    case = Case("person", stand, dial)
    case.deployments("asked", "moved")
    daemon = case.daemon(mode="approve")
    daemon.start()
    case.trouble("asked", "moved")
    eventually(
        lambda: sorted(r["state"] for r in runs(daemon)) == ["awaiting-approval"] * 2, deadline_s=PATIENCE_S, what="two runs to wait for a person",
    )
    assert case.effects() == []
    asked, moved = (runs(daemon, name)[0] for name in ("asked", "moved"))
    (change,) = asked["plan"]["changes"]
    assert change["origin"] == "server"
    shown = daemon.cli("incidents", "show", asked["plan"]["incident"])
    assert "diff by server" in shown
    assert re.search(r"-\s+replicas: 2\n\+\s+replicas: 3", shown), shown

    stand.plane.must(
        "PATCH", f"/apis/apps/v1/namespaces/{case.namespace}/deployments/moved", {"spec": {"replicas": 5}}, content_type="application/merge-patch+json",
    )
    daemon.cli("approve", moved["id"])
    eventually(lambda: any("changed since" in d for (d,) in commands(daemon)), deadline_s=PATIENCE_S, what="the approval to be refused")
    assert case.effects() == []
    daemon.cli("approve", asked["id"])
    case.wait_effect("asked")
    case.trouble("asked", level=WELL)
    eventually(lambda: done(daemon, "asked") == "succeeded Verified", deadline_s=PATIENCE_S, what="the approved run to end well")
    assert [w.name for w in case.effects()] == ["asked"]
    assert (case.replicas("asked"), case.replicas("moved")) == (3, 5)
    assert daemon.stop() == 0, daemon.tail()


def commands(daemon: Daemon) -> list[tuple[Any, ...]]:
    """What became of what people asked for."""
    return rows(daemon, "select document from commands where done")


# --- 1, read last


def test_a_storm_is_found_and_the_write_is_refused_once_a_run(stand: Stand, readers: Readers) -> None:
    daemon = readers.acting
    eventually(lambda: any(r["plan"]["runbook"] == "scale-out" for r in runs(daemon, "lifeboat")), deadline_s=240, what="the storm to be found")
    eventually(lambda: all(r["state"] == "done" for r in runs(daemon, "lifeboat")), deadline_s=PATIENCE_S, what="the runs to end")
    tries = [r for r in runs(daemon, "lifeboat") if r["plan"]["runbook"] == "scale-out"]
    assert {r["result"]["reason"] for r in tries} == {"Forbidden"}, tries
    writes = [w for w in stand.plane.audit_events(users=[readers.acting_user]) if w.resource != "selfsubjectaccessreviews"]
    assert [w for w in writes if w.response_code < 300] == []
    assert {w.response_code for w in writes} == {403}
    patches, events = [w for w in writes if w.verb == "patch"], [w for w in writes if w.resource == "events"]
    assert 1 <= len(patches) <= len(runs(daemon, "lifeboat")), "one refused write a run"
    assert len(events) <= len(runs(daemon, "lifeboat"))
    assert len(writes) == len(patches) + len(events) <= 10
    _, live = stand.plane.request("GET", "/apis/apps/v1/namespaces/shoal/deployments/lifeboat")
    assert live["spec"]["replicas"] == 2
    eventually(lambda: "Forbidden" in str([m.blocks for m in readers.slack.slack.messages()]), deadline_s=PATIENCE_S, what="people to be told")
    assert "Forbidden" in daemon.cli("incidents", "show", tries[0]["plan"]["incident"])
    assert daemon.metric("aiops_executor_errors_total") == 0, daemon.tail()


def test_dry_run_under_a_reading_account_writes_nothing_and_is_reviewed(stand: Stand, readers: Readers) -> None:
    daemon = readers.dry

    def listed() -> list[dict[str, Any]]:
        every: list[dict[str, Any]] = json.loads(daemon.cli("review", "list", "--output", "json"))
        return [e for e in every if e["execution"]["plan"]["runbook"] == "scale-out"]

    eventually(lambda: bool(listed()) and listed()[0]["execution"]["state"] == "done", deadline_s=240, what="what would have been done")
    run = listed()[0]["execution"]
    shown = daemon.cli("review", "show", run["id"])
    assert "diff by computed" in shown
    assert re.search(r"-\s+replicas: 2\n\+\s+replicas: 4", shown), shown
    daemon.cli("review", "verdict", run["id"], "right", "--note", "as I would have")
    mark = listed()[0]["review"]
    assert (mark["verdict"], mark["note"]) == ("right", "as I would have")
    assert {(w.verb, w.resource) for w in stand.plane.audit_events(users=[readers.dry_user])} <= {("create", "selfsubjectaccessreviews")}
