"""How probable it is, after the rounds so far, that a latency lies below a given time: confidence distributions. Pure.

A confidence distribution gives for each value x the confidence that the true quantity is at most x; all one-sided
intervals are read off it (Xie and Singh 2013, doi 10.1111/insr.12000). Both here are those of order statistics and so
assume no shape: of the median over processes, C(k-th smallest of n) = P(Binomial(n, 1/2) < k); of a percentile of all
inferences, the same with the effective number of samples (`stats.tails`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

from edgeprof.stats.intervals import block_quantiles
from edgeprof.stats.tails import behind

MIN_ROUNDS = 3
FURTHEST = 1e-5
"""Beyond the smallest and the largest round the distribution goes on as Student's t, up to this probability."""


class Belief(NamedTuple):
    """`below[i]`: the probability that the true quantity is at most `values[i]`, in the samples' unit. Both ascend.

    What lies beyond the last value is not bounded: a draw from there is infinite.
    """

    values: NDArray[np.float64]
    below: NDArray[np.float64]

    def probability_within(self, limit: float) -> float:
        """That the true quantity is at most `limit`."""
        last = int(np.searchsorted(self.values, limit, side="right")) - 1
        if last < 0:
            return 0.0
        if last + 1 == self.values.size:
            return float(self.below[-1])
        span = math.log(self.values[last + 1] / self.values[last])
        share = math.log(limit / self.values[last]) / span
        return float(self.below[last] + share * (self.below[last + 1] - self.below[last]))

    def draws(self, uniform: NDArray[np.float64]) -> NDArray[np.float64]:
        """The quantity at each of these probabilities."""
        found: NDArray[np.float64] = np.exp(np.interp(uniform, self.below, np.log(self.values), right=np.inf))
        return found

    def thinned(self, tolerance: float) -> Belief:
        """The same distribution by fewer points: no probability moves by more than `tolerance`.

        Source: the line simplification of Ramer (1972, doi 10.1016/S0146-664X(72)80017-0), by the vertical distance.
        """
        x = np.log(self.values)
        apart = np.diff(x) > 0  # of equal values, where the distribution jumps, the first and the last stay
        edges = np.concatenate([[True], apart]) | np.concatenate([apart, [True]])
        x, values, below = x[edges], self.values[edges], self.below[edges]
        kept = {0, x.size - 1}
        stretches = [(0, x.size - 1)]
        while stretches:
            first, last = stretches.pop()
            if last - first < 2:
                continue
            slope = (below[last] - below[first]) / (x[last] - x[first])
            off = np.abs(below[first] + slope * (x[first + 1 : last] - x[first]) - below[first + 1 : last])
            worst = first + 1 + int(off.argmax())
            if off[worst - first - 1] > tolerance:
                kept.add(worst)
                stretches += [(first, worst), (worst, last)]
        chosen = sorted(kept)
        return Belief(values=values[chosen], below=below[chosen])


def of_latency(blocks: Sequence[Sequence[int]], percentile: int) -> Belief | None:
    """Of a latency percentile in ns: 50 is the median of the processes' medians, the others are of all inferences.

    Args:
        blocks: samples of each round.

    Returns: None with fewer than 3 rounds, or where the clock gave 0.
    """
    if any(min(block) <= 0 for block in blocks):
        return None
    return of_median(blocks) if percentile == 50 else of_percentile(blocks, percentile / 100)


def of_median(blocks: Sequence[ArrayLike], quantile: float = 0.5) -> Belief | None:
    """Of the median over processes of a process's quantile; the point estimate is that of `stats.intervals`.

    Args:
        blocks: samples of each round, positive, none empty.

    Returns: None with fewer than 3 rounds.
    """
    return of_typical(block_quantiles(blocks, quantile))


def of_typical(values: Sequence[float]) -> Belief | None:
    """As `of_median`, of one positive number a round."""
    rounds = len(values)
    if rounds < MIN_ROUNDS:
        return None
    logs = np.sort(np.log(np.asarray(values, dtype=np.float64)))
    below = special.bdtr(np.arange(rounds), rounds, 0.5)
    # The median of normal rounds is spread sqrt(pi / 2) times as widely as their mean.
    scale = float(logs.std(ddof=1)) * math.sqrt(math.pi / 2 / rounds)
    tail = np.geomspace(FURTHEST, below[0], 16)[:-1] if below[0] > FURTHEST else np.empty(0)
    reach = scale * (special.stdtrit(rounds - 1, tail) - special.stdtrit(rounds - 1, below[0]))
    return Belief(
        values=np.exp(np.concatenate([logs[0] + reach, logs, logs[-1] - reach[::-1]])),
        below=np.concatenate([tail, below, 1 - tail[::-1]]),
    )


def of_percentile(blocks: Sequence[ArrayLike], quantile: float) -> Belief | None:
    """Of a percentile of all inferences in all processes; the point estimate is that of `stats.tails`.

    Few rounds know the spread between rounds poorly, so the distribution is that of Student's t where the normal one
    would stand.

    Returns: None with fewer than 3 rounds.
    """
    if len(blocks) < MIN_ROUNDS:
        return None
    pooled, _, effective, freedom = behind(blocks, quantile)
    size = pooled.size
    # P(Binomial(n, quantile) < k) of the k-th of n samples, carried over to any real number of effective samples.
    place = (np.arange(1, size + 1) - 0.5) * (effective / size)
    below = special.betaincc(place + 0.5, effective - place + 0.5, quantile)
    below = special.stdtr(freedom, special.ndtri(np.clip(below, 1e-12, 1 - 1e-12)))
    return Belief(values=pooled, below=np.maximum.accumulate(below))
