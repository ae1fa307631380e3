"""Faults as they happen, seeded in a real exported ONNX file; OpenVINO's are converted from these."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper
from seeded import PREPROCESSING, SIDE

MEAN, STD = np.array(PREPROCESSING.mean, np.float32), np.array(PREPROCESSING.std, np.float32)
HALF = np.full(3, 0.5, np.float32)
ORDER = [3, 0, 5, 1, 4, 2]

Edit = Callable[[Any], None]


def onnx_with(good: Path, edit: Edit, out: Path) -> dict[str, Path]:
    """A copy of an ONNX file with an edit, as the files of a model."""
    model = onnx.load(good)
    edit(model)
    out.mkdir(parents=True, exist_ok=True)
    onnx.save(model, out / "model.onnx")
    return {"model.onnx": out / "model.onnx"}


def openvino_of(source: Path, out: Path) -> dict[str, Path]:
    """An ONNX file as OpenVINO IR."""
    import sys

    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
    import openvino

    out.mkdir(parents=True, exist_ok=True)
    openvino.save_model(openvino.convert_model(source), out / "model.xml", compress_to_fp16=False)
    return {"model.xml": out / "model.xml", "model.bin": out / "model.bin"}


def scaled_input(factor: Iterable[float], shift: Iterable[float]) -> Edit:
    """The graph computes x * factor + shift of its input first, by channel."""

    def edit(model: Any) -> None:
        before(
            model,
            lambda x: [
                helper.make_node("Mul", [x, _constant(model, "factor", factor)], ["scaled"]),
                helper.make_node("Add", ["scaled", _constant(model, "shift", shift)], ["prepared"]),
            ],
        )

    return edit


def made_for(mean: Any, std: Any) -> Edit:
    """A file that takes images normalised with another mean and std, and puts that right by itself."""
    mean, std = np.asarray(mean, np.float32), np.asarray(std, np.float32)
    return scaled_input(std / STD, (mean - MEAN) / STD)


def turned_channels(model: Any) -> None:
    """A file that takes BGR."""
    model.graph.initializer.append(numpy_helper.from_array(np.array([2, 1, 0]), "turned_order"))
    before(model, lambda x: [helper.make_node("Gather", [x, "turned_order"], ["prepared"], axis=1)])


def misread_layout(model: Any) -> None:
    """A file of a TensorFlow-like graph behind a reshape: it reads the bytes of NCHW as NHWC."""
    model.graph.initializer.append(numpy_helper.from_array(np.array([1, SIDE, SIDE, 3]), "nhwc"))
    before(
        model,
        lambda x: [
            helper.make_node("Reshape", [x, "nhwc"], ["rows"]),
            helper.make_node("Transpose", ["rows"], ["prepared"], perm=[0, 3, 1, 2]),
        ],
    )


def cropping(model: Any) -> None:
    """A file that takes the uncropped image of 50 pixels and crops it by itself."""
    for name, value in {"from": [5, 5], "to": [45, 45], "axes": [2, 3]}.items():
        model.graph.initializer.append(numpy_helper.from_array(np.array(value), f"crop_{name}"))
    before(model, lambda x: [helper.make_node("Slice", [x, "crop_from", "crop_to", "crop_axes"], ["prepared"])])
    for place in (2, 3):
        model.graph.input[0].type.tensor_type.shape.dim[place].dim_value = 50


def softmax(times: int) -> Edit:
    """Softmax behind the logits."""

    def edit(model: Any) -> None:
        for _ in range(times):
            after(model, lambda y, z: helper.make_node("Softmax", [y], [z], axis=-1))

    return edit


def log_softmax(model: Any) -> None:
    after(model, lambda y, z: helper.make_node("LogSoftmax", [y], [z], axis=-1))


def other_order(model: Any) -> None:
    """Classes in the order ORDER."""
    model.graph.initializer.append(numpy_helper.from_array(np.array(ORDER), "class_order"))
    after(model, lambda y, z: helper.make_node("Gather", [y, "class_order"], [z], axis=1))


def dropout(model: Any) -> None:
    """Dropout in training mode before the logits."""
    model.graph.initializer.append(numpy_helper.from_array(np.array(0.3, np.float32), "ratio"))
    model.graph.initializer.append(numpy_helper.from_array(np.array(True), "training"))
    after(model, lambda y, z: helper.make_node("Dropout", [y, "ratio", "training"], [z]))


def broken_layer(place: int) -> Edit:
    """The weights of the convolution number `place` are damaged a little."""

    def edit(model: Any) -> None:
        node = [one for one in model.graph.node if one.op_type == "Conv"][place]
        held = next(one for one in model.graph.initializer if one.name == node.input[1])
        values = numpy_helper.to_array(held).copy()
        values[: len(values) // 2] *= 1.5
        held.CopyFrom(numpy_helper.from_array(values, held.name))

    return edit


def training_mode(module: Any, out: Path) -> dict[str, Path]:
    """The checkpoint exported in train mode: BatchNorm normalises by the statistics of what it is given."""
    import copy

    import torch

    path = out / "model.onnx"
    torch.onnx.export(
        copy.deepcopy(module).train(),
        (torch.randn(1, 3, SIDE, SIDE),),
        str(path),
        dynamo=False,
        training=torch.onnx.TrainingMode.TRAINING,
        do_constant_folding=False,
        input_names=["input"],
        output_names=["logits"],
    )
    return {"model.onnx": path}


def before(model: Any, nodes: Callable[[str], list[Any]]) -> None:
    """Put nodes that end in `prepared` between the input and all that takes it."""
    graph = model.graph
    name = graph.input[0].name
    for node in graph.node:
        for place, one in enumerate(node.input):
            if one == name:
                node.input[place] = "prepared"
    rest = list(graph.node)
    del graph.node[:]
    graph.node.extend([*nodes(name), *rest])


def after(model: Any, node: Callable[[str, str], Any]) -> None:
    """Put a node between what gives the output and the output."""
    graph = model.graph
    name = graph.output[0].name
    inner = f"{name}_{len(graph.node)}"
    for one in graph.node:
        for place, output in enumerate(one.output):
            if output == name:
                one.output[place] = inner
    graph.node.append(node(inner, name))


def _constant(model: Any, name: str, values: Iterable[float]) -> str:
    array = np.asarray(list(values), np.float32).reshape(1, 3, 1, 1)
    model.graph.initializer.append(numpy_helper.from_array(array, name))
    return name


EDITS: dict[str, tuple[Edit, str, str]] = {
    "mean and std": (made_for(HALF, HALF), "preprocessing", "mean 0.5 and std 0.5"),
    "mean": (made_for(np.zeros(3), STD), "preprocessing", "the right std, no mean"),
    "std": (made_for(MEAN, np.ones(3)), "preprocessing", "no std"),
    "normalises itself": (made_for(np.zeros(3), np.ones(3)), "preprocessing", "values 0..1"),
    "bytes": (made_for(np.zeros(3), np.full(3, 1 / 255)), "preprocessing", "values 0..255"),
    "BGR": (turned_channels, "preprocessing", "BGR"),
    "NHWC": (misread_layout, "layout", "other layout"),
    "crop": (cropping, "preprocessing", "crop_pct 1"),
    "softmax": (softmax(1), "outputs", "softmax added"),
    "softmax twice": (softmax(2), "outputs", "softmax twice"),
    "log-softmax": (log_softmax, "outputs", "log-softmax"),
    "classes": (other_order, "outputs", "order"),
    "layer": (broken_layer(3), "numerics", "departs at"),
}
"""Fault -> (how it is seeded, the cause to be named, words of its name)."""


def quantized_onnx(good: Path, images: list[Any], out: Path, per_channel: bool) -> dict[str, Path]:
    """8 bits, by the exporter's own function."""
    from edgeprof.export import onnx_quantize

    out.mkdir(parents=True, exist_ok=True)
    proto = onnx_quantize.to_int8(_copy(good, out), images, activations="uint8", per_channel=per_channel)
    onnx.save(proto, out / "model.onnx")
    return {"model.onnx": out / "model.onnx"}


