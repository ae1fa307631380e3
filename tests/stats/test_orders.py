"""Kendall's tau-b is scipy's, also with ties, and its interval holds as often as it says, with few things too."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from edgeprof.stats.orders import MIN_THINGS, agreement, tau_b

few = st.integers(0, 4)
two_lists = st.integers(2, 12).flatmap(
    lambda n: st.tuples(st.lists(few, min_size=n, max_size=n), st.lists(few, min_size=n, max_size=n))
)


@given(two_lists)
def test_tau_b_is_that_of_scipy_with_ties(lists: tuple[list[int], list[int]]) -> None:
    one, other = lists
    expected = float(stats.kendalltau(one, other).statistic)
    found = tau_b(one, other)
    if np.isnan(expected):
        assert found is None
        assert agreement(one, other) is None
    else:
        assert found == pytest.approx(expected, abs=1e-12)


@given(two_lists)
def test_the_interval_holds_the_value_and_means_the_same_both_ways(lists: tuple[list[int], list[int]]) -> None:
    one, other = lists
    found, back = agreement(one, other), agreement(other, one)
    reverse = agreement(one, [-value for value in other])
    if found is None:
        assert len(one) < MIN_THINGS or tau_b(one, other) is None
        return
    assert found == back
    assert found.low is not None
    assert found.high is not None
    assert -1 <= found.low <= found.value <= found.high <= 1
    assert reverse is not None
    assert reverse.high == pytest.approx(-found.low, abs=1e-9)


@given(st.lists(st.floats(0.01, 100), min_size=4, max_size=10, unique=True))
def test_only_the_order_counts(values: list[float]) -> None:
    rising = np.argsort(np.argsort(values)).tolist()
    found = agreement(values, rising)
    assert found is not None
    assert found.value == 1
    assert found == agreement(rising, rising)


def test_a_perfect_agreement_of_few_things_is_no_certainty() -> None:
    lows = [agreement(range(n), range(n)) for n in (4, 6, 9, 20)]
    bounds = [one.low for one in lows if one is not None and one.low is not None]
    assert bounds == sorted(bounds)
    assert bounds[0] < 0.4
    assert bounds[-1] > 0.8


@pytest.mark.parametrize(("things", "true"), [(5, 0.0), (6, 0.5), (6, 0.95), (9, 0.8), (15, 0.5)])
def test_the_interval_holds_the_truth(things: int, true: float) -> None:
    """Normal pairs, of which tau is 2/pi asin(rho): 300 drawings. A bootstrap's percentiles hold in a third of some."""
    generator = np.random.default_rng(3)
    rho = np.sin(np.pi * true / 2)
    hits = 0
    for _ in range(300):
        one, noise = generator.normal(size=(2, things))
        found = agreement(one.tolist(), (rho * one + np.sqrt(1 - rho**2) * noise).tolist())
        assert found is not None
        assert found.low is not None
        assert found.high is not None
        hits += found.low <= true <= found.high
    assert hits / 300 >= 0.92
