"""The Pareto front over latency and accuracy."""

from __future__ import annotations

from collections.abc import Sequence

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
