"""Every exporter of the suite by its real converter and runtime, and what quantized files are made from."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from export_checkpoints import Told, make_trained
from hypothesis import given
from hypothesis import strategies as st

from edgeprof.errors import ExportError, SuiteError
from edgeprof.export import calibrate, cells, export_all, formats, loss, onnx_quantize
from edgeprof.export.verify import Predictions
from edgeprof.records import Artifact, Exporter, Trained
from edgeprof.store import Store
from edgeprof.suite import Suite, builtin_root, load
from edgeprof.zoo import images

MODEL = "test_resnet"
SUITE = Suite(builtin_root(), builtin=True)
EXPORTERS = {name: SUITE.exporter(name) for name in SUITE.names("exporters")}
INT8 = Exporter(name="onnx-int8", format="onnx", precision="int8", calibration_images=20)


@dataclass(frozen=True)
class Exported:
    """One checkpoint by every exporter. Tests must not change what is there."""

    store: Store
    trained: Trained
    artifacts: dict[str, Artifact]


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Exported:
    store = Store(tmp_path_factory.mktemp("precisions") / "store")
    trained = make_trained(store, MODEL)
    artifacts, failures = export_all(store, [(trained, one) for one in EXPORTERS.values()], Told())
    assert failures == []
    return Exported(store, trained, {one.exporter: one for one in artifacts})


@pytest.mark.slow
def test_every_exporter_makes_a_file_that_its_runtime_runs_and_says_what_it_is(exported: Exported) -> None:
    assert set(exported.artifacts) == set(EXPORTERS)
    for name, made in exported.artifacts.items():
        assert made.accuracy is not None, name
        assert made.accuracy.images == 450, name
        assert made.reference_sha == exported.trained.predictions_sha, name
        whole = exported.artifacts[f"{made.format}-fp32"]
        at_most = {"fp32": 1.0, "fp16": 0.6, "int8": 0.5, "dynamic-int8": 0.5}[made.precision]
        assert made.size_bytes <= at_most * whole.size_bytes, name
        assert made.parity is not None, name
        if made.precision == "fp16":
            assert 0 < made.parity.relative_diff < 2e-2, name


@pytest.mark.slow
def test_calibration_is_told_for_static_int8_alone(exported: Exported) -> None:
    for name, made in exported.artifacts.items():
        if made.precision != "int8":
            assert made.calibration is None, name
            continue
        assert made.calibration is not None, name
        assert (made.calibration.images, made.calibration.seed) == (128, 0), name
        assert made.calibration.data_sha == exported.trained.data_sha, name
    shas = {one.calibration.images_sha for one in exported.artifacts.values() if one.calibration}
    assert len(shas) == 1, "all are calibrated by the same images"


@pytest.mark.slow
def test_the_same_checkpoint_gives_the_same_bytes(exported: Exported, tmp_path: Path) -> None:
    fresh = Store(tmp_path / "store")
    for sha in (exported.trained.checkpoint_sha, exported.trained.predictions_sha):
        fresh.add_file(exported.store.blob(sha))
    quantized = [one for one in EXPORTERS.values() if one.precision != "fp32"]
    again, failures = export_all(fresh, [(exported.trained, one) for one in quantized], Told())
    assert failures == []
    assert {one.exporter: one.artifact_sha for one in again} == {
        name: made.artifact_sha for name, made in exported.artifacts.items() if made.precision != "fp32"
    }


def weight_scales(exported: Exported, made: Artifact) -> list[tuple[int, ...]]:
    """Shapes of the scales of quantized convolution weights in an ONNX file."""
    import onnx

    graph = onnx.load(exported.store.blob(made.files[0].sha256)).graph
    known = {one.name: one for one in graph.initializer}
    weights = {name for node in graph.node if node.op_type == "Conv" for name in node.input[1:2]}
    scales = [node.input[1] for node in graph.node if node.op_type == "DequantizeLinear" and node.output[0] in weights]
    return [tuple(known[name].dims) for name in scales]


@pytest.mark.slow
def test_weights_have_a_scale_for_each_channel_unless_asked_otherwise(exported: Exported) -> None:
    shapes = weight_scales(exported, exported.artifacts["onnx-int8"])
    assert shapes
    assert all(len(shape) == 1 and shape[0] > 1 for shape in shapes)
    whole = msgspec.structs.replace(EXPORTERS["onnx-int8"], name="whole", per_channel=False)
    (made,), failures = export_all(exported.store, [(exported.trained, whole)], Told())
    assert failures == []
    assert all(shape in ((), (1,)) for shape in weight_scales(exported, made))


@pytest.mark.slow
def test_signedness_is_what_the_exporter_says(exported: Exported) -> None:
    import onnx

    def kinds(name: str) -> set[int]:
        made = exported.artifacts[name]
        graph = onnx.load(exported.store.blob(made.files[0].sha256)).graph
        zeros = {one.name: one.data_type for one in graph.initializer}
        return {zeros[node.input[2]] for node in graph.node if node.op_type == "QuantizeLinear"}

    assert kinds("onnx-int8") == {onnx.TensorProto.INT8}
    assert kinds("onnx-int8-x86") == {onnx.TensorProto.UINT8}


@pytest.mark.slow
def test_what_would_be_calibrated_with_too_few_images_fails_alone_and_names_both_numbers(exported: Exported) -> None:
    many = msgspec.structs.replace(EXPORTERS["openvino-int8"], calibration_images=5000)
    wanted = [(exported.trained, many), (exported.trained, EXPORTERS["onnx-fp32"])]
    artifacts, (failure,) = export_all(exported.store, wanted, Told())
    assert [one.exporter for one in artifacts] == ["onnx-fp32"]
    assert failure.error.endswith("5000 images for calibration were asked for, the training set has 1347")
    assert failure.hint == "calibration_images = 1347 or fewer, or more training images"


def test_only_training_images_calibrate(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The test images never shape a file that they will judge."""
    trained = make_trained(Store(tmp_path), MODEL)
    asked: list[str] = []
    real = images.open_split

    def opened(data: Any, split: Any) -> Any:
        asked.append(split)
        return real(data, split)

    monkeypatch.setattr(images, "open_split", opened)
    found = calibrate.training_images(trained, INT8)
    assert asked == ["train"]
    assert [one.shape for one in found.arrays] == [(1, 3, 32, 32)] * 20
    channels_last = msgspec.structs.replace(INT8, layout="NHWC")
    other = calibrate.training_images(trained, channels_last)
    assert other.record == found.record
    np.testing.assert_array_equal(other.arrays[0][0], found.arrays[0][0].transpose(1, 2, 0))
    again = calibrate.training_images(trained, msgspec.structs.replace(INT8, calibration_seed=1))
    assert again.record.images_sha != found.record.images_sha


