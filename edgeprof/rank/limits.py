"""Limits as people write them."""

from __future__ import annotations

import math
import re

from edgeprof.errors import UsageError

MS_PER_UNIT = {"ns": 1e-6, "us": 1e-3, "µs": 1e-3, "μs": 1e-3, "ms": 1.0, "s": 1e3}
MJ_PER_UNIT = {"uJ": 1e-3, "µJ": 1e-3, "μJ": 1e-3, "mJ": 1.0, "J": 1e3}
BYTES_PER_UNIT = {
    "b": 1, "kb": 10**3, "mb": 10**6, "gb": 10**9, "kib": 2**10, "mib": 2**20, "gib": 2**30,
}  # fmt: skip
_QUANTITY = re.compile(
    r"([+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:e[+-]?[0-9]+)?|[+-]?(?:nan|infinity|inf))\s*(.*)", re.I | re.S
)
EXAMPLE = "write a number and a unit, for example 5ms, 0.02s or 500us"
BYTES_EXAMPLE = "write a number and a unit, for example 10MB, 512kB or 1GiB"
ENERGY_EXAMPLE = "write a number and a unit, for example 50mJ, 0.2J or 800uJ"
SHARE_EXAMPLE = "write a share between 0 and 1, or per cent: 0.9 or 90%"


def parse_budget(text: str) -> float:
    """Milliseconds from "5ms", "20 ms", "0.02s" or "500us".

    Raises:
        UsageError: no number, no unit or an unknown one, or not a finite time above zero.
    """
    number, unit = _parts(text, "budget", "time", EXAMPLE)
    scale = MS_PER_UNIT.get(unit) or MS_PER_UNIT.get(unit.lower())
    if scale is None:
        raise UsageError(f"the budget {text!r} has the unknown unit {unit!r}", hint=EXAMPLE)
    return _positive(number * scale, text, "budget", EXAMPLE)


def parse_bytes(text: str, name: str) -> int:
    """Bytes from "10MB", "512 kB" or "1GiB".

    Args:
        name: of the option, for the words of an error.

    Raises:
        UsageError: no number, no unit or an unknown one, or not a finite size of a byte or more.
    """
    number, unit = _parts(text, name, "size", BYTES_EXAMPLE)
    scale = BYTES_PER_UNIT.get(unit.lower())
    if scale is None:
        raise UsageError(f"the {name} {text!r} has the unknown unit {unit!r}", hint=BYTES_EXAMPLE)
    return max(1, math.floor(_positive(number * scale, text, name, BYTES_EXAMPLE)))


def parse_energy(text: str) -> float:
    """Millijoule of an inference from "50mJ", "0.2 J" or "800uJ"; case counts, since MJ would be a million joule.

    Raises:
        UsageError: no number, no unit or an unknown one, or not a finite energy above zero.
    """
    number, unit = _parts(text, "most energy", "energy", ENERGY_EXAMPLE)
    if unit not in MJ_PER_UNIT:
        raise UsageError(f"the most energy {text!r} has the unknown unit {unit!r}", hint=ENERGY_EXAMPLE)
    return _positive(number * MJ_PER_UNIT[unit], text, "most energy", ENERGY_EXAMPLE)


def parse_share(text: str, name: str) -> float:
    """A share from "0.9" or "90%".

    Raises:
        UsageError: no number, or not between 0 and 1.
    """
    match = _QUANTITY.fullmatch(text.strip())
    if match is None or match[2].strip() not in ("", "%"):
        raise UsageError(f"the {name} {text!r} is no share", hint=SHARE_EXAMPLE)
    share = float(match[1]) / (100 if match[2].strip() else 1)
    if not 0 < share <= 1:
        raise UsageError(f"the {name} {text!r} does not lie between 0 and 1", hint=SHARE_EXAMPLE)
    return share


def _parts(text: str, name: str, kind: str, example: str) -> tuple[float, str]:
    match = _QUANTITY.fullmatch(text.strip())
    if match is None:
        raise UsageError(f"the {name} {text!r} is no {kind}", hint=example)
    unit = match[2].strip()
    if not unit:
        raise UsageError(f"the {name} {text!r} has no unit", hint=example)
    return float(match[1]), unit


def _positive(value: float, text: str, name: str, example: str) -> float:
    if not (math.isfinite(value) and value > 0):
        raise UsageError(f"the {name} {text!r} must be finite and more than zero", hint=example)
    return value
