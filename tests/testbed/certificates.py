"""A throw-away certificate authority for tests of TLS and of client certificates; made with openssl, gone with its folder."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path

from tests.testbed import binaries
from tests.testbed.errors import TestbedError


@dataclass(frozen=True, slots=True)
class Certificates:
    """PEM files: the authority, a server's pair for 127.0.0.1 and localhost, a client's pair."""

    ca: Path
    server_cert: Path
    server_key: Path
    client_cert: Path
    client_key: Path


def make(folder: Path) -> Certificates:
    """Make an authority, a server and a client certificate in `folder`, good for two days."""
    folder.mkdir(parents=True, exist_ok=True)
    ca_key, ca = folder / "ca.key", folder / "ca.crt"
    _openssl("req", "-x509", *_NEW_KEY, "-keyout", str(ca_key), "-out", str(ca), "-days", "2", "-subj", "/CN=testbed authority")
    for name, usage in (("server", "serverAuth"), ("client", "clientAuth")):
        extensions = folder / f"{name}.ext"
        extensions.write_text(
            f"basicConstraints=CA:FALSE\nkeyUsage=digitalSignature\nextendedKeyUsage={usage}\n"
            "subjectAltName=IP:127.0.0.1,DNS:localhost\nauthorityKeyIdentifier=keyid\n"
        )
        request = folder / f"{name}.csr"
        _openssl("req", *_NEW_KEY, "-keyout", str(folder / f"{name}.key"), "-out", str(request), "-subj", f"/CN=testbed {name}")
        _openssl(
            *("x509", "-req", "-in", str(request), "-CA", str(ca), "-CAkey", str(ca_key), "-CAcreateserial"),
            *("-days", "2", "-extfile", str(extensions), "-out", str(folder / f"{name}.crt")),
        )
    return Certificates(ca, folder / "server.crt", folder / "server.key", folder / "client.crt", folder / "client.key")


_NEW_KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")


def _openssl(*arguments: str) -> None:
    program = str(binaries.debian_program(binaries.OPENSSL))
    result = subprocess.run([program, *arguments], check=False, capture_output=True, text=True)
    if result.returncode != 0:
        raise TestbedError(f"openssl {arguments[0]} failed: {result.stderr.strip()}")
