"""What the command line says of inputs: read exactly, never cast, and told in a sentence where it does not fit."""

from __future__ import annotations

import io
import pickle
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeprof.errors import UsageError
from edgeprof.measure.inputs import Takes, check, read_inputs, samples, shapes
from edgeprof.records import Tensor


def npz(path: Path, **arrays: Any) -> Path:
    np.savez(path, **arrays)
    return path


def tensors(**inputs: tuple[str, tuple[int | None, ...]]) -> list[Tensor]:
    return [Tensor(name=name, shape=shape, dtype=kind) for name, (kind, shape) in inputs.items()]


def test_shapes_are_read_and_what_is_none_is_refused() -> None:
    assert shapes(["x=1x3x224x224", "a=b:0=7"]) == {"x": (1, 3, 224, 224), "a=b:0": (7,)}
    assert shapes(["x=1x2", "x=1x2"]) == {"x": (1, 2)}
    for bad in (
        "x",
        "x=",
        "=1x3",
        "x=1x",
        "x=0x3",
        "x=-1",
        "x=1,3",
        "x=1X3",
        "x=?x3",
        "x=" + "9" * 5000,
        "x=٣",
        "x=1x3\n",
    ):
        with pytest.raises(UsageError, match="name=1x3x224x224"):
            shapes([bad])
    with pytest.raises(UsageError, match="two shapes: 1x2 and 1x3"):
        shapes(["x=1x2", "x=1x3"])


@given(
    st.dictionaries(
        st.text(min_size=1, max_size=20),
        st.lists(st.integers(1, 10**9 - 1), min_size=1, max_size=16).map(tuple),
        max_size=4,
    )
)
def test_every_shape_is_read_as_it_was_written(table: dict[str, tuple[int, ...]]) -> None:
    assert shapes([f"{name}={'x'.join(map(str, dims))}" for name, dims in table.items()]) == table


IMAGE = Takes("m.onnx", tensors(x=("float32", (1, 3, 8, 8)), ids=("int64", (1, None))))


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"y": (1, 2)}, "'y', which is no input"),
        ({"x": (1, 3, 9, 8), "ids": (1, 2)}, r"x=1x3x9x8 does not fit x \(1x3x8x8 float32\)"),
        ({"ids": (1, 2, 3)}, r"ids=1x2x3 does not fit ids \(1x\? int64\)"),
        ({}, r"not fixed: ids \(1x\? int64\)"),
    ],
)
def test_shapes_that_do_not_fit_are_told(asked: dict[str, tuple[int, ...]], words: str) -> None:
    with pytest.raises(UsageError, match=words) as told:
        check([IMAGE], asked, None)
    assert told.value.where == "m.onnx"


def test_a_name_needs_to_be_an_input_of_one_of_several_files_only() -> None:
    """Formats of one model call the same input differently."""
    other = Takes("m.tflite", tensors(serving_x=("float32", (None, 8))))
    check([IMAGE, other], {"ids": (1, 5), "serving_x": (2, 8)}, None)
    with pytest.raises(UsageError, match=r"ids .* of m\.onnx; serving_x .* of m\.tflite"):
        check([IMAGE, other], {}, None)
    with pytest.raises(UsageError, match=r"all files: .*'z', which is no input"):
        check([IMAGE, other], {"z": (1,)}, None)


def test_made_up_inputs_are_always_the_same_and_differ_from_each_other() -> None:
    first = samples(IMAGE, {"ids": (1, 50)}, None)
    assert samples(IMAGE, {"ids": (1, 50)}, None) == first
    made = np.load(io.BytesIO(first))
    assert made["in0"].shape == (4, 1, 3, 8, 8)
    assert 0 <= made["in0"].min() < made["in0"].max() < 1
    assert set(np.unique(made["in1"])) == {0, 1}
    assert not np.array_equal(made["in0"][0], made["in0"][1])


def test_a_mistyped_shape_does_not_fill_the_memory() -> None:
    with pytest.raises(UsageError, match="over 1 GiB"):
        samples(IMAGE, {"ids": (1, 10**8)}, None)


def test_given_inputs_are_handed_over_untouched(tmp_path: Path) -> None:
    x = np.random.default_rng(0).standard_normal((2, 1, 3, 8, 8)).astype(np.float32)
    ids = np.arange(10).reshape(2, 1, 5)
    arrays = read_inputs(npz(tmp_path / "x.npz", ids=ids, x=np.asfortranarray(x).astype(">f4")))
    check([IMAGE], {}, arrays)
    made = np.load(io.BytesIO(samples(IMAGE, {}, arrays)))
    np.testing.assert_array_equal(made["in0"], x)
    np.testing.assert_array_equal(made["in1"], ids)
    assert made["in0"].dtype.isnative
    one = read_inputs(npz(tmp_path / "one.npz", ids=ids[0], x=x[0]))
    check([IMAGE], {}, one)
    assert np.load(io.BytesIO(samples(IMAGE, {}, one)))["in1"].shape == (1, 1, 5)


