"""What the automation is worth: every benefit and every cost as a line with its own assumptions, none hidden. Pure.

Neighbours: `remediate.outcomes` counts what was resolved without a person, `advice` what could be saved; the assumptions are settings.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Assumptions:
    """Settings. Money in the price list's currency; `manual_fix` and `manual_resolve` in seconds: a person's work on a fix, and from incident to end by hand.

    `platform_month`: what running this costs; `upkeep_hours`: people's work on rules and runbooks a month; `target`: the return that is aimed at.
    """

    engineer_hour: float = 75.0
    downtime_hour: float = 0.0
    manual_fix: float = 1800.0
    manual_resolve: float = 3600.0
    platform_month: float = 0.0
    upkeep_hours: float = 4.0
    target: float = 3.0


@dataclass(frozen=True, slots=True)
class Line:
    """One benefit (above 0) or cost (below 0) with how it came about."""

    name: str
    amount: float
    how: str


@dataclass(frozen=True, slots=True)
class Returns:
    """`ratio` is (benefits - costs) / costs, None where nothing was spent; `met`: at least `target`. `inputs` are all numbers that went in, for people."""

    lines: tuple[Line, ...]
    benefits: float
    costs: float
    ratio: float | None
    target: float
    met: bool | None
    inputs: tuple[tuple[str, str], ...]


def returns(
    a: Assumptions, *, automated: int, resolve_mean: float | None, downtime: int, realised: float = 0.0, share_of_month: float = 1.0,
) -> Returns:  # fmt: skip
    """Of one month, or of `share_of_month` of it for what is paid by the month.

    `automated`: incidents resolved without a person, `resolve_mean` seconds they took on average; `downtime`: how many of them were critical, so that
    users were affected; `realised`: money saved by recommendations that were carried out. What was only recommended counts for nothing here.
    """
    faster = max(0.0, a.manual_resolve - resolve_mean) if resolve_mean is not None else 0.0
    labour = automated * a.manual_fix / 3600.0 * a.engineer_hour
    avoided = downtime * faster / 3600.0 * a.downtime_hour
    platform, upkeep = a.platform_month * share_of_month, a.upkeep_hours * share_of_month * a.engineer_hour
    lines = (
        Line("work saved", labour, f"{automated} incidents x {a.manual_fix / 60:g} min x {a.engineer_hour:g} an hour"),
        Line("downtime avoided", avoided, f"{downtime} critical incidents x {faster / 60:.1f} min sooner x {a.downtime_hour:g} an hour"),
        Line("recommendations carried out", realised, "runs of right-size and scale-to, priced from their end on"),
        Line("running the automation", -platform, f"{a.platform_month:g} a month x {share_of_month:.0%} of the month"),
        Line("upkeep by people", -upkeep, f"{a.upkeep_hours:g} h a month x {share_of_month:.0%} x {a.engineer_hour:g} an hour"),
    )
    benefits, costs = labour + avoided + realised, platform + upkeep
    ratio = (benefits - costs) / costs if costs > 0.0 else None
    inputs = (
        ("an engineer's hour", f"{a.engineer_hour:g} (cost.engineerHour)"),
        ("an hour of downtime", f"{a.downtime_hour:g} (cost.downtimeHour)"),
        ("a fix by hand takes", f"{a.manual_fix / 60:g} min of work (report.manualFix)"),
        ("resolved by hand after", f"{a.manual_resolve / 60:g} min (cost.manualResolve)"),
        ("running it costs a month", f"{a.platform_month:g} (cost.platformMonth)"),
        ("upkeep a month", f"{a.upkeep_hours:g} h (cost.upkeepHours)"),
        ("return aimed at", f"{a.target:g} (cost.roiTarget)"),
        ("resolved without a person", f"{automated} incidents (store)"),
        ("of these critical", f"{downtime} (store)"),
        ("they took on average", "not known" if resolve_mean is None else f"{resolve_mean / 60:.1f} min (store)"),
    )
    return Returns(lines, benefits, costs, ratio, a.target, None if ratio is None else ratio >= a.target, inputs)
