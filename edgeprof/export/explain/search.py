"""Look for the way of preparing images on which a file does what its checkpoint does."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np

from edgeprof.export.explain.agreement import distance
from edgeprof.export.explain.outputs import softmax
from edgeprof.export.explain.prepare import Floats, Hypothesis, Way, pairs, singles
from edgeprof.export.explain.subject import Runner, Sample

FEW = 12
"""Images that every hypothesis is tried on; those that do well are tried on all."""
TAKEN_ON = 4
"""How many go on to all images."""
SAME = 1e-6

Judge = Callable[[Floats, Floats], bool]
"""Whether outputs [N, classes] (the second) are the wanted ones (the first)."""


@dataclass(frozen=True)
class Found:
    """A hypothesis with the outputs of the file on the whole sample prepared so."""

    hypothesis: Hypothesis
    outputs: Floats
    distance: float
    restores: bool
    softmax: bool
    """Whether `outputs` are the wanted ones only after a softmax of these."""


def best(runner: Runner, sample: Sample, judge: Judge) -> Found | None:
    """The hypothesis that restores the outputs and comes nearest, of one mistake before two; else the nearest."""
    own = Way(**{**vars(sample.own), "size": runner.side})
    first = _nearest(runner, sample, own, singles(own), judge)
    if first is not None and first.restores:
        return first
    second = _nearest(runner, sample, own, pairs(own), judge)
    both = [one for one in (first, second) if one is not None]
    return min(both, key=lambda one: (not one.restores, one.distance), default=None)


def _nearest(runner: Runner, sample: Sample, own: Way, hypotheses: Iterable[Hypothesis], judge: Judge) -> Found | None:
    wanted = sample.wanted[:FEW]
    tried: list[tuple[float, int, Hypothesis]] = []
    known = [sample.inputs(own, FEW)]
    for number, one in enumerate(hypotheses):
        inputs = sample.inputs(one.way, FEW)
        if one.way.order != "other bytes" and any(_same(inputs, other) for other in known):
            continue  # cannot be told from one that was tried, on these images
        if one.way.order != "other bytes":
            known.append(inputs)
        outputs = runner.run(runner.arrange(inputs, one.way))
        away = min(distance(wanted, outputs), distance(softmax(wanted), outputs))
        tried.append((away, number, one))
    found = []
    for _, _, one in sorted(tried, key=lambda it: it[:2])[:TAKEN_ON]:
        outputs = runner.run(runner.arrange(sample.inputs(one.way), one.way))
        plain = distance(sample.wanted, outputs)
        soft = distance(softmax(sample.wanted), outputs)
        through = soft < plain
        wanted_all = softmax(sample.wanted) if through else sample.wanted
        found.append(Found(one, outputs, min(plain, soft), judge(wanted_all, outputs), through))
    return min(found, key=lambda one: (not one.restores, one.distance), default=None)


def _same(first: Floats, second: Floats) -> bool:
    spread = float(first.max() - first.min()) or 1.0
    return bool(np.abs(first - second).max() <= SAME * spread)
