"""Records the bundle that `aiops demo` shows, on the project's own testbed: a surge of requests, which a person answers by hand two minutes later.

What the demo then shows is what the daemon would have done, and when.

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
DESCRIPTION = "A shop of four services: at +60 s three times the usual requests come in for checkout, at +180 s a person scales it out by hand"
BEFORE, PERSON, LENGTH = 60.0, 120.0, 380.0


def main() -> int:
    """Record, then put the bundle in place."""
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else TARGET
    with Stand() as stand:
        daemon = stand.daemon("recording", act=False)  # only its settings are used
        pause(310)  # what learns must have learned, and the bundle's look-back must be full
        made = stand.folder / "bundle"
        command = [str(Path(sys.executable).with_name("aiops")), "record", str(made), "--config", str(daemon.config)]
        command += ["--for", f"{LENGTH / 60:.2f}", "--lookback", "5", "--description", DESCRIPTION]
        recording = subprocess.Popen(command)
        pause(BEFORE)
        stand.world.switch_on("traffic-surge")
        pause(PERSON)
        stand.plane.kubectl("-n", "shop", "scale", "deployment/checkout", "--replicas=6")
        if recording.wait() != 0:
            return 1
        episode = stand.world.episode("traffic-surge")
        print(f"cured after {episode.cured and episode.cured - episode.began} s")
        if episode.cured is None:
            return 1
        if target.exists():
            shutil.rmtree(target)
        shutil.copytree(made, target)
    return 0


if __name__ == "__main__":
    sys.exit(main())
