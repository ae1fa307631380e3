"""Inside an ONNX file: every node's output becomes an output of the graph, run by ONNX Runtime unoptimised."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeprof.export.explain.prepare import Floats
from edgeprof.export.explain.tensors import HeldWeights, Inner, Inside

_QUANTIZING = ("QuantizeLinear", "DequantizeLinear", "DynamicQuantizeLinear", "QLinearConv", "QLinearMatMul", "QGemm")
_WITH_WEIGHTS = {"Conv": 1, "Gemm": 1, "MatMul": 1, "QLinearConv": 3, "QLinearMatMul": 3, "ConvInteger": 1}


def inside(files: Mapping[str, Path]) -> Inside:
    """See `tensors.Reader`."""
    import onnx
    from onnx import numpy_helper

    graph = _load(files).graph
    held = {one.name: one for one in graph.initializer}
    for node in graph.node:
        if node.op_type == "Constant":
            held.update((node.output[0], one.t) for one in node.attribute if one.name == "value")
    makers = {name: node for node in graph.node for name in node.output}
    weights = []
    for node in graph.node:
        place = _WITH_WEIGHTS.get(node.op_type)
        if place is None or len(node.input) <= place:
            continue
        name, scales = node.input[place], 0
        if (maker := makers.get(name)) is not None and maker.op_type == "DequantizeLinear":
            if maker.input[0] not in held or maker.input[1] not in held:
                continue
            name, scale = maker.input[0], numpy_helper.to_array(held[maker.input[1]])
            zero = numpy_helper.to_array(held[maker.input[2]]) if len(maker.input) > 2 else np.zeros(1)
            axis = next((one.i for one in maker.attribute if one.name == "axis"), 1)
            values, scales = _dequantized(numpy_helper.to_array(held[name]), scale, zero, axis), scale.size
        elif node.op_type.startswith("QLinear") and name in held:
            scale, zero = (numpy_helper.to_array(held[node.input[place + one]]) for one in (1, 2))
            values, scales = _dequantized(numpy_helper.to_array(held[name]), scale, zero, 0), scale.size
        elif name in held:
            values = numpy_helper.to_array(held[name]).astype(np.float32)
        else:
            continue
        if values.ndim < 2:
            continue
        transposed = any(one.name == "transB" and one.i for one in node.attribute)
        if values.ndim == 2 and not transposed:
            values = values.T
        weights.append(HeldWeights(name, node.op_type, values, scales))
    kinds = {node.op_type for node in graph.node}
    halves = any(one.data_type == onnx.TensorProto.FLOAT16 for one in held.values())
    quantized = any(kind in _QUANTIZING or kind.endswith("Integer") for kind in kinds)
    return Inside(quantized=quantized, halves=halves, weights=weights)


def run(files: Mapping[str, Path], arranged: NDArray[Any]) -> list[Inner]:
    """See `tensors.Reader`."""
    import onnx
    import onnxruntime

    model = _load(files)
    given = {one.name for one in model.graph.output}
    asked = []
    for node in model.graph.node:
        for name in node.output:
            if name:
                asked.append((name, node.op_type))
                if name not in given:
                    model.graph.output.append(onnx.ValueInfoProto(name=name))
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 4
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    names = [name for name, _ in asked]
    feed = session.get_inputs()[0].name
    rows = [session.run(names, {feed: one[None]}) for one in arranged]
    found = []
    for place, (name, op) in enumerate(asked):
        values = [np.asarray(row[place]) for row in rows]
        if values[0].dtype in (np.float32, np.float16) and values[0].size > 1:
            stacked = np.stack(values).astype(np.float32)
            batched = values[0].ndim > 1 and values[0].shape[0] == 1
            found.append(Inner(name, op, stacked[:, 0] if batched else stacked))
    return found


def _dequantized(values: NDArray[Any], scale: NDArray[Any], zero: NDArray[Any], axis: int) -> Floats:
    if scale.size > 1:
        shape = [1] * values.ndim
        shape[axis] = scale.size
        scale, zero = scale.reshape(shape), (zero.reshape(shape) if zero.size > 1 else zero.reshape(-1)[0])
    else:
        scale, zero = scale.reshape(-1)[0], zero.reshape(-1)[0] if zero.size else np.zeros(())
    return np.asarray((values.astype(np.float32) - np.float32(zero)) * scale, np.float32)


def _load(files: Mapping[str, Path]) -> Any:
    """With its external data, which the store keeps under other names (`runtimes.external`)."""
    import onnx

    from edgeprof.agent.runtimes.external import gathered

    with gathered({name: str(path) for name, path in files.items()}) as path:
        return onnx.load(path)
