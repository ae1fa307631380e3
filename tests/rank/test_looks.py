"""While measuring more, bounds hold at all looks together, not at each alone."""

from __future__ import annotations

import numpy as np
from rank_records import candidate, ranking_of, rounds_of

from edgeprof.rank import Evidence, choose, looked_at
from edgeprof.rank.looks import DOUBT, MANY_LOOKS
from edgeprof.records import Limits


def test_a_random_walk_stays_within_the_level_from_5_to_60_rounds() -> None:
    """The level is that of bounds of which 95% of all walks leave none; a single look's is left by far more."""
    from scipy import special

    steps = np.random.default_rng(0).standard_normal((20_000, 60))
    looks = np.abs(np.cumsum(steps, axis=1) / np.sqrt(np.arange(1, 61)))[:, 4:]
    left_often = (looks.max(axis=1) > special.ndtri(1 - DOUBT)).mean()
    assert 0.03 < left_often <= 0.05
    assert (looks.max(axis=1) > special.ndtri(0.975)).mean() > 0.2


def test_bounds_of_the_tail_are_wider_and_those_of_the_median_the_same() -> None:
    generator = np.random.default_rng(1)
    blocks = generator.lognormal(0, 0.1, (20, 200))
    known = Evidence(rounds={"a": tuple(rounds_of("a", blocks.tolist()))}, right={})
    once = candidate("a", median_ms=1.0, p90_ms=1.14, p90_low_ms=1.13, p90_high_ms=1.15, p99_ms=1.26, p99_high_ms=1.27)
    unknown = candidate("b", median_ms=1.0, p90_ms=1.14, p90_low_ms=1.13, p90_high_ms=1.15)
    (often, same) = looked_at(ranking_of(once, unknown), known).candidates
    assert often.p90_low_ms is not None
    assert often.p90_high_ms is not None
    true = float(np.exp(0.1 * 1.2816))
    assert often.p90_low_ms < true < often.p90_high_ms
    assert (often.median_ms, often.median_low_ms, often.median_high_ms) == (
        once.median_ms,
        once.median_low_ms,
        once.median_high_ms,
    )
    assert same == unknown
    from edgeprof.stats import tails

    single = tails.pooled_quantile(list(blocks), 0.9)
    assert single.high is not None
    assert often.p90_high_ms > single.high
    found = tails.p99(list(blocks))
    assert found.high is not None
    assert often.p99_high_ms is not None
    assert often.p99_high_ms >= found.high


def test_what_a_single_look_settles_may_stay_open_while_measuring_on() -> None:
    """A budget between the two upper bounds: chosen by `choose`, measured on by --measure-more."""
    from edgeprof.stats import tails

    blocks = np.random.default_rng(2).lognormal(0, 0.05, (12, 100))
    once, often = (tails.pooled_quantile(list(blocks), 0.9, level) for level in (0.95, MANY_LOOKS))
    assert once.high is not None
    assert often.high is not None
    budget = (once.high + often.high) / 2
    assert once.high < budget < often.high
    known = Evidence(rounds={"a": tuple(rounds_of("a", blocks.tolist()))}, right={})
    ranking = ranking_of(
        candidate("a", median_ms=1.0, p90_ms=once.value, p90_low_ms=once.low, p90_high_ms=once.high, top1=0.9)
    )
    limits = Limits(budget_ms=budget, percentile=90)
    assert choose(ranking, limits, known=known).undecided is None
    again = choose(looked_at(ranking, known), limits, known=known, doubt=DOUBT)
    assert again.undecided is not None
    assert again.undecided.jobs == ("a",)
