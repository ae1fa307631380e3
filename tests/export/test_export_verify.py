"""Parity: what agrees passes, what does not is told with numbers, and no number is ever NaN."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from export_checkpoints import FP32, record
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from edgeprof.errors import ExportError
from edgeprof.export import verify
from edgeprof.export.request import ParityError
from edgeprof.records import Parity, Trained, from_json, to_json

LOGITS = hnp.arrays(
    np.float32,
    st.tuples(st.integers(1, 8), st.integers(2, 6)),
    elements=st.floats(-(2.0**100), 2.0**100, width=32),
)


@given(LOGITS)
def test_a_file_that_gives_the_same_is_in_perfect_parity(logits: verify.Floats) -> None:
    parity = verify.compare(logits, logits.copy())
    assert (parity.max_abs_diff, parity.relative_diff, parity.top1_agreement) == (0.0, 0.0, 1.0)
    assert parity.cosine == pytest.approx(1.0)
    assert parity.images == len(logits)


@given(LOGITS, st.data())
def test_parity_is_always_finite_and_survives_json(wanted: verify.Floats, data: st.DataObject) -> None:
    got = data.draw(hnp.arrays(np.float32, wanted.shape, elements=st.floats(-(2.0**100), 2.0**100, width=32)))
    parity = verify.compare(wanted, got)
    assert all(math.isfinite(value) for value in (parity.max_abs_diff, parity.relative_diff, parity.cosine))
    assert -1.0 <= parity.cosine <= 1.0
    assert 0.0 <= parity.top1_agreement <= 1.0
    assert from_json(to_json(parity), Parity) == parity


def test_the_numbers_are_the_ones_defined() -> None:
    wanted = np.array([[0.0, 10.0], [4.0, 0.0]], np.float32)
    got = np.array([[0.0, 10.0], [0.0, 1.0]], np.float32)
    parity = verify.compare(wanted, got)
    assert parity == Parity(images=2, max_abs_diff=4.0, relative_diff=0.4, cosine=0.0, top1_agreement=0.5)


def test_a_difference_beyond_what_is_allowed_is_told_with_numbers() -> None:
    wanted = np.eye(4, dtype=np.float32) * 10
    with pytest.raises(ParityError, match=r"logits differ by up to 1, 10.00% of their spread") as caught:
        verify.check(wanted, wanted + 1, FP32["onnx"])
    assert caught.value.parity.max_abs_diff == 1.0
    assert verify.check(wanted, wanted + np.float32(1e-4), FP32["onnx"]).top1_agreement == 1.0


def test_another_class_fails_even_when_the_difference_is_small() -> None:
    wanted = np.array([[0.0, 1.0, 1.0001]], np.float32)
    got = np.array([[0.0, 1.0001, 1.0]], np.float32)
    with pytest.raises(ParityError, match=r"the same class on 0.00% of 1 test images"):
        verify.check(wanted, got, FP32["onnx"])


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_nan_outputs_are_counted_not_compared(value: float) -> None:
    wanted = np.eye(4, dtype=np.float32)
    got = wanted.copy()
    got[2, 1] = value
    with pytest.raises(ExportError, match="NaN or infinity on 1 of 4 test images"):
        verify.check(wanted, got, FP32["onnx"])


@given(st.lists(st.integers(0, 5), min_size=1, max_size=80), st.integers(1, 20))
def test_samples_are_spread_evenly_over_the_classes(labels: list[int], count: int) -> None:
    array = np.array(labels, np.int64)
    chosen = verify.spread(array, count)
    assert len(chosen) == min(count, len(labels))
    assert list(chosen) == sorted(set(chosen.tolist()))
    taken = {label: int((array[chosen] == label).sum()) for label in set(labels)}
    for label, number in taken.items():
        # A class has fewer than another only when it has no more images, or it is the last round.
        assert number >= min(max(taken.values()) - 1, labels.count(label))


def test_a_checkpoint_that_gives_nan_is_told_before_anything_is_converted(tmp_path: Path) -> None:
    from edgeprof.zoo import checkpoint

    path = tmp_path / "predictions.npz"
    logits = np.zeros((3, 2), np.float32)
    logits[1] = np.nan
    path.write_bytes(checkpoint.predictions_to_bytes(np.zeros(3, np.int64), logits))
    with pytest.raises(ExportError, match="the checkpoint itself gives NaN or infinity on 1 of 3"):
        verify.of_checkpoint(path, _two_classes())


def test_predictions_of_another_number_of_classes_are_refused(tmp_path: Path) -> None:
    from edgeprof.zoo import checkpoint

    path = tmp_path / "predictions.npz"
    path.write_bytes(checkpoint.predictions_to_bytes(np.zeros(3, np.int64), np.zeros((3, 7), np.float32)))
    with pytest.raises(ExportError, match="do not fit its classes"):
        verify.of_checkpoint(path, _two_classes())


def _two_classes() -> Trained:
    return record(classes=("cat", "dog"))
