"""Programs that come as Debian packages: found, or installed when this process may; used by `binaries`."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.testbed.cache import cache_root, locked, say
from tests.testbed.errors import TestbedError

_POLICY = Path("/usr/sbin/policy-rc.d")
# Debian puts daemons into /usr/sbin, which is not on every user's PATH, and PostgreSQL's into a folder of its version.
_EXTRA_PATH = ("/usr/local/bin", "/usr/bin", "/usr/sbin", "/sbin", "/usr/lib/postgresql/15/bin")


@dataclass(frozen=True, slots=True)
class Program:
    """A program and the Debian package that brings it."""

    name: str
    package: str


def find(program: Program) -> Path | None:
    """Where the program is, or None."""
    path = os.environ.get("PATH", os.defpath).split(os.pathsep)
    found = shutil.which(program.name, path=os.pathsep.join([*path, *_EXTRA_PATH]))
    return Path(found) if found else None


def ensure(program: Program) -> Path:
    """The program's path; installs its package as root. Raises TestbedError, one line naming the package, when that cannot be done."""
    found = find(program)
    if found:
        return found
    missing = f"missing: {program.name} (Debian package {program.package})"
    if shutil.which("apt-get") is None:
        raise TestbedError(f"{missing}, and there is no apt-get here")
    if os.geteuid() != 0:
        raise TestbedError(f"{missing}; as root: apt-get install {program.package}")
    with locked(cache_root() / "apt.lock"):
        found = find(program)
        if found:
            return found
        _install(program.package, missing)
    found = find(program)
    if found is None:
        raise TestbedError(f"{missing}: the package was installed but brings no such program")
    return found


def _install(package: str, missing: str) -> None:
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive", "RUNLEVEL": "1", "LC_ALL": "C.UTF-8"}
    say(f"installing Debian package {package}")
    install = ["apt-get", "install", "-y", "-q", "--no-install-recommends", package]
    with _services_stay_off():
        # The package lists are refreshed only when the installation needs them: they may be old or absent.
        result = _apt(install, environment)
        if result.returncode != 0:
            _apt(["apt-get", "update", "-q"], environment)
            result = _apt(install, environment)
    if result.returncode != 0:
        reason = next((line for line in reversed(result.stdout.splitlines()) if line.startswith("E:")), "apt-get failed")
        raise TestbedError(f"{missing}, and it cannot be installed: {reason}")


def _apt(command: list[str], environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, env=environment, check=False, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


@contextmanager
def _services_stay_off() -> Iterator[None]:
    """Packages of daemons start them when installed; a policy file that answers 101 forbids that (Debian Policy 9.3.3.2)."""
    if _POLICY.exists():
        yield
        return
    _POLICY.write_text("#!/bin/sh\nexit 101\n")
    _POLICY.chmod(0o755)
    try:
        yield
    finally:
        _POLICY.unlink(missing_ok=True)
