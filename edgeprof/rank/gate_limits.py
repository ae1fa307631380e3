"""Limits of a gate as people write them."""

from __future__ import annotations

import re

from edgeprof.errors import UsageError
from edgeprof.rank.limits import parse_budget
from edgeprof.records.gate import GateLimits, LatencyLimit

NONE = "none"
"""Written for a limit that is not to be held."""
PERCENTILES = {"p50": 50, "median": 50, "p90": 90, "p99": 99}
LATENCY_EXAMPLE = "for example p50:5%, or p50:5%,p90:10% (p50, p90 and p99 are known), or none"
_SHARE = re.compile(r"([0-9]+(?:\.[0-9]+)?|\.[0-9]+)\s*%")
_POINTS = re.compile(r"([0-9]+(?:\.[0-9]+)?|\.[0-9]+)\s*(?:pp|points?)", re.I)


def parse_limits(
    latency: str | None = None,
    top1: str | None = None,
    size: str | None = None,
    memory: str | None = None,
    budget: str | None = None,
) -> GateLimits:
    """The limits asked for; what is not named keeps its default.

    Args:
        latency: "p50:5%,p99:10%"; top1: "0.5pp"; size, memory: "2%"; budget: "20ms". Each may be "none".

    Raises:
        UsageError: one of them means nothing.
    """
    default = GateLimits()
    given = {"latency": latency, "top1": top1, "size": size, "memory": memory, "budget": budget}
    given = {name: None if text is None else text.strip() for name, text in given.items()}
    off = {name for name, text in given.items() if text is not None and text.lower() == NONE}
    asked = {name: text for name, text in given.items() if text is not None and name not in off}
    percentiles = parse_latency(asked["latency"]) if "latency" in asked else default.latency
    return GateLimits(
        latency=() if "latency" in off else percentiles,
        top1=None if "top1" in off else _points(asked["top1"]) if "top1" in asked else default.top1,
        size=None if "size" in off else _share(asked["size"], "size") if "size" in asked else default.size,
        memory=None if "memory" in off else _share(asked["memory"], "memory") if "memory" in asked else default.memory,
        budget_ms=parse_budget(asked["budget"]) if "budget" in asked else None,
        asked=tuple(
            name
            for each in asked
            for name in ([f"p{one.percentile}" for one in percentiles] if each == "latency" else [each])
        ),
    )


def parse_latency(text: str) -> tuple[LatencyLimit, ...]:
    """Of "p50:5%,p99:10%"; each percentile once.

    Raises:
        UsageError: it is none.
    """
    found: dict[int, LatencyLimit] = {}
    for part in text.split(","):
        name, colon, share = (each.strip() for each in part.partition(":"))
        percentile = PERCENTILES.get(name.lower())
        if percentile is None or not colon:
            raise UsageError(f"the latency limit {part.strip()!r} is none", hint=LATENCY_EXAMPLE)
        if percentile in found:
            raise UsageError(f"the latency limit names {name} twice", hint=LATENCY_EXAMPLE)
        limit = LatencyLimit(percentile=percentile, share=_share(share, "latency"))  # type: ignore[arg-type]
        found[percentile] = limit
    return tuple(found[percentile] for percentile in sorted(found))


def _share(text: str, name: str) -> float:
    match = _SHARE.fullmatch(text)
    value = float(match[1]) / 100 if match else 0.0
    if not 0 < value <= 10:
        raise UsageError(
            f"the {name} limit {text!r} is no share above 0", hint="write it in per cent: 5%, or leave it out: none"
        )
    return value


def _points(text: str) -> float:
    match = _POINTS.fullmatch(text)
    value = float(match[1]) / 100 if match else 0.0
    if not 0 < value < 1:
        raise UsageError(
            f"the top1 limit {text!r} is no number of percentage points above 0",
            hint="write it as 0.5pp: half a percentage point, or leave it out: none",
        )
    return value
