"""OpenVINO IR, made from the ONNX file, so that both have one graph as their source."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgeprof.export import onnx
from edgeprof.records import Exporter

if TYPE_CHECKING:
    from torch import Tensor, nn

PACKAGES: tuple[str, ...] = ("onnx", "onnxscript", "openvino")
PRECISIONS: tuple[str, ...] = ("fp32",)


def convert(module: nn.Module, example: Tensor, exporter: Exporter, about: Mapping[str, str], out: Path) -> list[Path]:
    """`model.xml` and `model.bin`, weights in float32; see `formats.Converter`."""
    # convert_model reports its use over the network without asking, and writes a client number into the home folder.
    # Without this package it uses its own stub.
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
    import openvino

    between = onnx.convert(module, example, exporter, {}, out)[0]
    model: Any = openvino.convert_model(between)
    # These hold the path that it was converted from.
    if model.has_rt_info(["conversion_parameters"]):
        del model.rt_info["conversion_parameters"]
    for key, value in about.items():
        model.set_rt_info(value, key.split("."))
    path = out / "model.xml"
    openvino.save_model(model, path, compress_to_fp16=False)
    between.unlink()
    return [path, path.with_suffix(".bin")]
