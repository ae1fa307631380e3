"""Many simulated sessions at once under the stop rule, and what naive intervals say of the same samples."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import special
from simulated import Array, Process

from edgeprof.stats import sequence
from edgeprof.stats.stopping import Rule

Bools = NDArray[np.bool_]
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Stopped:
    """Where each session stopped, [sessions]."""

    low: Array
    high: Array
    rounds: Ints
    reached: Bools

    def holds(self, truth: Array | float) -> Bools:
        return (self.low <= truth) & (truth <= self.high)


def median_rule(medians: Array, rule: Rule) -> Stopped:
    """`stopping.assess` after every round, for medians [sessions, rounds]; tested to agree with it."""

    def bounds(rounds: int) -> tuple[Array, Array, Array] | None:
        rank = sequence.ranks(rule.confidence)[rounds]
        if not rank:
            return None
        ordered = np.sort(medians[:, :rounds], axis=1)
        low, high = ordered[:, rank - 1], ordered[:, rounds - rank]
        return low, high, (high - low) / 2 / np.median(ordered, axis=1)

    return _run(len(medians), rule, bounds)


def student_rule(medians: Array, rule: Rule, confidence: float) -> Stopped:
    """The same stops with Student's t on the logs of the round medians: what most tools would do, at best."""
    logs = np.log(medians)

    def bounds(rounds: int) -> tuple[Array, Array, Array]:
        now = logs[:, :rounds]
        half = _t(rounds - 1, confidence) * now.std(axis=1, ddof=1) / np.sqrt(rounds)
        return np.exp(now.mean(axis=1) - half), np.exp(now.mean(axis=1) + half), np.sinh(half)

    return _run(len(medians), rule, bounds)


def _run(sessions: int, rule: Rule, bounds: Callable[[int], tuple[Array, Array, Array] | None]) -> Stopped:
    low, high = np.full(sessions, -np.inf), np.full(sessions, np.inf)
    rounds, reached = np.zeros(sessions, dtype=np.int64), np.zeros(sessions, dtype=bool)
    going = np.ones(sessions, dtype=bool)
    for count in range(rule.min_rounds, rule.max_rounds + 1):
        found = bounds(count)
        if found is None:
            continue
        now_low, now_high, half = found
        enough = going & (half <= rule.precision)
        stop = going if count == rule.max_rounds else enough
        low, high = np.where(stop, now_low, low), np.where(stop, now_high, high)
        rounds, reached = np.where(stop, count, rounds), reached | enough
        going = going & ~stop
    return Stopped(low, high, rounds, reached)


def over_samples(latency: Array, rounds: Ints, process: Process) -> tuple[Bools, Bools]:
    """Whether a plain t-interval of the mean and a percentile bootstrap of the median over all samples hold the truth.

    Each is held against its own truth: the t-interval against the mean of all inferences, so that nothing but the
    dependence of the samples is to blame. The bootstrap has endlessly many resamples: the median of a resample of n is
    the k-th smallest sample with a probability that is known (Efron 1982, The Jackknife, the Bootstrap and Other
    Resampling Plans, section 10.3), so its percentiles need no drawing.

    Args:
        latency: [sessions, rounds, samples].
        rounds: those measured, [sessions].
    """
    mean, median = process.true_mean(), process.truth()
    student, bootstrap = np.zeros(len(rounds), dtype=bool), np.zeros(len(rounds), dtype=bool)
    for session, count in enumerate(rounds):
        pooled = latency[session, :count].ravel()
        drift = float(process.drifted(int(count)))
        half = _t(pooled.size - 1, 0.95) * pooled.std(ddof=1) / np.sqrt(pooled.size)
        student[session] = abs(pooled.mean() - mean * drift) <= half
        low, high = bootstrap_ranks(pooled.size)
        ordered = np.partition(pooled, (low, high))
        bootstrap[session] = ordered[low] <= median * drift <= ordered[high]
    return student, bootstrap


@functools.cache
def bootstrap_ranks(count: int, confidence: float = 0.95) -> tuple[int, int]:
    """Places (from 0) of the sorted samples that are the percentile bootstrap's bounds of the median."""
    share = np.arange(1, count + 1) / count
    at_most = special.betainc((count + 1) // 2, count + 1 - (count + 1) // 2, share)  # P(resample's median <= sample k)
    error = (1 - confidence) / 2
    return int(np.searchsorted(at_most, error)), int(np.searchsorted(at_most, 1 - error))


def _t(freedom: int, confidence: float) -> float:
    return float(special.stdtrit(freedom, 0.5 + confidence / 2))