@given(
    st.lists(st.integers(0, 4), min_size=1, max_size=60).map(lambda some: np.array(some, np.int64)),
    st.integers(1, 60),
    st.integers(0, 99),
)
def test_a_draw_is_spread_over_the_classes_and_always_the_same(labels: Any, count: int, seed: int) -> None:
    count = min(count, len(labels))
    drawn = calibrate.draw(labels, count, seed)
    assert sorted(set(drawn.tolist())) == drawn.tolist()
    assert len(drawn) == count
    assert drawn.tolist() == calibrate.draw(labels, count, seed).tolist()
    there, taken = np.bincount(labels, minlength=5), np.bincount(labels[drawn], minlength=5)
    most = taken.max()
    assert all(got >= min(have, most - 1) for got, have in zip(taken, there, strict=True))


def predictions(named: Any, labels: Any) -> Predictions:
    return Predictions(labels, np.eye(10, dtype=np.float32)[named])


def test_a_file_that_names_one_class_is_flagged_with_its_drop() -> None:
    labels = np.arange(450) % 10
    right, one = predictions(labels, labels), predictions(np.full(450, 3), labels)
    (told,) = loss.warnings(right, one, [f"digit {number}" for number in range(10)])
    assert told == (
        "collapsed: it names 'digit 3' for 100% of the test images; top-1 100.0% before, 10.0% now, 90.0 points lost"
    )
    assert loss.warnings(one, one, "0123456789") == (), "a checkpoint that does so itself lost nothing"


