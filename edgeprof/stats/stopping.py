"""When a cell has been measured enough: its median's interval is as narrow as asked, or its rounds are used up. Pure.

The interval is a confidence sequence (`stats.sequence`), so that looking after every round and stopping at will, also
by a deadline, does not spoil it. Coverage after this rule: tests/benchmarks/bench_coverage.py.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from edgeprof.errors import UsageError
from edgeprof.records import Interval, Record
from edgeprof.stats import sequence
from edgeprof.stats.intervals import block_quantiles, interval_of_median

PRECISION = 0.01


class Rule(Record):
    """When to stop. Raises UsageError where it could never be met or means nothing."""

    precision: float = PRECISION
    """Largest half width of the median's interval, as a share of the median."""
    min_rounds: int = 7
    """Fewest process rounds. Seven are the fewest that have a distribution-free interval at 95%."""
    max_rounds: int = 40
    confidence: float = 0.95

    def __post_init__(self) -> None:
        if not (math.isfinite(self.precision) and 0 < self.precision < 1):
            raise UsageError(
                f"the precision must be a share between 0 and 1, not {self.precision:g}", hint="1% is 0.01"
            )
        if not 0 < self.confidence < 1:
            raise UsageError(f"the confidence must lie between 0 and 1, not {self.confidence:g}", hint="95% is 0.95")
        if not 1 <= self.min_rounds <= self.max_rounds:
            raise UsageError(f"from {self.min_rounds} to {self.max_rounds} rounds is no range")
        if self.max_rounds > sequence.HORIZON:
            raise UsageError(
                f"{self.max_rounds} rounds are more than the interval is made for",
                hint=f"at most {sequence.HORIZON}; longer blocks bring more samples",
            )
        needed = sequence.first(self.confidence)
        if needed > self.max_rounds:
            raise UsageError(
                f"no interval of {self.confidence:g} can be had from {self.max_rounds} rounds",
                hint=f"it takes at least {needed} rounds"
                if needed <= sequence.HORIZON
                else "ask for a lower confidence",
            )


class Assessment(Record):
    """Where a cell stands after the rounds so far."""

    interval: Interval | None
    """Of the median, in the unit of the samples; None without a round, bounds None with too few for the sequence."""
    half_width: float | None
    """As a share of the value."""
    reached: bool
    """The precision asked for."""
    stop: bool
    """Reached, or no round is left. Stopped and not reached: the measurement is less precise than asked."""
    rounds_more: int | None
    """About how many more rounds the precision takes, also beyond `max_rounds`; 0 when reached, None where it cannot
    be said or more than `sequence.HORIZON` rounds in all would not do."""


def assess(blocks: Sequence[ArrayLike], rule: Rule) -> Assessment:
    """Whether to go on.

    Args:
        blocks: samples of each process round so far, any positive unit, none empty.
    """
    rounds = len(blocks)
    stop = rounds >= rule.max_rounds
    soonest = max(rule.min_rounds, sequence.first(rule.confidence))
    if not rounds:
        return Assessment(interval=None, half_width=None, reached=False, stop=False, rounds_more=soonest)
    medians = block_quantiles(blocks, 0.5)
    if sequence.median_bounds(medians, rule.confidence) is None:
        interval = Interval(value=float(np.median(medians)), low=None, high=None)
        more = max(soonest, sequence.rounds_to(medians, rule.precision * interval.value, rule.confidence) or 0)
        return Assessment(interval=interval, half_width=None, reached=False, stop=stop, rounds_more=more - rounds)
    interval = interval_of_median(medians, rule.confidence)
    half = relative_half_width(interval)
    if half is not None and half <= rule.precision and rounds >= rule.min_rounds:
        return Assessment(interval=interval, half_width=half, reached=True, stop=True, rounds_more=0)
    needed = sequence.rounds_to(medians, rule.precision * interval.value, rule.confidence)
    more_or_none = None if needed is None else max(needed, rule.min_rounds) - rounds
    return Assessment(interval=interval, half_width=half, reached=False, stop=stop, rounds_more=more_or_none)


def relative_half_width(interval: Interval) -> float | None:
    """Half of the interval's width as a share of its value; None without bounds or for a value of 0."""
    if interval.low is None or interval.high is None or interval.value <= 0:
        return None
    return (interval.high - interval.low) / 2 / interval.value
