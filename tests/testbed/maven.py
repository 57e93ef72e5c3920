"""Elasticsearch from its Maven artifact, unpacked into the cache; used by `binaries`.

The artifact `org.elasticsearch.distribution.integ-test-zip:elasticsearch` is a server without the bundled Java and
with few modules: bulk, search, aggregations, point in time and security are in it; `GET /` is not (it answers 405).
API keys need analysis components that the artifact lacks: `analysis_plugin` compiles a plugin that names them.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import zipfile
from pathlib import Path

from tests.testbed.cache import build_once, say
from tests.testbed.errors import TestbedError

_ARTIFACT = "org.elasticsearch.distribution.integ-test-zip:elasticsearch"
PLUGIN_SOURCE = Path(__file__).parent / "recipes" / "elasticsearch-analysis"
_PLUGIN = "org.apache.maven.plugins:maven-dependency-plugin"


def elasticsearch(version: str) -> Path:
    """The server's home folder (with `bin/elasticsearch`), downloaded and unpacked when missing."""
    return build_once("elasticsearch", version, lambda folder: _unpack_into(version, folder)) / "home"


def java_home() -> Path:
    """The Java that Elasticsearch runs on: `ES_JAVA_HOME`, `JAVA_HOME`, or the one behind `java`."""
    for name in ("ES_JAVA_HOME", "JAVA_HOME"):
        value = os.environ.get(name)
        if value and (Path(value) / "bin" / "java").exists():
            return Path(value)
    java = shutil.which("java")
    if java is None:
        raise TestbedError("missing: java (a Java 17 runtime, on PATH), needed to run Elasticsearch")
    return Path(java).resolve().parent.parent


def analysis_plugin(version: str) -> Path:
    """A plugin folder, to be put into `plugins/` of the server's home: without it the security module cannot store API keys."""
    return build_once("elasticsearch-analysis", version, lambda folder: _compile_plugin(version, folder))


def _compile_plugin(version: str, folder: Path) -> None:
    javac = java_home() / "bin" / "javac"
    jar = java_home() / "bin" / "jar"
    if not javac.exists():
        raise TestbedError(
            "missing: javac (a Java 17 development kit, Debian package openjdk-17-jdk-headless), needed for Elasticsearch's security"
        )
    say(f"compiling the analysis plugin for Elasticsearch {version}")
    library = elasticsearch(version) / "lib"
    with tempfile.TemporaryDirectory() as classes:
        compile_it = [str(javac), "-nowarn", "-proc:none", "-cp", f"{library}/*", "-d", classes, *map(str, PLUGIN_SOURCE.glob("*.java"))]
        for command in (compile_it, [str(jar), "--create", "--file", str(folder / "analysis.jar"), "-C", classes, "."]):
            result = subprocess.run(command, check=False, capture_output=True, text=True)
            if result.returncode != 0:
                raise TestbedError(f"{Path(command[0]).name} failed on the analysis plugin: {result.stderr.strip()}")
    (folder / "plugin-descriptor.properties").write_text(
        "name=testbed-analysis\n"
        "description=Analysis components that the security index needs\n"
        "version=1\n"
        "classname=aiops.testbed.SecurityIndexAnalysis\n"
        "java.version=17\n"
        f"elasticsearch.version={version}\n"
    )


def _unpack_into(version: str, folder: Path) -> None:
    mvn = shutil.which("mvn")
    if mvn is None:
        raise TestbedError("missing: mvn (Apache Maven, on PATH), needed to fetch Elasticsearch")
    say(f"fetching Elasticsearch {version} (107 MB)")
    coordinates = f"{_ARTIFACT}:{version}:zip"
    _maven(mvn, folder, "get", f"-Dartifact={coordinates}", "-Dtransitive=false")
    _maven(mvn, folder, "copy", f"-Dartifact={coordinates}", f"-DoutputDirectory={folder}")
    archive = next(folder.glob("*.zip"), None)
    if archive is None:
        raise TestbedError(f"Maven fetched no archive for {coordinates}")
    with zipfile.ZipFile(archive) as zipped:
        zipped.extractall(folder / "unpacked")
    archive.unlink()
    home = next(path for path in (folder / "unpacked").iterdir() if path.is_dir())
    home.rename(folder / "home")
    (folder / "unpacked").rmdir()
    for program in (folder / "home" / "bin").iterdir():
        program.chmod(0o755)


def _maven(mvn: str, folder: Path, goal: str, *options: str) -> None:
    result = subprocess.run(
        [mvn, "-q", "-B", f"{_PLUGIN}:{goal}", *options],
        cwd=folder,
        check=False,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    if result.returncode != 0:
        tail = "\n".join(result.stdout.splitlines()[-10:])
        raise TestbedError(f"Maven could not fetch Elasticsearch (dependency:{goal} ended with {result.returncode})\n{tail}")
