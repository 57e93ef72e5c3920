"""Detection in figures: how good, how fast, how large, beside what a user would otherwise pick.

    python -m benchmarks.detection [--data DIR] [--peers PYTHON] [--rounds 3] [--only NAME …] [--small]

With `--data` (a folder with `nab`, `smd` and `nezha`) quality is measured too, and tables and plots are written into docs/benchmarks/; without it only what needs no recordings is
printed. Each figure says which profile made it: `fleet` is without the forest, `focus` with it. Ours and the peers' are measured in turn in one run.
"""

from __future__ import annotations

import argparse
import os
import platform
import resource
import shutil
from pathlib import Path

from benchmarks import calibration, detection_drift, detection_quality, detection_speed, nezha
from benchmarks.detection_report import Context, Report, Section

PAGE = Path(__file__).resolve().parent.parent / "docs" / "benchmarks" / "detection.md"
SECTIONS: dict[str, Section] = {
    "tick": detection_speed.section,
    "calibration": calibration.section,
    "drift": detection_drift.section,
    "nab": detection_quality.nab_section,
    "smd": detection_quality.smd_section,
    "nezha": nezha.section,
}
"""In the order of the page. A new one: a function of a report and a context in the file that measures, and a line here."""


def peak() -> float:
    """MiB of resident memory at most so far, of this process and of the greatest of those it waited for."""
    return max(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)) / 1024.0


def main() -> None:
    parser = argparse.ArgumentParser(description="Detection: quality, speed, memory, beside peers.")
    parser.add_argument("--data", type=Path, help="folder with nab, smd and nezha; without it only what needs no recordings")
    parser.add_argument("--peers", help="a Python interpreter that has nannyml or evidently, or several with commas between")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", nargs="+", choices=list(SECTIONS), help="these sections, printed and not written")
    parser.add_argument("--small", action="store_true", help="only show that it runs; nothing is written")
    given = parser.parse_args()
    if missing := [each for each in (given.peers or "").split(",") if each and not shutil.which(each)]:
        parser.error(f"--peers: {missing[0]} is no program")
    report, context = Report(), Context(data=given.data, peers=given.peers, rounds=1 if given.small else given.rounds, small=given.small)
    report.paragraph("# Detection in figures")
    load = ", ".join(f"{value:.1f}" for value in os.getloadavg())
    report.paragraph(
        f"Written by `make bench-detection`. Profile `fleet` is without the forest, `focus` with it. {os.cpu_count()} cores, Python {platform.python_version()}, "
        f"load at the start {load}: on a busy machine compare CPU times within a table, and look away from times by the clock."
    )
    for name in given.only or SECTIONS:
        context.told(name)
        SECTIONS[name](report, context)
        context.told(f"{name} is done, peak of memory so far {peak():.0f} MiB")
    report.summary()
    report.paragraph(f"Peak of resident memory of one process of the whole run: {peak():.0f} MiB.")
    if given.data is not None and not given.only and not given.small:
        report.write(PAGE)


if __name__ == "__main__":
    main()
