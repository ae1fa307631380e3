"""Files of a few operators with one thing out of the ordinary: dynamic dimensions, 8 bits, half precision, weights in a
file of their own, operators that a runtime or its delegate does not know."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import flatbuffers  # type: ignore[import-untyped]
import numpy as np
import onnx
from ai_edge_litert import schema_py_generated as schema
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

Dims = Sequence[int | str]

# --- ONNX


def onnx_conv(path: Path, *, dims: Dims = (1, 3, 8, 8), half: bool = False, opset: int = 18, weights: str = "") -> Path:
    """One convolution, 3 channels to 4; `weights`: the name of the file beside it that holds them."""
    kind, element = (np.float16, TensorProto.FLOAT16) if half else (np.float32, TensorProto.FLOAT)
    values = np.random.default_rng(0).standard_normal((4, 3, 3, 3)).astype(kind)
    node = helper.make_node("Conv", ["x", "w"], ["y"], name="only", kernel_shape=[3, 3], pads=[1, 1, 1, 1])
    graph = helper.make_graph(
        [node],
        "conv",
        [helper.make_tensor_value_info("x", element, dims)],
        [helper.make_tensor_value_info("y", element, [dims[0], 4, *dims[2:]])],
        [numpy_helper.from_array(values, "w")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=9)
    if weights:
        onnx.save(model, str(path), save_as_external_data=True, location=weights, size_threshold=0)
    else:
        onnx.save(model, str(path))
    return path


def onnx_int8(path: Path) -> Path:
    """A convolution between QuantizeLinear and DequantizeLinear, then a Softmax in floats."""
    weights = np.random.default_rng(0).integers(-100, 100, (4, 3, 3, 3)).astype(np.int8)
    constants = {
        "w": weights,
        "scale": np.array(0.02, np.float32),
        "zero": np.array(128, np.uint8),
        "zero_w": np.array(0, np.int8),
    }
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "scale", "zero"], ["xq"]),
        helper.make_node("DequantizeLinear", ["xq", "scale", "zero"], ["xd"]),
        helper.make_node("DequantizeLinear", ["w", "scale", "zero_w"], ["wd"]),
        helper.make_node("Conv", ["xd", "wd"], ["c"], name="quantized", kernel_shape=[3, 3], pads=[1, 1, 1, 1]),
        helper.make_node("QuantizeLinear", ["c", "scale", "zero"], ["cq"]),
        helper.make_node("DequantizeLinear", ["cq", "scale", "zero"], ["cd"]),
        helper.make_node("Softmax", ["cd"], ["y"], axis=1),
    ]
    graph = helper.make_graph(
        nodes,
        "int8",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 3, 8, 8])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 4, 8, 8])],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9), str(path))
    return path


def onnx_loop(path: Path) -> Path:
    """A Loop that adds 1 to its input three times: nodes within a node."""
    one = numpy_helper.from_array(np.array([1.0], np.float32), "one")
    body = helper.make_graph(
        [helper.make_node("Add", ["v", "one"], ["w"]), helper.make_node("Identity", ["go"], ["going"])],
        "body",
        [
            helper.make_tensor_value_info("i", TensorProto.INT64, []),
            helper.make_tensor_value_info("go", TensorProto.BOOL, []),
            helper.make_tensor_value_info("v", TensorProto.FLOAT, [1]),
        ],
        [
            helper.make_tensor_value_info("going", TensorProto.BOOL, []),
            helper.make_tensor_value_info("w", TensorProto.FLOAT, [1]),
        ],
        [one],
    )
    times = numpy_helper.from_array(np.array(3, np.int64), "times")
    graph = helper.make_graph(
        [helper.make_node("Loop", ["times", "", "x"], ["y"], name="loop", body=body)],
        "loop",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1])],
        [times],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9), str(path))
    return path


def onnx_unknown_operator(path: Path) -> Path:
    """One operator of a domain that nobody registers."""
    graph = helper.make_graph(
        [helper.make_node("Sparkle", ["x"], ["y"], domain="org.example")],
        "unknown",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 4])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 4])],
    )
    imports = [helper.make_opsetid("", 18), helper.make_opsetid("org.example", 1)]
    onnx.save(helper.make_model(graph, opset_imports=imports, ir_version=9), str(path))
    return path


# --- TFLite, through the flatbuffer schema that the wheel of ai-edge-litert carries


class Tensor(NamedTuple):
    """A tensor of a file; an unfixed dimension is -1 in `signature`; constant if it has values."""

    name: str
    shape: tuple[int, ...]
    kind: str = "FLOAT32"
    signature: tuple[int, ...] = ()
    values: NDArray[Any] | None = None
    scale: float | None = None


class Op(NamedTuple):
    """An operator: the name of a built-in one or, after "custom:", of one that is not; tensors by place."""

    name: str
    inputs: list[int]
    outputs: list[int]


def tflite(
    path: Path,
    tensors: Sequence[Tensor],
    ops: Sequence[Op],
    inputs: list[int],
    outputs: list[int],
    signature: Mapping[str, int] | None = None,
) -> Path:
    """Write a file of one graph; `signature`: its inputs by name."""
    model, graph = schema.ModelT(), schema.SubGraphT()
    model.version, model.buffers, model.operatorCodes, model.subgraphs = 3, [schema.BufferT()], [], [graph]
    graph.name, graph.inputs, graph.outputs = "main", inputs, outputs
    graph.tensors = [_tensor(model, one) for one in tensors]
    graph.operators = [_operator(model, one) for one in ops]
    if signature:
        called = schema.SignatureDefT()
        called.signatureKey, called.inputs = "serving_default", [_named(*one) for one in signature.items()]
        called.outputs = [_named("y", outputs[0])]
        model.signatureDefs = [called]
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    path.write_bytes(bytes(builder.Output()))
    return path


def _named(name: str, tensor: int) -> Any:
    made = schema.TensorMapT()
    made.name, made.tensorIndex = name, tensor
    return made


def _tensor(model: Any, tensor: Tensor) -> Any:
    made = schema.TensorT()
    made.name, made.shape, made.type = tensor.name, list(tensor.shape), getattr(schema.TensorType, tensor.kind)
    if tensor.signature:
        made.shapeSignature = list(tensor.signature)
    if tensor.scale is not None:
        made.quantization = schema.QuantizationParametersT()
        made.quantization.scale, made.quantization.zeroPoint = [tensor.scale], [0]
    if tensor.values is not None:
        buffer = schema.BufferT()
        buffer.data = np.frombuffer(tensor.values.tobytes(), np.uint8)
        model.buffers.append(buffer)
        made.buffer = len(model.buffers) - 1
    return made


def _operator(model: Any, op: Op) -> Any:
    code, made = schema.OperatorCodeT(), schema.OperatorT()
    kind, _, custom = op.name.rpartition(":")
    code.version, code.builtinCode = 1, getattr(schema.BuiltinOperator, "CUSTOM" if kind else op.name)
    code.customCode = custom if kind else None
    code.deprecatedBuiltinCode = min(code.builtinCode, 127)
    model.operatorCodes.append(code)
    made.opcodeIndex, made.inputs, made.outputs = len(model.operatorCodes) - 1, op.inputs, op.outputs
    options = "".join(part.capitalize() for part in op.name.split("_")) + "Options"
    if hasattr(schema.BuiltinOptions, options):
        made.builtinOptionsType = getattr(schema.BuiltinOptions, options)
        made.builtinOptions = getattr(schema, options + "T")()
    return made


ONES = Tensor("ones", (4,), values=np.ones(4, np.float32))


def tflite_partly_delegated(path: Path) -> Path:
    """ADD, ATAN2, ADD: XNNPACK takes the additions and knows no ATAN2."""
    tensors = [Tensor("x", (4,)), ONES, Tensor("a", (4,)), Tensor("b", (4,)), Tensor("y", (4,))]
    ops = [Op("ADD", [0, 1], [2]), Op("ATAN2", [2, 1], [3]), Op("ADD", [3, 1], [4])]
    return tflite(path, tensors, ops, [0], [4])


def tflite_not_delegated(path: Path) -> Path:
    """ATAN2 alone."""
    return tflite(path, [Tensor("x", (4,)), ONES, Tensor("y", (4,))], [Op("ATAN2", [0, 1], [2])], [0], [2])


def tflite_dynamic(path: Path) -> Path:
    """ADD of a constant to any number of rows."""
    tensors = [Tensor("x", (1, 4), signature=(-1, 4)), ONES, Tensor("y", (1, 4), signature=(-1, 4))]
    return tflite(path, tensors, [Op("ADD", [0, 1], [2])], [0], [2])


def tflite_two_inputs(path: Path) -> Path:
    """SUB of two inputs of unlike sizes; the file's signature lists them the other way round than its graph."""
    tensors = [Tensor("minuend", (4,)), Tensor("subtrahend", (1,)), Tensor("y", (4,))]
    signature = {"a": 1, "b": 0}
    return tflite(path, tensors, [Op("SUB", [0, 1], [2])], [0, 1], [2], signature)


def tflite_int8(path: Path) -> Path:
    """FULLY_CONNECTED in 8 bits, in and out."""
    weights = np.arange(-16, 16, dtype=np.int8).reshape(8, 4)
    tensors = [
        Tensor("x", (1, 4), "INT8", scale=0.1),
        Tensor("w", (8, 4), "INT8", values=weights, scale=0.1),
        Tensor("y", (1, 8), "INT8", scale=1.0),
    ]
    return tflite(path, tensors, [Op("FULLY_CONNECTED", [0, 1, -1], [2])], [0], [2])


def tflite_unknown_operator(path: Path) -> Path:
    """One custom operator."""
    return tflite(path, [Tensor("x", (4,)), Tensor("y", (4,))], [Op("custom:Sparkle", [0], [1])], [0], [1])
