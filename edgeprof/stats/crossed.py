"""A mean over seeds of a training and test images, both of which are samples. Pure: arrays in, numbers out.

Every seed meets the same images, so the design is crossed: a value is a mean, plus what this seed adds on all images,
plus what this image adds under all seeds, plus the rest. Both samples make the mean uncertain, and neither replaces the
other: more images do not tell what another seed would give.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import special

from edgeprof.records import Interval


@dataclass(frozen=True)
class Mean:
    """A mean over S seeds and N images."""

    both: Interval
    """Over seeds and images: what a claim about the training rests on. With one seed that of the images alone."""
    images: Interval
    """Over images alone: what it says of these very checkpoints."""
    by_seed: tuple[float, ...]
    seeds_sd: float | None
    """Standard deviation of `by_seed`; None with one seed."""
    seeds: int


def mean(values: NDArray[Any], confidence: float = 0.95, limits: tuple[float, float] = (-1.0, 1.0)) -> Mean:
    """The mean of `values` [S, N], each within `limits`, with its intervals (Student's t).

    With both as samples, the variance of the mean is that of the image means over N plus that of the seed means over S,
    the two margins of a table with crossed random effects (Owen 2007, The pigeonhole bootstrap, doi
    10.1214/07-AOAS122); what belongs to a seed and an image together is counted twice, which errs towards width.
    Degrees of freedom by Satterthwaite (1946, doi 10.2307/3002019): few where three seeds have to say how much seeds
    differ.

    Two images more, one at each limit, count for the variance over images, as Bonett and Price (2012, doi
    10.3102/1076998611411915) do for one pair of shares: else there would be no width where no image differs.
    """
    table = np.asarray(values, dtype=np.float64)
    seeds, images = table.shape
    by_seed, by_image = table.mean(axis=1), table.mean(axis=0)
    value = float(table.mean())
    squares = float(np.square(by_image - value).sum()) + (limits[1] - value) ** 2 + (limits[0] - value) ** 2
    over_images = squares / (images + 1) / (images + 2)
    alone = _student(value, over_images, images + 1, confidence, limits)
    if seeds == 1:
        return Mean(both=alone, images=alone, by_seed=(value,), seeds_sd=None, seeds=1)
    over_seeds = float(by_seed.var(ddof=1)) / seeds
    variance = over_images + over_seeds
    freedom = variance**2 / (over_seeds**2 / (seeds - 1) + over_images**2 / (images + 1))
    return Mean(
        both=_student(value, variance, freedom, confidence, limits),
        images=alone,
        by_seed=tuple(float(one) for one in by_seed),
        seeds_sd=float(by_seed.std(ddof=1)),
        seeds=seeds,
    )


def _student(value: float, variance: float, freedom: float, confidence: float, limits: tuple[float, float]) -> Interval:
    # special.stdtrit is Student's t quantile; importing scipy.stats for it would cost half a second.
    half = float(special.stdtrit(freedom, 0.5 + confidence / 2)) * math.sqrt(variance)
    return Interval(value=value, low=max(limits[0], value - half), high=min(limits[1], value + half))
