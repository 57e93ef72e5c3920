"""`aiops run`: the daemon. SIGTERM and SIGINT stop it within the grace period, SIGHUP reads rules and runbooks again, SIGUSR1 pauses acting and SIGUSR2
ends that pause. Neighbours: `app.live`.
"""

from __future__ import annotations

import signal
import threading
from typing import Annotated

import typer

from aiops.cli.common import FAILED, ConfigOption, err, exit_codes, safe


def run(
    config: ConfigOption = None,
    act: Annotated[bool, typer.Option("--act", help="let it act; each runbook's mode still decides. Without this nothing is written")] = False,
) -> None:
    """Run the daemon: dry-run unless --act is given."""
    from aiops.app.config import read_settings
    from aiops.app.live import Daemon, signal_switch
    from aiops.app.logs import daemon_logs

    ending, reloading = threading.Event(), threading.Event()
    with exit_codes():
        settings = read_settings(config)
        daemon_logs(settings.log_level, settings.log_format)
        signal.signal(signal.SIGTERM, lambda *_: ending.set())
        signal.signal(signal.SIGINT, lambda *_: ending.set())
        signal.signal(signal.SIGHUP, lambda *_: reloading.set())
        signals, paused, stopped = signal_switch(), False, ""
        signal.signal(signal.SIGUSR1, signals.pause)
        signal.signal(signal.SIGUSR2, signals.resume)
        while not ending.is_set() and not stopped:  # anew, as one that stands by, after another daemon took its place
            daemon = Daemon(settings, act=act, signals=signals)
            daemon.start()
            try:
                while not ending.wait(0.5) and not daemon.lost.is_set():
                    if reloading.is_set():
                        reloading.clear()
                        err.print(safe(daemon.reload()))
                    if paused is not signals.on:
                        paused = signals.on
                        err.print("acting is paused by SIGUSR1; SIGUSR2 ends that" if paused else "SIGUSR2: the pause by SIGUSR1 is over")
            finally:
                stopped = daemon.stop()
    if stopped:
        err.print(safe(stopped))
        raise typer.Exit(FAILED)
