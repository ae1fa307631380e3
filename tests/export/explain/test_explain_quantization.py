"""Per-tensor int8 is named with its layers; per-channel int8 of the same checkpoint is not blamed for that."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from seeded_faults import onnx_with, quantized_onnx, quantized_openvino, quantized_tflite, tflite_of, turned_channels
from seeded_fixture import Seeded

from edgeprof.zoo import images


@pytest.fixture(scope="module")
def calibration(seeded: Seeded) -> list[Any]:
    data = images.open_split(seeded.trained.data, "train")
    transform = images.eval_transform(seeded.trained.preprocessing)
    return [np.asarray(transform(data.image(place)))[None] for place in range(0, len(data), 4)]


@pytest.fixture(scope="module")
def tflite(seeded: Seeded) -> Path:
    return tflite_of(seeded.module, seeded.root / "tflite-fp32")["model.tflite"]


def made(format: str, seeded: Seeded, calibration: list[Any], out: Path, per_channel: bool, good: Any) -> Any:
    if format == "onnx":
        return quantized_onnx(seeded.onnx, calibration, out, per_channel)
    if format == "openvino":
        return quantized_openvino(seeded.onnx, calibration, out, per_channel)
    return quantized_tflite(good("tflite"), calibration, out, per_channel)


FORMATS = [
    "onnx",
    pytest.param("openvino", marks=pytest.mark.slow),
    pytest.param("tflite", marks=pytest.mark.slow),
]


@pytest.mark.parametrize("format", FORMATS)
def test_weights_with_one_scale_per_tensor_are_named_with_their_layers(
    seeded: Seeded, calibration: list[Any], format: Any, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    files = made(format, seeded, calibration, tmp_path, False, request.getfixturevalue)
    found = seeded.explain(format, files)
    assert found.cause == "quantization", found
    assert found.findings[0].name == "weights with one scale per tensor"
    assert "per channel" in (found.change or "")
    assert found.file_top1 is not None
    assert found.mended_top1 is not None
    assert found.file_top1 < found.mended_top1
    weights = [one for one in found.layers if one.kind == "weights"]
    # The layers with a dead channel of large weights; which, is seeded.
    assert {one.layer for one in weights[:4]} == {f"layer{number}.0.conv1" for number in (1, 2, 3, 4)}
    assert weights[0].sqnr_db < 5 < weights[-1].sqnr_db
    assert {one.scales for one in weights} == {1}
    assert [one.sqnr_db for one in weights] == sorted(one.sqnr_db for one in weights)
    assert any(one.kind == "output" for one in found.layers)


@pytest.mark.parametrize("format", FORMATS)
def test_per_channel_weights_are_never_called_per_tensor(
    seeded: Seeded, calibration: list[Any], format: Any, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    files = made(format, seeded, calibration, tmp_path, True, request.getfixturevalue)
    found = seeded.explain(format, files)
    assert found.cause in ("none", "quantization"), found
    assert "one scale per tensor" not in found.verdict
    assert all(one.name != "weights with one scale per tensor" for one in found.findings)
    assert (found.cause == "none") == (not found.findings)


def test_a_quantized_file_that_is_given_the_wrong_images_is_not_blamed_on_quantization(
    seeded: Seeded, calibration: list[Any], tmp_path: Path
) -> None:
    good = quantized_onnx(seeded.onnx, calibration, tmp_path / "int8", per_channel=True)
    found = seeded.explain("onnx", onnx_with(good["model.onnx"], turned_channels, tmp_path / "bgr"))
    assert found.cause == "preprocessing", found
    assert "BGR" in found.findings[0].name
    assert found.mended_top1 is not None
    assert found.file_top1 is not None
    assert found.mended_top1 > found.file_top1
