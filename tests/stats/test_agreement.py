"""What a device computes beside the host: nothing beyond rounding is averaged away."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from edgeprof.records import OnDevice, from_json, to_json
from edgeprof.stats.agreement import NAMED, agreement

Floats = NDArray[np.float32]
HOST = np.array([[0, 1, 10], [5, 4.99, 0], [3, 0, 1]], np.float32)  # spread 10; the second image is nearly a tie
LABELS = np.array([2, 0, 1], np.int64)


def found(device: Any, host: Floats = HOST, labels: NDArray[np.int64] = LABELS, allowed: float = 0.01) -> OnDevice:
    which = np.arange(100, 100 + len(host), dtype=np.int64)
    return agreement("j", which, labels, host, np.asarray(device, np.float32), allowed)


def moved(image: int, place: int, by: float) -> Floats:
    device = HOST.copy()
    device[image, place] += by
    return device


def test_equal_outputs_are_the_same() -> None:
    told = found(HOST)
    assert (told.verdict, told.max_abs_diff, told.agreement, told.changed) == ("same", 0.0, 1.0, ())
    assert told.top1 == told.host_top1 == pytest.approx(2 / 3)
    assert told.top1_low is not None
    assert told.top1_high is not None
    assert told.top1_low < told.top1 < told.top1_high


def test_one_last_bit_of_one_logit_is_no_longer_the_same() -> None:
    device = HOST.copy()
    device[0, 2] = np.nextafter(device[0, 2], np.float32(np.inf))
    told = found(device)
    assert told.verdict == "rounding"
    assert told.max_abs_diff is not None
    assert 0 < told.max_abs_diff < 1e-6


def test_one_logit_beyond_the_limit_among_all_differs_though_every_class_is_right() -> None:
    assert found(moved(0, 0, 0.09)).verdict == "rounding"
    told = found(moved(0, 0, 0.11))
    assert (told.verdict, told.agreement) == ("differs", 1.0)
    assert told.max_abs_diff == pytest.approx(0.011)


def test_a_class_may_change_where_the_host_was_undecided() -> None:
    told = found(moved(1, 1, 0.02))
    assert (told.verdict, told.changed_images) == ("rounding", 1)
    (changed,) = told.changed
    assert (changed.image, changed.label, changed.host, changed.device) == (101, 0, 0, 1)
    assert changed.margin == pytest.approx(0.001, rel=1e-3)
    assert told.agreement == pytest.approx(2 / 3)


def test_a_class_that_changes_where_the_host_was_sure_differs() -> None:
    """Each logit is within the limit, but they moved against one another: 0.15 of margin, 0.1 each."""
    host = np.array([[1.15, 1.0, 11.0], [1.15, 1.0, 0.0]], np.float32)
    device = host + np.array([[0, 0, 0], [-0.1, 0.1, 0]], np.float32)
    told = found(device, host, np.array([2, 0]), allowed=0.0101)
    assert told.max_abs_diff is not None
    assert told.max_abs_diff < told.allowed
    assert told.verdict == "differs"


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_one_number_that_is_none_differs_and_names_no_class(value: float) -> None:
    device = HOST.copy()
    device[0, 0] = value
    told = found(device)
    assert (told.verdict, told.max_abs_diff, told.not_finite) == ("differs", None, 1)
    assert told.changed[0].device == -1
    assert told.top1 == pytest.approx(1 / 3), "its image counts as wrong, whatever argmax makes of it"


def test_a_nan_that_the_host_has_too_is_no_difference() -> None:
    host = HOST.copy()
    host[2, 1] = np.nan
    assert found(host, host).verdict == "same"


def test_the_clearest_of_many_changes_are_named_and_all_are_counted() -> None:
    count = 3 * NAMED
    host = np.zeros((count, 2), np.float32)
    host[:, 0] = np.arange(1, count + 1)
    told = found(host[:, ::-1], host, np.zeros(count, np.int64))
    assert (told.changed_images, len(told.changed), told.agreement) == (count, NAMED, 0.0)
    assert [one.image for one in told.changed] == list(range(100 + count - 1, 100 + count - 1 - NAMED, -1))


LOGITS = hnp.arrays(np.float32, (5, 3), elements=st.floats(width=32))


@given(LOGITS, LOGITS, st.floats(0, 1))
def test_whatever_comes_the_verdict_is_a_record_that_json_holds(host: Floats, device: Floats, allowed: float) -> None:
    labels = np.zeros(5, np.int64)
    told = found(device, host, labels, allowed)
    assert from_json(to_json(told), OnDevice) == told
    if told.verdict != "differs":
        assert told.max_abs_diff is not None
        assert told.max_abs_diff <= allowed or told.verdict == "same"
    if not told.changed_images:
        assert told.agreement == 1.0
