"""How right a file is on test images, with intervals, and two files on the same images. Pure: arrays in, numbers out.

The images are taken as a sample of all images that the file may meet: the intervals say what another sample of the same
kind and number could have shown. What another seed of the training would have shown is another question, see
`stats.crossed`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import special

from edgeprof.records import Interval
from edgeprof.stats.intervals import wilson

NO_CLASS = -1
"""What is named where a logit is NaN or infinite."""
TOP = 5


@dataclass(frozen=True)
class Answers:
    """What a file or a checkpoint says of N test images, without the logits."""

    labels: NDArray[np.int64]
    """[N]"""
    named: NDArray[np.int64]
    """[N], the class of the highest logit, of equal ones the lower number."""
    top5: NDArray[np.bool_]
    """[N], whether the right class is among the min(5, classes) highest."""
    classes: int

    @property
    def right(self) -> NDArray[np.bool_]:
        """[N], whether the class named is the right one."""
        return np.equal(self.labels, self.named)


@dataclass(frozen=True)
class Shares:
    """Shares in 0..1 over the images, each with its 95% interval."""

    images: int
    top1: Interval
    top5: Interval
    macro_f1: Interval


@dataclass(frozen=True)
class Paired:
    """Two on the same images."""

    images: int
    only_first: int
    """Images that the first alone has right."""
    only_second: int
    difference: Interval
    """Share of the first minus that of the second."""
    p: float
    """Of McNemar's exact test that they are equally often right."""


def answers(labels: NDArray[np.int64], logits: NDArray[np.float32]) -> Answers:
    """Reduce logits [N, classes] of images with `labels` [N]; an image with a NaN or infinity is wrong."""
    finite = np.isfinite(logits).all(axis=1)
    rows = np.arange(len(labels))
    own = logits[rows, labels][:, None]
    with np.errstate(invalid="ignore"):
        before = (logits > own) | ((logits == own) & (np.arange(logits.shape[1]) < labels[:, None]))
    return Answers(
        labels=labels,
        named=np.where(finite, logits.argmax(axis=1), NO_CLASS),
        top5=(before.sum(axis=1) < TOP) & finite,
        classes=logits.shape[1],
    )


def shares(one: Answers) -> Shares:
    """Top-1 and top-5 with Wilson's interval, macro-F1 with that of `macro_f1`; at least one image."""
    images = len(one.labels)
    return Shares(
        images=images,
        top1=wilson(int(one.right.sum()), images),
        top5=wilson(int(one.top5.sum()), images),
        macro_f1=macro_f1(one),
    )


def macro_f1(one: Answers, confidence: float = 0.95) -> Interval:
    """Mean over the classes that occur of 2 TP / (2 TP + FP + FN), with an interval over the images.

    The interval is Wilson's with the number of images that the estimate's variance is worth, at most all of them, as
    for shares from surveys (Korn and Graubard 1998, Survey Methodology 24(2); compared in Franco et al. 2019, doi
    10.1093/jssam/smy019). The variance is that of the infinitesimal jackknife, which is what a bootstrap over images
    converges to, without its random draws (Efron 1982, The Jackknife, the Bootstrap and Other Resampling Plans,
    section 6.1). A bootstrap's percentiles have no width where no image is wrong, and with many classes they miss:
    each resampling draws some classes too rarely once more.
    """
    labels, named, images = one.labels, one.named, len(one.labels)
    actual = np.bincount(labels, minlength=one.classes)
    claimed = np.bincount(named[named >= 0], minlength=one.classes)
    both = actual + claimed
    hits = np.bincount(labels[one.right], minlength=one.classes)
    present = both > 0
    inverse = np.divide(1.0, both, out=np.zeros(one.classes), where=present)
    f1 = 2 * hits * inverse
    value = float(f1[present].mean())
    # What the mean would change by, were an image there once more; over all images these sum to zero.
    lost = f1 * inverse
    miss = -lost[labels] - np.where(named >= 0, lost[named], 0.0)
    influence = np.where(one.right, 2 * inverse[labels] * (1 - f1[labels]), miss) / present.sum()
    variance = float(np.square(influence).sum())
    worth = float(images)
    if variance > 0 and 0 < value < 1:
        worth = min(worth, value * (1 - value) / variance)
    bounds = wilson(value * worth, worth, confidence)
    return Interval(value=value, low=bounds.low, high=bounds.high)


def paired(first: NDArray[np.bool_], second: NDArray[np.bool_], confidence: float = 0.95) -> Paired:
    """Compare which of the same N > 0 images two have right, [N] each."""
    only_first, only_second = int((first & ~second).sum()), int((second & ~first).sum())
    return Paired(
        images=len(first),
        only_first=only_first,
        only_second=only_second,
        difference=paired_difference(only_first, only_second, len(first), confidence),
        p=mcnemar(only_first, only_second),
    )


def mcnemar(only_first: int, only_second: int) -> float:
    """Two-sided p of McNemar's exact test: how rarely the images on which just one is right fall so unevenly, or more
    so, when either is as likely (McNemar 1947, doi 10.1007/BF02295996; by the binomial distribution)."""
    discordant = only_first + only_second
    # special.bdtr is the binomial's distribution function; importing scipy.stats for it would cost half a second.
    return min(1.0, 2 * float(special.bdtr(min(only_first, only_second), discordant, 0.5))) if discordant else 1.0


def paired_difference(only_first: int, only_second: int, images: int, confidence: float = 0.95) -> Interval:
    """Tango's score interval for the difference of two shares over the same images (Tango 1998, doi
    10.1002/(SICI)1097-0258(19980430)17:8<891::AID-SIM780>3.0.CO;2-B): all differences that a score test, with the
    share of discordant images as it is most likely under each, does not reject.

    It has a width also where no image tells the two apart.

    Args:
        only_first, only_second: images that one alone has right; images > 0 of them in all.
    """
    z = float(special.ndtri(0.5 + confidence / 2))
    value = (only_first - only_second) / images

    def score(difference: float) -> float:
        """Falls from positive to negative as the difference grows."""
        b = (2 * images - only_first + only_second) * difference - only_first - only_second
        c = -only_second * difference * (1 - difference)
        rest = (math.sqrt(max(0.0, b * b - 8 * images * c)) - b) / (4 * images)
        variance = images * (2 * rest + difference * (1 - difference))
        over = only_first - only_second - images * difference
        return over / math.sqrt(variance) if variance > 0 else math.copysign(math.inf, over) if over else 0.0

    return Interval(value=value, low=_crossing(score, z, -1.0, value), high=_crossing(score, -z, value, 1.0))


def _crossing(falling: Callable[[float], float], level: float, low: float, high: float) -> float:
    """Where a falling function passes a level, to the last bits."""
    for _ in range(60):
        middle = (low + high) / 2
        if falling(middle) > level:
            low = middle
        else:
            high = middle
    return (low + high) / 2