def quantized_openvino(good: Path, images: list[Any], out: Path, per_channel: bool) -> dict[str, Path]:
    """8 bits, by the exporter's own function."""
    import openvino

    from edgeprof.export import openvino_quantize

    files = openvino_of(good, out)
    model = openvino.Core().read_model(files["model.xml"])
    made = openvino_quantize.to_int8(model, images, per_channel=per_channel)
    openvino.save_model(made, out / "int8.xml", compress_to_fp16=False)
    return {"model.xml": out / "int8.xml", "model.bin": out / "int8.bin"}


def quantized_tflite(good: Path, images: list[Any], out: Path, per_channel: bool) -> dict[str, Path]:
    """8 bits with floats outside, by the exporter's own function; images as NHWC."""
    from edgeprof.export import tflite_quantize

    out.mkdir(parents=True, exist_ok=True)
    images = [one.transpose(0, 2, 3, 1).copy() for one in images]
    keep = ("INPUT", "OUTPUT")
    path = out / "model.tflite"
    path.write_bytes(tflite_quantize.to_int8(good, images, per_channel=per_channel, keep_float=keep))
    return {"model.tflite": path}


def tflite_of(module: Any, out: Path, fault: str | None = None) -> dict[str, Path]:
    """The checkpoint as TFLite with NHWC input, with one of TFLITE_FAULTS seeded in the module before."""
    import litert_torch
    import torch

    from edgeprof.export.tflite import pad_apart

    side = 50 if fault == "crop" else SIDE
    changed = _faulty(pad_apart(module, torch.randn(1, 3, SIDE, SIDE)), fault)
    example = torch.randn(1, side, side, 3)
    if fault != "NHWC":
        changed = litert_torch.to_channel_last_io(changed, args=[0]).eval()
    out.mkdir(parents=True, exist_ok=True)
    litert_torch.convert(changed, (example,)).export(str(out / "model.tflite"))
    return {"model.tflite": out / "model.tflite"}


