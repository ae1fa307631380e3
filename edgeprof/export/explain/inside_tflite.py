"""Inside a TFLite file: the interpreter keeps every tensor when asked to, and runs without a delegate."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeprof.export.explain.prepare import Floats
from edgeprof.export.explain.tensors import HeldWeights, Inner, Inside

_WITH_WEIGHTS = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "BATCH_MATMUL")
_NO_VALUES = ("QUANTIZE", "DEQUANTIZE")


def inside(files: Mapping[str, Path]) -> Inside:
    """See `tensors.Reader`."""
    interpreter = _open(files)
    # Weights in 16 bits become floats only when it runs.
    for one in interpreter.get_input_details():
        interpreter.set_tensor(one["index"], np.zeros(one["shape"], one["dtype"]))
    interpreter.invoke()
    details = {int(one["index"]): one for one in interpreter.get_tensor_details()}
    weights = []
    for op in interpreter._get_ops_details():
        if op["op_name"] not in _WITH_WEIGHTS or len(op["inputs"]) < 2:
            continue
        detail = details[int(op["inputs"][1])]
        found = _values(interpreter, detail)
        if found is None or found.ndim < 2:
            continue
        if op["op_name"] == "CONV_2D":
            found = found.transpose(0, 3, 1, 2)
        elif op["op_name"] == "DEPTHWISE_CONV_2D":
            found = found.transpose(3, 0, 1, 2)
        scales = int(np.size(detail["quantization_parameters"]["scales"]))
        weights.append(HeldWeights(str(detail["name"]), str(op["op_name"]), found, scales))
    kinds = {np.dtype(one["dtype"]) for one in details.values() if one["dtype"] is not np.bytes_}
    halves = np.dtype(np.float16) in kinds
    quantized = bool({np.dtype(np.int8), np.dtype(np.uint8), np.dtype(np.int16)} & kinds)
    return Inside(quantized=quantized, halves=halves, weights=weights)


def run(files: Mapping[str, Path], arranged: NDArray[Any]) -> list[Inner]:
    """See `tensors.Reader`."""
    interpreter = _open(files)
    details = {int(one["index"]): one for one in interpreter.get_tensor_details()}
    makers = {
        int(tensor): str(op["op_name"])
        for op in interpreter._get_ops_details()
        for tensor in op["outputs"]
        if op["op_name"] not in _NO_VALUES
    }
    feed = interpreter.get_input_details()[0]["index"]
    rows: list[dict[int, Floats]] = []
    for one in arranged:
        interpreter.set_tensor(feed, one[None])
        interpreter.invoke()
        row = {}
        for index in makers:
            values = _values(interpreter, details[index])
            if values is not None and values.size > 1 and values.ndim > 1 and values.shape[0] == 1:
                row[index] = values
        rows.append(row)
    return [
        Inner(str(details[index]["name"]), makers[index], np.stack([row[index][0] for row in rows]))
        for index in rows[0]
        if all(index in row for row in rows)
    ]


def _open(files: Mapping[str, Path]) -> Any:
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    interpreter = Interpreter(
        model_path=str(next(iter(files.values()))),
        num_threads=1,
        experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
        experimental_preserve_all_tensors=True,
    )
    interpreter.allocate_tensors()
    return interpreter


def _values(interpreter: Any, detail: Mapping[str, Any]) -> Floats | None:
    """A tensor's numbers, dequantized; None where it holds none, or no floats."""
    try:
        values = np.array(interpreter.get_tensor(int(detail["index"])))
    except ValueError:
        return None
    if values.dtype in (np.float32, np.float16):
        return values.astype(np.float32)
    told = detail["quantization_parameters"]
    scales, zeros, axis = told["scales"], told["zero_points"], int(told["quantized_dimension"])
    if not len(scales) or values.dtype not in (np.int8, np.uint8, np.int16, np.int32):
        return None
    shape = [1] * values.ndim
    if len(scales) > 1:
        shape[axis] = len(scales)
    scale, zero = np.reshape(scales, shape), np.reshape(zeros, shape) if len(zeros) == len(scales) else 0
    return np.asarray((values.astype(np.float32) - zero) * scale, np.float32)
