"""How far a quantity changed from one run to another, measured minutes or months apart. Pure.

The rounds are the independent units: one number a round (its median, its p90, its peak memory), compared in logs by
Welch's t (Welch 1947, doi 10.1093/biomet/34.1-2.28). That says what other rounds of these two runs would have given. It
knows nothing of what moves between runs (another boot, memory layout, temperature, neighbours): for this the same file
must have been measured in several runs, whose spread beyond that of their rounds is a further component of variance,
with degrees of freedom by Satterthwaite (1946, doi 10.2307/3002019).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy import special

from edgeprof.records import Interval

MIN_ROUNDS = 3
MIN_RUNS = 3
"""Of one file, to say how far runs spread: two give one number, from which a t interval is 6 times as wide."""


class Change(NamedTuple):
    """Of the second run against the first."""

    ratio: Interval
    """Second over first, of geometric means over the rounds."""
    runs: int
    """Runs that tell how far runs spread; 0: the interval is of the rounds of these two alone."""


def change(
    one: Sequence[float],
    other: Sequence[float],
    history: Sequence[Sequence[Sequence[float]]] = (),
    confidence: float = 0.95,
) -> Change:
    """The ratio of the second to the first with its interval.

    Args:
        one, other: a positive number for each round, at least one round.
        history: of each file that the spread between runs is known by, the rounds of each of its runs. The second run
            must not be among them: what is asked is whether it differs.

    Returns: no bounds where a run has fewer than 3 rounds.
    """
    logs = [np.log(np.asarray(some, dtype=np.float64)) for some in (one, other)]
    center = float(logs[1].mean() - logs[0].mean())
    ratio = math.exp(center)
    if min(len(some) for some in logs) < MIN_ROUNDS:
        return Change(Interval(value=ratio, low=None, high=None), 0)
    errors = [float(some.var(ddof=1)) / len(some) for some in logs]
    # (variance, the variance that its uncertainty is that of, degrees of freedom)
    parts = [(error, error, len(some) - 1) for error, some in zip(errors, logs, strict=True)]
    between = _between(history)
    if between is not None:
        # Both runs were drawn from those that the spread is known of.
        parts.append((2 * max(0.0, between.spread - between.within), 2 * between.spread, between.freedom))
    total = sum(part for part, _, _ in parts)
    half = 0.0
    if total > 0:
        freedom = total**2 / sum(full**2 / its for part, full, its in parts if part > 0)
        freedom = max(freedom, min(its for _, _, its in parts))
        half = float(special.stdtrit(freedom, 0.5 + confidence / 2)) * math.sqrt(total)
    interval = Interval(value=ratio, low=math.exp(center - half), high=math.exp(center + half))
    return Change(interval, 0 if between is None else between.runs)


class _Between(NamedTuple):
    """Of the means of runs of one file about their mean."""

    spread: float
    """Variance of the means of runs."""
    within: float
    """What of it the rounds explain."""
    freedom: int
    runs: int


def _between(history: Sequence[Sequence[Sequence[float]]]) -> _Between | None:
    """Pooled over the files; None where no file has enough runs."""
    squares, within, freedom, runs = 0.0, [], 0, 0
    for file in history:
        logs = [np.log(np.asarray(rounds, dtype=np.float64)) for rounds in file if len(rounds) >= MIN_ROUNDS]
        if len(logs) < MIN_RUNS:
            continue
        means = np.array([some.mean() for some in logs])
        squares += float(((means - means.mean()) ** 2).sum())
        within += [float(some.var(ddof=1)) / len(some) for some in logs]
        freedom += len(logs) - 1
        runs += len(logs)
    return _Between(squares / freedom, float(np.mean(within)), freedom, runs) if freedom else None
