"""The effect of the initialisation: pairs by seed and image, order, swaps, and what would be chosen."""

from __future__ import annotations

import zlib
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rank_records import candidate, ranking_of

from edgeprof.rank import Checkpoint, budgets, choose, effect
from edgeprof.records import Candidate, ModelEffect, Ranking
from edgeprof.stats import accuracy

IMAGES = 400
A, B = "pretrained", "scratch"


def checkpoint(model: str, init: str, seed: int, share: float) -> Checkpoint:
    """Right on about `share`; the hard images are the same for all."""
    rng = np.random.default_rng(zlib.crc32(f"{model} {init} {seed}".encode()))
    difficulty = 0.7 * np.random.default_rng(5).random(IMAGES) + 0.3 * rng.random(IMAGES)
    return Checkpoint(model=model, init=init, seed=seed, right=difficulty <= np.quantile(difficulty, share))


def grid(shares: dict[str, tuple[float, float]], seeds: int = 3) -> list[Checkpoint]:
    """Each model with its share under A and under B; seeds differ by a point."""
    return [
        checkpoint(model, init, seed, share - 0.005 * seed)
        for model, pair in shares.items()
        for init, share in zip((A, B), pair, strict=True)
        for seed in range(seeds)
    ]


def test_the_difference_is_the_mean_over_seeds_of_pairs_on_the_same_images() -> None:
    cells = grid({"one": (0.9, 0.7)})
    (found,) = effect(cells, training="t").models
    pairs = [accuracy.paired(cells[seed].right, cells[seed + 3].right) for seed in range(3)]
    assert [one.difference for one in found.seeds] == [one.difference.value for one in pairs]
    assert [one.p for one in found.seeds] == [one.p for one in pairs]
    assert found.difference == pytest.approx(np.mean([one.difference.value for one in pairs]))
    assert found.difference == pytest.approx(found.top1 - found.against_top1)
    assert (found.model, found.init, found.against, found.images) == ("one", A, B, IMAGES)
    assert found.sources == "images and seeds"
    assert found.difference_low is not None
    assert found.images_low is not None
    assert 0 < found.difference_low <= found.images_low < found.difference


def test_with_one_seed_the_interval_is_tangos_and_says_that_it_is_of_images_alone() -> None:
    cells = grid({"one": (0.9, 0.7)}, seeds=1)
    (found,) = effect(cells).models
    pair = accuracy.paired(cells[0].right, cells[1].right).difference
    assert (found.sources, found.seeds_sd) == ("images", None)
    assert (found.difference_low, found.difference_high) == (pair.low, pair.high)
    assert (found.images_low, found.images_high) == (pair.low, pair.high)


def test_only_seeds_that_both_have_are_paired_and_the_others_are_told() -> None:
    cells = [*grid({"one": (0.9, 0.7)}), checkpoint("one", B, 7, 0.1), checkpoint("two", A, 0, 0.9)]
    cells.append(checkpoint("three", B, 1, 0.9))
    cells.append(checkpoint("three", A, 2, 0.9))
    found = effect(cells, missing=["said before"])
    assert [one.model for one in found.models] == ["one"]
    assert len(found.models[0].seeds) == 3
    assert found.missing == (
        "said before",
        "one: only scratch has a checkpoint of seed 7",
        "two: there is no checkpoint of scratch",
        "three: only pretrained has a checkpoint of seed 2",
        "three: only scratch has a checkpoint of seed 1",
    )


@pytest.mark.parametrize(("init", "word"), [(B, "another initialisation"), (A, "one from scratch")])
def test_a_single_arm_has_an_order_and_no_effect(init: str, word: str) -> None:
    found = effect([checkpoint("one", init, 0, 0.9), checkpoint("two", init, 0, 0.5)])
    assert (found.models, found.swaps) == ((), ())
    assert [(one.model, one.place_low, one.place_high) for one in found.arms[0].models] == [
        ("one", 1, 1),
        ("two", 2, 2),
    ]
    assert word in found.missing[0]


def test_every_other_initialisation_is_told_against_scratch() -> None:
    cells = [checkpoint("one", init, 0, share) for init, share in (("file:w", 0.8), (B, 0.7), (A, 0.9))]
    found = effect(cells)
    assert [(one.init, one.against) for one in found.models] == [("file:w", B), (A, B)]
    assert [arm.init for arm in found.arms] == ["file:w", A, B]


def test_a_swap_that_is_sure_and_one_within_noise() -> None:
    found = effect(grid({"one": (0.95, 0.5), "two": (0.8, 0.9), "three": (0.805, 0.9001)}))
    (sure,) = [one for one in found.swaps if {one.first, one.second} == {"one", "two"}]
    assert (sure.first, sure.second, sure.init, sure.against) == ("one", "two", A, B)
    assert sure.beyond_noise
    assert sure.sure
    assert sure.interaction.value == pytest.approx(sure.under_init.value - sure.under_against.value)
    assert sure.under_init.value > 0 > sure.under_against.value
    order = [[(one.model, one.place_low, one.place_high) for one in arm.models] for arm in found.arms]
    assert order[0] == [("one", 1, 1), ("three", 2, 3), ("two", 2, 3)]
    assert order[1][2] == ("one", 3, 3)
    small = effect(grid({"one": (0.81, 0.80), "two": (0.80, 0.81)})).swaps
    assert [(one.beyond_noise, one.sure) for one in small] == [(False, False)]


