"""Files for users: names are safe and unlike for unlike models; what is written is whole and can be used as it is."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from export_checkpoints import FP32, record
from hypothesis import given
from hypothesis import strategies as st

from edgeprof.errors import RecordError, UsageError
from edgeprof.export.files import friendly_stem, write_files
from edgeprof.records import Artifact, FileRef, MadeBy, Trained, files_sha
from edgeprof.store import Store


def artifact_of(
    store: Store, model: str, init: str | None = "scratch", names: tuple[str, ...] = ("model.onnx",)
) -> Artifact:
    trained = record()
    files = tuple(FileRef(name=n, sha256=store.add_bytes(n.encode()), size_bytes=len(n)) for n in names)
    return Artifact(
        training="tests",
        model=model,
        init=init,
        seed=0,
        exporter="onnx-fp32",
        format="onnx",
        precision="fp32",
        checkpoint_sha=trained.checkpoint_sha,
        artifact_sha=files_sha(files),
        files=files,
        size_bytes=1,
        inputs=(),
        outputs=(),
        preprocessing=trained.preprocessing,
        accuracy=None,
        parity=None,
        predictions_sha=None,
        params=None,
        macs=None,
        samples_sha=None,
        made_by=MadeBy(edgeprof="0", packages={}, machine="", seconds=0.0),
    )


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return Store(tmp_path_factory.mktemp("store"))


@given(st.text(), st.none() | st.text())
def test_any_name_becomes_a_safe_file_name(store: Store, model: str, init: str | None) -> None:
    stem = friendly_stem(artifact_of(store, model, init))
    assert "/" not in stem
    assert not stem.startswith((".", "-"))
    assert stem.isascii()
    assert stem.isprintable()
    assert " " not in stem
    assert len(stem) < 250


@given(st.text(), st.text(), st.text(), st.text())
def test_two_models_never_share_a_name(store: Store, model: str, init: str, model2: str, init2: str) -> None:
    one, two = friendly_stem(artifact_of(store, model, init)), friendly_stem(artifact_of(store, model2, init2))
    assert one != two or (model, init) == (model2, init2)


@pytest.mark.parametrize(
    ("model", "init", "stem"),
    [
        ("resnet18", "scratch", "resnet18--scratch--0--onnx-fp32"),
        ("torchvision:squeezenet1_1", "pretrained", "torchvision-squeezenet1_1--pretrained--0--onnx-fp32"),
        ("resnet18", None, "resnet18--0--onnx-fp32"),
    ],
)
def test_ordinary_names_stay_readable(store: Store, model: str, init: str | None, stem: str) -> None:
    assert friendly_stem(artifact_of(store, model, init)) == stem


def test_a_path_as_init_does_not_leave_the_folder(store: Store, tmp_path: Path) -> None:
    written = write_files(store, artifact_of(store, "resnet18", "file:../../etc/my weights.pth"), tmp_path / "out")
    assert all(path.parent == tmp_path / "out" for path in written)
    assert written[0].name.startswith("resnet18--etc-my-weights.pth-")


def test_an_openvino_pair_keeps_one_stem_and_the_sidecar_tells_of_both(store: Store, tmp_path: Path) -> None:
    artifact = artifact_of(store, "resnet18", names=("model.xml", "model.bin"))
    store.put(Trained.KIND, "one", record(classes=("cat", "dog")))
    folder = tmp_path / "aus gäbe"
    xml, weights, sidecar = write_files(store, artifact, folder)
    assert (xml.read_bytes(), weights.read_bytes()) == (b"model.xml", b"model.bin")
    assert (xml.suffix, weights.suffix, xml.stem) == (".xml", ".bin", weights.stem)
    told = json.loads(sidecar.read_text(encoding="utf-8"))
    assert told["classes"] == ["cat", "dog"]
    assert told["files"] == {xml.name: artifact.files[0].sha256, weights.name: artifact.files[1].sha256}
    assert told["preprocessing"]["image_size"] == 32
    assert sorted(folder.iterdir()) == sorted([xml, weights, sidecar])


def test_a_missing_blob_says_what_to_do(store: Store, tmp_path: Path) -> None:
    artifact = artifact_of(store, "resnet18", names=("gone.onnx",))
    store.blob(artifact.files[0].sha256).unlink()
    with pytest.raises(RecordError, match="missing") as caught:
        write_files(store, artifact, tmp_path / "out")
    assert caught.value.hint == "export it again"


def test_a_folder_that_is_a_file_is_a_clear_error(store: Store, tmp_path: Path) -> None:
    (tmp_path / "out").write_text("mine", encoding="utf-8")
    with pytest.raises((RecordError, UsageError), match="cannot be written"):
        write_files(store, artifact_of(store, "resnet18"), tmp_path / "out")
    assert (tmp_path / "out").read_text(encoding="utf-8") == "mine"


def test_the_sha_of_several_files_is_that_of_their_list(store: Store) -> None:
    files = artifact_of(store, "m", names=("model.xml", "model.bin")).files
    assert files_sha(files) == files_sha(files[::-1])
    assert files_sha(files) not in {file.sha256 for file in files}
    assert files_sha(files[:1]) == files[0].sha256


def test_every_shipped_exporter_is_possible() -> None:
    from edgeprof.export import formats
    from edgeprof.suite import Suite, builtin_root

    suite = Suite(builtin_root())
    exporters = [suite.exporter(name) for name in suite.names("exporters")]
    for exporter in exporters:
        formats.check(exporter)
    assert {one.format for one in exporters} == set(FP32) == set(formats.CONVERTERS)
