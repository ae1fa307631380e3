"""The confidence sequence: its error is what it says, over all looks together and for any distribution."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeprof.stats import sequence

CONFIDENCES = (0.8, 0.9, 0.95, 0.99, 0.9945, 0.999)


@pytest.mark.parametrize("confidence", CONFIDENCES)
def test_the_error_over_all_looks_is_below_the_one_allowed(confidence: float) -> None:
    """By drawing the binomial walk itself, with no distribution of rounds at all: the worst user looks every time."""
    generator = np.random.default_rng(1)
    below = (generator.random((20_000, sequence.HORIZON)) < 0.5).cumsum(axis=1)
    missed = np.zeros(len(below), dtype=bool)
    for rounds in range(1, sequence.HORIZON + 1):
        rank = sequence.ranks(confidence)[rounds]
        if rank:
            missed |= (below[:, rounds - 1] < rank) | (below[:, rounds - 1] > rounds - rank)
    error = 1 - confidence
    assert missed.mean() <= error + 3 * np.sqrt(error / len(below))
    assert missed.mean() >= 0.6 * error  # nor wasteful


def test_the_first_interval_comes_when_it_can() -> None:
    """All of n on one side has the probability 2**(1 - n), which the spending must allow."""
    assert [sequence.first(confidence) for confidence in (0.8, 0.95, 0.99)] == [5, 7, 9]
    assert sequence.first(1 - 1e-30) == sequence.HORIZON + 1
    assert sequence.median_bounds(range(6), 0.95) is None
    assert sequence.median_bounds(range(7), 0.95) == (0, 6)
    assert sequence.median_bounds(range(sequence.HORIZON + 1), 0.95) is None


@given(st.lists(st.floats(1e-6, 1e6), max_size=sequence.HORIZON), st.sampled_from(CONFIDENCES), st.randoms())
def test_bounds_are_values_around_the_median_in_any_order_and_scale(values, confidence, random) -> None:  # type: ignore[no-untyped-def]
    bounds = sequence.median_bounds(values, confidence)
    if bounds is None:
        assert len(values) < sequence.first(confidence)
        return
    assert bounds[0] in values
    assert bounds[1] in values
    assert bounds[0] <= np.median(values) <= bounds[1]
    random.shuffle(values)
    assert sequence.median_bounds(values, confidence) == bounds
    assert sequence.median_bounds([4 * value for value in values], confidence) == (4 * bounds[0], 4 * bounds[1])


@given(st.integers(1, 59))
def test_more_confidence_is_never_narrower(rounds: int) -> None:
    found = [sequence.ranks(confidence)[rounds] for confidence in CONFIDENCES]
    assert found == sorted(found, reverse=True)


def test_rounds_to_a_width() -> None:
    values = np.random.default_rng(0).normal(1, 0.02, 10).tolist()
    needed = [sequence.rounds_to(values, width, 0.95) for width in (0.04, 0.02, 0.01)]
    assert needed[0] == 11
    assert [None] * 3 != needed == sorted(needed, key=lambda one: one or 999)
    assert sequence.rounds_to(values, 1e-9, 0.95) is None
    assert sequence.rounds_to([1.0] * sequence.HORIZON, 1.0, 0.95) is None
