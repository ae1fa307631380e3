"""The stop rule: intervals still hold after it, the benchmark's batch agrees with it, and it says what it lacks."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from simulated import ISSUE, Process
from simulated_stops import bootstrap_ranks, median_rule

from edgeprof.errors import UsageError
from edgeprof.stats.stopping import Assessment, Rule, assess, relative_half_width

RULE = Rule()
SESSIONS = 300


@pytest.mark.parametrize("process", ISSUE, ids=lambda process: process.name)
def test_the_interval_after_the_stop_holds_the_truth(process: Process) -> None:
    """A small copy of bench_coverage: 93% promised; below it by more than 2 sd of 300 sessions is no chance."""
    latency, _ = process.sessions(np.random.default_rng(5), SESSIONS)
    found = median_rule(np.median(latency, axis=2), RULE)
    held = found.holds(process.truth() * process.drifted(found.rounds)).mean()
    assert held >= 0.93 - 2 * np.sqrt(0.93 * 0.07 / SESSIONS)


def session(process: Process, seed: int) -> list[Any]:
    latency, _ = process.sessions(np.random.default_rng(seed), 1, samples=50)
    return list(latency[0])


def run(blocks: list[Any], rule: Rule) -> tuple[int, Assessment]:
    for rounds in range(len(blocks) + 1):
        found = assess(blocks[:rounds], rule)
        if found.stop:
            return rounds, found
    raise AssertionError("no stop")


@pytest.mark.parametrize("process", [ISSUE[0], ISSUE[2], ISSUE[4]], ids=lambda process: process.name)
def test_the_batch_is_the_rule(process: Process) -> None:
    """What the benchmark counts is what `assess` does, round after round."""
    for seed in range(15):
        blocks = session(process, seed)
        batch = median_rule(np.median(np.array(blocks), axis=1)[np.newaxis], RULE)
        rounds, found = run(blocks, RULE)
        assert found.interval is not None
        assert (rounds, found.reached) == (int(batch.rounds[0]), bool(batch.reached[0]))
        assert (found.interval.low, found.interval.high) == (batch.low[0], batch.high[0])


def test_precision_that_is_not_reached_is_said() -> None:
    rounds, found = run(session(ISSUE[3], 1), Rule(precision=0.001))
    assert rounds == RULE.max_rounds
    assert (found.reached, found.rounds_more) == (False, None)
    assert found.half_width is not None
    assert found.half_width > 0.001


def test_time_up_early_is_not_reached_and_still_an_interval() -> None:
    found = assess(session(ISSUE[2], 2)[:9], RULE)
    assert not found.reached
    assert not found.stop
    assert found.interval is not None and found.interval.low is not None  # noqa: PT018
    assert found.rounds_more is not None and found.rounds_more > 0  # noqa: PT018


def test_the_forecast_is_about_right() -> None:
    """From 10 rounds on: the median of forecast over what it then took, within a factor of two."""
    ratios = []
    for seed in range(60):
        blocks = session(Process("x", rho=0.5), seed)
        early = assess(blocks[:10], RULE)
        rounds, found = run(blocks, RULE)
        if rounds > 10 and found.reached and early.rounds_more:
            ratios.append(early.rounds_more / (rounds - 10))
    assert len(ratios) > 20
    assert 0.5 < float(np.median(ratios)) < 2


def test_few_rounds_have_no_interval_and_say_how_many_are_needed() -> None:
    assert assess([], RULE) == Assessment(interval=None, half_width=None, reached=False, stop=False, rounds_more=7)
    found = assess([[1.0, 1.0]] * 3, RULE)
    assert found.interval is not None
    assert (found.interval.value, found.interval.low, found.reached, found.rounds_more) == (1.0, None, False, 4)
    done = assess([[1.0]] * 7, RULE)
    assert (done.reached, done.stop, done.half_width, done.rounds_more) == (True, True, 0.0, 0)
    assert assess([[1.0]] * 7, Rule(min_rounds=9)).rounds_more == 2


@pytest.mark.parametrize(
    "fields",
    [
        {"precision": 0.0},
        {"precision": -0.01},
        {"precision": 1.0},
        {"precision": float("nan")},
        {"confidence": 1.0},
        {"confidence": 0.0},
        {"min_rounds": 0},
        {"min_rounds": 41},
        {"max_rounds": 6, "min_rounds": 3},
        {"max_rounds": 61},
        {"confidence": 1 - 1e-30},
    ],
)
def test_a_rule_that_means_nothing_is_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        Rule(**fields)


@given(st.lists(st.lists(st.floats(1, 1e9), min_size=1, max_size=5), max_size=45))
def test_any_samples_are_assessed(blocks: list[list[float]]) -> None:
    found = assess(blocks, RULE)
    assert found.stop or not found.reached
    assert found.rounds_more is None or found.rounds_more >= 0
    if found.interval is not None:
        assert found.half_width == relative_half_width(found.interval)


def test_the_bootstrap_beside_it_is_the_bootstrap() -> None:
    """The exact ranks against ten thousand drawn resamples."""
    generator = np.random.default_rng(0)
    values = np.arange(101)
    drawn = np.median(generator.choice(values, (10_000, 101)), axis=1)
    assert np.abs(np.quantile(drawn, (0.025, 0.975)) - np.array(bootstrap_ranks(101))).max() <= 1
