"""A confidence sequence for a median: intervals at every number of rounds that all hold at once.

Whoever looks after every round and stops when the interval is narrow enough has chosen the moment, and an ordinary 95%
interval taken at that moment holds less often than 95% (Armitage, McPherson and Rowe 1969, doi 10.2307/2343787). The
intervals here hold at *all* looks together with the given confidence, so that they hold at any moment that a stop rule,
a deadline or an impatient user picks. They assume only that the rounds are independent and alike: no shape of their
distribution, hence also two modes, rare slow rounds and any skew.

How: the number of n rounds that lie below the true median is binomial (n, 1/2) whatever the distribution. The interval
at n is from the l-th smallest to the l-th largest value; it misses when fewer than l rounds lie on one side. The
ranks l are chosen, one n after the other, as large as the error spent so far allows; the probability that the path of
the binomial walk has missed at any n so far is computed exactly. Sources: Darling and Robbins 1967, "Confidence
sequences for mean, variance, and median", doi 10.1073/pnas.58.1.66; Lan and DeMets 1983 (spending), doi
10.1093/biomet/70.3.659.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

HORIZON = 60
"""Most rounds that the sequence covers."""

SPENDING = 1 / 3
"""Of the error, (n / HORIZON) ** SPENDING may be spent by round n. The error holds for any choice; of 1/4, 1/3 and 1/2,
a third starts at 7 rounds as 1/4 does and takes fewer rounds to 1% where normal rounds spread by 1.6% and more."""


@functools.lru_cache(maxsize=256)
def ranks(confidence: float) -> tuple[int, ...]:
    """The rank at each number of rounds 0..HORIZON; 0 where there is no interval yet.

    Args:
        confidence: of all intervals together, two-sided, in (0, 1).
    """
    alive = np.zeros(HORIZON + 2)  # alive[s]: probability of s rounds below the median and no miss so far
    alive[0] = 1.0
    spent = 0.0
    found = [0]
    for rounds in range(1, HORIZON + 1):
        alive[1:] = (alive[1:] + alive[:-1]) / 2
        alive[0] /= 2
        allowed = (1 - confidence) * (rounds / HORIZON) ** SPENDING - spent
        # Symmetric: missing below with the rank l costs sum(alive[:l]), missing above as much.
        costs = 2 * np.cumsum(alive[: rounds // 2 + rounds % 2])
        rank = int(np.searchsorted(costs, allowed, side="right"))
        if rank:
            spent += float(costs[rank - 1])
            alive[:rank] = 0
            alive[rounds - rank + 1 :] = 0
        found.append(rank)
    return tuple(found)


def first(confidence: float) -> int:
    """The fewest rounds that have an interval; more than HORIZON where none has."""
    return next((rounds for rounds, rank in enumerate(ranks(confidence)) if rank), HORIZON + 1)


def median_bounds(values: ArrayLike, confidence: float) -> tuple[float, float] | None:
    """Lower and upper bound of the median of what the values are drawn from, valid at every look.

    Args:
        values: one per round, in any order, any unit, [n].
        confidence: of the whole sequence of looks.

    Returns: None with too few values for the confidence, or with more than HORIZON.
    """
    sorted_values = np.sort(np.asarray(values, dtype=np.float64))
    count = sorted_values.size
    rank = ranks(confidence)[count] if count <= HORIZON else 0
    if rank == 0:
        return None
    return float(sorted_values[rank - 1]), float(sorted_values[count - rank])


def rounds_to(values: Sequence[float], half_width: float, confidence: float) -> int | None:
    """About how many rounds in all it takes until half the interval's width is `half_width`.

    Later rounds are taken to be spread as those so far.

    Args:
        values: one per round, at least one, in the unit of `half_width`.

    Returns: None when more than HORIZON would be needed.
    """
    if len(values) >= HORIZON:
        return None
    future = np.arange(len(values) + 1, HORIZON + 1)
    rank = np.array(ranks(confidence)[len(values) + 1 :])
    share = (rank - 0.5) / future
    possible = rank > 0
    low, high = np.quantile(np.asarray(values, dtype=np.float64), [share.clip(0), 1 - share.clip(0)])
    enough = np.flatnonzero(possible & ((high - low) / 2 <= half_width))
    return int(future[enough[0]]) if enough.size else None
