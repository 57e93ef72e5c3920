"""kube-apiserver with RBAC, bearer tokens made at start and an audit log; started by `plane` after etcd."""

from __future__ import annotations

import csv
import json
import secrets
import subprocess
from pathlib import Path

from tests.testbed import audit, binaries, web
from tests.testbed.ports import free_port
from tests.testbed.process import Server

ADMIN = "admin"
WORLD = "world"
# user name → groups. `testbed:machinery` marks those whose writes the audit log keeps without bodies.
USERS: dict[str, tuple[str, ...]] = {
    ADMIN: ("system:masters",),
    WORLD: ("system:masters",),
    "kwok": ("system:masters", "testbed:machinery"),
    "system:kube-controller-manager": ("testbed:machinery",),
    "system:kube-scheduler": ("testbed:machinery",),
}


class ApiServer:
    """The API server; `.url`, `.ca_file`, `.tokens` (user → bearer token) are good once `start()` returned."""

    def __init__(self, folder: Path, etcd_url: str) -> None:
        self.folder = folder
        self.port = free_port()
        self.url = f"https://127.0.0.1:{self.port}"
        self.ca_file = folder / "certs" / "apiserver.crt"
        self.audit_log = folder / "audit.log"
        self.service_account_key = folder / "service-account.key"
        self.tokens = {user: secrets.token_hex(16) for user in USERS}
        self.server = Server("kube-apiserver", self._command(etcd_url), folder=folder)

    def _command(self, etcd_url: str) -> list[str]:
        return [
            str(binaries.kubernetes("kube-apiserver")),
            f"--etcd-servers={etcd_url}",
            "--bind-address=127.0.0.1",
            f"--secure-port={self.port}",
            f"--cert-dir={self.ca_file.parent}",
            # The `kubernetes` service may not point at a loopback address, and nothing here needs it.
            "--endpoint-reconciler-type=none",
            f"--token-auth-file={self.folder / 'tokens.csv'}",
            "--authorization-mode=RBAC",
            "--anonymous-auth=false",
            "--service-account-issuer=https://kubernetes.default.svc",
            f"--service-account-key-file={self.service_account_key}",
            f"--service-account-signing-key-file={self.service_account_key}",
            "--service-cluster-ip-range=10.96.0.0/16",
            f"--audit-policy-file={self.folder / 'audit-policy.json'}",
            f"--audit-log-path={self.audit_log}",
            "--audit-log-mode=blocking",
            # Streamed lists need an etcd of 3.4.25 or later; Debian 12 has 3.4.23. Clients that are told so use plain lists.
            "--feature-gates=WatchList=false",
            "--profiling=false",
            "--v=1",
        ]

    def prepare(self) -> None:
        """Write keys, tokens and the audit policy."""
        openssl = str(binaries.debian_program(binaries.OPENSSL))
        make_key = [openssl, "ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", str(self.service_account_key)]
        subprocess.run(make_key, check=True, capture_output=True)
        tokens = self.folder / "tokens.csv"
        tokens.touch(mode=0o600)
        with tokens.open("w", newline="") as sink:
            rows = csv.writer(sink)
            for user, groups in USERS.items():
                rows.writerow([self.tokens[user], user, f"uid-{user}", ",".join(groups)])
        (self.folder / "audit-policy.json").write_text(json.dumps(audit.POLICY))

    def start(self) -> None:
        """Start and wait until `/readyz` says yes."""
        self.prepare()
        self.server.start()
        headers = {"Authorization": f"Bearer {self.tokens[ADMIN]}"}
        self.server.wait_ready(
            lambda: self.ca_file.exists() and web.answers(f"{self.url}/readyz", headers=headers, ca_file=self.ca_file)
        )

    def stop(self) -> None:
        """Stop; soon by force, for it would wait up to a minute for open requests, and its data is thrown away."""
        self.server.stop(grace_s=2)
