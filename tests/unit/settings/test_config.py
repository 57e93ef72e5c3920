"""The settings file: every kind of bad input is one clear line with file, line and key."""

from __future__ import annotations

from pathlib import Path

import pytest

from aiops.app.config import read_settings
from aiops.domain.errors import DefinitionError


def problems(tmp_path: Path, text: str) -> list[str]:
    file = tmp_path / "aiops.yaml"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(DefinitionError) as caught:
        read_settings(file)
    return [str(p).removeprefix(f"{tmp_path}/") for p in caught.value.problems]


BAD = {
    "unknown key": ("tock: 1s\n", "aiops.yaml:1: tock:", "tick"),
    "unknown key below": ("web:\n  prot: 80\n", "aiops.yaml:2: web.prot:", "port"),
    "wrong type": ("workers: many\n", "aiops.yaml:1: workers:", "integer"),
    "out of range": ("web: {port: 99999}\n", "aiops.yaml:1: web.port:", "65535"),
    "no duration": ("tick: soon\n", "aiops.yaml:1: tick:", "30s"),
    "a tick of nothing": ("tick: 0s\n", "aiops.yaml:1: tick:", "0"),
    "a time-out of nothing": ("sources:\n  prometheus: {type: prometheus, url: 'http://a', timeout: 0}\n", "aiops.yaml:2: sources.prometheus.timeout:", "0"),
    "unknown type": ("sources:\n  p: {type: graphite, url: 'http://a'}\n", "aiops.yaml:2: sources.p.type:", "prometheus"),
    "no address": ("sources:\n  p: {type: prometheus, url: 'file:///etc'}\n", "aiops.yaml:2: sources.p.url:", "https?"),
    "an address without a host": ("sources:\n  p: {type: prometheus, url: 'http://'}\n", "aiops.yaml:2: sources.p.url:", "https?"),
    "another database": ("storeUrl: mysql://a/b\n", "aiops.yaml:1: storeUrl:", "sqlite:///"),
    "a password in the address": ("storeUrl: postgresql://me:hunter2@a/b\n", "aiops.yaml:1: storeUrl:", "storePasswordFile"),
    "a password behind the address": ("storeUrl: postgresql://me@a/b?password=hunter2\n", "aiops.yaml:1: storeUrl:", "storePasswordFile"),
    "a password for a file": ("storePasswordFile: word\n", "aiops.yaml:1:", "postgresql://"),
    "a place without a host": ("outbound:\n  allow:\n    - {url: 'http:///a'}\n", "aiops.yaml:3: outbound.allow[0]:", "http://host"),
    "a place that can be read in two ways": ("outbound: {allow: [{url: 'http://a/b/../c'}]}\n", "aiops.yaml:1: outbound.allow[0]:", "dot segments"),
    "a place with a query": ("outbound: {allow: [{url: 'http://a/b?c'}]}\n", "aiops.yaml:1: outbound.allow[0]:", "no query"),
    "no network": ("outbound: {allow: [{url: 'http://a', addresses: [10.0.0.0/99]}]}\n", "aiops.yaml:1: outbound.allow[0]:", "10.0.0.0/99"),
    "no channel": ("slack: {routes: [{channel: ''}]}\n", "aiops.yaml:1: slack.routes[0].channel:", "at least 1"),
    "missing": ("sources:\n  p: {type: prometheus}\n", "aiops.yaml:2: sources.p.url:", "missing"),
    "half a key pair": ("sources:\n  p: {type: prometheus, url: 'http://a', tls: {certFile: a.pem}}\n", "aiops.yaml:2: sources.p.tls:", "keyFile"),
    "two ways to log in": (
        "sources:\n  p: {type: prometheus, url: 'http://a', auth: {bearerTokenFile: a, apiKeyFile: b}}\n", "aiops.yaml:2: sources.p.auth:", "at most one",
    ),
    "unknown guard": ("guards:\n  modes: {coldown: shadow}\n", "aiops.yaml:2: guards.modes.coldown:", "cooldown"),
    "unknown guard that may be loosened": ("guards:\n  mayLoosen: [replica]\n", "aiops.yaml:2: guards.mayLoosen[0]:", "replicas"),
    "unknown guard mode": ("guards:\n  modes: {cooldown: of}\n", "aiops.yaml:2: guards.modes.cooldown", "shadow"),
    "bounds the wrong way round": ("guards: {minimumReplicas: 9, maximumReplicas: 3}\n", "aiops.yaml:1: guards:", "minimumReplicas"),
    "no amount": ("guards:\n  disruptionBudget: 120%\n", "aiops.yaml:2: guards.disruptionBudget:", "25%"),
    "no recurrence": (
        "guards:\n  freezes:\n    - name: nights\n      rrule: FREQ=NIGHTLY\n      duration: 1h\n", "aiops.yaml:4: guards.freezes[0].rrule:", "HOURLY",
    ),
    "no time zone": (
        "guards:\n  freezes:\n    - {name: a, from: '2026-12-24', until: '2026-12-27'}\n    - {name: b, rrule: FREQ=DAILY, duration: 1h, timezone: Mars}\n",
        "aiops.yaml:4: guards.freezes[1].timezone:", "IANA",
    ),
    "a freeze without an end": ("guards:\n  freezes:\n    - {name: a, from: '2026-12-24'}\n", "aiops.yaml:3: guards.freezes[0].until:", "must be given"),
    "a quiet time without an end": ("quietTimes:\n  - {name: sale, from: '2026-11-27'}\n", "aiops.yaml:2: quietTimes[0].until:", "must be given"),
    "a quiet time that skips nothing": ("quietTimes: [{name: a, rrule: FREQ=DAILY, duration: 1h, skip: []}]\n", "aiops.yaml:1: quietTimes[0].skip:", "1"),
    "an unknown key of a freeze": ("guards: {freezes: [{name: a, rule: x}]}\n", "aiops.yaml:1: guards.freezes[0].rule:", "rrule"),
    "a name twice": ("clusters: [{name: a}, {name: a}]\n", "aiops.yaml:1:", "name of its own"),
    "the first cluster's name": ("clusters: [{name: a}, {name: default}]\n", "aiops.yaml:1:", "default"),
    "a reserved name": ("sources:\n  kubernetes: {type: prometheus, url: 'http://a'}\n", "aiops.yaml:1:", "kubernetes is taken"),
    "another format": ("apiVersion: aiops/v2\n", "aiops.yaml:1: apiVersion:", "aiops/v1"),
    "no map": ("- a\n", "aiops.yaml:1: config:", "one map"),
    "two documents": ("name: a\n---\nname: b\n", "aiops.yaml:1: config:", "one map"),
    "a key twice": ("name: a\nname: b\n", "aiops.yaml:2:", "name"),
    "no YAML": ("name: [a\n", "aiops.yaml:", ""),
    "a severity that is none": ("slack: {routes: [{channel: '#a', severity: [bad]}]}\n", "aiops.yaml:1: slack.routes[0].severity[0]:", "critical"),
}


