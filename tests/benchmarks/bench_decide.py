"""Ranks, probabilities and --measure-more, on simulated studies whose truth is known.

    pytest -m bench -s -o python_files="bench_*.py" tests/benchmarks/bench_decide.py

A study is 30 candidates on one device: base latencies drawn anew, from 1 to 4 ms, so that neighbours lie 5% apart on
average and many closer; each behaves as one of the seven processes of `simulated.ISSUE`. Rounds stop as in a run: at
least 9, at most 30, when the median's interval is within 1%.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from numpy.typing import ArrayLike, NDArray
from rank_records import candidate, ranking_of, rounds_of
from simulated import ISSUE, Process

from edgeprof.rank import DOUBT_AT_ALL_LOOKS, Evidence, choose, looked_at
from edgeprof.rank.bounds import Quantity, confidence, places
from edgeprof.records import Choice, Limits
from edgeprof.stats import beliefs, sequence, shape, tails
from edgeprof.stats.intervals import interval_of_median

pytestmark = pytest.mark.bench

STUDIES = 2000
CANDIDATES = 30
MIN_ROUNDS, MAX_ROUNDS, PRECISION = 9, 30, 0.01
SAMPLES = 100
SPAN = 5
BUDGETS = 20
"""Of each study."""
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
    """Of the cases that are told so many per cent, so many do meet it.

    Budgets lie evenly around the truth, `SPAN` standard deviations of the estimate to either side: a narrower span
    would tell by itself that a budget far from the estimate is nearer to the truth.
    """
    for percentile in (50, 90):
        generator = np.random.default_rng(12)
        told, met, trusted = [], [], []
        print(f"\nP(meets the budget), p{percentile}: told minus true, in points, by tenths of what is told")
        for process in ISSUE:
            some = _simulate(process, generator, STUDIES, keep=True)
            assert some.latency is not None
            true = some.truth
            if percentile == 90:
                true = process.true_p90(generator) * process.drifted(some.rounds)
            mine, true_ones, clean = [], [], []
            share = percentile / 100
            estimates = np.array([np.quantile(some.latency[i, :n], share) for i, n in enumerate(some.rounds)])
            spread = SPAN * np.log(estimates / true).std()
            for study in range(STUDIES):
                blocks = list(some.latency[study, : some.rounds[study]])
                its = beliefs.of_median(blocks) if percentile == 50 else beliefs.of_percentile(blocks, 0.9)
                assert its is not None
                offsets = generator.uniform(-spread, spread, BUDGETS)
                mine += [its.probability_within(true[study] * math.exp(offset)) for offset in offsets]
                true_ones += (offsets >= 0).tolist()
                clean += BUDGETS * [_trusted(blocks)]
            told.append(mine)
            met.append(true_ones)
            trusted.append(clean)
            print(f"  {process.name}: {_words(mine, met[-1])}; {np.mean(clean):.0%} trusted")
        print(f"  all: {_words(np.array(told).ravel(), np.array(met).ravel())}")
        keep = np.array(trusted).ravel()
        print(f"  all that are trusted: {_words(np.array(told).ravel()[keep], np.array(met).ravel()[keep])}")


def _trusted(blocks: list[Array]) -> bool:
    """By what can be seen of a simulation: `interval wide`, `bimodal`, `trend`."""
    its = interval_of_median([float(np.median(one)) for one in blocks])
    assert its.low is not None
    assert its.high is not None
    wide = (its.high - its.low) / 2 > PRECISION * its.value
    modes = [shape.modes_between(blocks), shape.modes_within(blocks)]
    return (
        not wide and abs(shape.trend(blocks) or 0.0) <= PRECISION and not any(one and one.gap > 0.01 for one in modes)
    )


def _words(told: ArrayLike, met: ArrayLike) -> str:
    """Told minus true share in each tenth of what is told that holds 1000 cases or more."""
    tenth = np.minimum((np.array(told) * 10).astype(int), 9)
    parts = []
    for number in range(10):
        mine = tenth == number
        if mine.sum() >= 1000:
            parts.append(f"{100 * (np.array(told)[mine].mean() - np.array(met)[mine].mean()):+.1f}")
    return " ".join(parts)


# --- --measure-more against as many rounds for all

FIRST_ROUNDS = 5
"""What a quick run leaves."""


class Spent(NamedTuple):
    """Of one study."""

    rounds: int
    """Beyond the first, of all candidates."""
    wrong: bool
    settled: bool


def _settle(levels: Array, truth: Array, top1: Array, budget: float, only_open: bool) -> Spent:
    """Measure until the choice is settled: what is in question, or all alike.

    Args:
        levels: [candidates, rounds] medians of each round in ms; top1, truth: [candidates].
    """
    count = np.full(len(levels), FIRST_ROUNDS)
    spent = 0
    while True:
        found = _choose(levels, count, top1, budget)
        if found.undecided is None:
            return Spent(spent, _wrong(found, truth, top1, budget), True)
        jobs = [int(job) for job in found.undecided.jobs] if only_open else range(len(levels))
        left = [job for job in jobs if count[job] < levels.shape[1]]
        if not left or not any(count[int(job)] < levels.shape[1] for job in found.undecided.jobs):
            return Spent(spent, _wrong(found, truth, top1, budget), False)
        count[left] += 1
        spent += len(left)


def _choose(levels: Array, count: NDArray[np.int64], top1: Array, budget: float) -> Choice:
    rounds, candidates = {}, []
    for job, (row, n) in enumerate(zip(levels, count, strict=True)):
        its = interval_of_median(row[:n].tolist())
        rounds[str(job)] = tuple(rounds_of(str(job), [[ms] for ms in row[:n]]))
        bounds = {"median_low_ms": its.low, "median_high_ms": its.high}
        candidates.append(candidate(str(job), top1=float(top1[job]), median_ms=its.value, **bounds))
    limits = Limits(budget_ms=budget, percentile=50)
    return choose(ranking_of(*candidates), limits, known=Evidence(rounds=rounds, right={}))


def _wrong(found: Choice, truth: Array, top1: Array, budget: float) -> bool:
    """Chosen though it does not meet the budget, or another would have been better."""
    meets = truth <= budget
    best = max((top1[job] for job in range(len(truth)) if meets[job]), default=None)
    if found.chosen is None:
        return best is not None
    job = int(found.chosen.job)
    return not meets[job] or top1[job] != best


def _report(name: str, pairs: list[tuple[Spent, Spent]]) -> None:
    open_ones = [pair for pair in pairs if pair[1].rounds]
    totals = [sum(pair[side].rounds for pair in open_ones) for side in (0, 1)]
    wrong = [float(np.mean([pair[side].wrong for pair in pairs])) for side in (0, 1)]
    settled = [float(np.mean([pair[side].settled for pair in pairs])) for side in (0, 1)]
    print(
        f"\n{name}: {len(pairs)} studies, {len(open_ones)} open after the first {FIRST_ROUNDS} rounds; further rounds"
        f" {totals[0]} against {totals[1]} for all alike ({totals[0] / max(totals[1], 1):.1%}); wrong {wrong[0]:.1%}"
        f" against {wrong[1]:.1%}; settled {settled[0]:.1%} against {settled[1]:.1%}"
    )
    assert totals[0] <= totals[1] / 3
    assert wrong[0] <= wrong[1] + 0.02


def test_measuring_what_is_in_question_takes_a_third_of_measuring_all() -> None:
    generator = np.random.default_rng(13)
    studies, candidates = 300, 12
    pairs = []
    for _ in range(studies):
        base = np.exp(generator.uniform(0, math.log(4), candidates))
        top1 = generator.permutation(np.linspace(0.8, 0.95, candidates))
        levels = np.empty((candidates, sequence.HORIZON))
        truth = np.empty(candidates)
        for job in range(candidates):
            process = ISSUE[generator.integers(len(ISSUE))]
            latency, _ = process.sessions(generator, 1, sequence.HORIZON, SAMPLES)
            levels[job] = base[job] * np.median(latency[0], axis=-1)
            truth[job] = base[job] * process.truth() * float(process.drifted(FIRST_ROUNDS))
        # Where nothing is near the budget nothing is in question, so it is put near one of them.
        budget = float(truth[generator.integers(candidates)] * np.exp(generator.normal(0, 0.01)))
        pairs.append((_settle(levels, truth, top1, budget, True), _settle(levels, truth, top1, budget, False)))
    _report("simulated", pairs)


def test_the_same_on_recorded_rounds_of_this_machine() -> None:
    """Each candidate has the 60 rounds of a recorded cell, scaled, from any of them on; its truth is their median."""
    recorded = json.loads((Path(__file__).parent / "traces" / "gate-busy.json").read_text(encoding="utf-8"))
    sides = [one[side]["p50"] for one in recorded["sessions"] for side in ("before", "now")]
    traces = [np.array(one, dtype=np.float64) for one in sides]
    traces = [one[: sequence.HORIZON] / np.median(one[: sequence.HORIZON]) for one in traces]
    generator = np.random.default_rng(14)
    studies, candidates = 200, 12
    pairs = []
    for _ in range(studies):
        truth = np.exp(generator.uniform(0, math.log(4), candidates))
        top1 = generator.permutation(np.linspace(0.8, 0.95, candidates))
        mine = [traces[generator.integers(len(traces))] for _ in range(candidates)]
        levels = np.stack(
            [base * np.roll(one, generator.integers(len(one))) for base, one in zip(truth, mine, strict=True)]
        )
        budget = float(truth[generator.integers(candidates)] * np.exp(generator.normal(0, 0.03)))
        pairs.append((_settle(levels, truth, top1, budget, True), _settle(levels, truth, top1, budget, False)))
    _report("recorded", pairs)


# --- --measure-more on a tail, which is looked at again and again


def test_looking_again_at_a_tail_errs_as_often_as_it_says() -> None:
    """One candidate whose p90 just misses the budget: to choose it is wrong, however little it misses by."""
    studies, least, most = 100, MIN_ROUNDS, sequence.HORIZON
    print("\np90 on the budget: chosen in the end, at a level for one look, at that for many; still open then")
    for number, process in enumerate(ISSUE):
        generator = np.random.default_rng([15, number])
        truth = process.true_p90(generator) * float(process.drifted(np.array([least]))[0])
        limits = Limits(budget_ms=0.9999 * truth, percentile=90)
        ends = []
        for _ in range(studies):
            latency, _ = process.sessions(generator, 1, most, SAMPLES)
            ends.append([_looked_on(latency[0], limits, level, least, most) for level in (False, True)])
        shares = [float(np.mean([one[level] == "chosen" for one in ends])) for level in (0, 1)]
        still = float(np.mean([one[1] == "open" for one in ends]))
        print(f"  {process.name}: {shares[0]:.0%}, {shares[1]:.0%}; {still:.0%}")


def _looked_on(blocks: Array, limits: Limits, many: bool, least: int, most: int) -> str:
    """Two more rounds until nothing is open: "chosen", "not", or "open" when there are no more."""
    for rounds in range(least, most + 1, 2):
        mine = list(blocks[:rounds])
        its = interval_of_median([float(np.median(one)) for one in mine])
        tail = tails.pooled_quantile(mine, 0.9)
        bounds = {
            "median_low_ms": its.low,
            "median_high_ms": its.high,
            "p90_low_ms": tail.low,
            "p90_high_ms": tail.high,
        }
        ranking = ranking_of(candidate("a", top1=0.9, median_ms=its.value, p90_ms=tail.value, **bounds))
        known = Evidence(rounds={"a": tuple(rounds_of("a", mine))}, right={})
        if many and rounds > least:
            found = choose(looked_at(ranking, known), limits, known=known, doubt=DOUBT_AT_ALL_LOOKS)
        else:
            found = choose(ranking, limits, known=known)
        if found.undecided is None:
            return "not" if found.chosen is None else "chosen"
    return "open"
