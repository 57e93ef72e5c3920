"""Resource quantities of Kubernetes as exact numbers, and back in the form in which the server writes them. Pure.

Grammar: https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity/. Neighbour: `set_resources`.
"""

from __future__ import annotations

import math
import re
from fractions import Fraction

_QUANTITY = re.compile(r"([0-9]{1,18}(?:\.[0-9]{0,9})?|\.[0-9]{1,9})(m|k|[MGTPE]|[KMGTPE]i|[eE][+-]?[0-9]{1,2})?", re.ASCII)
_CHANGE = re.compile(r"([+-])([0-9]{1,6}(?:\.[0-9]{1,6})?)%", re.ASCII)
_DECIMAL = {"m": Fraction(1, 1000), "k": Fraction(10**3), "M": Fraction(10**6), "G": Fraction(10**9), "T": Fraction(10**12), "P": Fraction(10**15), "E": Fraction(10**18)}
_BINARY = {"Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40, "Pi": 2**50, "Ei": 2**60}


def parse(text: str) -> Fraction:
    """`500m`, `2`, `1.5Gi`, `1e3` as a number (cores, bytes). Raises ValueError."""
    match = _QUANTITY.fullmatch(text.strip())
    if match is None:
        raise ValueError(f"{text[:40]!r} is no quantity: write for example 500m, 2, 512Mi, 1.5Gi")
    number, unit = Fraction(match[1]), match[2] or ""
    if unit[:1] in ("e", "E") and len(unit) > 1 and unit != "Ei":
        return number * Fraction(10) ** int(unit[1:])
    return number * (_BINARY.get(unit) or _DECIMAL.get(unit) or 1)


def is_change(text: str) -> bool:
    """True for `+25%` and `-10%`."""
    return _CHANGE.fullmatch(text.strip()) is not None


def changed(present: Fraction, by: str) -> Fraction:
    """`present` changed by `+25%` or `-10%`, never below 0. Raises ValueError."""
    match = _CHANGE.fullmatch(by.strip())
    if match is None:
        raise ValueError(f"{by[:40]!r} is no change: write for example +25% or -10%")
    amount = present * Fraction(match[2]) / 100
    return max(Fraction(0), present + amount if match[1] == "+" else present - amount)


def cores(value: Fraction) -> str:
    """Whole cores or thousandths, rounded up."""
    thousandths = math.ceil(value * 1000)
    return str(thousandths // 1000) if thousandths % 1000 == 0 else f"{thousandths}m"


def size(value: Fraction) -> str:
    """Bytes in the largest binary unit that holds them exactly, else in the largest decimal one; above 1 MiB rounded up to whole KiB."""
    number = math.ceil(value)
    if number > 2**20 and number % 1000:
        number = -(-number // 2**10) * 2**10
    for unit, factor in reversed(_BINARY.items()):
        if number and number % factor == 0:
            return f"{number // factor}{unit}"
    for unit in "EPTGMk":
        if number and number % int(_DECIMAL[unit]) == 0:
            return f"{number // int(_DECIMAL[unit])}{unit}"
    return str(number)
