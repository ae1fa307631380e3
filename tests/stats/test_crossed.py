"""A mean over seeds and images: the interval holds what another sample of both would give."""

from __future__ import annotations

import numpy as np
import pytest
from crossed_worlds import World, held
from hypothesis import given, settings
from hypothesis import strategies as st

from edgeprof.records import Identity
from edgeprof.stats import crossed
from edgeprof.stats.seeds import spreads


@pytest.mark.parametrize("seeds_sd", [0.0, 0.1, 0.3])
def test_the_interval_holds_the_effect_whatever_the_seeds_spread(seeds_sd: float) -> None:
    """With three seeds and 450 images; the images alone do not, where seeds differ."""
    both, images = held(World(seeds=3, images=450, seeds_sd=seeds_sd), 500)
    assert both >= 0.90
    assert images >= 0.9 or seeds_sd > 0
    assert images < 0.7 or seeds_sd < 0.3


def test_it_holds_near_one_and_without_a_difference() -> None:
    assert held(World(seeds=3, images=200, share=0.995, against=0.995, seeds_sd=0.05), 300)[0] >= 0.95


@given(st.integers(1, 5), st.integers(1, 40), st.integers(0, 10_000))
@settings(max_examples=60, deadline=None)
def test_turned_round_the_interval_turns_and_order_means_nothing(seeds: int, images: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    values = rng.integers(-1, 2, (seeds, images))
    one, other = crossed.mean(values), crossed.mean(-values)
    shuffled = crossed.mean(values[rng.permutation(seeds)][:, rng.permutation(images)])
    for found in (one.both, one.images):
        assert found.low is not None
        assert found.high is not None
        assert -1 <= found.low <= found.value <= found.high <= 1
        assert found.high > found.low
    assert one.both.value == pytest.approx(-other.both.value)
    assert one.both.low == pytest.approx(-(other.both.high or 0))
    assert (one.both.low, one.seeds_sd) == pytest.approx((shuffled.both.low, shuffled.seeds_sd))


def test_one_seed_says_nothing_of_seeds() -> None:
    found = crossed.mean(np.ones((1, 50)))
    assert found.seeds_sd is None
    assert found.both == found.images


def test_equal_seeds_leave_the_interval_of_the_images() -> None:
    """Three times the same checkpoint is no more than one: the variance over images stays what it is."""
    row = np.random.default_rng(0).integers(-1, 2, 300)
    one, three = crossed.mean(row[None, :]), crossed.mean(np.stack([row] * 3))
    assert three.both.low == pytest.approx(one.both.low, abs=1e-4)
    assert three.seeds_sd == 0


def test_a_spread_over_seeds_counts_each_seed_once() -> None:
    cells = [
        (Identity(model="m", init="scratch", seed=seed, exporter="onnx", threads=threads), 0.9 + 0.01 * seed)
        for seed in (2, 0, 1)
        for threads in (1, 2)
    ]
    (found,) = spreads([*cells, (Identity(model="other", seed=0), 0.5)])
    assert found.seeds == (0, 1, 2)
    assert (found.mean, found.lowest, found.highest) == pytest.approx((0.91, 0.9, 0.92))
    assert found.sd == pytest.approx(0.01)
