"""The findings on the shape of samples: how often they are false, and how often they are missed."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from simulated import ISSUE, Array, Process

from edgeprof.stats import shape

SESSIONS = 300
CLEAN = tuple(process for process in ISSUE if process.name not in ("bimodal by process", "slow drift"))
INDEPENDENT, HALF, NINE = ISSUE[0], ISSUE[1], ISSUE[2]
FALSE = 0.02
"""Of clean sessions; the limits are set at 1%, and 300 sessions scatter."""


def sessions(process: Process, rounds: int, samples: int = 200, seed: int = 0) -> Array:
    return process.sessions(np.random.default_rng(seed), SESSIONS, rounds, samples)[0]


def at_most(found: list[bool], share: float) -> bool:
    return bool(np.mean(found) <= share + 2 * np.sqrt(share * (1 - share) / len(found)))


@pytest.mark.parametrize("process", CLEAN, ids=lambda process: process.name)
@pytest.mark.parametrize(("rounds", "samples"), [(7, 200), (20, 100), (10, 50)])
def test_clean_sessions_show_no_shape(process: Process, rounds: int, samples: int) -> None:
    latency = sessions(process, rounds, samples)
    assert at_most([shape.modes_between(one) is not None for one in latency], FALSE)
    assert at_most([shape.modes_within(one) is not None for one in latency], FALSE)
    assert at_most([shape.trend(one) is not None for one in latency], FALSE)
    assert at_most([shape.warm_up(one).course != "flat" for one in latency], FALSE)


def test_the_limits_of_a_split_are_those_of_normal_values() -> None:
    generator = np.random.default_rng(0)
    for rounds, limit in shape.SPLIT.items():
        above = [shape.best_split(np.sort(generator.standard_normal(rounds)))[0] > limit for _ in range(3000)]
        assert 0.004 <= np.mean(above) <= 0.017, rounds


def test_two_modes_of_processes_are_found_by_the_time_the_rule_stops() -> None:
    """5% apart, 3 in 10 slow. The stop rule takes some 30 rounds on them; at 10 rounds only a wider gap shows."""
    found = [shape.modes_between(one) for one in sessions(ISSUE[4], 30)]
    assert np.mean([one is not None for one in found]) >= 0.95
    modes = [one for one in found if one is not None]
    assert np.median([one.gap for one in modes]) == pytest.approx(0.05, abs=0.005)
    assert np.median([one.slow_share for one in modes]) == pytest.approx(0.3, abs=0.05)
    wide = sessions(Process("x", slow_share=0.5, slow_by=0.1), 10)
    assert np.mean([shape.modes_between(one) is not None for one in wide]) >= 0.95


@pytest.mark.parametrize("process", [INDEPENDENT, HALF, NINE], ids=lambda process: process.name)
def test_a_level_that_switches_within_rounds_is_found(process: Process) -> None:
    """30% apart, five times the noise, for 20 samples at a time."""
    latency = sessions(process, 7)
    generator = np.random.default_rng(1)
    switches = (
        np.cumsum(generator.random(latency.shape) < 0.05, axis=-1)
        + generator.integers(0, 2, latency.shape[:2])[..., np.newaxis]
    )
    found = [shape.modes_within(one) for one in latency * (1 + 0.3 * (switches % 2))]
    assert np.mean([one is not None for one in found]) >= 0.95
    assert np.median([one.gap for one in found if one is not None]) == pytest.approx(0.3, abs=0.05)


@pytest.mark.parametrize(("process", "rise"), [(INDEPENDENT, 0.05), (HALF, 0.08), (NINE, 0.15)])
def test_a_trend_over_rounds_is_found(process: Process, rise: float) -> None:
    """The larger, the noisier the round medians are: some seven of their standard deviations over 10 rounds."""
    climbing = sessions(process, 10) * np.linspace(1, 1 + rise, 10)[:, np.newaxis]
    found = [shape.trend(one) for one in climbing]
    assert np.mean([one is not None for one in found]) >= 0.95
    assert np.median([one for one in found if one is not None]) == pytest.approx(rise, rel=0.15)
    falling = [shape.trend(one) for one in climbing[:, ::-1]]
    assert all(one is None or one < 0 for one in falling)


def test_kendalls_distribution_is_exact() -> None:
    """Three values: the score is 3 in one of six orders; 1 or more in three."""
    assert [shape.kendall_tail(3, score) for score in (3, 1, -3)] == pytest.approx([1 / 6, 1 / 2, 1])


@pytest.mark.parametrize("process", [INDEPENDENT, HALF, NINE], ids=lambda process: process.name)
def test_a_warm_up_that_goes_on_is_found(process: Process) -> None:
    """20% slower at first, gone after some 60 of 200 samples."""
    warming = sessions(process, 10) * (1 + 0.2 * np.exp(-np.arange(200) / 20))
    found = [shape.warm_up(one) for one in warming]
    assert np.mean([one.course == "warming" for one in found]) >= 0.95
    assert 10 <= np.median([one.steady_after for one in found]) <= 60


def test_throttling_within_rounds_is_found_and_placed() -> None:
    slowing = sessions(HALF, 10) * (1 + 0.05 * (np.arange(200) >= 100))
    found = [shape.warm_up(one) for one in slowing]
    assert np.mean([one.course == "slowing" for one in found]) >= 0.95
    assert np.median([one.steady_after for one in found]) == pytest.approx(100, abs=5)


def test_faults_too_small_to_matter_are_not_named() -> None:
    """1% in every way, seen with certainty in a noiseless session; 10% is named."""
    rounds, samples = np.arange(10)[:, np.newaxis], np.arange(100)

    def session(factor: Array) -> list[Array]:
        return list(np.ones((10, 100)) * factor)

    for size, named in ((1.01, False), (1.1, True)):  # without any noise to measure the second by, too
        assert (shape.modes_between(session(np.where(rounds % 2, size, 1))) is not None) == named
        assert (shape.modes_within(session(np.where(samples % 2, size, 1))) is not None) == named
        assert (shape.trend(session(np.linspace(1, size, 10)[:, np.newaxis])) is not None) == named
        assert shape.warm_up(session(np.where(samples < 10, size, 1))).steady_after == 10 * named


@given(st.lists(st.lists(st.floats(1, 1e9), min_size=1, max_size=60), max_size=12))
def test_any_samples_have_a_shape(blocks: list[list[float]]) -> None:
    for find in (shape.modes_between, shape.modes_within):
        modes = find(blocks)
        assert modes is None or (modes.gap >= shape.SIZE and 0 < modes.slow_share < 1)
    change = shape.trend(blocks)
    assert change is None or abs(change) >= shape.SIZE
    shortest = min(map(len, blocks), default=0)
    assert shape.warm_up(blocks).steady_after <= shortest
