"""Did something get worse by as much as must not pass? Pure: numbers a round in, a verdict out.

A limit is the smallest worsening that must be caught. Three zones follow from it (Wellek 2010, Testing Statistical
Hypotheses of Equivalence and Noninferiority, chapter 1, for why a pass must be shown as a failure must):

* pass: the change is surely below the limit;
* fail: it is surely above half of the limit; or, when nothing more can be measured, surely above zero, by the best
  estimate above half of the limit, and the limit itself cannot be excluded;
* undecided: anything else.

So nothing that did not change fails but by chance of at most `alpha`, and what changed by the limit passes by chance of
at most PASS_ERROR. Failing only above the whole limit would let half of the changes of just that size through.

Rounds (processes) are the unit of repetition: samples within one share its memory layout and clock.
"""

from __future__ import annotations

import bisect
import math
from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np
from scipy import special

from edgeprof.stats import sequence
from edgeprof.stats.intervals import interval_of_median

PASS_ERROR = 0.01
"""How often a change of just the limit may pass."""
UNKNOWN_BETWEEN = 0.10
"""Standard deviation of log latency from run to run where nobody has calibrated: shared machines drift by 10% and more
between processes that run minutes apart."""

Told = Literal["pass", "fail", "undecided"]


class Finding(NamedTuple):
    """What was found; the change as a share (0.05: 5% more), its bounds at one-sided `alpha` each."""

    verdict: Told
    change: float
    low: float | None
    high: float | None
    rounds: int
    """That it took."""


def in_turn(logs: Sequence[float], limit: float, alpha: float, *, over: bool) -> Finding:
    """Judge pairs of rounds measured in turn.

    The bounds are those of a confidence sequence (`stats.sequence`), which hold at all numbers of pairs at once, so the
    first verdict stands whenever one looks. The drift of the machine is in both rounds of a pair, not in their ratio.

    Args:
        logs: of each pair, in the order of measuring, log(now / before). Those beyond `sequence.HORIZON` are not used.
        limit: as a share, above 0.
        alpha: how often nothing at all may be taken for a failure.
        over: no further pair will be measured.
    """
    fail_ranks, pass_ranks = sequence.ranks(1 - 2 * alpha), sequence.ranks(1 - 2 * PASS_ERROR)
    whole, half = math.log1p(limit), math.log1p(limit / 2)
    ordered: list[float] = []
    for log in logs[: sequence.HORIZON]:
        bisect.insort(ordered, log)
        count = len(ordered)
        if pass_ranks[count] and ordered[count - pass_ranks[count]] < whole:
            return _found("pass", ordered, fail_ranks[count])
        if fail_ranks[count] and ordered[fail_ranks[count] - 1] > half:
            return _found("fail", ordered, fail_ranks[count])
    rank = fail_ranks[len(ordered)]
    late = (over or len(ordered) >= sequence.HORIZON) and rank and ordered[rank - 1] > 0
    return _found("fail" if late and float(np.median(ordered)) >= half else "undecided", ordered, rank)


def _found(verdict: Told, ordered: Sequence[float], rank: int) -> Finding:
    change = math.expm1(float(np.median(ordered))) if ordered else 0.0
    low, high = (ordered[rank - 1], ordered[len(ordered) - rank]) if rank else (None, None)
    low, high = (None if each is None else math.expm1(each) for each in (low, high))
    return Finding(verdict, change, low, high, len(ordered))


def apart(
    before: Sequence[float],
    now: Sequence[float],
    limit: float,
    alpha: float,
    *,
    between_sd: float,
    between_df: int | None,
    runs: int = 1,
) -> Finding:
    """Judge rounds of different times: what the device did in between counts as error.

    The interval of the log ratio combines those of the two medians (square and add: Zou and Donner 2008, doi
    10.1002/sim.2961, "MOVER") with Student's interval of the spread from run to run.

    Args:
        before, now: a number each round, positive, any unit, none empty.
        between_sd: from run to run, of logs; 0 for what does not drift.
        between_df: degrees of freedom that it is known with; None: taken for exact.
        runs: separate runs that `now` comes from.
    """
    strict = _bounds(before, now, alpha, between_sd, between_df, runs)
    loose = _bounds(before, now, PASS_ERROR, between_sd, between_df, runs)
    change = math.log(float(np.median(now)) / float(np.median(before)))
    whole, half = math.log1p(limit), math.log1p(limit / 2)
    verdict: Told = "undecided"
    if loose is not None and loose[1] < whole:
        verdict = "pass"
    elif strict is not None and (strict[0] > half or (strict[0] > 0 and change >= half)):
        verdict = "fail"
    low, high = (None, None) if strict is None else (math.expm1(strict[0]), math.expm1(strict[1]))
    return Finding(verdict, math.expm1(change), low, high, len(now))


def _bounds(
    before: Sequence[float], now: Sequence[float], alpha: float, sd: float, df: int | None, runs: int
) -> tuple[float, float] | None:
    """Of the log ratio of the medians; None with fewer than 3 rounds of one of them."""
    one, other = (interval_of_median(values, 1 - 2 * alpha) for values in (before, now))
    if one.low is None or one.high is None or other.low is None or other.high is None:
        return None
    times = -float(special.ndtri(alpha) if df is None else special.stdtrit(df, alpha))
    drift = times * sd * math.sqrt(1 + 1 / runs)
    change = math.log(other.value / one.value)
    down = math.hypot(math.log(other.value / other.low), math.log(one.high / one.value), drift)
    up = math.hypot(math.log(other.high / other.value), math.log(one.value / one.low), drift)
    return change - down, change + up


def pooled_between(levels: Sequence[Sequence[float]]) -> float:
    """Standard deviation from session to session of logs, each candidate about its own mean.

    Args:
        levels: of each candidate one log level a session, [candidates][sessions], at least two sessions each.
    """
    squares = sum(float(np.square(np.asarray(one) - np.mean(one)).sum()) for one in levels)
    return math.sqrt(squares / sum(len(one) - 1 for one in levels))
