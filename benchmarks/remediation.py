"""Does it cure what it may, in time, and keep its hands off the rest: episodes of each kind of fault in the virtual world, varied by seed.

    python -m benchmarks.remediation [--seeds 50] [--first 1] [--kinds a,b] [--jobs 2] [--keep FILE] [--safety full,no-guards,no-caution,none]

*Resolved*: the fault's `cures` became true after a write of ours, no write was wrong, and the objective then held for two minutes. *MTTR*: from the fault
to the beginning of those two minutes. *Wrong*: any write of ours that the fault does not allow, read from the cluster's write log. Kinds in which acting
is wrong are played again without guards (`no-guards`: all that may be switched off but the cooldown, without which it would never come to rest),
without what the files themselves say to be careful (`no-caution`, see `tests.scenarios.arena.careless`), and without both (`none`).
Exit 1 unless resolved ≥ 95 %, MTTR P95 ≤ 5 min, wrong 0, wrong > 0 without guards in each kind that guards stop, and without both in every one.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import statistics
import sys
from collections.abc import Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from tests.scenarios.arena import SAFETY, Played, play
from tests.scenarios.kinds import CURABLE, GUARDED, HANDS_OFF, KINDS

RESOLVED, MTTR, CPU = 0.95, 300.0, 2.0
_HANDS_OFF_SHARE = 300 / (14 * 50)
"""Episodes in which acting is wrong for each one that can be cured, so that fifty seeds of 14 and 9 kinds are a thousand."""
Job = tuple[str, int, str]


def jobs(kinds: Iterable[str], seeds: int, safeties: Sequence[str], first: int = 1) -> list[Job]:
    """What is to be played, seed by seed, so that what was played when it is broken off is something of each kind."""
    found: list[Job] = []
    for kind in kinds:
        count = seeds if kind in CURABLE else max(1, round(seeds * _HANDS_OFF_SHARE * 14 / 9))
        found += [(kind, seed, safety) for safety in (safeties if kind in HANDS_OFF else ("full",)) for seed in range(first, first + count)]
    return sorted(found, key=lambda job: job[1])


def play_all(todo: Sequence[Job], workers: int, keep: Path | None) -> list[Played]:
    """In processes of their own; told as they go, and added to `keep`. What stands there is not played again."""
    known = kept(keep)
    found, todo = [known[job] for job in todo if job in known], [job for job in todo if job not in known]
    if workers <= 1:
        return found + [_told(play(*job), keep) for job in todo]
    with ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn")) as pool:
        return found + [_told(each, keep) for each in (pool.map(play, *zip(*todo, strict=True)) if todo else ())]


def kept(file: Path | None) -> dict[Job, Played]:
    """A line of JSON for each episode."""
    rows = [json.loads(line) for line in file.read_text().splitlines()] if file is not None and file.exists() else []
    played = [Played(**{**row, "wrong": tuple(row["wrong"]), "runs": tuple(row["runs"])}) for row in rows]
    return {(each.kind, each.seed, each.safety): each for each in played}


def _told(played: Played, keep: Path | None) -> Played:
    if keep is not None:
        with keep.open("a") as out:
            out.write(json.dumps(played.as_json()) + "\n")
    word = "resolved" if played.resolved else "-"
    print(f"  {played.kind:<22} {played.seed:>3} {played.safety:<10} {word:<9} {_seconds(played.mttr):>5} {'; '.join(played.wrong)}", file=sys.stderr, flush=True)
    return played


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest value that `share` of them do not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, max(0, -(-int(len(ordered) * share * 1000) // 1000) - 1))]


def report(played: Sequence[Played]) -> bool:
    """Print the tables; True if all that is required holds."""
    full = [each for each in played if each.safety == "full"]
    good = _curable([each for each in full if each.kind in CURABLE])
    good &= _hands_off([each for each in played if each.kind in HANDS_OFF])
    wrong, cpu = sum(len(each.wrong) for each in full), [each.cpu for each in full]
    print(f"\n{len(full)} episodes with all safety: {wrong} wrong writes; CPU {statistics.mean(cpu):.2f} s each, at most {max(cpu):.2f} s (goal {CPU:g} s)")
    return good and wrong == 0


def _curable(played: Sequence[Played]) -> bool:
    if not played:
        return True
    print(f"{'can be cured':<22} {'episodes':>8} {'resolved':>9} {'MTTR P50':>9} {'MTTR P95':>9} {'wrong':>6} {'CPU s':>6}")
    for kind in dict.fromkeys(each.kind for each in played):
        _row(kind, [each for each in played if each.kind == kind])
    _row("all", played)
    times = [each.mttr for each in played if each.mttr is not None]
    share = sum(each.resolved for each in played) / len(played)
    return share >= RESOLVED and bool(times) and percentile(times, 0.95) <= MTTR


def _row(name: str, played: Sequence[Played]) -> None:
    times = [each.mttr for each in played if each.mttr is not None]
    share = sum(each.resolved for each in played) / len(played)
    middle, late = (_seconds(percentile(times, p)) for p in (0.5, 0.95)) if times else ("-", "-")
    wrong = sum(len(each.wrong) for each in played)
    print(f"{name:<22} {len(played):>8} {share:>9.1%} {middle:>9} {late:>9} {wrong:>6} {statistics.mean(each.cpu for each in played):>6.2f}")


def _hands_off(played: Sequence[Played]) -> bool:
    if not played:
        return True
    safeties = [each for each in SAFETY if any(p.safety == each for p in played)]
    print(f"\n{'acting is wrong':<22}" + "".join(f" {f'{name}: wrong':>17} {'acted':>7}" for name in safeties))
    good = True
    for kind in dict.fromkeys(each.kind for each in played):
        cells = []
        for safety in safeties:
            mine = [each for each in played if each.kind == kind and each.safety == safety]
            wrong, acted = sum(len(each.wrong) for each in mine), sum(bool(each.wrong) for each in mine)
            good &= wrong == 0 if safety == "full" else True
            good &= wrong > 0 if safety == "none" or (safety == "no-guards" and kind in GUARDED) else True
            cells.append(f" {wrong:>17} {acted:>3}/{len(mine):<3}")
        print(f"{kind:<22}" + "".join(cells))
    return good


def _seconds(value: float | None) -> str:
    return "-" if value is None else f"{value:.0f} s"


def main(arguments: list[str] | None = None) -> int:
    """The exit status."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.remediation")
    parser.add_argument("--seeds", type=int, default=50, help="of each kind that can be cured; of the others so many that 50 make 1,000 with 14 kinds")
    parser.add_argument("--kinds", default=",".join(KINDS), help="names, separated by commas")
    parser.add_argument("--jobs", type=int, default=2, help="processes")
    parser.add_argument("--first", type=int, default=1, help="the first seed")
    parser.add_argument("--keep", type=Path, help="a line of JSON for each episode; what stands there already is not played again")
    parser.add_argument("--safety", default="full,no-guards,none", help=f"{', '.join(SAFETY)}: how kinds in which acting is wrong are played")
    options = parser.parse_args(arguments)
    kinds = options.kinds.split(",")
    unknown = [kind for kind in kinds if kind not in KINDS]
    if unknown:
        parser.error(f"no kind {', '.join(unknown)}; there are: {', '.join(KINDS)}")
    played = play_all(jobs(kinds, options.seeds, options.safety.split(","), options.first), options.jobs, options.keep)
    return 0 if report(played) else 1


if __name__ == "__main__":
    sys.exit(main())
