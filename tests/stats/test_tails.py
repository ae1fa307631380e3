"""Effective samples, and percentiles that say how little stands behind them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import special
from simulated import ISSUE, Array, Process

from edgeprof.stats import tails
from edgeprof.stats.effective import effective_samples


@pytest.mark.parametrize("rho", [0.0, 0.5, 0.9, 0.95])
def test_effective_samples_of_an_autoregressive_block(rho: float) -> None:
    """n (1 - rho) / (1 + rho), as a median over blocks; with a spike in a hundred as well."""
    latency, _ = Process("x", rho=rho, spike_share=0.01).sessions(np.random.default_rng(0), 40, 1, 2000)
    found = float(np.median([effective_samples(block) for block in latency[:, 0]]))
    assert found == pytest.approx(2000 * (1 - rho) / (1 + rho), rel=0.2)


@given(st.lists(st.floats(1, 1e9), min_size=1, max_size=300))
def test_effective_samples_lie_between_one_and_all(block: list[float]) -> None:
    assert 1 <= effective_samples(block) <= len(block)


def test_mlperfs_figures_follow_from_the_binomial() -> None:
    """The fewest samples with P(Binomial(n, 0.01) <= over) <= 1%: 459 with none over, 662 with one."""
    counts = np.arange(1, 1000)
    assert [int(counts[special.bdtr(over, counts, 0.01) <= 0.01][0]) for over in (0, 1)] == [459, 662]
    assert tails.P99_MIN_EFFECTIVE == 662


def blocks(process: Process, seed: int, rounds: int = 10, samples: int = 200) -> list[Array]:
    return list(process.sessions(np.random.default_rng(seed), 1, rounds, samples)[0][0])


def test_p99_of_too_few_samples_is_none_with_a_reason() -> None:
    found = tails.p99(blocks(ISSUE[0], 0, rounds=6, samples=100))
    assert (found.value, found.high) == (None, None)
    assert found.reason is not None
    assert "662" in found.reason


def test_autocorrelation_takes_p99_away() -> None:
    """2000 samples in runs are not 2000."""
    steady, runs = (tails.p99(blocks(process, 1)) for process in (ISSUE[0], ISSUE[3]))
    assert steady.value is not None
    assert runs.value is None
    assert runs.effective < steady.effective / 3


def test_one_spiky_round_does_not_make_a_p99() -> None:
    """All slow samples in one round of ten: that is one event, not twenty."""
    rounds = blocks(ISSUE[0], 2)
    rounds[3][50:70] *= 5
    assert tails.p99(rounds).value is None


def test_p99s_bound_holds() -> None:
    """99% asked; 300 sessions of independent samples, spikes included."""
    process = Process("x", spike_share=0.02)
    truth = np.exp(process.within(0.99))
    found = [tails.p99(blocks(process, seed, samples=120)) for seed in range(300)]
    given_ = [one for one in found if one.value is not None]
    assert len(given_) > 250
    assert all(one.high is not None and one.value is not None and one.high >= one.value for one in given_)
    assert np.mean([one.high is not None and one.high >= truth for one in given_]) >= 0.97


@pytest.mark.parametrize("process", [ISSUE[0], ISSUE[2], ISSUE[6]], ids=lambda process: process.name)
def test_p90s_interval_holds(process: Process) -> None:
    truth = process.true_p90(np.random.default_rng(9))
    held = 0
    for seed in range(300):
        found = tails.pooled_quantile(blocks(process, seed, rounds=12), 0.9)
        assert found.low is not None
        held += found.low <= truth <= (found.high or np.inf)
    assert held >= 300 * (0.93 - 2 * np.sqrt(0.93 * 0.07 / 300))


def test_bounds_that_the_samples_do_not_reach_are_none() -> None:
    assert tails.pooled_quantile([[1.0, 2.0]] * 2, 0.9).high is None
    found = tails.pooled_quantile([[1.0, 2.0, 3.0], [1.0, 2.0, 3.1], [1.1, 2.0, 3.2]], 0.9)
    assert found.high is None


@given(
    st.lists(st.lists(st.floats(1, 1e9), min_size=1, max_size=30), min_size=1, max_size=12),
    st.sampled_from([0.5, 0.9, 0.99]),
)
def test_any_samples_have_a_tail(samples: list[list[float]], quantile: float) -> None:
    found = tails.pooled_quantile(samples, quantile)
    assert found.low is None or found.low <= found.value
    assert found.high is None or found.high >= found.value
    assert tails.effective_behind(samples, quantile) <= sum(map(len, samples)) + 1e-9
    assert (tails.p99(samples).value is None) == (tails.p99(samples).reason is not None)
