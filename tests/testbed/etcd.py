"""etcd, the API server's store; started by `plane`. Its data is thrown away, so it is kept in memory where that can be."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

from tests.testbed import binaries, web
from tests.testbed.ports import free_port
from tests.testbed.process import Server

_MEMORY = Path("/dev/shm")
_MEMORY_NEEDED_BYTES = 1 << 30


class Etcd:
    """One etcd member without peers."""

    def __init__(self, folder: Path) -> None:
        """`folder` is for the log."""
        self._data = Path(tempfile.mkdtemp(prefix="aiops-testbed-etcd-", dir=_data_parent(folder)))
        self.url = f"http://127.0.0.1:{free_port()}"
        peer = f"http://127.0.0.1:{free_port()}"
        self.server = Server(
            "etcd",
            [
                str(binaries.debian_program(binaries.ETCD)),
                "--name=testbed",
                f"--data-dir={self._data}",
                f"--listen-client-urls={self.url}",
                f"--advertise-client-urls={self.url}",
                f"--listen-peer-urls={peer}",
                f"--initial-advertise-peer-urls={peer}",
                f"--initial-cluster=testbed={peer}",
                "--auto-compaction-retention=0",
                "--snapshot-count=100000",
                "--logger=zap",
                "--log-level=warn",
            ],
            folder=folder,
            # Debian's unit sets ETCD_ variables for its own daemon; none may reach this one.
            env=dict.fromkeys((name for name in os.environ if name.startswith("ETCD_")), ""),
        )

    def start(self) -> None:
        """Start and wait until it answers."""
        self.server.start()
        self.server.wait_ready(lambda: web.answers(f"{self.url}/health"))

    def stop(self) -> None:
        """Stop; the data goes in any case."""
        self.server.stop()
        shutil.rmtree(self._data, ignore_errors=True)


def _data_parent(folder: Path) -> Path:
    if os.access(_MEMORY, os.W_OK) and shutil.disk_usage(_MEMORY).free > _MEMORY_NEEDED_BYTES:
        return _MEMORY
    return folder