X, IDS = np.zeros((1, 3, 8, 8), np.float32), np.zeros((1, 5), np.int64)


@pytest.mark.parametrize(
    ("arrays", "words"),
    [
        ({"x": X}, r"no array for its input ids \(1x\? int64\)"),
        ({"x": X, "ids": IDS, "y": X}, "'y', which is no input"),
        ({"x": X.astype(np.float64), "ids": IDS}, "input x takes float32, the array is float64"),
        ({"x": X, "ids": IDS.astype(np.int32)}, "input ids takes int64, the array is int32"),
        ({"x": X[0], "ids": IDS}, "input x takes 1x3x8x8, the array is 3x8x8"),
        ({"x": np.zeros((2, 3, 8, 8), np.float32), "ids": IDS}, "input x takes 1x3x8x8, the array is 2x3x8x8"),
        ({"x": X[None, None], "ids": IDS}, "the array is 1x1x1x3x8x8"),
        ({"x": np.stack([X, X]), "ids": IDS}, "2 of x, 1 of ids"),
        ({"x": np.stack([X, X]), "ids": np.stack([IDS] * 3)}, "2 of x, 3 of ids"),
    ],
)
def test_given_inputs_that_do_not_fit_are_told_and_never_cast(
    tmp_path: Path, arrays: dict[str, Any], words: str
) -> None:
    read = read_inputs(npz(tmp_path / "x.npz", **arrays))
    with pytest.raises(UsageError, match=words) as told:
        check([IMAGE], {}, read)
    assert told.value.where == "m.onnx"
    assert told.value.hint


def test_given_inputs_must_fit_each_file_and_the_error_names_the_one(tmp_path: Path) -> None:
    read = read_inputs(npz(tmp_path / "x.npz", x=X, ids=IDS))
    other = Takes("other.onnx", tensors(x=("float16", (1, 3, 8, 8))))
    with pytest.raises(UsageError, match=r"^other\.onnx: input x takes float16"):
        check([IMAGE, other], {}, read)


def _zip(path: Path, name: str, data: bytes) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(name, data)
    return path


def test_files_that_hold_no_usable_arrays_are_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "one.npy", X)
    (tmp_path / "garbage.npz").write_bytes(b"PK\x03\x04 and no more")
    (tmp_path / "pickle.npz").write_bytes(pickle.dumps({"x": 1}))
    whole = npz(tmp_path / "whole.npz", x=np.random.default_rng(0).random(1000)).read_bytes()
    (tmp_path / "cut.npz").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "flipped.npz").write_bytes(whole[:2000] + bytes([whole[2000] ^ 1]) + whole[2001:])
    header = b"\x93NUMPY\x01\x00v\x00" + b"{'descr': '<f4', 'fortran_order': False, 'shape': (9999999999999,), }".ljust(
        117
    )
    cases = {
        tmp_path / "missing.npz": "no such file",
        tmp_path: "no such file",
        tmp_path / "one.npy": "no .npz",
        tmp_path / "garbage.npz": "no .npz",
        tmp_path / "pickle.npz": "no .npz",
        tmp_path / "cut.npz": "no .npz",
        tmp_path / "flipped.npz": "cannot be read",
        npz(tmp_path / "objects.npz", x=np.array([{}], object)): "cannot be read: Object arrays",
        npz(tmp_path / "none.npz"): "no array",
        npz(tmp_path / "text.npz", x=np.array(["a"])): "type <U1, which no input takes",
        npz(tmp_path / "complex.npz", x=np.array([1j])): "complex128, which no input takes",
        npz(tmp_path / "empty.npz", x=np.zeros((0, 3))): "is empty: 0x3",
        npz(tmp_path / "nan.npz", x=np.array([1, np.nan, np.inf, 2])): "2 of the 4 values of the array x are NaN",
        npz(tmp_path / "inf.npz", x=np.array([-np.inf], np.float16)): "1 of the 1 values of the array x are NaN",
        _zip(tmp_path / "readme.npz", "readme.txt", b"hello"): "readme.txt in it is no array",
        _zip(tmp_path / "lies.npz", "x.npy", header): "cannot be read",
    }
    for path, words in cases.items():
        with pytest.raises(UsageError) as told:
            read_inputs(path)
        assert words in str(told.value), path
        assert told.value.where == str(path)


def test_a_zip_bomb_is_refused_before_it_is_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edgeprof.measure.inputs.MOST_BYTES", 1 << 20)
    np.savez_compressed(tmp_path / "bomb.npz", x=np.zeros((1 << 20) + 1, np.uint8))
    assert (tmp_path / "bomb.npz").stat().st_size < 1 << 13
    monkeypatch.setattr(np, "load", lambda *_, **__: pytest.fail("it was unpacked"))
    with pytest.raises(UsageError, match="over 1 GiB"):
        read_inputs(tmp_path / "bomb.npz")
