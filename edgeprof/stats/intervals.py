"""Intervals for latency quantiles over process rounds, and for shares. Pure: numbers in, numbers out.

Samples within one process are not independent (they share memory layout, clock and neighbours), so the unit of
repetition is the round: one fresh process. See Kalibera and Jones 2013, doi 10.1145/2464157.2464160.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from edgeprof.records import Interval

MIN_ROUNDS = 3


def quantile_interval(blocks: Sequence[ArrayLike], quantile: float, confidence: float = 0.95) -> Interval:
    """The quantile of a block, estimated over blocks: geometric mean of the block quantiles, t-interval on the log.

    Args:
        blocks: samples of each round, any positive unit; at least one, none empty.
        quantile: 0.5 for the median.
        confidence: two-sided.

    Returns: value and bounds in the unit of the samples; bounds are None with fewer than 3 rounds.
    """
    logs = np.log([float(np.quantile(np.asarray(block, dtype=np.float64), quantile)) for block in blocks])
    center = float(logs.mean())
    rounds = len(logs)
    if rounds < MIN_ROUNDS:
        return Interval(value=math.exp(center), low=None, high=None)
    # special.stdtrit is Student's t quantile; importing scipy.stats for it would cost half a second.
    t = float(special.stdtrit(rounds - 1, 0.5 + confidence / 2))
    half = t * float(logs.std(ddof=1)) / math.sqrt(rounds)
    return Interval(value=math.exp(center), low=math.exp(center - half), high=math.exp(center + half))


def wilson(hits: float, total: int, confidence: float = 0.95) -> Interval:
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
