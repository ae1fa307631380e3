"""Inside an OpenVINO model: every operator's output becomes a result, run by the CPU plugin in float32."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeprof.export.explain.prepare import Floats
from edgeprof.export.explain.tensors import HeldWeights, Inner, Inside

_WITH_WEIGHTS = ("Convolution", "GroupConvolution", "MatMul")
_NO_VALUES = ("Constant", "Parameter", "Result", "ShapeOf", "FakeQuantize", "Convert")


def inside(files: Mapping[str, Path]) -> Inside:
    """See `tensors.Reader`."""
    model = _read(files)
    weights, quantized, halves = [], False, False
    for op in model.get_ordered_ops():
        kind = op.get_type_name()
        quantized = quantized or kind == "FakeQuantize"
        if kind == "Constant":
            element = op.get_output_element_type(0).get_type_name()
            halves = halves or (element == "f16" and op.get_output_size() > 0 and int(np.prod(op.shape)) > 1)
        if kind not in _WITH_WEIGHTS:
            continue
        source = op.input_value(1)
        if (found := _folded(source.get_node())) is None:
            continue
        values, scales = found
        if kind == "GroupConvolution":
            values = values.reshape(-1, *values.shape[2:])
        elif kind == "MatMul" and not op.get_attributes().get("transpose_b", False):
            values = values.T
        weights.append(HeldWeights(op.get_friendly_name(), kind, values, scales))
    quantized = quantized or any(one.scales for one in weights)
    return Inside(quantized=quantized, halves=halves, weights=weights)


def run(files: Mapping[str, Path], arranged: NDArray[Any]) -> list[Inner]:
    """See `tensors.Reader`."""
    import openvino

    model = _read(files)
    asked = []
    for op in model.get_ordered_ops():
        # Of several outputs the first holds the values (MaxPool gives places too).
        if op.get_type_name() in _NO_VALUES or not op.get_output_size():
            continue
        if op.get_output_element_type(0).get_type_name() == "f32":
            asked.append((op.get_friendly_name(), op.get_type_name(), op.output(0)))
    before = len(model.outputs)
    # An output that is a result already is not added again, so results are found by their own number.
    added = [model.add_outputs(output)[0] for _, _, output in asked]
    compiled = openvino.Core().compile_model(
        model, "CPU", {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": 1, "PERFORMANCE_HINT": "LATENCY"}
    )
    assert len(compiled.outputs) >= before
    request = compiled.create_infer_request()
    places = [_place(model, one) for one in added]
    rows = []
    for one in arranged:
        request.infer([np.ascontiguousarray(one[None])])
        rows.append([np.array(request.get_output_tensor(place).data) for place in places])
    found = []
    for number, (name, op, _) in enumerate(asked):
        values = [row[number] for row in rows]
        if values[0].size > 1 and values[0].ndim > 1 and values[0].shape[0] == 1:
            found.append(Inner(name, op, np.stack(values)[:, 0].astype(np.float32)))
    return found


def _place(model: Any, output: Any) -> int:
    for place, one in enumerate(model.outputs):
        if one == output or one.get_node().get_friendly_name() == output.get_node().get_friendly_name():
            return place
    raise ValueError(f"no result for {output}")


def _folded(node: Any) -> tuple[Floats, int] | None:
    """A constant part of the graph, and how many scales it is multiplied with; None if it is not constant."""
    kind = node.get_type_name()
    if kind == "Constant":
        return np.asarray(node.get_data()).astype(np.float32), 0
    inputs = [_folded(node.input_value(place).get_node()) for place in range(node.get_input_size())]
    if any(one is None for one in inputs) or not inputs:
        return None
    values = [one[0] for one in inputs if one is not None]
    scales = max(one[1] for one in inputs if one is not None)
    if kind == "Convert":
        return values[0], scales
    if kind == "Reshape":
        return values[0].reshape([int(one) for one in values[1].ravel()]), scales
    if kind == "Transpose":
        return values[0].transpose([int(one) for one in values[1].ravel()]), scales
    if kind == "Multiply":
        return values[0] * values[1], max(scales, min(values[0].size, values[1].size))
    if kind == "Subtract":
        return values[0] - values[1], scales
    if kind == "FakeQuantize":
        return _fake(values, int(node.get_attributes()["levels"])), max(one.size for one in values[1:])
    return None


def _fake(values: list[Floats], levels: int) -> Floats:
    """The operator's own formula, for constants."""
    x, low, high, out_low, out_high = values
    step = np.where(high > low, (high - low) / (levels - 1), 1)
    ticks = np.round((np.clip(x, low, high) - low) / step)
    return np.asarray(ticks / (levels - 1) * (out_high - out_low) + out_low, np.float32)


def _read(files: Mapping[str, Path]) -> Any:
    import openvino

    xml = next(str(path) for name, path in files.items() if name.endswith(".xml"))
    weights = next(str(path) for name, path in files.items() if name.endswith(".bin"))
    return openvino.Core().read_model(xml, weights=weights)
