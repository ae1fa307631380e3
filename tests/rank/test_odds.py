"""The probabilities beside a choice, and what is told where the data are too thin to choose."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rank_records import RUN, artifact, measurement, ranking_of, rounds_of
from rank_records import candidate as whole

from edgeprof.errors import UsageError
from edgeprof.rank import choose, evidence, ranking
from edgeprof.rank.evidence import Evidence, accuracies
from edgeprof.records import Candidate, Choice, Limits, Measurement, Ranking


def blocks(center: float, spread: float, rounds: int = 9, samples: int = 40, seed: int = 0) -> list[list[float]]:
    """Milliseconds: rounds that differ by `spread` (a share), with little noise within."""
    generator = np.random.default_rng(seed)
    level = center * np.exp(spread * generator.standard_normal(rounds))
    found: list[list[float]] = (level[:, None] * np.exp(0.01 * generator.standard_normal((rounds, samples)))).tolist()
    return found


def study(*cells: tuple[str, list[list[float]], float], images: int = 450) -> tuple[Ranking, Evidence]:
    """Job, samples and top-1 of each candidate."""
    measured = [measurement(job, samples) for job, samples, _ in cells]
    files = [artifact(f"sha-{job}", top1) for job, _, top1 in cells]
    return ranking(RUN, measured, files, []), evidence(measured, {})


def chosen(choice: Choice) -> str | None:
    return None if choice.chosen is None else choice.chosen.job


def test_a_clear_choice_is_sure_of_its_budget_and_has_nothing_open() -> None:
    ranked, known = study(("fast", blocks(1, 0.005), 0.9), ("good", blocks(2, 0.005), 0.99))
    found = choose(ranked, 5.0, known=known)
    assert chosen(found) == "good"
    assert found.undecided is None
    assert found.chosen_odds is not None
    assert found.chosen_odds.budget is not None
    assert found.chosen_odds.budget > 0.99
    assert found.chosen_odds.best is not None
    assert found.chosen_odds.best > 0.99
    assert found.runner_up_odds is not None
    assert found.runner_up_odds.best is not None
    assert found.chosen_odds.best + found.runner_up_odds.best == pytest.approx(1)


def test_a_better_one_that_may_meet_the_budget_leaves_the_choice_open() -> None:
    ranked, known = study(("fast", blocks(1, 0.01), 0.9), ("good", blocks(4.98, 0.02), 0.99))
    found = choose(ranked, 5.0, percentile=50, known=known)
    assert chosen(found) == "fast"
    assert found.undecided is not None
    assert found.undecided.jobs == found.undecided.rivals == ("good",)
    assert "Undecided between model-fast" in found.undecided.reason
    assert "model-good" in found.undecided.reason
    miss = next(one for one in found.rejected if one.job == "good")
    assert miss.limits == ("latency",)
    assert miss.budget_probability is not None
    assert 0.025 < miss.budget_probability < 0.975


def test_one_that_surely_misses_the_budget_leaves_nothing_open() -> None:
    ranked, known = study(("fast", blocks(1, 0.01), 0.9), ("good", blocks(7, 0.01), 0.99))
    found = choose(ranked, 5.0, known=known)
    assert (chosen(found), found.undecided) == ("fast", None)


def test_a_less_accurate_one_never_leaves_the_choice_open() -> None:
    ranked, known = study(("fast", blocks(1, 0.01), 0.99), ("poor", blocks(4.98, 0.02), 0.9))
    found = choose(ranked, 5.0, percentile=50, known=known)
    assert (chosen(found), found.undecided) == ("fast", None)


def test_where_none_is_sure_it_is_open_whether_any_meets_the_budget() -> None:
    ranked, known = study(("near", blocks(4.98, 0.02), 0.9))
    found = choose(ranked, 5.0, percentile=50, known=known)
    assert found.chosen is None
    assert found.undecided is not None
    assert "Undecided whether model-near" in found.undecided.reason
    assert found.undecided.seconds_more is None or found.undecided.seconds_more > 0


def test_what_only_more_rounds_can_bring_to_trust_is_open_and_what_they_cannot_is_not() -> None:
    for reason, is_open in (("interval wide", True), ("throttled", False), ("outputs differ", False)):
        cells: list[Measurement] = [
            measurement("fast", blocks(1, 0.005)),
            measurement("good", blocks(2, 0.005), trusted=False, reasons=(reason,)),
        ]
        ranked = ranking(RUN, cells, [artifact("sha-fast", 0.9), artifact("sha-good", 0.99)], [])
        found = choose(ranked, 5.0, known=evidence(cells, {}))
        assert chosen(found) == "fast"
        assert (found.undecided is not None) is is_open, reason


def test_the_fastest_is_chosen_for_throughput_and_near_equals_are_no_question() -> None:
    limits = Limits(maximize="throughput")
    ranked, known = study(("fast", blocks(1, 0.001), 0.5), ("slow", blocks(2, 0.001), 0.99))
    assert chosen(choose(ranked, limits, known=known)) == "fast"
    ranked, known = study(("a", blocks(1, 0.001), 0.5), ("b", blocks(1.005, 0.001, seed=1), 0.99))
    assert choose(ranked, limits, known=known).undecided is None
    ranked, known = study(("a", blocks(1, 0.2, rounds=4), 0.5), ("b", blocks(1.1, 0.2, rounds=4, seed=1), 0.99))
    found = choose(ranked, limits, known=known)
    assert found.undecided is not None
    assert set(found.undecided.jobs) == {"a", "b"}


def test_files_without_an_accuracy_are_chosen_for_throughput_alone() -> None:
    ready = ranking_of(whole("ready", top1=None, test_images=None))
    fastest = choose(ready, Limits(maximize="throughput"))
    assert chosen(fastest) == "ready"
    assert "candidate: median " in fastest.reason  # what it was chosen by, and not p90
    assert "--maximize throughput" in choose(ready, Limits(budget_ms=1e6)).reason
    found = choose(ready, Limits(maximize="throughput", min_top1=0.5))
    assert found.rejected[0].limits == ("top1",)
    assert found.rejected[0].reason == "accuracy unknown"


@pytest.mark.parametrize(
    ("limits", "kinds", "words"),
    [
        (Limits(min_top1=0.95), ("top1",), "top-1 of 90.0% is under 95.0%"),
        (Limits(max_size_bytes=999), ("size",), "its file of 1 kB is over 0.999 kB"),
        (Limits(max_memory_bytes=1), ("memory",), "its memory of 2 MB is over 0.001 kB"),
        (Limits(budget_ms=1.0, percentile=50), ("latency",), "median up to 1.10 ms is over 1 ms"),
        (Limits(budget_ms=9.0, percentile=99), ("latency",), "no 99th percentile: 100 effective samples"),
    ],
)
def test_each_limit_names_itself_where_it_rejects(limits: Limits, kinds: tuple[str, ...], words: str) -> None:
    found = choose(ranking_of(whole("a", peak_rss_bytes=2_000_000)), limits)
    assert found.chosen is None
    assert found.rejected[0].limits == kinds
    assert words in found.rejected[0].reason
    assert words in found.reason


def test_memory_that_was_not_measured_does_not_pass() -> None:
    found = choose(ranking_of(whole("a", peak_rss_bytes=None)), Limits(max_memory_bytes=10**9))
    assert found.chosen is None
    assert "memory was not measured" in found.reason


def test_no_limit_at_all_is_refused() -> None:
    with pytest.raises(UsageError, match="nothing to choose by"):
        choose(ranking_of(), Limits())


def test_files_that_err_on_the_same_images_stay_as_close_as_they_are() -> None:
    """Drawn apart, two files of 90% on 100 images would differ by some 4%; these differ by one image."""
    one = np.arange(100) >= 10
    other = one.copy()
    other[10] = False
    candidates = [whole("a", top1=0.90, test_images=100), whole("b", top1=0.89, test_images=100)]
    drawn = accuracies(candidates, Evidence(rounds={}, right={"sha-a": one, "sha-b": other}))
    assert (drawn[0] >= drawn[1]).all()
    assert np.std(drawn[0] - drawn[1]) < 0.02
    assert np.std(drawn[0]) == pytest.approx(0.03, abs=0.005)


def test_the_pareto_probability_says_what_the_mark_cannot() -> None:
    ranked, _ = study(
        ("fast", blocks(1, 0.005), 0.80), ("good", blocks(2, 0.005), 0.99), ("bad", blocks(3, 0.005), 0.5)
    )
    found = {one.job: one.pareto_probability for one in ranked.candidates}
    assert found["fast"] is not None
    assert found["fast"] > 0.99
    assert found["good"] is not None
    assert found["good"] > 0.99
    assert found["bad"] == 0
    ranked, _ = study(("a", blocks(1, 0.02), 0.9), ("b", blocks(1.001, 0.02, seed=3), 0.9))
    close = [one.pareto_probability for one in ranked.candidates]
    assert all(one is not None and 0.3 < one < 1 for one in close)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.floats(0.5, 8), st.sampled_from([0.5, 0.9, 0.99])), min_size=1, max_size=6), st.data())
def test_the_odds_to_be_best_are_shares_and_their_order_of_input_does_not_matter(
    cells: list[tuple[float, float]], data: st.DataObject
) -> None:
    ranked, known = study(*[(str(n), blocks(center, 0.05, seed=n), top1) for n, (center, top1) in enumerate(cells)])
    first = choose(ranked, 5.0, known=known)
    shuffled: Sequence[Candidate] = data.draw(st.permutations(ranked.candidates))
    again = choose(msgspec.structs.replace(ranked, candidates=tuple(shuffled)), 5.0, known=known)
    assert (first.chosen, first.chosen_odds, first.reason) == (again.chosen, again.chosen_odds, again.reason)
    for odds in (first.chosen_odds, first.runner_up_odds):
        assert odds is None or odds.best is None or 0 <= odds.best <= 1
    if first.chosen_odds and first.chosen_odds.budget is not None:
        assert first.chosen_odds.budget >= 0.5


def test_rounds_of_zero_nanoseconds_give_no_odds_and_no_fault() -> None:
    ranked = ranking_of(whole("a"))
    known = Evidence(rounds={"a": tuple(rounds_of("a", [[0.0, 1.0]] * 5))}, right={})
    found = choose(ranked, 5.0, known=known)
    assert chosen(found) == "a"
    assert found.chosen_odds is not None
    assert found.chosen_odds.budget is None
