"""The Dockerfile, built without a container engine, and what comes out of it: small rights, compiled kernels, nothing left of the building."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from aiops import __version__
from tests.integration.image_build import Builder, Container

ROOT = Path(__file__).resolve().parents[2]

# A cold build makes a base image and installs every dependency.
pytestmark = pytest.mark.timeout(1500)


@pytest.fixture(scope="module")
def container(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Container]:
    """A container of the image of these sources."""
    builder = Builder()
    image = builder.build(tmp_path_factory.mktemp("image"))
    with builder.container(image) as made:
        yield made


def test_it_runs_as_a_number_that_is_not_root(container):
    assert container.configured()["User"] == "65532:65532"
    ran = container.run("python", "-c", "import os; print(os.getuid(), os.getgid())")
    assert ran.out.split() == ["65532", "65532"], ran.err


def test_entry_point_is_the_daemon_in_dry_run(container):
    configured = container.configured()
    assert configured["Entrypoint"] == ["aiops"]
    assert configured["Cmd"] == ["run", "--config", "/etc/aiops/config/aiops.yaml"]


def test_the_command_answers_with_its_version(container):
    ran = container.run("aiops", "--version")
    assert (ran.code, ran.out.strip()) == (0, f"aiops {__version__}"), ran.err


def test_it_holds_the_shipped_rules_and_runbooks_and_they_are_right(container):
    ran = container.run("aiops", "check", "--output", "json")
    assert ran.code == 0, ran.out + ran.err
    found = json.loads(ran.out)
    assert (found["problems"], found["paths"]) == ([], ["rules", "runbooks"])
    listed = container.run("sh", "-c", "cd /etc/aiops && ls rules/*.yaml runbooks/*.yaml").out.split()
    assert listed == sorted(f"{p.parent.name}/{p.name}" for folder in ("rules", "runbooks") for p in (ROOT / folder).glob("*.yaml"))


COUNT = """
import json, os
from pathlib import Path
from aiops.app.kernels import usable_kernels
used = usable_kernels(Path("/tmp/state"), os.environ)
from aiops.detect import kernels
kernels.compile_all()
print(json.dumps([str(used), *(sum(f.stats.cache_hits.values()) for f in (kernels.push, kernels.stats))]))
"""


def test_kernels_come_compiled_and_the_daemon_can_take_them(container):
    ran = container.run("python", "-c", COUNT)
    assert ran.code == 0, ran.err
    assert json.loads(ran.out) == ["/tmp/state/kernels", 1, 1], "each was taken from what the build compiled"


def test_nothing_of_the_building_is_left(container):
    looked = """
import importlib.util, pathlib, shutil
print([n for n in ("pip", "hatchling", "uv", "editables") if importlib.util.find_spec(n)])
print([n for n in ("pip", "uv", "gcc", "cc") if shutil.which(n)])
print([p for p in ("/opt/build", "/src", "/etc/pip.conf") if pathlib.Path(p).exists()])
"""
    ran = container.run("python", "-c", looked)
    assert ran.out.splitlines() == ["[]", "[]", "[]"], ran.out + ran.err


def test_the_user_can_change_nothing_of_the_program(container):
    ran = container.run("sh", "-c", "find /opt /etc/aiops -not -type l -writable | head -5")
    assert ran.out == "", "files that the runtime's user may write to"


def test_it_starts_without_writing_bytecode_because_it_has_it(container):
    ran = container.run(
        "python", "-c", "import aiops.cli.main, numpy, sys; print(all(m.__cached__ and __import__('os').path.exists(m.__cached__) for m in (aiops.cli.main, numpy)))"
    )
    assert ran.out.strip() == "True", ran.err


def test_settings_are_read_from_where_the_manifest_mounts_them(container, tmp_path):
    (tmp_path / "aiops.yaml").write_text("apiVersion: aiops/v1\nkind: Config\nstateDirectory: /tmp\n")
    tmp_path.chmod(0o755)
    ran = container.run("aiops", "check", "--config", "/etc/aiops/config/aiops.yaml", volumes={tmp_path: "/etc/aiops/config"})
    assert ran.code == 1
    assert "aiops.yaml:3: stateDirectory:" in ran.out


DAEMON = """
import json, subprocess, sys, urllib.request
run = subprocess.Popen(["aiops", "run", "--config", "/etc/aiops/config/aiops.yaml"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
try:
    for line in run.stdout:
        said = json.loads(line) if line.startswith("{") else {}
        if said.get("event") == "ready":
            break
        print(line, end="", file=sys.stderr)
    answer = urllib.request.urlopen(f"http://127.0.0.1:{said['port']}/readyz", timeout=10).status
finally:
    run.terminate()
run.stdout.read()
print(json.dumps([answer, said["dry_run"], run.wait(30)]))
"""


def test_the_daemon_of_the_image_starts_and_stops_in_order(container, tmp_path):
    (tmp_path / "aiops.yaml").write_text("apiVersion: aiops/v1\nkind: Config\nstateDir: /tmp/daemon\nrules: [/etc/aiops/rules]\nrunbooks: [/etc/aiops/runbooks]\nweb: {port: 0}\n")
    tmp_path.chmod(0o755)
    ran = container.run("python", "-c", DAEMON, volumes={tmp_path: "/etc/aiops/config"})
    assert ran.code == 0, ran.out + ran.err
    assert json.loads(ran.out) == [200, True, 0]


def test_the_demo_comes_with_it(container):
    ran = container.run("aiops", "demo")
    assert ran.code == 0, ran.out + ran.err
    assert "nothing was written to any cluster" in ran.out
