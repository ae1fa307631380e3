"""Places that admit what the data cannot tell: simultaneous 95% bounds on every candidate's rank.

Each candidate's quantity gets an interval at level 1 - 0.05/n (Bonferroni), so with a probability of at least 95% all n
intervals hold at once; then "a is surely better than b" (the intervals do not touch) is true for all such pairs, and
the bounds that follow from counting them hold for all candidates together. Source: Klein, Wright and Wieczorek 2020,
"A joint confidence region for an overall ranking of populations", doi 10.1111/rssc.12402.
"""

from __future__ import annotations

from collections.abc import Sequence

from edgeprof.records import Record

ALPHA = 0.05


class Quantity(Record):
    """What one candidate is ordered by: smaller is better.

    `value` None: not known. `low` and `high` None: no interval, so nothing can be told from it. Exact quantities have
    `low == value == high`.
    """

    value: float | None
    low: float | None
    high: float | None
    trusted: bool = True

    @classmethod
    def exact(cls, value: float | None, trusted: bool = True) -> Quantity:
        """A quantity that is known without error, or not at all."""
        return cls(value=value, low=value, high=value, trusted=trusted)


class Place(Record):
    """A rank and its bounds; 1 is the best."""

    rank: int
    low: int
    high: int


def confidence(candidates: int) -> float:
    """The level of each candidate's own interval so that all of them hold at once with 95%."""
    return 1 - ALPHA / max(candidates, 1)


def surely_better(one: Quantity, other: Quantity) -> bool:
    """Whether the data tell that `one` is better than `other`.

    Never so if either is not trusted. A known value comes before an unknown one: that is a rule of this ranking, not a
    finding.
    """
    if not (one.trusted and other.trusted):
        return False
    if one.value is None or other.value is None:
        return one.value is not None and other.value is None
    return one.high is not None and other.low is not None and one.high < other.low


def places(quantities: Sequence[Quantity]) -> list[Place]:
    """The place of each quantity, in the order given.

    `low` is 1 + the number surely better, `high` is n - the number surely worse. `rank` is the best place that the data
    still allow, `low`: candidates with the same rank cannot be told apart, and whichever is truly the best has
    rank 1 in at least 95% of all studies. A quantity that is not trusted may be anything: its bounds are 1 and n, and
    its rank is the one after all trusted quantities.
    """
    n = len(quantities)
    trusted = sum(one.trusted for one in quantities)
    found = []
    for one in quantities:
        better = sum(surely_better(other, one) for other in quantities)
        worse = sum(surely_better(one, other) for other in quantities)
        found.append(Place(rank=1 + (better if one.trusted else trusted), low=1 + better, high=n - worse))
    return found
