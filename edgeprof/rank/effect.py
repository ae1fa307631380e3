"""Initialisation as an arm of the experiment: what it brings, model by model, and what it does to their order.

Top-1 of the checkpoints on the same test images; which image is right under which seed is all that is looked at.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from edgeprof.rank.bounds import confidence
from edgeprof.rank.budgets import budgets
from edgeprof.records import Arm, BudgetChoice, Effect, Interval, ModelEffect, Placed, Ranking, SeedEffect, Swap
from edgeprof.records.effect import Sources
from edgeprof.stats import accuracy, crossed
from edgeprof.stats.intervals import wilson

REFERENCE = "scratch"
"""Every other initialisation is told against this one."""

Right = NDArray[np.bool_]


@dataclass(frozen=True)
class Checkpoint:
    """Which of the test images a checkpoint has right, `right` [N]; all of an effect on the same images."""

    model: str
    init: str
    seed: int
    right: Right


_Seeds = Mapping[int, Right]
_Cells = dict[tuple[str, str], dict[int, Right]]
"""By model and initialisation."""


def effect(
    checkpoints: Sequence[Checkpoint],
    *,
    training: str | None = None,
    ranking: Ranking | None = None,
    budget_ms: float | None = None,
    missing: Sequence[str] = (),
) -> Effect:
    """What each initialisation brings against `scratch`, the order of the models under each, and which pairs swap.

    Args:
        checkpoints: of one training; of the same model, initialisation and seed the last one counts.
        ranking: latencies of their files; without it there are no budgets.
        budget_ms: the one to choose for; None: all budgets at which another model is chosen.
        missing: what is not among the checkpoints, told first.
    """
    cells: _Cells = {}
    for one in checkpoints:
        cells.setdefault((one.model, one.init), {})[one.seed] = one.right
    models = list(dict.fromkeys(model for model, _ in cells))
    inits = list(dict.fromkeys(init for _, init in cells))
    others = [init for init in inits if init != REFERENCE]
    left = list(missing)
    if not others or REFERENCE not in inits:
        what = "another initialisation" if not others else f"one from {REFERENCE}"
        left.append(f"there is no checkpoint of {what}: nothing to compare with")
        others = []
    effects = []
    for init in others:
        for model in models:
            found = _model_effect(cells, model, init, left)
            effects += [] if found is None else [found]
    choices: list[BudgetChoice] = []
    for init in others if ranking else ():
        assert ranking is not None
        found_choices = budgets(ranking, init, REFERENCE, budget_ms)
        choices += found_choices
        if not found_choices:
            left.append(f"run {ranking.run} has no trusted files of both {init} and {REFERENCE}: no budgets")
        elif not found_choices[0].trusted:
            left.append(
                f"run {ranking.run} has no trusted files of both {init} and {REFERENCE}: the budgets rest on latencies"
                " that are not trusted; measure again on a quieter device, or ask for less (--precision 10%)"
            )
    return Effect(
        training=training,
        run=None if ranking is None else ranking.run,
        models=tuple(effects),
        arms=tuple(_arm(cells, init) for init in [*others, *(one for one in inits if one not in others)]),
        swaps=tuple(swap for init in others for swap in _swaps(cells, models, init)),
        budget_ms=budget_ms,
        budgets=tuple(choices),
        missing=tuple(left),
    )


def _model_effect(cells: _Cells, model: str, init: str, missing: list[str]) -> ModelEffect | None:
    ours, theirs = cells.get((model, init), {}), cells.get((model, REFERENCE), {})
    seeds = sorted(ours.keys() & theirs.keys())
    for name, some in ((init, ours), (REFERENCE, theirs)):
        if not some:
            missing.append(f"{model}: there is no checkpoint of {name}")
        elif len(some) > len(seeds) and ours and theirs:
            alone = ", ".join(str(seed) for seed in sorted(some.keys() - set(seeds)))
            missing.append(f"{model}: only {name} has a checkpoint of seed {alone}")
    if not seeds:
        return None
    difference, sources = _difference(ours, theirs, seeds)
    by_seed = [accuracy.paired(ours[seed], theirs[seed]) for seed in seeds]
    return ModelEffect(
        model=model,
        init=init,
        against=REFERENCE,
        images=by_seed[0].images,
        top1=_mean(ours, seeds),
        against_top1=_mean(theirs, seeds),
        difference=difference.both.value,
        difference_low=difference.both.low,
        difference_high=difference.both.high,
        sources=sources,
        images_low=difference.images.low,
        images_high=difference.images.high,
        seeds=tuple(
            SeedEffect(
                seed=seed,
                difference=one.difference.value,
                difference_low=one.difference.low,
                difference_high=one.difference.high,
                p=one.p,
            )
            for seed, one in zip(seeds, by_seed, strict=True)
        ),
        seeds_sd=difference.seeds_sd,
    )


def _mean(by_seed: _Seeds, seeds: Sequence[int]) -> float:
    return float(np.mean([by_seed[seed].mean() for seed in seeds]))


def _stack(by_seed: _Seeds, seeds: Sequence[int]) -> NDArray[np.int8]:
    """[S, N]"""
    return np.stack([by_seed[seed] for seed in seeds]).astype(np.int8)


def _difference(one: _Seeds, other: _Seeds, seeds: Sequence[int], level: float = 0.95) -> tuple[crossed.Mean, Sources]:
    found = crossed.mean(_stack(one, seeds) - _stack(other, seeds), level)
    if len(seeds) > 1:
        return found, "images and seeds"
    # A single pair has the better interval of its own.
    alone = accuracy.paired(one[seeds[0]], other[seeds[0]], level).difference
    return crossed.Mean(both=alone, images=alone, by_seed=found.by_seed, seeds_sd=None, seeds=1), "images"


# --- the order under one initialisation


def _arm(cells: _Cells, init: str) -> Arm:
    mine = {model: by_seed for (model, its), by_seed in cells.items() if its == init}
    level = confidence(len(mine) * (len(mine) - 1) // 2)
    better: dict[str, int] = dict.fromkeys(mine, 0)
    worse = dict(better)
    for one, other in combinations(mine, 2):
        seeds = sorted(mine[one].keys() & mine[other].keys())
        if not seeds:
            continue
        between = _difference(mine[one], mine[other], seeds, level)[0].both
        if (sign := _sign(between)) != 0:
            ahead, behind = (one, other) if sign > 0 else (other, one)
            worse[ahead] += 1
            better[behind] += 1
    placed = [_placed(model, by_seed, better[model], len(mine) - worse[model]) for model, by_seed in mine.items()]
    return Arm(init=init, models=tuple(sorted(placed, key=lambda one: (-one.top1, one.model))))


def _placed(model: str, by_seed: _Seeds, better: int, last: int) -> Placed:
    seeds = sorted(by_seed)
    found = crossed.mean(_stack(by_seed, seeds), limits=(0.0, 1.0))
    images = len(by_seed[seeds[0]])
    share = found.both if len(seeds) > 1 else wilson(found.both.value * images, images)
    return Placed(
        model=model,
        top1=share.value,
        top1_low=share.low,
        top1_high=share.high,
        sources="images and seeds" if len(seeds) > 1 else "images",
        images=images,
        seeds=tuple(seeds),
        seeds_sd=found.seeds_sd,
        place_low=1 + better,
        place_high=last,
    )


def _sign(interval: Interval) -> int:
    """1 or -1 where the interval excludes zero, else 0."""
    if interval.low is not None and interval.low > 0:
        return 1
    return -1 if interval.high is not None and interval.high < 0 else 0


# --- pairs that swap


def _swaps(cells: _Cells, models: Sequence[str], init: str) -> Iterator[Swap]:
    """Pairs, with all four cells under a common seed, of which another one is ahead under `init` than under scratch."""
    both = [model for model in models if (model, init) in cells and (model, REFERENCE) in cells]
    level = confidence(len(both) * (len(both) - 1) // 2)
    for pair in combinations(both, 2):
        ours, theirs = ([cells[model, its] for model in pair] for its in (init, REFERENCE))
        seeds = sorted(set.intersection(*(set(by_seed) for by_seed in (*ours, *theirs))))
        if not seeds:
            continue
        here, there = (_difference(one, other, seeds, level)[0].both for one, other in (ours, theirs))
        if here.value * there.value >= 0:
            continue
        first, second = pair
        if here.value < 0:
            first, second, here, there = second, first, _negative(here), _negative(there)
            ours, theirs = ours[::-1], theirs[::-1]
        tables = [_stack(one, seeds) - _stack(other, seeds) for one, other in (ours, theirs)]
        interaction = crossed.mean(tables[0] - tables[1], level, limits=(-2.0, 2.0)).both
        yield Swap(
            first=first,
            second=second,
            init=init,
            against=REFERENCE,
            under_init=here,
            under_against=there,
            interaction=interaction,
            beyond_noise=_sign(interaction) != 0,
            sure=_sign(here) > 0 > _sign(there),
        )


def _negative(one: Interval) -> Interval:
    return Interval(
        value=-one.value, low=None if one.high is None else -one.high, high=None if one.low is None else -one.low
    )