TFLITE_FAULTS = {
    "mean and std": ("preprocessing", "mean 0.5 and std 0.5"),
    "BGR": ("preprocessing", "BGR"),
    "NHWC": ("layout", "other layout"),
    "crop": ("preprocessing", "crop_pct 1"),
    "softmax": ("outputs", "softmax added"),
    "softmax twice": ("outputs", "softmax twice"),
    "BatchNorm": ("batchnorm", "BatchNorm in training mode"),
    "layer": ("numerics", "departs at layer1.0.conv1"),
}
"""Fault -> (the cause to be named, words of its name)."""


def _faulty(module: Any, fault: str | None) -> Any:
    import torch

    if fault == "BatchNorm":
        for part in module.modules():
            if isinstance(part, torch.nn.BatchNorm2d):
                part.forward = _own_statistics(part)
    if fault == "layer":
        with torch.no_grad():
            weight = module.layer1[0].conv1.weight
            weight[: len(weight) // 2] *= 1.5

    class Faulty(torch.nn.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.inner = module

        def forward(self, x: Any) -> Any:
            if fault == "mean and std":
                factor, shift = (torch.tensor(one).reshape(1, 3, 1, 1) for one in (HALF / STD, (HALF - MEAN) / STD))
                x = x * factor + shift
            elif fault == "BGR":
                x = torch.cat([x[:, 2:3], x[:, 1:2], x[:, 0:1]], dim=1)
            elif fault == "NHWC":
                x = x.reshape(1, 3, SIDE, SIDE)
            elif fault == "crop":
                x = x[:, :, 5:45, 5:45]
            y = self.inner(x)
            for _ in range({"softmax": 1, "softmax twice": 2}.get(fault or "", 0)):
                y = torch.softmax(y, dim=-1)
            return y

    return Faulty().eval()


def _own_statistics(part: Any) -> Any:
    """What the train mode of a BatchNorm computes for one image, in plain operators."""
    import torch

    def forward(x: Any) -> Any:
        mean = x.mean((2, 3), keepdim=True)
        variance = ((x - mean) ** 2).mean((2, 3), keepdim=True)
        scaled = (x - mean) / torch.sqrt(variance + part.eps)
        return scaled * part.weight.reshape(1, -1, 1, 1) + part.bias.reshape(1, -1, 1, 1)

    return forward


def _copy(source: Path, out: Path) -> Path:
    target = out / "float.onnx"
    target.write_bytes(source.read_bytes())
    return target
