"""The reader of ONNX files finds what the files mean, refuses what they must not ask for, and survives any bytes."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import ready_models
from hypothesis import given
from hypothesis import strategies as st

from edgeprof.errors import UsageError
from edgeprof.measure.files import keep
from edgeprof.measure.onnx_parts import external_files, unranked_inputs
from edgeprof.store import Store


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    made = Store(tmp_path / "store")
    yield made
    made.close()


@pytest.mark.parametrize("inside", [None, "constant", "branch"])
def test_external_data_is_found_wherever_in_the_graph_it_is(tmp_path: Path, inside: str | None) -> None:
    path = ready_models.external_onnx(tmp_path / "m.onnx", inside=inside)
    assert external_files(path, path.read_bytes()) == {"w.data": tmp_path / "w.data"}


def test_a_file_written_by_the_onnx_package_is_read_as_it_means_it(tmp_path: Path) -> None:
    import onnx

    plain = ready_models.onnx_file(tmp_path / "m.onnx", ready_models.MANY, weights=3)
    assert external_files(plain, plain.read_bytes()) == {}
    model = onnx.load(plain)
    onnx.save(model, tmp_path / "e.onnx", save_as_external_data=True, location="e.onnx_data", size_threshold=0)
    assert list(external_files(tmp_path / "e.onnx", (tmp_path / "e.onnx").read_bytes())) == ["e.onnx_data"]


@pytest.mark.parametrize(
    ("location", "words"),
    [
        ("../w.data", "outside of its own folder"),
        ("a/../../w.data", "outside of its own folder"),
        ("/etc/hostname", "outside of its own folder"),
        ("sub/w.data", "only files beside it"),
        ("*/_ORT_MEM_ADDR_/*", "only files beside it"),
        ("", "no file name"),
        (".", "no file name"),
        ("w\n.data", "no file name"),
        ("gone.data", "which is not there"),
        ("other.onnx", "named like a model"),
    ],
)
def test_external_data_anywhere_but_beside_the_file_is_refused(
    store: Store, tmp_path: Path, location: str, words: str
) -> None:
    """A file from a stranger must not have another file of the machine read."""
    (tmp_path / "m").mkdir()
    path = ready_models.external_onnx(tmp_path / "m" / "m.onnx", location)
    with pytest.raises(UsageError, match=words) as told:
        keep(store, path)
    assert repr(location) in str(told.value)
    assert told.value.hint


def test_a_leading_dot_is_the_same_folder(tmp_path: Path) -> None:
    path = ready_models.external_onnx(tmp_path / "m.onnx", "./w.data")
    assert external_files(path, path.read_bytes()) == {"w.data": tmp_path / "w.data"}


def test_inputs_without_a_rank_are_found_and_scalars_are_not(tmp_path: Path) -> None:
    scalar = ready_models.onnx_file(tmp_path / "s.onnx", {"x": ("float32", ()), "y": ("float32", (None,))})
    assert unranked_inputs(scalar.read_bytes()) == set()
    assert unranked_inputs(ready_models.unranked_onnx(tmp_path / "u.onnx").read_bytes()) == {"x"}


@given(st.data())
def test_no_bytes_upset_the_reader(data: st.DataObject) -> None:
    """Damage is told by the runtime; the reader must come to an end and find nothing outside the folder."""
    whole = _external_bytes()
    kind = data.draw(st.sampled_from(["any", "cut", "flipped"]))
    if kind == "any":
        damaged = data.draw(st.binary(max_size=200))
    elif kind == "cut":
        damaged = whole[: data.draw(st.integers(0, len(whole)))]
    else:
        place = data.draw(st.integers(0, len(whole) - 1))
        damaged = whole[:place] + bytes([data.draw(st.integers(0, 255))]) + whole[place + 1 :]
    try:
        found = external_files(Path("/nowhere/m.onnx"), damaged)
    except UsageError:
        return
    assert found == {}, "there is no such folder"
    unranked_inputs(damaged)


_BYTES: list[bytes] = []


def _external_bytes() -> bytes:

    if not _BYTES:
        with tempfile.TemporaryDirectory() as folder:
            _BYTES.append(ready_models.external_onnx(Path(folder) / "m.onnx", inside="branch").read_bytes())
    return _BYTES[0]
