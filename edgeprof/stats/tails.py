"""Tail percentiles with order-statistics bounds that count effective samples. Pure.

A percentile q of all inferences in all processes is estimated by that of the pooled samples. Its interval is read off
the sorted samples at the two shares that a binomial count allows (Woodruff 1952, doi 10.1080/01621459.1952.10483443),
where the count is not that of the samples but of the independent samples they are worth (Korn and Graubard 1998,
Survey Methodology 24, 193-201). It assumes no distribution.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

from edgeprof.records import Interval, Record
from edgeprof.stats.effective import inflation

MIN_ROUNDS = 3

P99_CONFIDENCE = 0.99
P99_MIN_EFFECTIVE = 662
"""The smallest n with P(Binomial(n, 0.01) <= 1) <= 1%: then the second largest of n independent samples is above the
99th percentile with 99% confidence. With none over, 459 would do (0.99**459 < 1%), but the bound would be the single
worst sample. The rule and both figures are those of MLPerf's early stopping (inference rules, "Early Stopping";
loadgen/early_stopping.cc in mlcommons/inference)."""


class Tail(Record):
    """A tail percentile, or why there is none. In the unit of the samples."""

    value: float | None
    high: float | None
    """The percentile is below this with 99% confidence."""
    effective: int
    """Independent samples that stand behind it."""
    reason: str | None
    """Why there is no value."""


def pooled_quantile(blocks: Sequence[ArrayLike], quantile: float, confidence: float = 0.95) -> Interval:
    """The quantile of all samples of all rounds, with its two-sided interval.

    Args:
        blocks: samples of each round in time order, none empty, at least one round.

    Returns: a bound is None with fewer than 3 rounds, or where the samples do not reach far enough out.
    """
    pooled, value, effective, width = behind(blocks, quantile)
    if len(blocks) < MIN_ROUNDS:
        return Interval(value=value, low=None, high=None)
    # Few rounds know the spread between rounds poorly: Student's t instead of the normal, as an even smaller count.
    error = (1 - confidence) / 2
    count = effective * (float(special.ndtri(error)) / float(special.stdtrit(width, error))) ** 2
    hits = quantile * count
    below = float(special.betaincinv(hits, count - hits + 1, error))
    above = float(special.betaincinv(hits + 1, count - hits, 1 - error)) if hits < count else 1.0
    return Interval(value=value, low=_at(pooled, below, math.floor), high=_at(pooled, above, math.ceil))


def p99(blocks: Sequence[ArrayLike], confidence: float = P99_CONFIDENCE) -> Tail:
    """The 99th percentile where enough effective samples stand behind it.

    Args:
        blocks: samples of each round in time order, none empty, at least one round.
        confidence: of the upper bound, 0.998 at most: beyond it `P99_MIN_EFFECTIVE` samples bound nothing.
    """
    pooled, value, effective, _ = behind(blocks, 0.99)
    count = int(effective)
    if count < P99_MIN_EFFECTIVE:
        reason = f"{count} effective samples of {pooled.size}; the 99th percentile takes {P99_MIN_EFFECTIVE}"
        return Tail(value=None, high=None, effective=count, reason=reason)
    # The most that may lie above: P(Binomial(count, 0.01) <= over) <= 1%. At least 1 from P99_MIN_EFFECTIVE on.
    over = np.flatnonzero(special.bdtr(np.arange(count // 50 + 2), count, 0.01) <= 1 - confidence)[-1]
    allowed = math.floor(over / count * pooled.size)
    return Tail(value=value, high=float(pooled[-1 - allowed]), effective=count, reason=None)


def effective_behind(blocks: Sequence[ArrayLike], quantile: float) -> float:
    """The independent samples that know the share of samples above the quantile as well as these do."""
    return behind(blocks, quantile)[2]


def behind(blocks: Sequence[ArrayLike], quantile: float) -> tuple[NDArray[np.float64], float, float, int]:
    """Sorted pooled samples, their quantile, effective samples behind it, degrees of freedom of that estimate.

    What is above the quantile comes in runs (within a process) and more in some rounds than in others. Both make the
    share less certain than as many independent samples would; the larger effect of the two counts.
    """
    arrays = [np.asarray(block, dtype=np.float64) for block in blocks]
    pooled = np.sort(np.concatenate(arrays))
    total = pooled.size
    value = float(np.quantile(pooled, quantile))
    over = [(array > value).astype(np.float64) for array in arrays]
    share = sum(float(one.sum()) for one in over) / total
    if share in (0.0, 1.0):  # all alike at the quantile: nothing is known of runs
        return pooled, value, float(total), max(1, len(arrays) - 1)
    shortest = min(array.size for array in arrays)
    within = inflation(np.stack([one[:shortest] for one in over]) - share)
    between = 1.0
    if len(arrays) > 1:
        # The variance of a ratio estimate by rounds (clusters), against that of independent samples.
        residuals = np.array([float(one.sum()) - share * one.size for one in over])
        rounds = len(arrays)
        between = float((residuals**2).sum()) * rounds / (rounds - 1) / (total * share * (1 - share))
    return pooled, value, total / max(1.0, within, between), max(1, len(arrays) - 1)


def _at(pooled: NDArray[np.float64], share: float, rounding: Callable[[float], int]) -> float | None:
    """The sorted sample at a share, rounded outwards; None beyond the last sample."""
    position = share * pooled.size
    place = rounding(position)
    # Ranks count from 1. A share that only the largest sample could stand for is not known.
    if not 1 <= place < pooled.size:
        return None
    return float(pooled[place - 1])
