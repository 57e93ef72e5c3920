"""Builds the project's image without a container engine: buildah, chroot isolation, on a base made by debootstrap; used by `test_image`.

The base and buildah's layers are kept in the testbed's cache, so that a second build takes seconds. What this machine needs to reach its package
registry (certificates, pip's configuration) is mounted while building and is in no layer.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.testbed import debian
from tests.testbed.cache import build_once, cache_root, locked, say
from tests.testbed.errors import TestbedError

REPOSITORY = Path(__file__).resolve().parents[2]
BUILDAH = debian.Program("buildah", "buildah")
CRUN = debian.Program("crun", "crun")
DEBOOTSTRAP = debian.Program("debootstrap", "debootstrap")
PACKAGES = "python3,python3-venv,ca-certificates"
CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")
IMAGE = "localhost/aiops:test"
_PIP_KEYS = ("index-url", "extra-index-url", "trusted-host", "proxy", "cert", "timeout", "default-timeout")


def _run(command: list[str], what: str) -> str:
    result = subprocess.run(command, check=False, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    if result.returncode != 0:
        tail = "\n".join((result.stdout + result.stderr).splitlines()[-25:])
        raise TestbedError(f"{what} ended with {result.returncode}:\n{tail}")
    return result.stdout


def _release() -> tuple[str, str]:
    """Code name and address of the archive that this machine installs from."""
    targets = _run(["apt-get", "indextargets", "--format", "$(CODENAME) $(REPO_URI) $(COMPONENT)", "Created-By: Packages"], "apt-get indextargets")
    for line in targets.splitlines():
        name, _, rest = line.partition(" ")
        address, _, component = rest.partition(" ")
        if component == "main" and name.isalpha():
            return name, address
    raise TestbedError("apt knows no archive with a component `main`: a base image cannot be made")


@dataclass(frozen=True, slots=True)
class Ran:
    """How a command in the container ended."""

    code: int
    out: str
    err: str


class Builder:
    """buildah with storage of its own in the testbed's cache. Raises TestbedError, one line naming the package, when it is missing."""

    def __init__(self) -> None:
        self._program = str(debian.ensure(BUILDAH))
        debian.ensure(CRUN)
        store = cache_root() / "buildah"
        self._command = [self._program, "--root", str(store / "root"), "--runroot", str(store / "run"), "--storage-driver", "overlay"]

    def buildah(self, *words: str) -> str:
        """Run it; its standard output. TestbedError with the last lines when it fails."""
        return _run([*self._command, *words], f"buildah {words[0]}")

    def base(self) -> str:
        """The name of a minimal Debian image with python3 and venv."""
        name, archive = _release()
        image = f"localhost/aiops-base:{name}"
        found = subprocess.run([*self._command, "inspect", "--type", "image", image], check=False, capture_output=True)
        if found.returncode == 0:
            return image

        def make(folder: Path) -> None:
            if os.geteuid() != 0:
                raise TestbedError("debootstrap makes a base image as root only")
            say(f"making a base image of Debian {name} (about a minute)")
            program = str(debian.ensure(DEBOOTSTRAP))
            _run([program, "--variant=minbase", f"--include={PACKAGES}", name, str(folder / "root"), archive], "debootstrap")
            _run(["tar", "-C", str(folder / "root"), "--exclude=./var/cache/apt", "--exclude=./dev/*", "-cf", str(folder / "root.tar"), "."], "tar")
            shutil.rmtree(folder / "root")

        folder = build_once("image-base", name, make)
        container = self.buildah("from", "scratch").strip()
        try:
            self.buildah("add", container, str(folder / "root.tar"), "/")
            self.buildah("commit", container, image)
        finally:
            self.buildah("rm", container)
        return image

    def build(self, scratch: Path) -> str:
        """The image of the present sources."""
        with locked(cache_root() / "image.lock"):
            base = self.base()
            pip = scratch / "pip.conf"
            pip.write_text(_pip_configuration())
            mounts = ["--volume", f"{pip}:/etc/pip.conf:ro"]
            if CERTIFICATES.exists():
                mounts += ["--volume", f"{CERTIFICATES}:{CERTIFICATES}:ro"]
            self.buildah("bud", "--isolation", "chroot", "--layers", "--build-arg", f"BASE={base}", *mounts, "-t", IMAGE, str(REPOSITORY))
        return IMAGE

    @contextmanager
    def container(self, image: str) -> Iterator[Container]:
        """A container of the image, gone at the end."""
        name = self.buildah("from", "--pull-never", image).strip()
        try:
            yield Container(self, self._command, name)
        finally:
            self.buildah("rm", name)


class Container:
    """Where commands run as the image's own user, in its own folder, with its own environment."""

    def __init__(self, builder: Builder, command: list[str], name: str) -> None:
        self._builder, self._command, self._name = builder, command, name

    def run(self, *words: str, volumes: dict[Path, str] | None = None) -> Ran:
        """Run one command in it. `volumes`: folder here → folder there, read-only."""
        mounts = [word for here, there in (volumes or {}).items() for word in ("--volume", f"{here}:{there}:ro")]
        command = [*self._command, "run", "--isolation", "chroot", *mounts, self._name, "--", *words]
        result = subprocess.run(command, check=False, stdin=subprocess.DEVNULL, capture_output=True, text=True)
        return Ran(result.returncode, result.stdout, result.stderr)

    def configured(self) -> dict[str, Any]:
        """The image's configuration, with the names of the OCI image specification."""
        return dict(json.loads(self._builder.buildah("inspect", self._name))["OCIv1"]["config"])


def _pip_configuration() -> str:
    """What pip is told on this machine, by files or environment, as far as it concerns reaching its registry."""
    told: dict[str, str] = {}
    listing = _run(["python3", "-m", "pip", "config", "list"], "pip config list")
    for line in listing.splitlines():
        key, _, value = line.partition("=")
        short = key.rpartition(".")[2]
        if short in _PIP_KEYS:
            told[short] = value.strip().strip("'\"").replace("\\n", "\n    ")
    if CERTIFICATES.exists():
        told["cert"] = str(CERTIFICATES)
    return "[global]\n" + "".join(f"{key} = {value}\n" for key, value in told.items())
