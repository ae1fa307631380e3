"""What is wrong with the shape of a measurement's samples: two modes, a trend, a warm-up that goes on. Pure.

Each test works on rounds, which are independent of one another, so that autocorrelation within a round cannot look like
a fault; each also asks for an effect of a size that matters. Rates of false and missed findings by simulated process:
tests/stats/test_shape.py; in short, at most 1% false on independent and AR(1) samples.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

from edgeprof.records import Record

MIN_ROUNDS = 5
"""Fewer rounds show no shape: every finding is then negative."""

FALSE_RATE = 0.01
"""Of the trend and warm-up tests on samples without one."""

SIZE = 0.02
"""Smallest effect that counts, as a share of the latency: the zone in which a pair is called the same."""

SPLIT = {5: 14.4, 6: 10.4, 7: 8.6, 8: 7.6, 10: 6.4, 12: 5.7, 15: 5.2, 20: 4.8, 30: 4.4, 40: 4.2, 60: 4.1}
"""Rounds -> gap between the two groups' means over the spread within groups that is exceeded by the best split of
normal values in 1% of cases: `test_the_limits_of_a_split_are_those_of_normal_values` in tests/stats/test_shape.py."""

MINOR_SHARE = 0.05
"""Fewest samples that make a mode; fewer are spikes."""

VALLEY = 0.4
"""Two modes within rounds: between them samples are at most so dense as in the lower of the two modes. For one normal
mode the ratio is about 1.2, and above 0.4 in 98% of cases with rounds of 50 samples of AR(1) with rho 0.95, the worst
of the clean processes (tests/stats/test_shape.py). Two modes that are five of their own spreads apart: about 0.1."""

MIN_WITHIN = 40
"""Fewest samples of a round that can show two modes."""

EARLY = (0.05, 0.1, 0.25, 0.5)
"""Shares of a round that are compared with what follows them."""

Course = Literal["flat", "warming", "slowing"]


class Modes(Record):
    """Two groups of rounds or samples."""

    gap: float
    """How much slower the slow mode is, as a share."""
    slow_share: float


class WarmUp(Record):
    """How latency goes over the samples of a round (Barrett et al. 2017, arXiv 1602.00602)."""

    course: Course
    """`warming`: early samples are slower than late ones. `slowing`: the other way round."""
    change: float
    """Early over late, minus 1; of the split that shows it best."""
    steady_after: int
    """The sample from which no change is seen any more; 0 when flat."""


def modes_between(blocks: Sequence[ArrayLike]) -> Modes | None:
    """Rounds that fall into two groups, such as processes placed in memory well or badly.

    The best split of the sorted log round medians in two; the distance of the groups' means over the pooled spread
    within them is compared with that of normal values (Engelman and Hartigan 1969, doi 10.2307/2286078). A single round
    far from all others is found, too: nothing tells it from the first of a rarer mode.

    Args:
        blocks: samples of each round, positive, none empty.
    """
    if len(blocks) < MIN_ROUNDS:
        return None
    medians = np.sort(_log_medians(blocks))
    ratio, fast = best_split(medians)
    gap = float(np.expm1(medians[fast:].mean() - medians[:fast].mean()))
    limit = float(np.interp(len(blocks), list(SPLIT), list(SPLIT.values())))
    if ratio <= limit or gap < SIZE:
        return None
    return Modes(gap=gap, slow_share=1 - fast / len(blocks))


def best_split(ordered: NDArray[np.float64]) -> tuple[float, int]:
    """The largest gap between the means of two groups of sorted values over the spread within; size of the first.

    Args:
        ordered: [n], n > 2.
    """
    count = ordered.size
    first = np.arange(1, count)
    sums, squares = np.cumsum(ordered - ordered.mean()), np.cumsum((ordered - ordered.mean()) ** 2)
    low, high = sums[:-1] / first, (sums[-1] - sums[:-1]) / (count - first)
    within = squares[-1] - first * low**2 - (count - first) * high**2
    ratios = (high - low) / np.sqrt(np.maximum(within, 1e-24) / (count - 2))
    best = int(ratios.argmax())
    return float(ratios[best]), best + 1


def modes_within(blocks: Sequence[ArrayLike]) -> Modes | None:
    """Samples that jump between two levels within rounds, such as a clock or a core that switches.

    Each round's samples are split in two (least squares). It is two modes where, counted over all rounds, few samples
    lie in the valley halfway between the groups' medians. Modes closer than some four times their own spread leave no
    valley and are not found.

    Args:
        blocks: samples of each round, positive, none empty.
    """
    if len(blocks) < MIN_ROUNDS or min(np.size(block) for block in blocks) < MIN_WITHIN:
        return None
    found = np.array([_two_groups(np.asarray(block, dtype=np.float64)) for block in blocks])
    valley, fast, slow = found[:, 2:].sum(axis=0)
    gap, slow_share = float(np.expm1(np.median(found[:, 0]))), float(found[:, 1].mean())
    if gap < SIZE or slow_share < MINOR_SHARE or valley > VALLEY * min(fast, slow):
        return None
    return Modes(gap=gap, slow_share=slow_share)


def _two_groups(block: NDArray[np.float64]) -> tuple[float, float, int, int, int]:
    """Log gap, share of the slow group, and samples near the valley, the fast and the slow group's median."""
    logs = np.sort(np.log(block))
    # Spikes, fewer than make a mode, would draw the split to themselves.
    kept = logs[int(0.01 * logs.size) : logs.size - int((MINOR_SHARE - 0.01) * logs.size)]
    split = _change_point(kept)
    fast, slow = float(np.median(kept[:split])), float(np.median(kept[split:]))
    near = [
        int(np.count_nonzero(np.abs(kept - center) <= (slow - fast) / 8)) for center in ((fast + slow) / 2, fast, slow)
    ]
    return slow - fast, 1 - split / kept.size, near[0], near[1], near[2]


