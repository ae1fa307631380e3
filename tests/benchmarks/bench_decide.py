"""Ranks, probabilities and --measure-more, on simulated studies whose truth is known.

    pytest -m bench -s -o python_files="bench_*.py" tests/benchmarks/bench_decide.py

A study is 30 candidates on one device: base latencies drawn anew, from 1 to 4 ms, so that neighbours lie 5% apart on
average and many closer; each behaves as one of the seven processes of `simulated.ISSUE`. Rounds stop as in a run: at
least 9, at most 30, when the median's interval is within 1%.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import pytest
from numpy.typing import NDArray
from simulated import ISSUE, Process

from edgeprof.rank.bounds import Quantity, confidence, places
from edgeprof.stats import beliefs, sequence
from edgeprof.stats.intervals import interval_of_median

pytestmark = pytest.mark.bench

STUDIES = 2000
CANDIDATES = 30
MIN_ROUNDS, MAX_ROUNDS, PRECISION = 9, 30, 0.01
SAMPLES = 100
SPAN = 0.08
Array = NDArray[np.float64]


class Simulated(NamedTuple):
    """Of one candidate slot in all studies."""

    medians: Array  # [studies, MAX_ROUNDS]
    latency: Array | None  # [studies, MAX_ROUNDS, SAMPLES], with unit base latency
    rounds: NDArray[np.int64]  # [studies] how many are measured
    truth: Array  # [studies] of the median, with unit base latency


def _rounds_until_precise(medians: Array) -> int:
    for rounds in range(MIN_ROUNDS, MAX_ROUNDS):
        found = sequence.median_bounds(medians[:rounds], 0.95)
        if found and (found[1] - found[0]) / 2 <= PRECISION * float(np.median(medians[:rounds])):
            return rounds
    return MAX_ROUNDS


def _simulate(process: Process, generator: np.random.Generator, studies: int, keep: bool = False) -> Simulated:
    latency, _ = process.sessions(generator, studies, MAX_ROUNDS, SAMPLES)
    medians = np.median(latency, axis=-1)
    rounds = np.array([_rounds_until_precise(row) for row in medians])
    return Simulated(medians, latency if keep else None, rounds, process.truth() * process.drifted(rounds))


def test_rank_bounds_hold_for_all_candidates_at_once() -> None:
    generator = np.random.default_rng(11)
    base = np.exp(generator.uniform(0, math.log(4), (STUDIES, CANDIDATES)))
    level = confidence(CANDIDATES)
    bounds = np.empty((STUDIES, CANDIDATES, 2))
    truth = np.empty((STUDIES, CANDIDATES))
    for slot in range(CANDIDATES):
        some = _simulate(ISSUE[slot % len(ISSUE)], generator, STUDIES)
        truth[:, slot] = base[:, slot] * some.truth
        for study in range(STUDIES):
            its = interval_of_median(base[study, slot] * some.medians[study, : some.rounds[study]], level)
            assert its.low is not None
            assert its.high is not None
            bounds[study, slot] = its.low, its.high
    held = best_first = 0
    widths, group = [], []
    for study in range(STUDIES):
        found = places([Quantity(value=float(low), low=float(low), high=float(high)) for low, high in bounds[study]])
        ranks = 1 + np.argsort(np.argsort(truth[study]))
        held += all(place.low <= rank <= place.high for place, rank in zip(found, ranks, strict=True))
        best_first += found[int(np.argmin(truth[study]))].rank == 1
        widths.append(np.mean([place.high - place.low for place in found]))
        group.append(sum(place.rank == 1 for place in found))
    print(
        f"\nrank bounds of {CANDIDATES} candidates, {STUDIES} studies: all hold in {held / STUDIES:.1%}; the true best"
        f" is in the first group in {best_first / STUDIES:.1%}; bounds are {np.mean(widths):.1f} places wide, the first"
        f" group has {np.mean(group):.1f} candidates"
    )
    assert held / STUDIES >= 0.95
    assert best_first / STUDIES >= 0.95


def test_the_probability_to_meet_a_budget_is_calibrated() -> None:
    """Of the cases that are told so many per cent, so many do meet it; budgets lie anywhere within 8% of the truth: a
    narrower span would tell by itself that a budget far from the estimate is nearer to the truth."""
    for percentile in (50, 90):
        generator = np.random.default_rng(12)
        told: list[float] = []
        met: list[bool] = []
        worst_of = {}
        for process in ISSUE:
            some = _simulate(process, generator, STUDIES, keep=True)
            assert some.latency is not None
            true = some.truth if percentile == 50 else np.full(STUDIES, process.true_p90(generator))
            if percentile == 90:
                true = true * process.drifted(some.rounds)
            budgets = true * np.exp(generator.uniform(-SPAN, SPAN, STUDIES))
            mine = []
            for study in range(STUDIES):
                blocks = list(some.latency[study, : some.rounds[study]])
                its = beliefs.of_median(blocks) if percentile == 50 else beliefs.of_percentile(blocks, 0.9)
                assert its is not None
                mine.append(its.probability_within(budgets[study]))
            told += mine
            met += (true <= budgets).tolist()
            worst_of[process.name] = _off(mine, (true <= budgets).tolist())
        off = _off(told, met)
        print(f"\nP(meets the budget), p{percentile}, {len(told)} candidates: off by at most {100 * off:.1f} points")
        for name, its_off in worst_of.items():
            print(f"  {name}: {100 * its_off:.1f}")


def _off(told: list[float], met: list[bool]) -> float:
    """The largest difference between told and true share, over tenths of what is told that hold 100 cases or more."""
    tenth = np.minimum((np.array(told) * 10).astype(int), 9)
    worst = 0.0
    for number in range(10):
        mine = tenth == number
        if mine.sum() >= 100:
            worst = max(worst, abs(float(np.array(told)[mine].mean()) - float(np.array(met)[mine].mean())))
    return worst
