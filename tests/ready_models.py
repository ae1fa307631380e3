"""Ready files as users bring them, real ones of all three formats, made in milliseconds: inputs of several types, open
dimensions, weights beside the file."""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

Shape = Sequence[int | None]
Inputs = Mapping[str, tuple[str, Shape]]
"""Name -> type and shape."""

MANY: dict[str, tuple[str, Shape]] = {
    "x": ("float32", (1, 4)),
    "ids": ("int64", (1, 4)),
    "small": ("uint8", (1, 4)),
    "mask": ("bool", (1, 4)),
}
IMAGE: dict[str, tuple[str, Shape]] = {"x": ("float32", (1, 4))}


def onnx_file(path: Path, inputs: Inputs = IMAGE, *, weights: int = 0, opset: int = 18, op: str = "Sum") -> Path:
    """Every input is cast to float; these are added up, and a product with a matrix of `weights` columns follows."""
    from onnx import TensorProto, helper, numpy_helper

    types = {name: helper.np_dtype_to_tensor_dtype(np.dtype(kind)) for name, (kind, _) in inputs.items()}
    nodes = [helper.make_node("Cast", [name], [f"{name}/f"], to=TensorProto.FLOAT) for name in inputs]
    nodes.append(helper.make_node(op, [f"{name}/f" for name in inputs], ["sum"]))
    matrix = []
    if weights:
        values = np.linspace(0, 1, 4 * weights, dtype=np.float32).reshape(4, weights)
        matrix = [numpy_helper.from_array(values, "matrix")]
    nodes.append(helper.make_node("MatMul", ["sum", "matrix"], ["y"]) if weights else _same(helper))
    graph = helper.make_graph(
        nodes,
        "ready",
        [helper.make_tensor_value_info(name, types[name], _open(shape)) for name, (_, shape) in inputs.items()],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        matrix,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=9)
    path.write_bytes(model.SerializeToString())
    return path


def unranked_onnx(path: Path) -> Path:
    """Its input states a type and nothing of its shape."""
    import onnx
    from onnx import TensorProto, helper

    graph = helper.make_graph(
        [helper.make_node("Relu", ["x"], ["y"])],
        "ready",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, None)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9), path)
    return path


def external_onnx(path: Path, location: str = "w.data", *, inside: str | None = None) -> Path:
    """The weights lie in a file of their own.

    Args:
        inside: "constant" or "branch": where in the graph the weights are, if not among its initializers.
    """
    from onnx import TensorProto, helper, numpy_helper

    values = np.linspace(0, 1, 16, dtype=np.float32).reshape(4, 4)
    (path.parent / "w.data").write_bytes(values.tobytes())
    matrix = numpy_helper.from_array(values, "matrix")
    matrix.ClearField("raw_data")
    matrix.data_location = TensorProto.EXTERNAL
    matrix.external_data.add(key="location", value=location)
    constant = helper.make_node("Constant", [], ["matrix"], value=matrix)
    product = helper.make_node("MatMul", ["x", "matrix"], ["y"])
    inputs = [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 4])]
    outputs = [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 4])]
    if inside is None:
        graph = helper.make_graph([product], "ready", inputs, outputs, [matrix])
    elif inside == "constant":
        graph = helper.make_graph([constant, product], "ready", inputs, outputs)
    else:
        branch = helper.make_graph([constant, product], "branch", [], outputs)
        chosen = helper.make_node("If", ["c"], ["y"], then_branch=branch, else_branch=branch)
        graph = helper.make_graph(
            [chosen], "ready", [*inputs, helper.make_tensor_value_info("c", TensorProto.BOOL, [])], outputs
        )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    path.write_bytes(model.SerializeToString())
    return path


def openvino_file(path: Path, inputs: Inputs = IMAGE) -> Path:
    """The same as `onnx_file`, as IR, with a constant so that its .bin holds something."""
    import openvino as ov
    from openvino import opset13 as ops

    parameters = [
        ops.parameter(ov.PartialShape([-1 if dim is None else dim for dim in shape]), np.dtype(kind), name=name)
        for name, (kind, shape) in inputs.items()
    ]
    total: Any = ops.constant(np.float32(1.5))
    for parameter in parameters:
        parameter.output(0).set_names({parameter.get_friendly_name()})
        total = ops.add(total, ops.convert(parameter, "f32"))
    ov.save_model(ov.Model([total], parameters, "ready"), path, compress_to_fp16=False)
    return path


def tflite_file(path: Path, inputs: Inputs = IMAGE) -> Path:
    """The same as `onnx_file`, written with the format's own schema."""
    from ai_edge_litert import schema_py_generated as schema

    flatbuffers: Any = importlib.import_module("flatbuffers")  # without types

    kinds = schema.TensorType
    types = {
        "float32": kinds.FLOAT32,
        "float16": kinds.FLOAT16,
        "int64": kinds.INT64,
        "int32": kinds.INT32,
        "uint8": kinds.UINT8,
        "int8": kinds.INT8,
        "bool": kinds.BOOL,
    }
    graph = schema.SubGraphT()
    graph.tensors, graph.operators = [], []

    def tensor(name: str, kind: str, shape: Shape) -> int:
        made = schema.TensorT()
        made.name, made.type, made.buffer = name.encode(), types[kind], 0
        made.shape = [1 if dim is None else dim for dim in shape]
        if None in shape:
            made.shapeSignature = [-1 if dim is None else dim for dim in shape]
        graph.tensors.append(made)
        return len(graph.tensors) - 1

    def operator(code: int, into: list[int], out: int, kind: int = 0, options: Any = None) -> None:
        made = schema.OperatorT()
        made.opcodeIndex, made.inputs, made.outputs = code, into, [out]
        made.builtinOptionsType, made.builtinOptions = kind, options
        graph.operators.append(made)

    graph.inputs = [tensor(name, kind, shape) for name, (kind, shape) in inputs.items()]
    shape = next(iter(inputs.values()))[1]
    total = None
    for place, name in zip(graph.inputs, inputs, strict=True):
        cast = tensor(f"{name}/f", "float32", shape)
        operator(0, [place], cast)
        if total is None:
            total = cast
        else:
            both = tensor(f"{name}/sum", "float32", shape)
            operator(1, [total, cast], both, schema.BuiltinOptions.AddOptions, schema.AddOptionsT())
            total = both
    graph.outputs = [total]
    model = schema.ModelT()
    model.version, model.subgraphs, model.buffers = 3, [graph], [schema.BufferT()]
    model.operatorCodes = []
    for code in (schema.BuiltinOperator.CAST, schema.BuiltinOperator.ADD):
        made = schema.OperatorCodeT()
        made.builtinCode = made.deprecatedBuiltinCode = code
        made.version = 1
        model.operatorCodes.append(made)
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    path.write_bytes(bytes(builder.Output()))
    return path


def any_file(folder: Path, format: str, inputs: Inputs = IMAGE, stem: str = "model") -> Path:
    """A file of the format in the folder."""
    if format == "onnx":
        return onnx_file(folder / f"{stem}.onnx", inputs)
    if format == "openvino":
        return openvino_file(folder / f"{stem}.xml", inputs)
    return tflite_file(folder / f"{stem}.tflite", inputs)


def _same(helper: Any) -> Any:
    return helper.make_node("Identity", ["sum"], ["y"])


def _open(shape: Shape) -> list[int | str]:
    return [f"d{place}" if dim is None else dim for place, dim in enumerate(shape)]