def trend(blocks: Sequence[ArrayLike]) -> float | None:
    """The change of the round medians from the first round to the last, as a share, where there is a trend.

    Mann and Kendall's test, with its exact distribution, and Theil and Sen's slope (Kendall 1938, doi
    10.1093/biomet/30.1-2.81; Sen 1968, doi 10.1080/01621459.1968.10480934): neither is moved by single slow rounds.

    Args:
        blocks: samples of each round, in the order of time, positive, none empty.
    """
    if len(blocks) < MIN_ROUNDS:
        return None
    medians = _log_medians(blocks)
    rises = [
        (medians[late] - medians[early], late - early) for early, late in itertools.combinations(range(len(blocks)), 2)
    ]
    score = sum(int(np.sign(rise)) for rise, _ in rises)
    change = float(np.expm1(np.median([rise / rounds for rise, rounds in rises]) * (len(blocks) - 1)))
    if kendall_tail(len(blocks), abs(score)) > FALSE_RATE / 2 or abs(change) < SIZE:
        return None
    return change


@functools.lru_cache(maxsize=4096)
def kendall_tail(count: int, score: int) -> float:
    """P(Kendall's score of `count` values in random order >= `score`), exact without ties."""
    inversions = np.ones(1)
    for size in range(2, count + 1):
        inversions = np.convolve(inversions, np.full(size, 1 / size))
    pairs = count * (count - 1) // 2
    return float(inversions[: (pairs - score) // 2 + 1].sum())


def warm_up(blocks: Sequence[ArrayLike]) -> WarmUp:
    """Whether the early samples of the rounds differ from the later ones.

    In each round the median of an early part against that of the rest; whether those differences are zero on average
    over the independent rounds is asked by Student's t, with Bonferroni's correction for the early parts tried.

    Args:
        blocks: samples of each round, in the order of time, positive, none empty. Rounds are cut to the shortest.
    """
    flat = WarmUp(course="flat", change=0.0, steady_after=0)
    shortest = min((np.size(block) for block in blocks), default=0)
    if len(blocks) < MIN_ROUNDS or shortest < 10:
        return flat
    logs = np.log(np.stack([np.asarray(block, dtype=np.float64)[:shortest] for block in blocks]))
    found, best = flat, 0.0
    limit = float(special.stdtrit(len(blocks) - 1, 1 - FALSE_RATE / 2 / len(EARLY)))
    for early in sorted({max(3, round(share * shortest)) for share in EARLY}):
        rises = np.median(logs[:, :early], axis=1) - np.median(logs[:, early:], axis=1)
        change = float(np.expm1(rises.mean()))
        score = abs(float(rises.mean())) / max(float(rises.std(ddof=1)) / len(blocks) ** 0.5, 1e-12)
        if abs(change) >= SIZE and score > max(limit, best):
            best = score
            found = WarmUp(
                course="warming" if change > 0 else "slowing", change=change, steady_after=_steady_after(logs)
            )
    return found


def _steady_after(logs: NDArray[np.float64]) -> int:
    """The most likely place of one change of level in the rounds' common course, [rounds, samples]."""
    return _change_point(np.median(logs - np.median(logs, axis=1, keepdims=True), axis=0))


def _change_point(values: NDArray[np.float64]) -> int:
    """How many values, in the order given, make the first of two groups with the least squares within."""
    first = np.arange(1, values.size)
    sums = np.cumsum(values - values.mean())
    return int((sums[:-1] ** 2 / (first * (values.size - first))).argmax()) + 1


def _log_medians(blocks: Sequence[ArrayLike]) -> NDArray[np.float64]:
    return np.log([float(np.median(np.asarray(block, dtype=np.float64))) for block in blocks])
