"""Confidence distributions: what a probability to meet a budget rests on."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from edgeprof.stats import beliefs

medians = st.lists(st.floats(0.5, 2.0), min_size=3, max_size=30)


@given(medians, st.floats(0.1, 10.0), st.floats(0.1, 10.0))
def test_probabilities_rise_with_the_limit_and_stay_in_0_to_1(values: list[float], one: float, other: float) -> None:
    its = beliefs.of_typical(values)
    assert its is not None
    low, high = sorted((one, other))
    assert 0 <= its.probability_within(low) <= its.probability_within(high) <= 1


@given(st.lists(st.integers(500, 2000), min_size=3, max_size=30, unique=True))
def test_at_the_kth_round_it_is_the_binomial_probability(values: list[int]) -> None:
    """P(median <= k-th smallest of n) = P(fewer than k of n lie below the median)."""
    its = beliefs.of_typical([float(value) for value in values])
    assert its is not None
    for k, value in enumerate(sorted(values), start=1):
        expected = stats.binom.cdf(k - 1, len(values), 0.5)
        assert its.probability_within(value * (1 + 1e-12)) == pytest.approx(expected, abs=1e-6)


def test_independent_samples_give_the_binomial_probability_of_a_percentile() -> None:
    generator = np.random.default_rng(0)
    blocks = np.exp(0.1 * generator.standard_normal((20, 100)))
    its = beliefs.of_percentile(list(blocks), 0.9)
    assert its is not None
    pooled = np.sort(blocks.ravel())
    for k in (1780, 1800, 1830):
        expected = stats.binom.cdf(k - 1, 2000, 0.9)
        assert its.probability_within(float(pooled[k - 1])) == pytest.approx(expected, abs=0.06)


@pytest.mark.parametrize("rounds", [1, 2])
def test_too_few_rounds_tell_nothing(rounds: int) -> None:
    blocks = [[1.0, 2.0]] * rounds
    assert beliefs.of_median(blocks) is None
    assert beliefs.of_percentile(blocks, 0.9) is None


def test_beyond_the_largest_sample_nothing_is_sure_of_a_tail() -> None:
    """99% of 60 samples says little of the 99th percentile, however far away the budget is."""
    its = beliefs.of_percentile([list(range(1, 21))] * 3, 0.99)
    assert its is not None
    assert its.probability_within(1e9) < 0.8
    assert np.isinf(its.draws(np.array([0.999]))).all()


@given(medians, st.floats(0.001, 0.999))
def test_a_draw_is_the_inverse_of_the_probability(values: list[float], uniform: float) -> None:
    its = beliefs.of_typical(values)
    assert its is not None
    drawn = float(its.draws(np.array([uniform]))[0])
    slack = 1 + 1e-9
    assert its.probability_within(drawn / slack) - 1e-6 <= uniform <= its.probability_within(drawn * slack) + 1e-6


def test_identical_rounds_are_sure() -> None:
    its = beliefs.of_typical([1.0] * 9)
    assert its is not None
    assert its.probability_within(0.999) == 0
    assert its.probability_within(1.001) > 0.99


@given(
    st.lists(st.lists(st.integers(1, 60), min_size=5, max_size=40), min_size=3, max_size=9),
    st.sampled_from([50, 90, 99]),
    st.sampled_from([0.002, 0.02]),
)
def test_fewer_points_tell_the_same_probabilities(blocks: list[list[int]], percentile: int, tolerance: float) -> None:
    """Everywhere, also at and between values that come often, where the distribution jumps."""
    whole = beliefs.of_latency(blocks, percentile)
    assert whole is not None
    thin = whole.thinned(tolerance)
    assert thin.values.size <= whole.values.size
    points = np.unique(np.concatenate([whole.values, np.linspace(0.5, 70, 200)]))
    for point in points:
        assert thin.probability_within(point) == pytest.approx(whole.probability_within(point), abs=tolerance + 1e-9)
    assert thin.below[-1] == whole.below[-1], "what nothing bounds stays unbounded"


def test_a_latency_of_few_rounds_or_of_a_coarse_clock_has_none() -> None:
    assert beliefs.of_latency([[1, 2], [1, 2]], 50) is None
    assert beliefs.of_latency([[1, 2], [0, 2], [1, 2]], 90) is None
    assert beliefs.of_latency([], 99) is None
