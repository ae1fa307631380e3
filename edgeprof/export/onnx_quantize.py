"""Half precision and 8 bits for ONNX, by ONNX Runtime's own tools. Inputs and outputs stay in float32."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgeprof.errors import ExportError, nearest

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


def to_fp16(proto: Any, keep_float: Sequence[str] = ()) -> Any:
    """The model with weights and operators in float16, those of the types in `keep_float` in float32.

    Raises:
        ExportError: ONNX has no operator of such a name.
    """
    # Its package holds no model library that is imported here.
    from onnxruntime.transformers import float16

    check_operators(keep_float)
    blocked = sorted({*float16.DEFAULT_OP_BLOCK_LIST, *keep_float})
    return float16.convert_float_to_float16(proto, keep_io_types=True, op_block_list=blocked)


def to_int8(
    path: Path,
    images: Iterable[NDArray[np.float32]],
    *,
    activations: str = "int8",
    per_channel: bool = True,
    keep_float: Sequence[str] = (),
) -> Any:
    """The float32 file `path` with 8-bit weights and activations, as Q and DQ around its operators (static).

    Args:
        images: what the ranges of the activations are taken from (smallest and largest values), each as the file
            takes it.
        activations: "int8" or "uint8"; weights are int8 and symmetric.
        keep_float: operator types that are not quantized.

    Raises:
        ExportError: ONNX has no operator of such a name.
    """
    import onnx
    from onnxruntime import quantization
    from onnxruntime.quantization import registry
    from onnxruntime.quantization.shape_inference import quant_pre_process

    check_operators(keep_float)
    prepared, quantized = path.with_name("prepared.onnx"), path.with_name("quantized.onnx")
    # Shapes only. Its optimizer takes HardSwish apart, and many more tensors would be rounded (measured on
    # MobileNetV3-Small: a fifth more quantizers, fewer convolutions in 8 bits); torch's exporter has optimized already.
    quant_pre_process(path, prepared, skip_optimization=True, skip_symbolic_shape=True)
    known = {*registry.QLinearOpsRegistry, *registry.QDQRegistry}
    quantization.quantize_static(
        prepared,
        quantized,
        _reader(quantization, images, onnx.load(path).graph.input[0].name),
        quant_format=quantization.QuantFormat.QDQ,
        op_types_to_quantize=sorted(known - set(keep_float)),
        per_channel=per_channel,
        activation_type=quantization.QuantType.QUInt8 if activations == "uint8" else quantization.QuantType.QInt8,
        weight_type=quantization.QuantType.QInt8,
        calibrate_method=quantization.CalibrationMethod.MinMax,
    )
    proto = onnx.load(quantized)
    prepared.unlink()
    quantized.unlink()
    return proto


def check_operators(names: Iterable[str]) -> None:
    """Make sure that ONNX has operators of these types.

    Raises:
        ExportError: it has not; with the nearest.
    """
    from onnx import defs

    known = {schema.name for schema in defs.get_all_schemas()}
    for name in names:
        if name not in known:
            raise ExportError(f"keep_float: ONNX has no operator {name!r}", hint=nearest(name, known))


def _reader(quantization: Any, images: Iterable[NDArray[np.float32]], name: str) -> Any:
    class Reader(quantization.CalibrationDataReader):  # type: ignore[misc]
        def __init__(self) -> None:
            self.left = iter(images)

        def get_next(self) -> Any:
            image = next(self.left, None)
            return None if image is None else {name: image}

    return Reader()
