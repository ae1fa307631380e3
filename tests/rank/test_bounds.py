"""The rank bounds: what must hold for any quantities, and the promised 95% over all candidates at once."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from edgeprof.rank.bounds import Quantity, confidence, places, surely_better
from edgeprof.stats.intervals import quantile_interval


@st.composite
def quantities(draw: st.DrawFn) -> Quantity:
    # Few distinct values, so that ties are common.
    value = draw(st.none() | st.integers(0, 6).map(float))
    trusted = draw(st.booleans())
    if value is None:
        return Quantity.exact(None, trusted)
    kind = draw(st.sampled_from(["exact", "interval", "none"]))
    if kind == "none":
        return Quantity(value=value, low=None, high=None, trusted=trusted)
    below, above = (draw(st.integers(0, 3)), draw(st.integers(0, 3))) if kind == "interval" else (0, 0)
    return Quantity(value=value, low=value - below, high=value + above, trusted=trusted)


lists = st.lists(quantities(), max_size=12)


@given(lists)
def test_every_rank_lies_within_its_bounds_and_within_1_to_n(items: list[Quantity]) -> None:
    for place in places(items):
        assert 1 <= place.low <= place.rank <= place.high <= len(items)


@given(lists)
def test_the_bounds_hold_the_order_of_the_point_estimates(items: list[Quantity]) -> None:
    trusted = [item for item in items if item.trusted]
    for item, place in zip(trusted, places(trusted), strict=True):
        values = [float("inf") if one.value is None else one.value for one in trusted]
        mine = float("inf") if item.value is None else item.value
        assert place.low <= sum(value <= mine for value in values)
        assert place.high >= 1 + sum(value < mine for value in values)


@given(lists, st.integers(0, 99))
def test_the_order_of_the_input_does_not_matter(items: list[Quantity], seed: int) -> None:
    order = np.random.default_rng(seed).permutation(len(items))
    straight = places(items)
    shuffled = places([items[index] for index in order])
    assert [straight[index] for index in order] == shuffled


@given(lists)
def test_what_shares_a_rank_cannot_be_told_apart(items: list[Quantity]) -> None:
    found = places(items)
    for one, its in zip(items, found, strict=True):
        for other, others in zip(items, found, strict=True):
            if its.rank == others.rank:
                assert not surely_better(one, other)


@given(lists)
def test_the_untrusted_may_be_anything_and_settle_nothing(items: list[Quantity]) -> None:
    n, trusted = len(items), [item for item in items if item.trusted]
    without = iter(places(trusted))
    for item, place in zip(items, places(items), strict=True):
        if item.trusted:
            alone = next(without)
            assert (place.rank, place.low) == (alone.rank, alone.low)
            assert place.high == alone.high + n - len(trusted)
        else:
            assert (place.low, place.high, place.rank) == (1, n, len(trusted) + 1)


def test_one_alone_is_first() -> None:
    assert [(p.rank, p.low, p.high) for p in places([Quantity(value=3.0, low=None, high=None)])] == [(1, 1, 1)]
    assert places([]) == []


def test_exact_quantities_tie_on_equality_alone() -> None:
    found = places([Quantity.exact(v) for v in (10.0, 11.0, 10.0, 12.0)])
    assert [(p.rank, p.low, p.high) for p in found] == [(1, 1, 2), (3, 3, 3), (1, 1, 2), (4, 4, 4)]


def test_the_unknown_comes_after_all_that_is_known() -> None:
    found = places([Quantity.exact(None), Quantity.exact(5.0), Quantity.exact(None)])
    assert [(p.rank, p.low, p.high) for p in found] == [(2, 2, 3), (1, 1, 1), (2, 2, 3)]


def test_no_interval_tells_nothing() -> None:
    found = places([Quantity(value=1.0, low=None, high=None), Quantity.exact(100.0)])
    assert [(p.rank, p.low, p.high) for p in found] == [(1, 1, 2), (1, 1, 2)]


def test_the_bounds_hold_for_all_candidates_at_once_in_95_percent_of_studies() -> None:
    """Five rounds each, round effects log-normal: the worst case for the interval is that its model is just true."""
    rng = np.random.default_rng(1)
    truth = 1.03 ** np.arange(8)
    studies, held, first = 400, 0, 0
    for _ in range(studies):
        items = []
        for value in truth:
            rounds = value * np.exp(rng.normal(0.0, 0.01, size=5))
            interval = quantile_interval([[one] for one in rounds], 0.5, confidence(len(truth)))
            items.append(Quantity(value=interval.value, low=interval.low, high=interval.high))
        found = places(items)
        held += all(p.low <= rank <= p.high for rank, p in enumerate(found, start=1))
        first += found[0].rank == 1
    assert held >= 0.95 * studies
    assert first >= 0.95 * studies
