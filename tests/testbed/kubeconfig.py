"""Writes kubeconfig files; used by the control plane's programs, by kwok and by whoever asks `plane.kubeconfig(path)`."""

from __future__ import annotations

import json
from pathlib import Path


def write(path: Path, *, url: str, ca_file: Path, token: str, user: str, namespace: str = "default") -> Path:
    """A kubeconfig with one cluster and one bearer token, readable by its owner alone. JSON, which is YAML too."""
    content = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "testbed", "cluster": {"server": url, "certificate-authority": str(ca_file)}}],
        "users": [{"name": user, "user": {"token": token}}],
        "contexts": [{"name": "testbed", "context": {"cluster": "testbed", "user": user, "namespace": namespace}}],
        "current-context": "testbed",
    }
    path.touch(mode=0o600)
    path.write_text(json.dumps(content, indent=1) + "\n")
    return path
