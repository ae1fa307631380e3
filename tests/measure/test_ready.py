"""Ready files from anywhere: what can be used is opened, what cannot is told in a sentence, and nothing is guessed."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import ready_models
from hypothesis import given
from hypothesis import strategies as st

from edgeprof.errors import UsageError
from edgeprof.measure import present, read_inputs, ready, shapes
from edgeprof.measure.files import names
from edgeprof.progress import Silent
from edgeprof.records import Artifact, Device, Failure
from edgeprof.store import Store
from edgeprof.target.local import LocalConnection

HERE = Device(name="localhost", transport="local", threads=(1,))
FORMATS = ("onnx", "openvino", "tflite")
OPEN: dict[str, tuple[str, tuple[int | None, ...]]] = {"x": ("float32", (None, 4)), "ids": ("int64", (None, 4))}


class Bench:
    """A store and a connection to this machine."""

    def __init__(self, root: Path) -> None:
        self.store = Store(root)
        self.connection = LocalConnection(HERE, self.store)

    def ready(self, *paths: Path, shape: tuple[str, ...] = (), inputs: Path | None = None) -> tuple[Any, Any]:
        artifacts, failures = ready(
            self.store,
            present(paths),
            HERE,
            self.connection,
            Silent(),
            shapes=shapes(shape),
            given=None if inputs is None else read_inputs(inputs),
        )
        return artifacts, failures

    def arrays(self, artifact: Artifact) -> dict[str, Any]:
        assert artifact.samples_sha is not None
        return dict(np.load(self.store.blob(artifact.samples_sha), allow_pickle=False))


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = Bench(tmp_path / "store")
    yield made
    made.connection.close()
    made.store.close()


def npz(path: Path, **arrays: Any) -> Path:
    np.savez(path, **arrays)
    return path


# --- opening files by their runtimes


def test_files_of_all_formats_with_inputs_of_several_types_are_opened(bench: Bench, tmp_path: Path) -> None:
    paths = [ready_models.any_file(tmp_path, format, ready_models.MANY) for format in FORMATS]
    artifacts, failures = bench.ready(*paths)
    assert failures == []
    assert [one.format for one in artifacts] == list(FORMATS)
    assert {one.model for one in artifacts} == {"model"}
    for one in artifacts:
        assert [(tensor.name, tensor.dtype) for tensor in one.inputs] == [
            (name, kind) for name, (kind, _) in ready_models.MANY.items()
        ]
        made = bench.arrays(one)
        assert [made[f"in{place}"].dtype.name for place in range(4)] == ["float32", "int64", "uint8", "bool"]
        assert all(array.shape == (4, 1, 4) for array in made.values())
        assert one.accuracy is None
        assert bench.store.blob(one.files[0].sha256).read_bytes() == next(
            path.read_bytes() for path in paths if path.suffix == Path(one.files[0].name).suffix
        )


def test_open_dimensions_are_told_of_all_inputs_and_fixed_by_shape_or_by_the_arrays(
    bench: Bench, tmp_path: Path
) -> None:
    for format in FORMATS:
        path = ready_models.any_file(tmp_path, format, OPEN)
        with pytest.raises(UsageError, match=r"x \(\?x4 float32\), ids \(\?x4 int64\)") as told:
            bench.ready(path)
        assert told.value.hint is not None
        assert "--shape x=1x4 --shape ids=1x4" in told.value.hint
        (artifact,), _ = bench.ready(path, shape=("x=3x4", "ids=3x4"))
        assert {name: array.shape for name, array in bench.arrays(artifact).items()} == {
            "in0": (4, 3, 4),
            "in1": (4, 3, 4),
        }
    given_ids = np.arange(40).reshape(2, 5, 4)
    arrays = npz(tmp_path / "x.npz", ids=given_ids, x=np.ones((2, 5, 4), np.float32))
    (artifact,), _ = bench.ready(path, inputs=arrays)
    np.testing.assert_array_equal(bench.arrays(artifact)["in1"], given_ids)


def test_what_no_runtime_can_open_fails_alone_with_what_to_do(bench: Bench, tmp_path: Path) -> None:
    good = ready_models.onnx_file(tmp_path / "good.onnx")
    whole = ready_models.tflite_file(tmp_path / "whole.tflite").read_bytes()
    ir = ready_models.openvino_file(tmp_path / "ir.xml")
    text, weights = ir.read_text(), ir.with_suffix(".bin").read_bytes()
    bad: dict[str, tuple[bytes, str]] = {
        "garbage.onnx": (b"this is no model", "damaged"),
        "empty.onnx": (b"", "damaged"),
        "cut.onnx": (good.read_bytes()[:-9], "damaged"),
        "op.onnx": (ready_models.onnx_file(tmp_path / "op.onnx", op="Frobnicate").read_bytes(), "newer runtime"),
        "opset.onnx": (ready_models.onnx_file(tmp_path / "opset.onnx", opset=99).read_bytes(), "newer runtime"),
        "cut.xml": (text[: len(text) // 2].encode(), "damaged"),
        "op.xml": (text.replace('type="Add"', 'type="Frobnicate"').encode(), "newer runtime"),
        "cut.tflite": (whole[: len(whole) // 2], "damaged"),
        "empty.tflite": (b"", "damaged"),
    }
    for name, (data, _) in bad.items():
        (tmp_path / name).write_bytes(data)
        if name.endswith(".xml"):
            (tmp_path / name).with_suffix(".bin").write_bytes(weights)
    artifacts, failures = bench.ready(good, *(tmp_path / name for name in bad))
    assert [one.model for one in artifacts] == ["good"]
    for failure, (name, (_, words)) in zip(failures, bad.items(), strict=True):
        assert str(tmp_path / name) in failure.error
        assert words in (failure.hint or ""), failure
        assert ".edgeprof" not in failure.error
        assert "blobs" not in failure.error
        assert "/onnxruntime_src/" not in failure.error


def test_weights_in_a_file_of_their_own_become_files_of_the_artifact(bench: Bench, tmp_path: Path) -> None:
    path = ready_models.external_onnx(tmp_path / "m.onnx")
    artifacts, failures = bench.ready(path)
    assert failures == []
    (artifact,) = artifacts
    assert [one.name for one in artifact.files] == ["model.onnx", "w.data"]
    assert artifact.size_bytes == path.stat().st_size + 64
    (tmp_path / "w.data").write_bytes(bytes(64))
    (other,), _ = bench.ready(path)
    assert other.artifact_sha != artifact.artifact_sha, "other weights are another file"


def test_what_the_host_sees_is_a_failure_beside_others_and_an_error_alone(bench: Bench, tmp_path: Path) -> None:
    (tmp_path / "folder.onnx").mkdir()
    (tmp_path / "notes.txt").write_text("x")
    (tmp_path / "bare").write_text("x")
    (tmp_path / "alone.xml").write_text("<net/>")
    os.mkfifo(tmp_path / "pipe.onnx")
    (tmp_path / "dead.onnx").symlink_to("nowhere")
    ready_models.unranked_onnx(tmp_path / "unranked.onnx")
    ready_models.onnx_file(tmp_path / "huge.onnx", {"x": ("float32", (1 << 20, 1 << 12))})
    bad = {
        "folder.onnx": "folder",
        "notes.txt": ".txt",
        "bare": "does not end in a kind of model",
        "alone.xml": "weights",
        "pipe.onnx": "no regular file",
        "dead.onnx": "a link to nothing",
        "unranked.onnx": "how many dimensions its inputs have: x",
    }
    good = ready_models.onnx_file(tmp_path / "good.onnx")
    paths = [tmp_path / name for name in bad]
    artifacts, failures = bench.ready(*paths, good, tmp_path / "huge.onnx")
    assert [one.model for one in artifacts] == ["good"]
    for failure, words in zip(failures, [*bad.values(), "over 1 GiB"], strict=True):
        assert words in failure.error
        assert failure.hint
        assert not failure.transient
    with pytest.raises(UsageError) as told:
        bench.ready(*paths)
    assert all(words in str(told.value) for words in bad.values())


def test_inputs_that_no_array_can_give_are_a_failure_that_says_so(bench: Bench, tmp_path: Path) -> None:
    from onnx import TensorProto, helper

    value = helper.make_tensor_value_info("words", TensorProto.STRING, [2])
    out = helper.make_tensor_value_info("y", TensorProto.STRING, [2])
    graph = helper.make_graph([helper.make_node("Identity", ["words"], ["y"])], "ready", [value], [out])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    (tmp_path / "text.onnx").write_bytes(model.SerializeToString())
    constant = helper.make_node("Constant", [], ["y"], value_strings=["a", "b"])
    graph = helper.make_graph([constant], "ready", [], [out])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    (tmp_path / "none.onnx").write_bytes(model.SerializeToString())
    good = ready_models.onnx_file(tmp_path / "good.onnx")
    artifacts, failures = bench.ready(tmp_path / "text.onnx", tmp_path / "none.onnx", good)
    assert len(artifacts) == 1
    assert "words (object)" in failures[0].error
    assert "takes no input" in failures[1].error


# --- names


def test_the_same_name_in_two_folders_gives_two_names(bench: Bench, tmp_path: Path) -> None:
    paths = []
    for folder in ("a/net", "b/net", "b/other"):
        (tmp_path / folder).mkdir(parents=True)
        paths.append(ready_models.onnx_file(tmp_path / folder / "model.onnx"))
    artifacts, _ = bench.ready(*paths)
    assert [one.model for one in artifacts] == ["a/net/model", "b/net/model", "other/model"]
    assert len({one.identity.label() for one in artifacts}) == 3
    assert len({one.artifact_sha for one in artifacts}) == 1, "even of the same bytes"


def test_a_file_named_twice_is_one_and_missing_ones_are_all_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.onnx").touch()
    monkeypatch.chdir(tmp_path)
    assert present([Path("a.onnx"), tmp_path / "a.onnx", Path("./a.onnx")]) == [Path("a.onnx")]
    with pytest.raises(UsageError, match=r"b\.onnx, c\.onnx"):
        present([Path("b.onnx"), Path("a.onnx"), Path("c.onnx"), Path("x" * 300)][:3])
    with pytest.raises(UsageError, match="no such file"):
        present([Path("x" * 5000 + ".onnx")])


FILE_NAME = st.text(st.characters(exclude_characters="/\0", codec=None), min_size=1, max_size=120).filter(
    lambda name: name not in (".", "..")
)


def test_even_the_root_folder_has_a_name() -> None:
    assert names([Path("/"), Path("/a.onnx"), Path("..")])[:2] == ["/", "a"]


@given(st.lists(FILE_NAME.map(lambda name: Path("/models") / f"{name}.onnx"), unique=True, max_size=6))
def test_names_are_different_short_and_printable_whatever_the_files_are_called(paths: list[Path]) -> None:
    made = names(paths)
    assert len(set(made)) == len(paths)
    for one in made:
        assert len(one) < 90
        assert one.encode().decode() == one
        assert not any(unicodedata.category(char).startswith("C") for char in one)


HOSTILE = [
    "new\nline",
    "esc\x1b[2Jape",
    "quote'\"`$(x)",
    "[red]markup[bold]",
    "-dash",
    "試験 ünï",
    "=1+1",
    "\udcff",
    "y" * 240,
]


def test_hostile_names_are_opened_and_told_without_their_control_characters(bench: Bench, tmp_path: Path) -> None:
    good = ready_models.onnx_file(tmp_path / "good.onnx").read_bytes()
    paths = []
    for place, name in enumerate(HOSTILE):
        paths.append(tmp_path / f"{name}.onnx")
        paths[-1].write_bytes(good if place % 2 else b"no model")
    artifacts, failures = bench.ready(*paths)
    assert (len(artifacts), len(failures)) == (4, 5)
    for text in [one.model for one in artifacts] + [one.error for one in failures]:
        assert text.isprintable()
        text.encode()
    kept: list[Artifact] = bench.store.all(Artifact.KIND, Artifact)
    assert kept == artifacts
    for one in failures:
        bench.store.put(Failure.KIND, one.error, one)


def test_a_path_that_is_no_text_is_told_where_weights_are_missing(bench: Bench, tmp_path: Path) -> None:
    folder = tmp_path / "\udcff\n"
    folder.mkdir()
    paths = [ready_models.external_onnx(folder / "m.onnx", "gone"), ready_models.onnx_file(tmp_path / "good.onnx")]
    _, (failure,) = bench.ready(*paths)
    assert failure.error.isprintable()
    assert "'gone', which is not there" in failure.error
