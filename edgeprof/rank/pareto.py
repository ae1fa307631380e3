"""The Pareto front over latency and accuracy."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from edgeprof.rank.evidence import Evidence, accuracies, latencies_ms
from edgeprof.records import Candidate


def front(candidates: Sequence[Candidate]) -> list[bool]:
    """Which candidates no other one beats in the two point estimates (median latency, top-1), in the order given.

    One beats another if it is at least as good in both and better in one; so equals stand on the front together.
    A candidate that is not trusted, or whose accuracy is not known, is neither on the front nor keeps another off it.
    """
    marks = [False] * len(candidates)
    eligible = sorted(
        (one.median_ms, -one.top1, index)
        for index, one in enumerate(candidates)
        if one.trusted and one.top1 is not None
    )
    best = float("-inf")  # highest top-1 among the strictly faster ones and the best of the current latency
    latency = float("-inf")
    for median, negative, index in eligible:
        if -negative > best or (-negative == best and median == latency):
            marks[index] = True
            best, latency = -negative, median
    return marks


def probabilities(candidates: Sequence[Candidate], known: Evidence) -> list[float | None]:
    """For each candidate, how probable it is that no other trusted one is both faster and more accurate.

    The share of the draws (`rank.evidence`) in which it stands on the front of (median latency, top-1). None for a
    candidate that is not trusted, has no accuracy, or too few rounds; such a one keeps no other off the front.
    """
    found: list[float | None] = [None] * len(candidates)
    latency, top1 = latencies_ms(candidates, known, 50), accuracies(candidates, known)
    usable = [
        index
        for index, one in enumerate(candidates)
        if one.trusted and not (np.isnan(latency[index, 0]) or np.isnan(top1[index, 0]))
    ]
    if not usable:
        return found
    speed, right = latency[usable].T, top1[usable].T  # [draws, candidates]
    order = np.lexsort((-right, speed), axis=1)
    sorted_right = np.take_along_axis(right, order, axis=1)
    best_before = np.maximum.accumulate(sorted_right, axis=1)
    on_front = np.ones_like(sorted_right, dtype=bool)
    on_front[:, 1:] = sorted_right[:, 1:] > best_before[:, :-1]
    times = np.bincount(order[on_front], minlength=len(usable))
    for index, share in zip(usable, times / len(speed), strict=True):
        found[index] = float(share)
    return found
