"""Cells end to end with real converters and a real store: what is kept, what is reused, what fails and what goes on."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from export_checkpoints import FP32, Told, eventually, make_trained, workers_of

from edgeprof.agent import runtimes
from edgeprof.errors import ExportError, RecordError, UsageError
from edgeprof.export import cached, cells, export, export_all, key
from edgeprof.export.request import ParityError
from edgeprof.records import Artifact, Exporter, Trained, files_sha
from edgeprof.store import Store

MODEL = "test_resnet"
OLD_ONNX = Exporter(name="onnx-opset18", format="onnx", precision="fp32", opset=18)


@dataclass(frozen=True)
class Exported:
    """One checkpoint in all three formats. Tests must not change what is there."""

    store: Store
    trained: Trained
    artifacts: dict[str, Artifact]
    told: list[str]


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Exported:
    store = Store(tmp_path_factory.mktemp("export") / "a störe")
    trained, told = make_trained(store, MODEL), Told()
    artifacts, failures = export_all(store, [(trained, one) for one in FP32.values()], told)
    assert failures == []
    return Exported(store, trained, {one.format: one for one in artifacts}, told.details)


@pytest.fixture
def store(exported: Exported, tmp_path: Path) -> Store:
    """A fresh store that holds the checkpoint."""
    fresh = Store(tmp_path / "store")
    for sha in (exported.trained.checkpoint_sha, exported.trained.predictions_sha):
        fresh.add_file(exported.store.blob(sha))
    return fresh


@pytest.mark.parametrize("format", list(FP32))
def test_a_file_agrees_with_its_checkpoint_and_its_record_says_what_it_is(exported: Exported, format: str) -> None:
    made = exported.artifacts[format]
    assert made.parity is not None
    assert made.parity.images == 450
    assert made.parity.relative_diff < 1e-5
    assert made.accuracy is not None
    assert made.accuracy.images == 450
    assert made.artifact_sha == files_sha(made.files)
    assert made.size_bytes == sum(exported.store.blob(file.sha256).stat().st_size for file in made.files)
    assert made.inputs[0].shape == ((1, 32, 32, 3) if format == "tflite" else (1, 3, 32, 32))
    assert made.inputs[0].layout == FP32[format].layout
    assert made.outputs[0].shape == (1, 10)
    assert made.preprocessing == exported.trained.preprocessing
    assert made.identity.label() == f"{MODEL} / scratch / seed 0 / {format}-fp32"
    assert made.made_by.packages["torch"]


@pytest.mark.parametrize("format", list(FP32))
def test_the_samples_are_what_the_file_takes_and_gives(exported: Exported, format: str) -> None:
    made, store = exported.artifacts[format], exported.store
    files = {file.name: str(store.blob(file.sha256)) for file in made.files}
    model = runtimes.open_model(format, files, 1, "fp32")
    assert made.samples_sha is not None
    assert made.predictions_sha is not None
    with np.load(store.blob(made.samples_sha)) as samples, np.load(store.blob(made.predictions_sha)) as predictions:
        given, expected, logits, labels = samples["in0"], samples["out0"], predictions["logits"], predictions["labels"]
    assert given.shape == (16, *made.inputs[0].shape[1:])
    for image, wanted in zip(given, expected, strict=True):
        np.testing.assert_allclose(np.array(model.run([image[None]])[0])[0], wanted, atol=1e-5)
    assert logits.shape == (450, 10)
    rows = [int(np.flatnonzero((logits == row).all(axis=1))[0]) for row in expected]
    assert len({int(labels[row]) for row in rows}) == 10, "the samples are of all classes"


def test_tflite_runs_whole_in_xnnpack(exported: Exported) -> None:
    made, store = exported.artifacts["tflite"], exported.store
    model = runtimes.open_model("tflite", {"model.tflite": str(store.blob(made.files[0].sha256))}, 1, "fp32")
    assert "XNNPACK" in model.runs_on


def test_progress_counts_what_is_made_and_nothing_is_left_over(exported: Exported) -> None:
    assert sorted(exported.told) == sorted(one.identity.label() for one in exported.artifacts.values())
    assert list(exported.store.scratch.iterdir()) == []
    assert list((exported.store.root / "logs").iterdir()) == []
    assert workers_of(exported.store) == []


def test_what_exists_is_found_without_loading_anything_heavy(exported: Exported, tmp_path: Path) -> None:
    (tmp_path / "trained.json").write_bytes(msgspec.json.encode(exported.trained))
    code = (
        "import sys; from pathlib import Path\n"
        f"sys.path.insert(0, {str(Path(__file__).parent)!r})\n"
        "from edgeprof.export import cached, export_all\n"
        "from edgeprof.progress import Silent\n"
        "from edgeprof.records import Exporter, Trained, from_json\n"
        "from edgeprof.store import Store\n"
        f"trained = from_json(Path({str(tmp_path / 'trained.json')!r}).read_bytes(), Trained)\n"
        f"store = Store(Path({str(exported.store.root)!r}))\n"
        "exporters = [Exporter(name='any', format='onnx', precision='fp32'),\n"
        "             Exporter(name='tflite', format='tflite', precision='fp32', layout='NHWC')]\n"
        "assert all(cached(store, trained, one) for one in exporters)\n"
        "artifacts, failures = export_all(store, [(trained, one) for one in exporters], Silent())\n"
        "assert [one.exporter for one in artifacts] == ['any', 'tflite'] and not failures\n"
        "heavy = {'torch', 'timm', 'onnx', 'onnxruntime', 'openvino', 'litert_torch', 'numpy', 'sklearn'}\n"
        "print(sorted(heavy & set(sys.modules)))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == "[]"
    # Found under another name, it also stands in the store under that name, where a run looks for it.
    names = {one.exporter for one in exported.store.all(Artifact.KIND, Artifact) if one.format == "onnx"}
    assert names == {"onnx-fp32", "any"}


def test_the_key_holds_everything_that_shapes_the_file(exported: Exported) -> None:
    trained, exporter = exported.trained, FP32["onnx"]
    base = key(trained, exporter)
    replace = msgspec.structs.replace
    assert key(replace(trained, training="other"), replace(exporter, name="x", description="y")) == base
    others = [
        key(replace(trained, checkpoint_sha="4" * 64), exporter),
        key(replace(trained, data_sha="4" * 64), exporter),
        key(replace(trained, preprocessing=replace(trained.preprocessing, image_size=64)), exporter),
        key(trained, replace(exporter, opset=18)),
        key(trained, replace(exporter, layout="NHWC")),
        key(trained, replace(exporter, max_abs_diff=0.5)),
        key(trained, FP32["openvino"]),
    ]
    assert len({base, *others}) == len(others) + 1


def test_a_missing_blob_is_made_again(exported: Exported, store: Store) -> None:
    artifact = exported.artifacts["onnx"]
    store.put(Artifact.KIND, key(exported.trained, FP32["onnx"]), artifact)
    assert cached(store, exported.trained, FP32["onnx"]) is None


def test_failing_cells_speak_the_converters_words_and_the_others_give_the_same_bytes_again(
    exported: Exported, store: Store
) -> None:
    trained = exported.trained
    replace = msgspec.structs.replace
    other = make_trained(store, MODEL, seed=1)
    future = Exporter(name="onnx-opset99", format="onnx", precision="fp32", opset=99)
    dynamic = Exporter(name="onnx-dynamic", format="onnx", precision="dynamic-int8")
    pairs: list[tuple[Trained, Exporter]] = [
        (trained, FP32["tflite"]),
        (trained, future),
        (trained, dynamic),
        (replace(trained, model="test_efficientnet"), FP32["onnx"]),
        (replace(trained, checkpoint_sha="5" * 64), FP32["onnx"]),
        (replace(trained, checkpoint_sha=other.checkpoint_sha), FP32["onnx"]),
        (replace(trained, classes=("a", "b")), FP32["onnx"]),
        (trained, FP32["openvino"]),
        (trained, FP32["onnx"]),
    ]
    told = Told()
    artifacts, failures = export_all(store, pairs, told)
    assert len(told.details) == len(pairs)

    assert [one.format for one in artifacts] == ["tflite", "openvino", "onnx"]
    for again in artifacts:
        first = exported.artifacts[again.format]
        assert again.artifact_sha == first.artifact_sha
        assert again.samples_sha == first.samples_sha
        assert again.predictions_sha == first.predictions_sha

    classes = [one.error_class for one in failures]
    assert classes == ["ExportError", "ExportError", "TrainError", "TrainError", "ParityError", "ExportError"]
    said = [one.error for one in failures]
    assert "99" in said[0]
    assert "precision dynamic-int8 is not possible for onnx" in said[1]
    assert "do not fit test_efficientnet" in said[2]
    assert "the checkpoint cannot be read" in said[3]
    assert "does not agree with its checkpoint" in said[4]
    assert "do not fit its classes" in said[5]
    assert all("\n" not in one and len(one) < 900 for one in said)
    assert failures[4].parity is not None
    assert failures[4].parity.relative_diff > 0.01
    assert failures[0].hint is not None
    log = Path(failures[0].hint.rpartition("all that was printed: ")[2])
    assert "Traceback" in log.read_text(encoding="utf-8"), "the whole story is kept"
    assert sorted(one.format for one in store.all(Artifact.KIND, Artifact)) == ["onnx", "openvino", "tflite"]
    assert list(store.scratch.iterdir()) == []


def test_one_export_raises_what_went_wrong(exported: Exported, store: Store) -> None:
    with pytest.raises(ExportError, match="precision dynamic-int8 is not possible"):
        export(store, exported.trained, Exporter(name="odd", format="onnx", precision="dynamic-int8"), Told())


def test_a_worker_that_is_killed_is_a_failure_that_says_so(exported: Exported, store: Store) -> None:
    def kill() -> None:
        eventually(lambda: bool(workers_of(store)))
        for process in workers_of(store):
            os.kill(process, signal.SIGKILL)

    killer = threading.Thread(target=kill)
    killer.start()
    _, failures = export_all(store, [(exported.trained, FP32["onnx"])], Told())
    killer.join()
    assert "killed by SIGKILL" in failures[0].error
    assert failures[0].hint == "SIGKILL is often the system being out of memory"


def test_a_worker_that_hangs_is_ended_at_the_deadline(exported: Exported, store: Store) -> None:
    def stop() -> None:
        eventually(lambda: bool(workers_of(store)))
        for process in workers_of(store):
            os.kill(process, signal.SIGSTOP)

    stopper = threading.Thread(target=stop)
    stopper.start()
    _, failures = export_all(store, [(exported.trained, FP32["onnx"])], Told(), deadline_s=2.0)
    stopper.join()
    assert "no sign of life for 2 s" in failures[0].error
    eventually(lambda: not workers_of(store))


def test_an_interruption_ends_the_workers_and_keeps_what_is_finished(exported: Exported, store: Store) -> None:
    class Interrupting(Told):
        def advance(self, stage: str, done: float = 1.0, detail: str = "") -> None:
            raise KeyboardInterrupt

    pairs = [(exported.trained, OLD_ONNX), (exported.trained, FP32["tflite"])]
    with pytest.raises(KeyboardInterrupt):
        export_all(store, pairs, Interrupting())
    assert len(store.all(Artifact.KIND, Artifact)) == 1
    assert workers_of(store) == []
    assert list(store.scratch.iterdir()) == []


def test_each_file_is_handed_out_as_it_is_ready(exported: Exported, store: Store) -> None:
    """So that an interruption leaves those that were ready with the user, too."""
    handed: list[Artifact] = []

    def once(artifact: Artifact) -> None:
        if handed:
            raise KeyboardInterrupt
        handed.append(artifact)

    pairs = [(exported.trained, FP32["onnx"]), (exported.trained, OLD_ONNX)]
    with pytest.raises(KeyboardInterrupt):
        export_all(store, pairs, Told(), done=once)
    assert handed[0] in store.all(Artifact.KIND, Artifact)
    assert workers_of(store) == []
    again: list[Artifact] = []
    artifacts, _ = export_all(store, pairs, Told(), done=again.append)
    assert sorted(one.artifact_sha for one in again) == sorted(one.artifact_sha for one in artifacts)


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_no_worker_outlives_the_process_that_began_it(
    exported: Exported, store: Store, tmp_path: Path, how: int
) -> None:
    (tmp_path / "trained.json").write_bytes(msgspec.json.encode(exported.trained))
    code = (
        "from pathlib import Path\n"
        "from edgeprof.export import export_all\n"
        "from edgeprof.progress import Silent\n"
        "from edgeprof.records import Exporter, Trained, from_json\n"
        "from edgeprof.store import Store\n"
        f"trained = from_json(Path({str(tmp_path / 'trained.json')!r}).read_bytes(), Trained)\n"
        "exporter = Exporter(name='tflite', format='tflite', precision='fp32', layout='NHWC')\n"
        f"export_all(Store(Path({str(store.root)!r})), [(trained, exporter)], Silent())\n"
    )
    parent = subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.DEVNULL)
    eventually(lambda: bool(workers_of(store)))
    parent.send_signal(how)
    parent.wait(60)
    eventually(lambda: not workers_of(store))
    # What a killed one leaves behind is removed by the next.
    cells._sweep(store)
    assert list(store.scratch.iterdir()) == []


def test_a_store_that_cannot_be_written_is_told_and_is_no_failure_of_the_cell(exported: Exported, store: Store) -> None:
    store.scratch.rmdir()
    store.scratch.write_text("in the way", encoding="utf-8")
    with pytest.raises((RecordError, UsageError), match="cannot be written"):
        export_all(store, [(exported.trained, FP32["onnx"])], Told())


def test_other_test_images_are_no_parity_failure(exported: Exported) -> None:
    from edgeprof.errors import DataError
    from edgeprof.export import verify

    made, store = exported.artifacts["onnx"], exported.store
    expected = verify.of_checkpoint(store.blob(exported.trained.predictions_sha), exported.trained)
    files = {"model.onnx": store.blob(made.files[0].sha256)}
    fewer = verify.Predictions(expected.labels[:100], expected.logits[:100])
    shifted = verify.Predictions(np.roll(expected.labels, 1), expected.logits)
    more = verify.Predictions(np.append(expected.labels, 0), np.vstack([expected.logits, expected.logits[:1]]))
    for one in (fewer, shifted, more):
        with pytest.raises(DataError, match="not those that the checkpoint was evaluated on"):
            verify.evaluate(FP32["onnx"], exported.trained, files, one, 1, lambda done, total: None)


def test_a_tampered_file_is_caught(exported: Exported, tmp_path: Path) -> None:
    import onnx
    from onnx import numpy_helper

    from edgeprof.export import verify

    made, store = exported.artifacts["onnx"], exported.store
    expected = verify.of_checkpoint(store.blob(exported.trained.predictions_sha), exported.trained)
    model = onnx.load(store.blob(made.files[0].sha256))
    weight: Any = max(model.graph.initializer, key=lambda one: len(one.raw_data))
    weight.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(weight) * 1.5, weight.name))
    path = tmp_path / "model.onnx"
    onnx.save(model, path)
    with pytest.raises(ParityError) as caught:
        verify.evaluate(FP32["onnx"], exported.trained, {path.name: path}, expected, 1, lambda done, total: None)
    assert caught.value.parity.images == 450
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(ExportError, match="the runtime cannot open the exported file"):
        verify.evaluate(FP32["onnx"], exported.trained, {path.name: path}, expected, 1, lambda done, total: None)


def test_weights_of_nan_are_a_clear_failure(store: Store) -> None:
    def spoil(module: Any) -> None:
        import torch

        with torch.no_grad():
            next(module.parameters()).fill_(float("nan"))

    spoilt = make_trained(store, MODEL, seed=2, change=spoil)
    _, failures = export_all(store, [(spoilt, FP32["onnx"])], Told())
    assert "the checkpoint itself gives NaN or infinity on 450 of 450 test images" in failures[0].error
