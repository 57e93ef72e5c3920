"""The loop closed for real: every server real, the daemon a process of its own under the account that ships, six faults in services it has never heard of.

What is read is the API server's own: objects, managedFields, Events, and its audit log. Neighbours: `tests/testbed/stand.py`, `harbour/`.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.testbed.daemon import Daemon
from tests.testbed.process import eventually, pause
from tests.testbed.slack_server import SlackServer
from tests.testbed.stand import Stand

HARBOUR = Path(__file__).parent / "harbour"
CURABLE = ("regatta", "rust", "wrong-lamp", "old-ledger")
HANDS_OFF = ("tide-office-closed", "fog")
US = "system:serviceaccount:aiops:aiops"


@pytest.fixture(scope="module")
def slack() -> Iterator[SlackServer]:
    with SlackServer() as server:
        yield server


@pytest.fixture(scope="module")
def stand() -> Iterator[Stand]:
    with Stand(services=[HARBOUR / "services.yaml"], faults=[HARBOUR / "faults.yaml"]) as one:
        yield one


@pytest.fixture(scope="module")
def daemon(stand: Stand, slack: SlackServer) -> Iterator[Daemon]:
    token = stand.folder / "slack-token"
    token.write_text("xoxb-for-the-local-server")

    def with_slack(settings: dict[str, Any]) -> None:
        settings["slack"] = {"tokenFile": str(token), "baseUrl": slack.base_url, "routes": [{"channel": "#ops"}]}

    one = stand.daemon("acting", act=True, change=with_slack)
    one.start()
    yield one
    assert one.stop() == 0, one.tail()


@pytest.fixture(scope="module")
def story(stand: Stand, daemon: Daemon) -> Stand:
    """A quiet time, then all six faults at once, until the four that can be cured are."""
    # A release is blamed by what was before it: two minutes of that at least.
    pause(150)
    assert stand.world.writes() == () or all(w.user != US for w in stand.world.writes()), "nothing is wrong yet"
    for name in (*CURABLE, *HANDS_OFF):
        stand.world.switch_on(name)
    eventually(
        lambda: all(stand.world.episode(n).cured for n in CURABLE), deadline_s=300,
        what=f"{CURABLE} to be cured; the daemon's log is {daemon.log}",
    )
    eventually(
        lambda: not any(e["state"] in ("running", "verifying", "undoing") for e in runs(daemon)), deadline_s=180, what="every run to end",
    )
    return stand


def incidents(daemon: Daemon) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = daemon.json("/api/v1/incidents")
    return found


def runs(daemon: Daemon) -> list[dict[str, Any]]:
    return [run for i in incidents(daemon) for run in daemon.json(f"/api/v1/incidents/{i['id']}")["executions"]]


@pytest.mark.timeout(1200)
def test_each_fault_is_cured_by_our_write_and_nothing_else_is_written(story: Stand, daemon: Daemon) -> None:
    for name in CURABLE:
        episode = story.world.episode(name)
        assert episode.cured_by is not None, name
        assert episode.wrong == (), name
        assert episode.cured_by.user in (US, ""), "a flush has no user, all else is ours"
        assert episode.cured is not None
        print(f"{name}: cured {episode.cured - episode.began:.0f} s after it began")
    for name in HANDS_OFF:
        episode = story.world.episode(name)
        assert (episode.right, episode.wrong) == ((), ()), name


@pytest.mark.timeout(600)
def test_the_audit_log_shows_only_what_the_role_allows(story: Stand) -> None:
    ours = [w for w in story.plane.audit_events() if w.user == US]
    kinds = {(w.verb, w.resource, w.subresource) for w in ours if not w.dry_run}
    assert ("patch", "deployments", "") in kinds
    assert kinds <= {("patch", "deployments", ""), ("create", "events", ""), ("create", "selfsubjectaccessreviews", "")}
    patches = [w for w in ours if w.verb == "patch" and not w.dry_run and w.response_code < 300]
    assert len(patches) == len({(w.namespace, w.name) for w in patches}), "one effect for each of the three workloads"
    for patch in patches:
        assert [op["op"] for op in patch.request_body][:1] == ["test"]
        assert any(op["path"].endswith("aiops~1operation") or "aiops/operation" in str(op.get("value")) for op in patch.request_body)


@pytest.mark.timeout(600)
def test_the_objects_say_who_changed_them(story: Stand) -> None:
    _, quay = story.plane.request("GET", "/apis/apps/v1/namespaces/harbour/deployments/quay")
    assert quay["spec"]["replicas"] >= 4
    assert quay["metadata"]["annotations"]["aiops/operation"].startswith("run-")
    managers = {m["manager"] for m in quay["metadata"]["managedFields"] if "f:replicas" in str(m.get("fieldsV1", {}).get("f:spec", {}))}
    assert "aiops" in managers
    _, lighthouse = story.plane.request("GET", "/apis/apps/v1/namespaces/harbour/deployments/lighthouse")
    assert lighthouse["spec"]["template"]["spec"]["containers"][0]["image"] == "harbour/lighthouse:1.0.0"
    _, events = story.plane.request("GET", "/api/v1/namespaces/harbour/events?limit=500")
    told = {e["involvedObject"]["name"] for e in events["items"] if e["source"].get("component") == "aiops"}
    assert {"quay", "crane", "lighthouse"} <= told


@pytest.mark.timeout(600)
def test_runs_are_verified_and_people_are_called_where_acting_is_wrong(story: Stand, daemon: Daemon) -> None:
    by_target: dict[str, list[tuple[str, str]]] = {}
    for run in runs(daemon):
        by_target.setdefault(run["plan"]["target"]["name"], []).append((run["plan"]["runbook"], run["result"]["reason"]))
    for name in ("quay", "crane", "lighthouse", "customs"):
        assert any(reason == "Verified" for _, reason in by_target[name]), by_target
    for name in ("pilot", "ferry"):
        assert {runbook for runbook, _ in by_target.get(name, [])} == {"page-a-person"}, by_target


@pytest.mark.timeout(600)
def test_slack_has_one_thread_for_each_incident(story: Stand, daemon: Daemon, slack: SlackServer) -> None:
    eventually(lambda: len(slack.slack.messages(thread="")) == len(incidents(daemon)), what="one root for each incident")
    pause(3)
    roots = slack.slack.messages(thread="")
    assert len(roots) == len(incidents(daemon)), [r.text for r in roots]


@pytest.mark.timeout(600)
def test_why_answers_from_the_terminal(story: Stand, daemon: Daemon) -> None:
    said = daemon.cli("why", "harbour/deployment/pilot")
    assert "page-a-person" in said
    assert "NoMatch" in said
    assert "Planned" in daemon.cli("why", "harbour/deployment/quay")


@pytest.mark.timeout(600)
def test_metrics_tell_of_it(story: Stand, daemon: Daemon) -> None:
    assert daemon.metric("aiops_executions_total") >= 4
    assert daemon.metric("aiops_task_errors_total") == 0, daemon.tail()
    assert daemon.metric("aiops_executor_errors_total") == 0, daemon.tail()