@given(st.lists(st.floats(0.3, 0.98), min_size=4, max_size=4), st.integers(1, 3), st.randoms(use_true_random=False))
@settings(max_examples=25, deadline=None)
def test_neither_the_order_of_checkpoints_nor_that_of_images_matters(
    shares: list[float], seeds: int, random: Any
) -> None:
    cells = grid({"one": (shares[0], shares[1]), "two": (shares[2], shares[3])}, seeds)
    order = np.random.default_rng(0).permutation(IMAGES)
    other = [Checkpoint(model=c.model, init=c.init, seed=c.seed, right=c.right[order]) for c in cells]
    random.shuffle(other)

    def key(found: Any) -> list[tuple[str, list[float]]]:
        rows: list[ModelEffect] = sorted(found.models, key=lambda one: one.model)
        return [(one.model, [one.difference, one.difference_low or 0, one.difference_high or 0]) for one in rows]

    for (name, one), (same, two) in zip(key(effect(cells)), key(effect(other)), strict=True):
        assert name == same
        assert one == pytest.approx(two)


# --- budgets


def files(init: str, rows: dict[str, tuple[float, float]], seeds: int = 2) -> list[Candidate]:
    """By model: top-1 and the upper bound of p90, a little apart from seed to seed."""
    return [
        candidate(
            f"{init}-{model}-{seed}",
            model=model,
            init=init,
            seed=seed,
            top1=top1 + 0.01 * seed,
            p90_high_ms=high + 0.001 * seed,
        )
        for model, (top1, high) in rows.items()
        for seed in range(seeds)
    ]


def ranking() -> Ranking:
    ours = files(A, {"small": (0.80, 1.0), "large": (0.95, 5.0)})
    theirs = files(B, {"small": (0.70, 1.0), "large": (0.60, 5.0), "medium": (0.75, 3.0)})
    return ranking_of(*ours, *theirs)


def test_the_budgets_at_which_another_model_is_chosen() -> None:
    found = budgets(ranking(), A, B)
    shown = [
        (one.from_ms, one.below_ms, one.chosen and one.chosen.model, one.against_chosen and one.against_chosen.model)
        for one in found
    ]
    assert shown == [
        (1.001, 3.001, "small", "small"),
        (3.001, 5.001, "small", "medium"),
        (5.001, None, "large", "medium"),
    ]
    assert [one.changes for one in found] == [False, True, True]
    assert found[0].chosen is not None
    assert found[0].chosen.top1 == pytest.approx(0.805), "the mean of the seeds, not the luckiest"


@given(st.data())
@settings(max_examples=60, deadline=None)
def test_at_every_budget_it_is_what_choose_takes(data: st.DataObject) -> None:
    """Of the same candidates, one by one: the sweep and the choice may not differ."""
    rows = st.dictionaries(
        st.sampled_from("abcd"),
        st.tuples(st.sampled_from([0.5, 0.6, 0.7]), st.sampled_from([1.0, 2.0, 4.0])),
        min_size=1,
    )
    some = ranking_of(*files(A, data.draw(rows), 1), *files(B, data.draw(rows), 1))
    budget = data.draw(st.floats(0.5, 5))
    found = [one for one in budgets(some, A, B) if one.from_ms <= budget < (one.below_ms or np.inf)]
    for init, mine in ((A, [one.chosen for one in found]), (B, [one.against_chosen for one in found])):
        alone = msgspec.structs.replace(some, candidates=tuple(one for one in some.candidates if one.init == init))
        chosen = choose(alone, budget).chosen
        assert [one.model if one else None for one in mine] in ([], [chosen.model if chosen else None])
    (asked,) = budgets(some, A, B, budget)
    assert bool(found) == bool(asked.chosen or asked.against_chosen)


def test_one_budget_and_none_that_is_met() -> None:
    (found,) = budgets(ranking(), A, B, 4.0)
    assert found.chosen is not None
    assert found.against_chosen is not None
    assert (found.chosen.model, found.against_chosen.model, found.changes) == ("small", "medium", True)
    (nothing,) = budgets(ranking(), A, B, 0.1)
    assert (nothing.chosen, nothing.against_chosen, nothing.changes) == (None, None, False)


def test_what_is_not_trusted_is_not_chosen_and_an_arm_without_files_gives_no_budget() -> None:
    doubtful = [msgspec.structs.replace(one, trusted=False) for one in files(A, {"small": (0.99, 1.0)})]
    some = ranking_of(*doubtful, *files(B, {"small": (0.7, 1.0)}))
    assert budgets(some, A, B) == []
    found = effect(grid({"small": (0.9, 0.7)}), ranking=some)
    assert found.run == "r1"
    assert "no trusted files of both pretrained and scratch" in found.missing[-1]


def test_where_the_device_was_restless_for_all_the_budgets_say_that_they_are_not_trusted() -> None:
    """What a restless device speaks against still tells a millisecond from ten; a file that fell back does not."""

    def doubted(init: str, files_of: dict[str, tuple[float, float]], reason: str) -> list[Candidate]:
        return [msgspec.structs.replace(one, trusted=False, reasons=(reason,)) for one in files(init, files_of)]

    some = ranking_of(*doubted(A, {"small": (0.9, 1.0)}, "interval wide"), *files(B, {"small": (0.7, 1.0)}))
    (found,) = budgets(some, A, B)
    assert not found.trusted
    told = effect(grid({"small": (0.9, 0.7)}), ranking=some)
    assert "rest on latencies that are not trusted" in told.missing[-1]
    lasting = ranking_of(*doubted(A, {"small": (0.9, 1.0)}, "provider fell back"), *files(B, {"small": (0.7, 1.0)}))
    assert budgets(lasting, A, B) == []


def test_the_noise_of_a_measurement_is_no_change() -> None:
    """The same model, fast enough half a percent earlier under one of the two."""
    some = ranking_of(*files(A, {"small": (0.9, 1.0)}, 1), *files(B, {"small": (0.7, 1.005)}, 1))
    (found,) = budgets(some, A, B)
    assert (found.from_ms, found.below_ms, found.changes) == (1.005, None, False)
