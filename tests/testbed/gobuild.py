"""Builds Go programs from the pinned modules under `recipes/` into the cache; used by `binaries`.

Each recipe is a committed `go.mod`, `go.sum` and `tools.go`, so that what is compiled is fixed by hash. The Go
command fetches modules by its own settings; nothing here names a server.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.testbed.cache import build_once, say
from tests.testbed.errors import TestbedError

RECIPES = Path(__file__).parent / "recipes"
PROGRESS_EVERY_S = 15.0


@dataclass(frozen=True, slots=True)
class GoProgram:
    """A group of Go programs that is built, cached and versioned together."""

    name: str
    version: str
    recipe: str
    """Folder under `recipes/` with go.mod, go.sum and tools.go."""
    packages: tuple[str, ...]
    ldflags: str = "-s -w"
    module_files: tuple[tuple[str, tuple[str, ...]], ...] = ()
    """(module path, folders inside it): what is copied into `files/` of the cache entry."""


def build(program: GoProgram) -> Path:
    """The cache folder of `program`, built when missing. Programs are in `bin/`, module files in `files/`."""
    return build_once(program.name, program.version, lambda folder: _build_into(program, folder))


def _go() -> str:
    go = shutil.which("go")
    if go is None:
        raise TestbedError("missing: go (the Go toolchain, 1.24 or later, on PATH), needed to build the Kubernetes programs")
    return go


def _environment() -> dict[str, str]:
    # Static programs need no C compiler; a go.work file above the cache must not change what is built.
    return {**os.environ, "CGO_ENABLED": "0", "GOWORK": "off", "GOFLAGS": "-mod=readonly"}


def _build_into(program: GoProgram, folder: Path) -> None:
    go = _go()
    source = folder / "src"
    shutil.copytree(RECIPES / program.recipe, source)
    out = folder / "bin"
    out.mkdir()
    say(f"building {program.name} {program.version} (minutes when the Go cache is empty)")
    command = [go, "build", "-v", "-trimpath", "-buildvcs=false", "-ldflags", program.ldflags, "-o", f"{out}/", *program.packages]
    _run_with_progress(f"{program.name} {program.version}", command, source, folder / "build.log")
    for module, parts in program.module_files:
        _copy_module_files(go, source, module, parts, folder / "files")


def _run_with_progress(what: str, command: Sequence[str], cwd: Path, log: Path) -> None:
    """Run `command`, its output into `log`; a line every quarter minute says how far it is."""
    began = time.monotonic()
    with log.open("wb") as sink:
        child = subprocess.Popen(command, cwd=cwd, env=_environment(), stdin=subprocess.DEVNULL, stdout=sink, stderr=subprocess.STDOUT)
        try:
            while True:
                try:
                    code = child.wait(timeout=PROGRESS_EVERY_S)
                    break
                except subprocess.TimeoutExpired:
                    lines = log.read_text(errors="replace").count("\n")
                    say(f"{what}: {lines} modules and packages done, {time.monotonic() - began:.0f} s")
        finally:
            if child.poll() is None:
                child.terminate()
                child.wait()
    if code != 0:
        tail = "\n".join(log.read_text(errors="replace").splitlines()[-15:])
        raise TestbedError(f"building {what} failed: go build ended with {code}\n{tail}")
    say(f"{what}: built in {time.monotonic() - began:.0f} s")


def _copy_module_files(go: str, source: Path, module: str, parts: Sequence[str], target: Path) -> None:
    listing = subprocess.run(
        [go, "list", "-m", "-f", "{{.Dir}}", module], cwd=source, env=_environment(), check=False, capture_output=True, text=True
    )
    root = Path(listing.stdout.strip())
    if listing.returncode != 0 or not root.is_dir():
        raise TestbedError(f"the Go command does not say where module {module} is: {listing.stderr.strip()}")
    for part in parts:
        # The module cache is read-only; its modes must not come along, or the entry could never be removed.
        shutil.copytree(root / part, target / part, copy_function=shutil.copyfile)
    for folder in [target, *(path for path in target.rglob("*") if path.is_dir())]:
        folder.chmod(0o755)