@pytest.mark.parametrize("kind", BAD)
def test_bad_input_is_named_with_file_line_and_key(tmp_path: Path, kind: str) -> None:
    text, place, words = BAD[kind]
    found = problems(tmp_path, text)
    assert any(p.startswith(place) and words in p for p in found), found
    assert all("\n" not in p and "hunter2" not in p for p in found)


def test_all_problems_at_once(tmp_path: Path) -> None:
    assert len(problems(tmp_path, "tock: 1\nworkers: x\nweb: {port: -1}\n")) == 3


def test_a_file_that_is_not_there_or_no_text(tmp_path: Path) -> None:
    with pytest.raises(DefinitionError, match="cannot be read"):
        read_settings(tmp_path / "none.yaml")
    with pytest.raises(DefinitionError, match="cannot be read"):
        read_settings(tmp_path)
    (tmp_path / "bytes.yaml").write_bytes(b"name: \xff\xfe")
    with pytest.raises(DefinitionError, match="cannot be read"):
        read_settings(tmp_path / "bytes.yaml")


def test_the_environment_wins_over_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.yaml").write_text("tick: 5s\nweb: {port: 1}\n", encoding="utf-8")
    monkeypatch.setenv("AIOPS_TICK", "2s")
    monkeypatch.setenv("AIOPS_WEB__PORT", "2")
    settings = read_settings(tmp_path / "a.yaml")
    assert (settings.tick, settings.web.port) == (2.0, 2)


@pytest.mark.parametrize(("name", "value"), [("AIOPS_TICK", "soon"), ("AIOPS_RULES", "{"), ("AIOPS_WEB__PORT", "x")])
def test_a_bad_variable_is_one_clear_error(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(DefinitionError) as caught:
        read_settings(None)
    assert len(caught.value.problems) == 1


def test_paths_are_relative_to_the_file_and_packs_are_found_beside_the_package(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "a.yaml").write_text("rules: [mine]\nstateDir: state\n", encoding="utf-8")
    settings = read_settings(tmp_path / "a.yaml")
    assert settings.rules == (str(tmp_path / "mine"),)
    assert settings.state_dir == str(tmp_path / "state")
    assert settings.database_url == f"sqlite:///{tmp_path}/state/aiops.db"
    assert Path(settings.runbooks[0]).is_dir()


def test_units(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("tick: 500ms\nincidents: {resolveAfter: 1h30m}\ngrace: 7\n", encoding="utf-8")
    settings = read_settings(tmp_path / "a.yaml")
    assert (settings.tick, settings.incidents.resolve_after, settings.grace) == (0.5, 5400.0, 7.0)
