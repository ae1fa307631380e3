"""Whether to trust a measurement, and why not: reasons from a closed list, each with advice. Pure.

A verdict must not cry wolf: on a machine that does nothing else, a reason should be rare. The thresholds are chosen so
that ordinary noise of a shared machine passes, and that what would change a decision does not.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence

from edgeprof.records import Cell, DeviceFacts, Method, Reason, Round

MIN_SAMPLES = 10
"""In a round. The median of ten is bounded by its 2nd and 9th order statistics with 97.9%; fewer say little."""

WIDE = 0.10
"""Largest half width of the median's 95% interval, as a share of it. Formats and models commonly differ by more; a
finer order shows in the ranks, which use the intervals themselves."""

SWITCHES_PER_S = 100.0
"""Involuntary switches in a second of measuring and a thread, as the median over the rounds. The scheduler of Linux
takes a busy thread off for a competitor every 3 to 4 ms (some 250 a second when there is one all the time);
housekeeping on an idle machine stays below some tens."""

DIFFERS = {"fp32": 1e-3, "fp16": 1e-2, "int8": 5e-2, "dynamic-int8": 5e-2}
"""Largest difference of an output from the host's as a share of the spread: other kernels round otherwise (fp32: about
1e-6; half precision: 1e-3; quantized: a few steps of 1/255). Another precision shows above it: bf16 at some 1e-2."""

WRONG_TIMES = 10.0
"""An output that differs by so many times the above is wrong: the cell fails."""


def differs_above(precision: str) -> float:
    """The largest output difference that rounding explains, as a share of the expected outputs' spread."""
    return DIFFERS.get(precision, DIFFERS["fp16"])


def wrong_above(precision: str) -> float:
    """The output difference at which a round fails."""
    return WRONG_TIMES * differs_above(precision)


def verdict(method: Method, rounds: Sequence[Round], cell: Cell, facts: DeviceFacts) -> tuple[Reason, ...]:
    """The reasons not to trust the measurement made of these rounds (at least one); none: it is to be trusted."""
    # scipy takes half a second to import, which planning and connecting need not wait for.
    from edgeprof.stats.intervals import MIN_ROUNDS

    found: list[Reason] = []
    if len(rounds) < max(MIN_ROUNDS, method.rounds) or any(len(one.samples_ns) < MIN_SAMPLES for one in rounds):
        found.append("too few samples")
    if any(one.output_diff is not None and one.output_diff > differs_above(cell.precision) for one in rounds):
        found.append("outputs differ")
    if any(one.precision_executed != cell.precision for one in rounds):
        found.append("precision differs")
    if _half_width(rounds) > WIDE:
        found.append("interval wide")
    if _switches_per_s(rounds) > SWITCHES_PER_S:
        found.append("other load")
    return tuple(found)


def _half_width(rounds: Sequence[Round]) -> float:
    """Of the median's interval, as a share of the median; 0 where there is no interval (too few rounds)."""
    from edgeprof.stats.intervals import quantile_interval

    median = quantile_interval([one.samples_ns for one in rounds], 0.5)
    if median.low is None or median.high is None:
        return 0.0
    return (median.high - median.low) / 2 / median.value


def _switches_per_s(rounds: Sequence[Round]) -> float:
    """Involuntary switches in a second and a thread; 0 where the device does not tell."""
    rates = [
        one.involuntary_switches / (sum(one.samples_ns) / 1e9) / one.threads_used
        for one in rounds
        if one.involuntary_switches is not None and one.samples_ns
    ]
    return statistics.median(rates) if rates else 0.0
