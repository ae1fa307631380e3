"""Accuracy with intervals: what is counted, that the intervals hold what they promise, and that order means nothing."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from paired_coverage import coverage
from scipy.optimize import brentq, minimize_scalar
from scipy.stats import binomtest

from edgeprof.stats import accuracy
from edgeprof.stats.intervals import wilson
from edgeprof.zoo import metrics

COUNTS = st.integers(0, 300)


def logits_of(seed: int, images: int = 60, classes: int = 7) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, classes, images)
    logits = rng.normal(size=(images, classes)).astype(np.float32)
    logits[np.arange(images), labels] += 1
    # Ties, as quantized files have them.
    return labels, np.round(logits * 2).astype(np.float32)


@given(seed=st.integers(0, 10_000), classes=st.integers(2, 12), images=st.integers(1, 40))
@settings(max_examples=60, deadline=None)
def test_the_shares_are_those_that_training_and_export_record(seed: int, classes: int, images: int) -> None:
    """Two ways to the same numbers, ties and few classes included; the intervals hold them and lie in 0..1."""
    labels, logits = logits_of(seed, images, classes)
    found, known = accuracy.shares(accuracy.answers(labels, logits)), metrics.accuracy(labels, logits)
    assert (found.images, found.top1.value, found.top5.value) == (known.images, known.top1, known.top5)
    assert found.macro_f1.value == pytest.approx(known.macro_f1)
    for one in (found.top1, found.top5, found.macro_f1):
        assert one.low is not None
        assert one.high is not None
        assert 0 <= one.low <= one.value + 1e-12
        assert one.value - 1e-12 <= one.high <= 1
        assert one.high - one.low > 0


@given(seed=st.integers(0, 10_000))
@settings(max_examples=25, deadline=None)
def test_the_order_of_the_images_means_nothing(seed: int) -> None:
    labels, logits = logits_of(seed)
    order = np.random.default_rng(seed + 1).permutation(len(labels))
    one, other = accuracy.answers(labels, logits), accuracy.answers(labels[order], logits[order])
    first, second = accuracy.shares(one), accuracy.shares(other)
    assert (first.top1, first.top5) == (second.top1, second.top5)
    assert first.macro_f1.low == pytest.approx(second.macro_f1.low, abs=1e-12)
    more = accuracy.answers(labels, logits_of(seed + 2)[1])
    assert accuracy.paired(one.right, more.right) == accuracy.paired(one.right[order], more.right[order])


def test_an_output_that_is_not_finite_is_wrong() -> None:
    labels = np.array([0, 1, 1])
    logits = np.array([[np.nan, 0], [0, np.inf], [0, 1]], dtype=np.float32)
    found = accuracy.answers(labels, logits)
    assert found.right.tolist() == [False, False, True]
    assert found.top5.tolist() == [False, False, True]
    assert accuracy.macro_f1(found).value == pytest.approx((0 + 2 / 3) / 2)


# --- macro-F1


def resampled(one: accuracy.Answers, draws: int, rng: Any) -> NDArray[np.float64]:
    """Macro-F1 by brute force: the images drawn anew with replacement, one by one."""
    found = []
    for _ in range(draws):
        which = rng.integers(0, len(one.labels), len(one.labels))
        labels, named = one.labels[which], one.named[which]
        f1 = []
        for each in range(one.classes):
            both = (labels == each).sum() + (named == each).sum()
            if both:
                f1.append(2 * ((labels == each) & (named == each)).sum() / both)
        found.append(np.mean(f1))
    return np.array(found)


def test_the_interval_of_macro_f1_is_as_wide_as_a_bootstrap_by_brute_force() -> None:
    labels, logits = logits_of(1, images=400, classes=5)
    one = accuracy.answers(labels, logits)
    found, drawn = accuracy.macro_f1(one), resampled(one, 400, np.random.default_rng(0))
    assert found.low is not None
    assert found.high is not None
    assert (found.high - found.low) / 2 / 1.96 == pytest.approx(drawn.std(), rel=0.1)
    low, high = np.quantile(drawn, [0.025, 0.975])
    assert found.low == pytest.approx(low, abs=0.01)
    assert found.high == pytest.approx(high, abs=0.01)


def test_macro_f1_without_an_error_has_wilsons_width_and_not_none() -> None:
    """A bootstrap would say 1 to 1: all that it can draw is right."""
    labels = np.arange(450) % 10
    found = accuracy.macro_f1(accuracy.Answers(labels, labels, labels >= 0, 10))
    assert found == wilson(450, 450)


def population(error: float, skewed: bool) -> tuple[NDArray[np.float64], float]:
    """Probabilities of (label, named) over ten classes, some of them harder, and the macro-F1 of it."""
    classes = 10
    weights = np.geomspace(1, 15, classes) if skewed else np.ones(classes)
    errors = error * np.geomspace(0.3, 3, classes) / np.mean(np.geomspace(0.3, 3, classes))
    to = np.random.default_rng(0).dirichlet(np.ones(classes) * 0.5, size=classes)
    to[np.arange(classes), np.arange(classes)] = 0
    table = np.diag(1 - errors) + errors[:, None] * to / to.sum(axis=1, keepdims=True)
    table *= (weights / weights.sum())[:, None]
    return table, float(np.mean(2 * np.diag(table) / (table.sum(axis=0) + table.sum(axis=1))))


@pytest.mark.parametrize(("error", "skewed"), [(0.03, False), (0.004, False), (0.1, True), (0.3, False)])
def test_macro_f1s_interval_holds_the_truth(error: float, skewed: bool) -> None:
    table, truth = population(error, skewed)
    rng = np.random.default_rng(2)
    held = 0
    for _ in range(300):
        labels, named = np.divmod(rng.choice(100, size=450, p=table.ravel() / table.sum()), 10)
        found = accuracy.macro_f1(accuracy.Answers(labels, named, labels == named, 10))
        held += found.low is not None and found.high is not None and found.low <= truth <= found.high
    assert held / 300 >= 0.92


# --- two on the same images


@given(first=COUNTS, second=COUNTS)
def test_mcnemars_p_is_that_of_the_binomial_test(first: int, second: int) -> None:
    expected = binomtest(first, first + second, 0.5).pvalue if first + second else 1.0
    assert accuracy.mcnemar(first, second) == pytest.approx(expected, rel=1e-9)
    assert accuracy.mcnemar(first, second) == accuracy.mcnemar(second, first)


@given(first=COUNTS, second=COUNTS, rest=COUNTS)
@settings(deadline=None)
def test_the_interval_of_the_difference_is_symmetric_and_holds_the_difference(
    first: int, second: int, rest: int
) -> None:
    images = max(1, first + second + rest)
    one, other = (accuracy.paired_difference(*pair, images) for pair in ((first, second), (second, first)))
    assert one.low is not None
    assert one.high is not None
    assert -1 <= one.low <= one.value <= one.high <= 1
    assert one.high - one.low > 0
    assert (one.value, one.low, one.high) == pytest.approx((-other.value, -(other.high or 0), -(other.low or 0)))
    wider = accuracy.paired_difference(first, second, images, 0.99)
    assert wider.low is not None
    assert wider.low <= one.low + 1e-12


def tango(first: int, second: int, images: int) -> tuple[float, float]:
    """The interval from its definition, with the likeliest share of discordant images found by search."""

    def statistic(difference: float) -> float:
        def unlikely(share: float) -> float:
            parts = (
                (first, share + difference),
                (second, share),
                (images - first - second, 1 - 2 * share - difference),
            )
            return -sum(count * math.log(max(part, 1e-300)) for count, part in parts if count)

        most = (1 - difference) / 2
        share = minimize_scalar(unlikely, bounds=(max(0.0, -difference), most), method="bounded").x
        variance = images * (2 * share + difference - difference**2)
        return float((first - second - images * difference) / math.sqrt(variance))

    middle, z = (first - second) / images, 1.959963984540054
    low = brentq(lambda at: statistic(at) - z, -0.999, middle)
    return low, brentq(lambda at: statistic(at) + z, middle, 0.999)


@pytest.mark.parametrize("counts", [(12, 2, 50), (2, 12, 50), (5, 4, 450), (30, 60, 200)])
def test_the_interval_of_the_difference_is_what_its_definition_gives(counts: tuple[int, int, int]) -> None:
    found = accuracy.paired_difference(*counts)
    assert (found.low, found.high) == pytest.approx(tango(*counts), abs=2e-4)


def test_without_a_discordant_image_the_bound_is_wilsons_for_no_hit() -> None:
    """The score equation is then n d / (1 - d) = z^2."""
    z2 = 1.959963984540054**2
    none = accuracy.paired_difference(0, 0, 450)
    assert (none.low, none.high) == pytest.approx((-z2 / (450 + z2), z2 / (450 + z2)))
    assert none.high == pytest.approx(wilson(0, 450).high)


@pytest.mark.parametrize(
    ("first", "second"),
    [(0.1, 0.1), (0.02, 0.02), (0.01, 0.0), (0.05, 0.0), (0.3, 0.0), (0.6, 0.05), (0.9, 0.0), (0.0, 0.0)],
    ids=str,
)
def test_the_interval_of_the_difference_holds_the_truth(first: float, second: float) -> None:
    """Also near 0 and 1, and where no image tells the two apart."""
    assert coverage(60, first, second) >= 0.93
