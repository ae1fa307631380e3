"""The change from one run to another: its interval holds as often as it says, also where runs drift."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from edgeprof.stats.changes import change

positive = st.lists(st.floats(1e-3, 1e3), min_size=3, max_size=12)


@given(positive, positive)
def test_without_a_history_it_is_welch_on_the_logs(one: list[float], other: list[float]) -> None:
    logs = np.log(one), np.log(other)
    if max(some.std() for some in logs) < 1e-6:
        return
    found = change(one, other)
    expected = stats.ttest_ind(logs[1], logs[0], equal_var=False).confidence_interval(0.95)
    assert found.runs == 0
    assert found.ratio.value == pytest.approx(math.exp(logs[1].mean() - logs[0].mean()))
    assert found.ratio.low == pytest.approx(math.exp(expected.low), rel=1e-6)
    assert found.ratio.high == pytest.approx(math.exp(expected.high), rel=1e-6)


@given(positive, positive)
def test_the_other_way_round_is_the_inverse(one: list[float], other: list[float]) -> None:
    there, back = change(one, other).ratio, change(other, one).ratio
    assert there.low is not None
    assert back.high is not None
    assert there.value == pytest.approx(1 / back.value)
    assert there.low == pytest.approx(1 / back.high)


@given(positive, positive, st.lists(st.lists(positive, min_size=3, max_size=5), min_size=1, max_size=2))
def test_what_runs_differ_by_only_widens(
    one: list[float], other: list[float], history: list[list[list[float]]]
) -> None:
    alone, with_runs = change(one, other).ratio, change(one, other, history)
    assert with_runs.runs == sum(len(file) for file in history)
    assert alone.low is not None
    assert with_runs.ratio.low is not None
    assert with_runs.ratio.low <= with_runs.ratio.value <= (with_runs.ratio.high or math.inf)
    assert with_runs.ratio.value == alone.value


@pytest.mark.parametrize(("one", "other"), [([1.0], [2.0, 2.0, 2.0]), ([1.0, 1.0, 1.1], [2.0, 2.1])])
def test_fewer_than_three_rounds_have_no_interval(one: list[float], other: list[float]) -> None:
    found = change(one, other).ratio
    assert found.low is None
    assert found.high is None
    assert found.value > 1.5


def test_two_runs_do_not_tell_how_far_runs_spread() -> None:
    runs = [[1.0, 1.01, 1.02], [2.0, 2.01, 2.02]]
    assert change(runs[0], runs[1], [runs]).runs == 0


def test_rounds_without_any_spread_have_an_interval_of_no_width() -> None:
    found = change([2.0] * 5, [3.0] * 5).ratio
    assert found.low == found.value == found.high == pytest.approx(1.5)


@pytest.mark.parametrize(
    ("drift", "runs", "least"),
    [(0.0, 0, 0.93), (0.0, 3, 0.95), (0.02, 3, 0.92), (0.02, 6, 0.94), (0.005, 4, 0.94)],
)
def test_the_interval_holds_the_truth_in_simulated_runs(drift: float, runs: int, least: float) -> None:
    """Runs of 9 rounds that spread by 2%, and that themselves drift by `drift`: 600 pairs that do not differ."""
    generator = np.random.default_rng(5)

    def run() -> list[float]:
        return _rounds(generator, drift)

    hits = 0
    for _ in range(600):
        past = [run() for _ in range(runs)]
        found = change(past[0] if past else run(), run(), [past]).ratio
        assert found.low is not None
        assert found.high is not None
        hits += found.low <= 1 <= found.high
    assert hits / 600 >= least


def test_without_a_history_drift_is_not_covered() -> None:
    """What the words beside such intervals say: two runs alone do not know how far runs move."""
    generator = np.random.default_rng(6)
    hits = 0
    for _ in range(300):
        one, other = (_rounds(generator, 0.02) for _ in range(2))
        found = change(one, other).ratio
        assert found.low is not None
        hits += found.low <= 1 <= (found.high or 0)
    assert hits / 300 < 0.7


def _rounds(generator: np.random.Generator, drift: float) -> list[float]:
    logs = generator.normal(0, drift) + generator.normal(0, 0.02, 9)
    return [math.exp(one) for one in logs]