def test_a_loss_is_told_when_it_is_surely_more_than_a_point() -> None:
    labels = np.arange(450) % 10

    def wrong(count: int) -> Predictions:
        named = labels.copy()
        named[:count] = (named[:count] + 1) % 10
        return predictions(named, labels)

    (told,) = loss.warnings(wrong(0), wrong(45), "0123456789")
    assert told.startswith("large loss: top-1 100.0% before, 90.0% now, 10.0 points lost (95% interval ")
    assert loss.warnings(wrong(0), wrong(5), "0123456789") == ()
    assert loss.warnings(wrong(45), wrong(0), "0123456789") == (), "a gain is no loss"


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"keep_float": ("HardSwitch",)}, "HardSwitch"),
        ({"format": "openvino", "keep_float": ("HSwitch",)}, "HSwitch"),
        ({"format": "tflite", "layout": "NHWC", "keep_float": ("INPUT", "OUTPUT", "HARD_SWITCH")}, "HARD_SWITCH"),
    ],
)
@pytest.mark.slow
def test_an_operator_that_is_not_there_is_named(exported: Exported, change: dict[str, Any], named: str) -> None:
    wrong = msgspec.structs.replace(INT8, **change)
    artifacts, (failure,) = export_all(exported.store, [(exported.trained, wrong)], Told())
    assert artifacts == []
    assert named in failure.error


def test_the_nearest_operator_is_proposed() -> None:
    with pytest.raises(ExportError, match="ONNX has no operator 'HardSwitch'") as caught:
        onnx_quantize.check_operators(["HardSwitch"])
    assert caught.value.hint is not None
    assert "HardSwish" in caught.value.hint


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('format = "onnx"\nprecision = "dynamic-int8"', "precision dynamic-int8 is not possible for onnx"),
        ('format = "onnx"\nprecision = "fp32"\nper_channel = false', "per_channel = false has no effect"),
        ('format = "tflite"\nprecision = "fp16"\nkeep_float = ["CONV_2D"]', "keep_float = ['CONV_2D'] has no effect"),
        ('format = "onnx"\nprecision = "int8"\npreset = "mixed"', "preset = mixed has no effect"),
        ('format = "openvino"\nprecision = "int8"\npreset = "fast"', "preset = 'fast' is not allowed"),
        ('format = "openvino"\nprecision = "int8"\nactivations = "uint8"', "activations = uint8 has no effect"),
        ('format = "onnx"\nprecision = "int8"\narchitectures = ["arm64"]', "architectures: 'arm64' is not known"),
        ('format = "tflite"\nprecision = "int8"', "keep_float must name INPUT and OUTPUT"),
        ('format = "onnx"\nprecision = "int8"\ncalibration_images = 0', "calibration_images must be 1 or more"),
    ],
)
def test_an_option_without_effect_is_refused_not_ignored(text: str, told: str, tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text(text)
    with pytest.raises(SuiteError) as caught:
        load(tmp_path / "mine.toml", Exporter)
    assert told in str(caught.value)


def test_a_float_file_does_not_depend_on_quantizers() -> None:
    """A new NNCF makes no fp32 file anew."""
    assert "nncf" in formats.packages("openvino", "int8")
    assert "nncf" not in formats.packages("openvino", "fp32")
    assert "ai-edge-quantizer" in formats.packages("tflite", "int8")
    assert "ai-edge-quantizer" not in formats.packages("tflite", "fp32")


def test_what_it_is_made_for_is_not_in_the_key_and_what_shapes_it_is(tmp_path: Path) -> None:
    trained = make_trained(Store(tmp_path), MODEL)
    plain = cells.key(trained, INT8)
    assert cells.key(trained, msgspec.structs.replace(INT8, name="mine", architectures=("aarch64",))) == plain
    for change in ({"activations": "uint8"}, {"per_channel": False}, {"calibration_seed": 1}, {"keep_float": ("Add",)}):
        assert cells.key(trained, msgspec.structs.replace(INT8, **change)) != plain
