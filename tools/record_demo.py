"""Records the bundle that `aiops demo` shows, on the project's own testbed: a surge of requests, found, scaled out by the daemon, verified.

    python -m tools.record_demo [FOLDER]

Neighbours: `tests/testbed/stand.py`; `aiops record` does the recording, as any user would.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

from tests.testbed.process import pause
from tests.testbed.stand import Stand

ROOT = Path(__file__).parents[1]
TARGET = ROOT / "aiops" / "bundles" / "surge"
DESCRIPTION = "A shop of four services; at +60 s three times the usual requests come in for checkout (recorded on the testbed, with the daemon acting)"
BEFORE, LENGTH = 60.0, 330.0


def main() -> int:
    """Record, then put the bundle in place."""
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else TARGET
    with Stand() as stand:
        daemon = stand.daemon("acting", act=True)
        daemon.start()
        pause(330)  # what learns must have learned, and the bundle's look-back must be full
        made = stand.folder / "bundle"
        command = [str(Path(sys.executable).with_name("aiops")), "record", str(made), "--config", str(daemon.config)]
        command += ["--for", f"{LENGTH / 60:.2f}", "--lookback", "5.5", "--description", DESCRIPTION]
        recording = subprocess.Popen(command)
        pause(BEFORE)
        stand.world.switch_on("traffic-surge")
        if recording.wait() != 0:
            return 1
        episode = stand.world.episode("traffic-surge")
        print(f"cured after {episode.cured and episode.cured - episode.began} s by {episode.cured_by}; wrong writes {episode.wrong}")
        if episode.cured is None or episode.wrong:
            return 1
        daemon.stop()
        if target.exists():
            shutil.rmtree(target)
        shutil.copytree(made, target)
    return 0


if __name__ == "__main__":
    sys.exit(main())
