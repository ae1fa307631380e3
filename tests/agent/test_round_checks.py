"""What a round does with its inputs and outputs: nothing that is wrong or broken may pass as fast."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from edgeprof.agent.runtimes import Model, TensorInfo
from edgeprof.agent.samples import RoundError, arranged, compare, read_samples
from edgeprof.agent.timing import Kept
from edgeprof.agent.worker import pin

Floats = NDArray[np.float32]


def kept(outputs: Floats) -> Kept:
    """As if sample i had given outputs[i]."""
    made = Kept([outputs[0]], most=len(outputs))
    for sample, output in enumerate(outputs):
        made.keep(sample, [output])
    return made


def model(*shapes: tuple[int | None, ...], dtype: str = "float32") -> Model:
    infos = tuple(TensorInfo(f"x{place}", shape, dtype) for place, shape in enumerate(shapes))
    return Model(infos, (TensorInfo("y", (1, 3), "float32"),), lambda arrays: arrays, "x", "fp32", 1, "1", int, dict)


WANT = np.array([[0, 1, 2], [4, 2, 0]], np.float32)  # spread 4


def test_equal_outputs_differ_by_nothing() -> None:
    assert compare(kept(WANT[[0, 1, 0]][:, None]), 3, 2, [WANT], 0.1) == 0.0


@settings(deadline=None)
@given(st.integers(0, 5), st.floats(-2, 2, width=32))
def test_the_largest_difference_is_found_wherever_it_is(sample: int, by: float) -> None:
    outputs = WANT[[0, 1, 0, 1, 0, 1]].copy()
    outputs[sample, 1] += np.float32(by)
    found = compare(kept(outputs[:, None]), 6, 2, [WANT], None)
    assert found == pytest.approx(abs(by) / 4, rel=1e-5, abs=1e-6)


def test_a_path_that_answers_from_a_cache_is_found_out() -> None:
    """All samples give the answer to the first input."""
    with pytest.raises(RoundError) as caught:
        compare(kept(WANT[[0, 0, 0]][:, None]), 3, 2, [WANT], 0.1)
    assert caught.value.kind == "outputs_wrong"


def test_one_nan_among_many_is_a_failure() -> None:
    outputs = WANT[[0, 1, 0, 1]].copy()
    outputs[2, 0] = np.nan
    for expected in ([WANT], None):
        with pytest.raises(RoundError, match="NaN in 25% of the timed runs") as caught:
            compare(kept(outputs), 4, 2, expected, None)
        assert caught.value.kind == "nan"


def test_infinities_that_are_expected_pass_and_others_do_not() -> None:
    want = WANT.copy()
    want[:, 0] = -np.inf
    assert compare(kept(want), 2, 2, [want], 0.1) == 0.0
    with pytest.raises(RoundError, match="infinite"):
        compare(kept(want), 2, 2, [WANT], 0.1)


def test_another_shape_is_wrong() -> None:
    with pytest.raises(RoundError, match="has the shape") as caught:
        compare(kept(np.zeros((2, 1, 5), np.float32)), 2, 2, [WANT], 0.1)
    assert caught.value.kind == "outputs_wrong"


def test_constant_outputs_have_no_spread_to_divide_by() -> None:
    flat = np.ones((2, 3), np.float32)
    assert compare(kept(flat), 2, 2, [flat], 0.1) == 0.0
    assert compare(kept(flat + 1), 2, 2, [flat], None) == 1.0


def test_integer_outputs_are_compared_without_wrapping_round() -> None:
    want = np.array([[250, 3]], np.uint8)
    made = Kept([want], most=1)
    made.keep(0, [np.array([[3, 250]], np.uint8)])
    assert compare(made, 1, 1, [want], None) == 1.0


@pytest.mark.parametrize("batch", [(), (1,)])
def test_samples_may_carry_the_batch_dimension_or_not(batch: tuple[int, ...]) -> None:
    images = np.zeros((5, *batch, 3, 4), np.float32)
    feeds, expected = arranged(model((1, 3, 4)), {"in0": images, "out0": WANT})
    assert [feed[0].shape for feed in feeds] == [(1, 3, 4)] * 5
    assert expected is not None


def bad_samples() -> list[tuple[dict[str, Any], str]]:
    return [
        ({}, "lack in0; they hold: nothing"),
        ({"in0": np.zeros((0, 3, 4), np.float32)}, "hold no input"),
        ({"in0": np.zeros((2, 3, 5), np.float32)}, r"takes \[1, 3, 4\], given is \[1, 3, 5\]"),
        ({"in0": np.zeros((2, 3, 4), np.float64)}, "takes float32, given is float64"),
        ({"in0": np.zeros((2, 1, 1, 3, 4), np.float32)}, "takes"),
    ]


@pytest.mark.parametrize(("given_arrays", "text"), bad_samples())
def test_samples_that_do_not_fit_are_told(given_arrays: dict[str, Any], text: str) -> None:
    with pytest.raises(RoundError, match=text):
        arranged(model((1, 3, 4)), given_arrays)


def test_a_file_without_samples_gets_the_same_inputs_every_time() -> None:
    first, second = (arranged(model((1, 3, 4), (2,)), None)[0][0] for _ in range(2))
    assert [array.shape for array in first] == [(1, 3, 4), (2,)]
    np.testing.assert_array_equal(first[0], second[0])
    assert float(first[0].max()) > 0


def test_inputs_cannot_be_invented_for_open_dimensions_or_text() -> None:
    with pytest.raises(RoundError, match=r"not fixed: \[None, 3\]"):
        arranged(model((None, 3)), None)
    with pytest.raises(RoundError, match="give inputs"):
        arranged(model((1,), dtype="object"), None)


def test_nothing_is_unpickled(tmp_path: Path) -> None:
    path = tmp_path / "samples.npz"
    np.savez(path, in0=np.array([{"a": 1}], dtype=object))
    with pytest.raises(RoundError, match="cannot be read"):
        read_samples(str(path))
    path.write_bytes(b"PK\x03\x04 no archive")
    with pytest.raises(RoundError, match="cannot be read"):
        read_samples(str(path))


def test_a_core_that_does_not_exist_is_refused() -> None:
    with pytest.raises(RoundError, match="core 4711 does not exist"):
        pin([0, 4711])
