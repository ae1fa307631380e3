"""Accuracy from logits: against scikit-learn, and never a number from outputs that are not numbers."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import f1_score, top_k_accuracy_score

from edgeprof.errors import TrainError
from edgeprof.zoo.metrics import accuracy


@given(st.integers(2, 12), st.integers(1, 40), st.integers(0, 2**32 - 1))
def test_agrees_with_scikit_learn(classes: int, images: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    labels, logits = random.integers(0, classes, images), random.normal(size=(images, classes)).astype(np.float32)
    found = accuracy(labels, logits)
    predicted = logits.argmax(axis=1)
    assert found.images == images
    assert found.top1 == pytest.approx(float((predicted == labels).mean()))
    assert found.macro_f1 == pytest.approx(float(f1_score(labels, predicted, average="macro", zero_division=0)))
    if classes > 5:
        top5 = top_k_accuracy_score(labels, logits, k=5, labels=np.arange(classes))
        assert found.top5 == pytest.approx(float(top5))
    else:
        assert found.top5 == 1.0


def test_equal_logits_are_no_hit_for_every_class() -> None:
    """A model that answers the same for all classes knows nothing: ties go to the lower class."""
    found = accuracy(np.arange(10), np.zeros((10, 10), dtype=np.float32))
    assert (found.top1, found.top5) == (0.1, 0.5)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_outputs_that_are_no_numbers_are_refused(bad: float) -> None:
    logits = np.zeros((4, 3), dtype=np.float32)
    logits[2, 1] = bad
    with pytest.raises(TrainError, match="1 of 4") as caught:
        accuracy(np.zeros(4, dtype=np.int64), logits)
    assert "image 2" in (caught.value.hint or "")


@pytest.mark.parametrize(
    ("labels", "shape"), [([0, 1], (3, 2)), ([], (0, 2)), ([0, 5], (2, 2)), ([-1, 0], (2, 2)), ([0], (1,))]
)
def test_shapes_and_labels_that_do_not_fit_are_refused(labels: list[int], shape: tuple[int, ...]) -> None:
    with pytest.raises(TrainError):
        accuracy(np.array(labels, dtype=np.int64), np.zeros(shape, dtype=np.float32))
