"""Two candidates measured in interleaved rounds: which is faster, or are they the same. Pure.

A round of one and the round of the other that ran beside it share the machine's mood; their ratio does not (Bulej et
al. 2020, arXiv 2001.05811). The interval of the median ratio is a confidence sequence (`stats.sequence`), so it may be
looked at after every round.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from edgeprof.errors import UsageError
from edgeprof.records import Interval, Record
from edgeprof.stats import sequence
from edgeprof.stats.intervals import block_quantiles

ZONE = 0.02
"""Candidates whose latencies differ by less are the same for any use."""

Verdict = Literal["faster", "slower", "same", "undecided"]


class Comparison(Record):
    """What the rounds so far tell of the first candidate against the second."""

    ratio: Interval
    """First over second, below 1 when the first is faster. Median over the pairs of rounds."""
    verdict: Verdict
    rounds: int
    rounds_more: int | None
    """About how many more pairs of rounds a verdict takes; 0 when there is one, None when more than
    `sequence.HORIZON` in all would not do."""


def compare(
    first: Sequence[ArrayLike], second: Sequence[ArrayLike], zone: float = ZONE, confidence: float = 0.95
) -> Comparison:
    """The verdict on the first candidate: `faster` or `slower` by more than the zone, or the `same` within it.

    `faster`: the whole interval of the ratio is below 1 / (1 + zone); `slower`: above 1 + zone; `same`: between them.
    The three exclude each other, so that at most one in twenty verdicts (at 95%) is wrong, however often one looks.

    Args:
        first: samples of each round of the first candidate, positive, none empty.
        second: those of the second; its k-th round ran beside the first's k-th. Rounds without a partner are not used.
        zone: as a share, above 0.

    Raises:
        UsageError: the zone or the confidence means nothing, or there is no pair of rounds.
    """
    if not (math.isfinite(zone) and zone > 0):
        raise UsageError(f"the zone in which two are the same must be above 0, not {zone:g}", hint="2% is 0.02")
    if not 0 < confidence < 1:
        raise UsageError(f"the confidence must lie between 0 and 1, not {confidence:g}", hint="95% is 0.95")
    rounds = min(len(first), len(second))
    if not rounds:
        raise UsageError("there is no pair of rounds to compare", hint="measure both candidates")
    logs = np.log(block_quantiles(first[:rounds], 0.5)) - np.log(block_quantiles(second[:rounds], 0.5))
    center, edge = float(np.median(logs)), math.log1p(zone)
    bounds = sequence.median_bounds(logs, confidence)
    verdict = "undecided" if bounds is None else _verdict(bounds, edge)
    ratio = Interval(
        value=math.exp(center),
        low=None if bounds is None else math.exp(bounds[0]),
        high=None if bounds is None else math.exp(bounds[1]),
    )
    more = 0 if verdict != "undecided" else _rounds_more(logs.tolist(), center, edge, confidence)
    return Comparison(ratio=ratio, verdict=verdict, rounds=rounds, rounds_more=more)


def _verdict(bounds: tuple[float, float], edge: float) -> Verdict:
    if bounds[1] < -edge:
        return "faster"
    if bounds[0] > edge:
        return "slower"
    return "same" if -edge <= bounds[0] and bounds[1] <= edge else "undecided"


def _rounds_more(logs: list[float], center: float, edge: float, confidence: float) -> int | None:
    """A verdict falls when the interval no longer reaches the nearer edge of the zone."""
    needed = sequence.rounds_to(logs, abs(edge - abs(center)), confidence)
    return None if needed is None else needed - len(logs)
