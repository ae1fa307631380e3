"""Whether something got worse: rarely a false alarm, rarely a miss, and one verdict however often one looks."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeprof.stats.regression import apart, in_turn, pooled_between

LOGS = st.lists(st.floats(-0.5, 0.5), min_size=1, max_size=70)


def gates(change: float, spread: float, number: int = 300, alpha: float = 0.01 / 27) -> list[str]:
    generator = np.random.default_rng(0)
    logs = math.log1p(change) + spread * generator.standard_normal((number, 60))
    return [in_turn(one.tolist(), 0.05, alpha, over=True).verdict for one in logs]


@pytest.mark.parametrize("spread", [0.005, 0.02, 0.04])
def test_in_turn_nothing_fails_that_did_not_change_and_the_limit_is_caught(spread: float) -> None:
    assert gates(0.0, spread).count("fail") == 0
    assert gates(0.05, spread).count("fail") >= 0.95 * 300


def test_in_turn_half_of_the_limit_fails_rarely_and_far_more_than_it_always() -> None:
    assert gates(0.025, 0.02).count("fail") <= 0.02 * 300
    assert gates(0.10, 0.02).count("fail") == 300


def test_too_much_spread_is_told_as_such_and_not_as_a_pass() -> None:
    told = gates(0.05, 0.2)
    assert told.count("pass") <= 0.02 * 300
    assert told.count("undecided") >= 0.9 * 300


@given(LOGS, st.integers(1, 60))
def test_the_first_verdict_stands(logs: list[float], more: int) -> None:
    found = in_turn(logs, 0.05, 0.001, over=False)
    if found.verdict != "undecided" and found.rounds < 60:
        assert in_turn([*logs[: found.rounds], *[1.0] * more], 0.05, 0.001, over=True) == found


@given(LOGS)
def test_only_what_is_over_fails_for_being_surely_above_nothing(logs: list[float]) -> None:
    going, over = (in_turn(logs, 0.05, 0.001, over=which) for which in (False, True))
    assert over.verdict == going.verdict or (going.verdict, over.verdict) == ("undecided", "fail")
    assert over.rounds <= 60


def test_surely_slower_and_maybe_by_the_limit_fails_when_nothing_more_can_be_measured() -> None:
    logs = np.random.default_rng(0).permutation(np.linspace(0.005, 0.075, 30)).tolist()
    assert in_turn(logs, 0.05, 0.001, over=False).verdict == "undecided"
    assert in_turn(logs, 0.05, 0.001, over=True).verdict == "fail"


@given(st.lists(st.floats(0.5, 2.0), min_size=3, max_size=20), st.floats(1e-3, 1e6))
def test_apart_the_unit_does_not_matter_and_no_change_never_fails(values: list[float], unit: float) -> None:
    same = apart(values, values, 0.05, 0.001, between_sd=0.0, between_df=None)
    scaled = apart(
        [unit * one for one in values], [unit * one for one in values], 0.05, 0.001, between_sd=0.0, between_df=None
    )
    assert same.verdict != "fail"
    assert same.change == 0
    assert scaled.low == pytest.approx(same.low)
    assert scaled.high == pytest.approx(same.high)


def test_apart_what_a_device_does_from_run_to_run_counts_as_error() -> None:
    before = (1 + 0.001 * np.arange(-5, 5)).tolist()
    after = [1.06 * one for one in before]
    assert apart(before, after, 0.05, 0.001, between_sd=0.001, between_df=None).verdict == "fail"
    assert apart(before, after, 0.05, 0.001, between_sd=0.03, between_df=None).verdict == "undecided"
    assert apart(before, before, 0.05, 0.001, between_sd=0.03, between_df=None).verdict == "undecided"
    assert apart(before, before, 0.05, 0.001, between_sd=0.003, between_df=None).verdict == "pass"
    few = apart(before, before, 0.05, 0.001, between_sd=0.012, between_df=2)
    assert few.verdict == "undecided", "a spread known from three sessions may be larger"


def test_apart_two_rounds_say_nothing() -> None:
    found = apart([1.0, 1.0], [3.0, 3.0], 0.05, 0.001, between_sd=0.0, between_df=None)
    assert (found.verdict, found.low) == ("undecided", None)


def test_apart_whole_runs_against_themselves_fail_in_at_most_one_of_a_hundred() -> None:
    """The spread from run to run is known from 7 sessions each time; 2000 gates of one limit at its whole error."""
    generator = np.random.default_rng(1)
    failed = 0
    for _ in range(2000):
        spread = pooled_between([(0.01 * generator.standard_normal(7)).tolist()])
        before, after = (
            np.exp(0.01 * generator.standard_normal() + 0.002 * generator.standard_normal(9)).tolist() for _ in range(2)
        )
        failed += apart(before, after, 0.05, 0.01, between_sd=spread, between_df=6).verdict == "fail"
    assert failed <= 20


def test_the_spread_from_session_to_session_is_about_each_candidates_own_mean() -> None:
    assert pooled_between([[0.0, 0.1], [5.0, 5.1]]) == pytest.approx(math.sqrt(0.01 / 2))
