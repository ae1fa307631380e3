"""OpenVINO IR, made from the ONNX file, so that both have one graph as their source."""

from __future__ import annotations

import itertools
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgeprof.export import onnx, openvino_quantize
from edgeprof.records import Exporter, Precision

if TYPE_CHECKING:
    from torch import Tensor, nn

    from edgeprof.export.calibrate import CalibrationImages

PACKAGES: tuple[str, ...] = ("onnx", "onnxscript", "openvino")
QUANTIZERS: Mapping[Precision, tuple[str, ...]] = {"int8": ("nncf",)}


def convert(
    module: nn.Module,
    example: Tensor,
    exporter: Exporter,
    about: Mapping[str, str],
    out: Path,
    calibration: CalibrationImages | None = None,
) -> list[Path]:
    """`model.xml` and `model.bin`; in fp16 the weights alone are halved; see `formats.Converter`."""
    # convert_model reports its use over the network without asking, and writes a client number into the home folder.
    # Without this package it uses its own stub.
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
    import openvino

    between = out / "between.onnx"
    onnx.write(onnx.traced(module, example, exporter), {}, between)
    model: Any = openvino.convert_model(between)
    # These hold the path that it was converted from.
    if model.has_rt_info(["conversion_parameters"]):
        del model.rt_info["conversion_parameters"]
    if exporter.precision == "int8":
        assert calibration is not None
        model = openvino_quantize.to_int8(
            model,
            calibration.arrays,
            preset=exporter.preset or "performance",
            per_channel=exporter.per_channel,
            keep_float=exporter.keep_float,
        )
    for key, value in about.items():
        model.set_rt_info(value, key.split("."))
    _name_by_place(model)
    path = out / "model.xml"
    openvino.save_model(model, path, compress_to_fp16=exporter.precision == "fp16")
    between.unlink()
    return [path, path.with_suffix(".bin")]


def _name_by_place(model: Any) -> None:
    """Number anew what OpenVINO named itself: its count goes on through a process, so that the bytes would tell what
    else was exported there before."""
    operators = model.get_ordered_ops()
    own = [one for one in operators if re.fullmatch(rf"{one.get_type_name()}_[0-9]+", one.get_friendly_name())]
    taken = {one.get_friendly_name() for one in operators} - {one.get_friendly_name() for one in own}
    free = (number for number in itertools.count() if not any(name.endswith(f"_{number}") for name in taken))
    for one, number in zip(own, free, strict=False):
        one.set_friendly_name(f"{one.get_type_name()}_{number}")
