"""Where every program of the testbed comes from: names to paths, building or installing what is missing.

`binaries` is the only module that knows versions. It stands on `gobuild` (Kubernetes, kwok), `maven` (Elasticsearch)
and `debian` (etcd, Prometheus, Alertmanager, Redis); the server modules ask it for paths.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from tests.testbed import cache, debian, gobuild, maven

KUBERNETES_VERSION = "1.34.4"
KWOK_VERSION = "0.8.0"
ELASTICSEARCH_VERSION = "8.19.21"

_MAJOR, _MINOR, _ = KUBERNETES_VERSION.split(".")

# Without the version stamp /version says v0.0.0-master+$Format and clients cannot read it.
_KUBERNETES_LDFLAGS = (
    "-s -w"
    f" -X k8s.io/component-base/version.gitVersion=v{KUBERNETES_VERSION}"
    f" -X k8s.io/component-base/version.gitMajor={_MAJOR}"
    f" -X k8s.io/component-base/version.gitMinor={_MINOR}"
)

KUBERNETES = gobuild.GoProgram(
    name="kubernetes",
    version=KUBERNETES_VERSION,
    recipe="kubernetes",
    packages=(
        "k8s.io/kubernetes/cmd/kube-apiserver",
        "k8s.io/kubernetes/cmd/kube-controller-manager",
        "k8s.io/kubernetes/cmd/kube-scheduler",
    ),
    ldflags=_KUBERNETES_LDFLAGS,
)
KUBECTL = gobuild.GoProgram(
    name="kubectl",
    version=KUBERNETES_VERSION,
    recipe="kubernetes",
    packages=("k8s.io/kubernetes/cmd/kubectl",),
    ldflags=_KUBERNETES_LDFLAGS,
)
KWOK = gobuild.GoProgram(
    name="kwok",
    version=KWOK_VERSION,
    recipe="kwok",
    packages=("sigs.k8s.io/kwok/cmd/kwok",),
    ldflags=f"-s -w -X sigs.k8s.io/kwok/pkg/consts.Version={KWOK_VERSION}",
    module_files=(("sigs.k8s.io/kwok", ("kustomize/stage",)),),
)

ETCD = debian.Program("etcd", "etcd-server")
PROMETHEUS = debian.Program("prometheus", "prometheus")
PROMTOOL = debian.Program("promtool", "prometheus")
ALERTMANAGER = debian.Program("prometheus-alertmanager", "prometheus-alertmanager")
AMTOOL = debian.Program("amtool", "prometheus-alertmanager")
REDIS = debian.Program("redis-server", "redis-server")
POSTGRES = debian.Program("postgres", "postgresql")
INITDB = debian.Program("initdb", "postgresql")
OPENSSL = debian.Program("openssl", "openssl")
DEBIAN_PROGRAMS = (OPENSSL, ETCD, PROMETHEUS, PROMTOOL, ALERTMANAGER, AMTOOL, REDIS, POSTGRES, INITDB)


def kubernetes(program: str) -> Path:
    """`kube-apiserver`, `kube-controller-manager` or `kube-scheduler`."""
    return gobuild.build(KUBERNETES) / "bin" / program


def kubectl() -> Path:
    """The machine's own kubectl when there is one, else one built from the Kubernetes module."""
    found = shutil.which("kubectl")
    return Path(found) if found else gobuild.build(KUBECTL) / "bin" / "kubectl"


def kwok() -> Path:
    """The kwok program."""
    return gobuild.build(KWOK) / "bin" / "kwok"


def kwok_stages() -> Path:
    """The folder `kustomize/stage` of the kwok module."""
    return gobuild.build(KWOK) / "files" / "kustomize" / "stage"


def elasticsearch() -> Path:
    """The home folder of an unpacked Elasticsearch."""
    return maven.elasticsearch(ELASTICSEARCH_VERSION)


def elasticsearch_analysis() -> Path:
    """The plugin folder that API keys need."""
    return maven.analysis_plugin(ELASTICSEARCH_VERSION)


def debian_program(program: debian.Program) -> Path:
    """The path of a program that comes as a Debian package, installed when missing and allowed."""
    return debian.ensure(program)


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of `doctor`: a thing the testbed needs, and whether it is at hand."""

    what: str
    ready: bool
    how: str


def doctor() -> list[Finding]:
    """What is ready and what is missing; changes nothing."""
    findings = [_tool("go", "the Go toolchain 1.24 or later, on PATH"), _tool("java", "a Java 17 runtime, on PATH")]
    findings += [_tool("javac", "a Java 17 development kit, on PATH"), _tool("mvn", "Apache Maven, on PATH")]
    for program in (KUBERNETES, KWOK):
        folder = cache.entry(program.name, program.version)
        findings.append(Finding(f"{program.name} {program.version}", folder.is_dir(), str(folder)))
    found = shutil.which("kubectl")
    built = cache.entry(KUBECTL.name, KUBECTL.version)
    findings.append(Finding("kubectl", bool(found) or built.is_dir(), found or str(built)))
    home = cache.entry("elasticsearch", ELASTICSEARCH_VERSION)
    findings.append(Finding(f"elasticsearch {ELASTICSEARCH_VERSION}", home.is_dir(), str(home)))
    plugin = cache.entry("elasticsearch-analysis", ELASTICSEARCH_VERSION)
    findings.append(Finding("elasticsearch-analysis", plugin.is_dir(), str(plugin)))
    for item in DEBIAN_PROGRAMS:
        path = debian.find(item)
        findings.append(Finding(item.name, path is not None, str(path) if path else f"Debian package {item.package}"))
    return findings


def _tool(name: str, wanted: str) -> Finding:
    path = shutil.which(name)
    return Finding(name, path is not None, path or wanted)


def build_all() -> None:
    """Build, download and install everything, cheapest first, so that what cannot be had is said early."""
    for item in DEBIAN_PROGRAMS:
        debian.ensure(item)
    elasticsearch_analysis()
    kubernetes("kube-apiserver")
    kwok()
    kubectl()
