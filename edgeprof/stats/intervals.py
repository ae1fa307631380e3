"""Intervals for latency quantiles over process rounds, and for shares. Pure: numbers in, numbers out.

Samples within one process are not independent (they share memory layout, clock and neighbours), so the unit of
repetition is the round: one fresh process. See Kalibera and Jones 2013, doi 10.1145/2464157.2464160.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

from edgeprof.records import Interval
from edgeprof.stats import sequence

MIN_ROUNDS = 3


def quantile_interval(blocks: Sequence[ArrayLike], quantile: float, confidence: float = 0.95) -> Interval:
    """The median over process rounds of a block's quantile: what at least half of all processes stay below.

    From `sequence.first(confidence)` rounds on (7 at 95%) the interval is distribution-free and holds however often
    one looks (`stats.sequence`). With fewer rounds no such interval exists; then it is Student's t on the logs, which
    takes the round quantiles for log-normal and the number of rounds for fixed in advance.

    Args:
        blocks: samples of each round, any positive unit; at least one, none empty.
        quantile: 0.5 for the median.
        confidence: two-sided.

    Returns: value and bounds in the unit of the samples; bounds are None with fewer than 3 rounds.
    """
    return interval_of_median(block_quantiles(blocks, quantile), confidence)


def block_quantiles(blocks: Sequence[ArrayLike], quantile: float) -> list[float]:
    """One number a round, as `numpy.quantile` gives it, whose generality costs more than the sorting does."""
    return [_quantile(np.sort(np.asarray(block, dtype=np.float64)), quantile) for block in blocks]


def _quantile(ordered: NDArray[np.float64], quantile: float) -> float:
    place = quantile * (ordered.size - 1)
    below = math.floor(place)
    share = place - below
    low, high = float(ordered[below]), float(ordered[min(below + 1, ordered.size - 1)])
    return low + (high - low) * share if share < 0.5 else high - (high - low) * (1 - share)


def interval_of_median(values: Sequence[float], confidence: float = 0.95) -> Interval:
    """As `quantile_interval`, of one positive number a round."""
    value = float(np.median(values))
    bounds = sequence.median_bounds(values, confidence) or _student(values, confidence)
    if bounds is None:
        return Interval(value=value, low=None, high=None)
    return Interval(value=value, low=min(bounds[0], value), high=max(bounds[1], value))


def _student(values: Sequence[float], confidence: float) -> tuple[float, float] | None:
    rounds = len(values)
    if rounds < MIN_ROUNDS:
        return None
    logs = np.log(values)
    # special.stdtrit is Student's t quantile; importing scipy.stats for it would cost half a second.
    t = float(special.stdtrit(rounds - 1, 0.5 + confidence / 2))
    half = t * float(logs.std(ddof=1)) / math.sqrt(rounds)
    return math.exp(float(logs.mean()) - half), math.exp(float(logs.mean()) + half)


def wilson(hits: float, total: float, confidence: float = 0.95) -> Interval:
    """Wilson's score interval for a share (Wilson 1927, doi 10.1080/01621459.1927.10502953).

    Args:
        hits: how many of `total` succeeded; total > 0.
    """
    z = float(special.ndtri(0.5 + confidence / 2))
    share = hits / total
    denominator = 1 + z * z / total
    center = (share + z * z / (2 * total)) / denominator
    half = z * math.sqrt(share * (1 - share) / total + z * z / (4 * total * total)) / denominator
    return Interval(value=share, low=max(0.0, center - half), high=min(1.0, center + half))
