"""The latency that a budget is held against."""

from __future__ import annotations

from typing import NamedTuple

from edgeprof.records import Candidate, Limits


class Latency(NamedTuple):
    """In ms; `high` None: nothing bounds it yet."""

    value: float
    low: float | None
    high: float | None
    name: str


def latency(one: Candidate, limits: Limits) -> Latency:
    """Of the percentile asked for. Where there are too few samples for a 99th percentile, the value is that of p90,
    which it is at least, and nothing bounds it."""
    if limits.percentile == 50:
        return Latency(one.median_ms, one.median_low_ms, one.median_high_ms, "median")
    if limits.percentile == 90:
        return Latency(one.p90_ms, one.p90_low_ms, one.p90_high_ms, "p90")
    if one.p99_ms is None:
        return Latency(one.p90_ms, one.p90_low_ms, None, "p99")
    return Latency(one.p99_ms, one.p90_low_ms, one.p99_high_ms, "p99")


def shown_latency(one: Candidate, limits: Limits) -> Latency:
    """That by which it was chosen: the budget's; the median where the fastest is asked for without a budget."""
    return latency(one, Limits(percentile=50) if limits.maximize == "throughput" and not limits.budget_ms else limits)
