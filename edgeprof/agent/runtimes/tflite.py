"""TFLite files, run by LiteRT or, where only that exists, tflite-runtime."""

from __future__ import annotations

import time
from typing import Any, Dict, List, Mapping, Optional, Sequence, Set

from .model import Arrays, FallbackError, Model, ModelError, Shapes, TensorInfo, fitted
from .ran import multiplies, precisions, untold, word

XNNPACK = "XNNPACK"
NO_DELEGATE = "none"
BUILT_IN = "built-in kernels"
Node = Mapping[str, Any]


def open_tflite(
    interpreters: Any,
    path: str,
    threads: int,
    precision: str,
    version: str,
    provider: Optional[str],
    shapes: Optional[Shapes],
    allow_fallback: bool,
) -> Model:
    interpreter = new_interpreter(interpreters, path, threads, version, provider, shapes, allow_fallback)
    runs_on = _delegate(interpreter)
    inputs, outputs = interpreter.get_input_details(), interpreter.get_output_details()
    infos = tuple(_info(one) for one in inputs)
    into = [one["index"] for one in inputs]
    out_of = [one["index"] for one in outputs]
    set_tensor, invoke, get_tensor = interpreter.set_tensor, interpreter.invoke, interpreter.get_tensor
    clock = time.perf_counter_ns
    took = [0]

    def run(arrays: Arrays) -> Arrays:
        for index, array in zip(into, arrays):
            set_tensor(index, array)
        begin = clock()
        invoke()
        took[0] = clock() - begin
        return [get_tensor(index) for index in out_of]

    return Model(
        inputs=infos,
        outputs=tuple(_info(one) for one in outputs),
        run=run,
        runs_on=runs_on,
        precision=precision,
        threads=threads,
        version=version,
        call_ns=lambda: took[0],
        ran=lambda: _ran(interpreter, runs_on),
    )


def new_interpreter(
    interpreters: Any,
    path: str,
    threads: int,
    version: str,
    provider: Optional[str],
    shapes: Optional[Shapes],
    allow_fallback: bool,
) -> Any:
    """An interpreter that is ready to run inputs of these shapes.

    Raises:
        FallbackError: no such delegate is known, or it takes nothing of the file.
        ModelError: a shape does not fit, or the runtime is known to compute such a file wrongly.
    """
    options: Dict[str, Any] = {}
    if provider == NO_DELEGATE:
        kind = interpreters.OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
        options["experimental_op_resolver_type"] = kind
    elif provider not in (None, XNNPACK) and not allow_fallback:
        text = "TFLite %s has no delegate %s here; it has: %s, %s"
        raise FallbackError(text % (version, provider, XNNPACK, NO_DELEGATE))
    interpreter = interpreters.Interpreter(model_path=path, num_threads=threads, **options)
    inputs = interpreter.get_input_details()
    for detail, shape in zip(inputs, fitted([_info(one) for one in inputs], shapes)):
        if shape is not None and shape != tuple(detail["shape"]):
            interpreter.resize_tensor_input(detail["index"], shape)
    interpreter.allocate_tensors()
    if str(interpreters.__name__).startswith("tflite_runtime") and quantizes_itself(interpreter):
        text = "tflite-runtime %s gives wrong outputs for dynamic-int8 files without an error; use ai-edge-litert"
        raise ModelError(text % version)
    if provider == XNNPACK and _delegate(interpreter) == BUILT_IN and not allow_fallback:
        raise FallbackError("XNNPACK takes no operator of this file; it would run on the built-in kernels")
    return interpreter


def originals(nodes: Sequence[Node]) -> List[Node]:
    """The nodes of the file, whoever executes them."""
    return [one for one in nodes if one["op_name"] != "DELEGATE"]


def replaced(nodes: Sequence[Node]) -> List[Set[int]]:
    """For each delegate in the graph, the indices of the original nodes that it executes.

    After delegation the interpreter lists the original nodes and, behind them, one node for each part that a delegate
    took. Such a part is all that its outputs are computed by, up to the tensors that it takes in.
    """
    maker = {int(tensor): one for one in originals(nodes) for tensor in one["outputs"]}
    parts = []
    for delegate in nodes:
        if delegate["op_name"] != "DELEGATE":
            continue
        edge = {int(tensor) for tensor in delegate["inputs"]}
        todo = [int(tensor) for tensor in delegate["outputs"]]
        taken: Set[int] = set()
        while todo:
            node = maker.get(todo.pop())
            if node is not None and int(node["index"]) not in taken:
                taken.add(int(node["index"]))
                todo.extend(int(tensor) for tensor in node["inputs"] if int(tensor) not in edge)
        parts.append(taken)
    return parts


def node_precision(node: Node, types: Mapping[int, str]) -> Optional[str]:
    """What a node computes in, by the types of its inputs: in 8 bits where its weights are, whatever the data.

    Args:
        types: of the tensors, by index.
    """
    told = [word(types.get(int(tensor), "")) for tensor in node["inputs"]]
    found = [one for one in told if one is not None]
    return next((one for one in ("int16", "int8", "int4") if one in found), found[0] if found else None)


def quantizes_itself(interpreter: Any) -> bool:
    """Whether the file is dynamically quantized: weights in 8 bits multiply data in floats."""
    try:
        nodes, types = interpreter._get_ops_details(), tensor_types(interpreter)
    except Exception:  # private calls
        return False
    for node in originals(nodes):
        told = [word(types.get(int(tensor), "")) for tensor in node["inputs"]]
        if multiplies(str(node["op_name"])) and told[:1] == ["fp32"] and "int8" in told:
            return True
    return False


def tensor_types(interpreter: Any) -> Dict[int, str]:
    """numpy's name of each tensor's type, by index."""
    return {int(one["index"]): _name(one["dtype"]) for one in interpreter.get_tensor_details()}


def _ran(interpreter: Any, runs_on: str) -> Dict[str, Any]:
    source = "the interpreter's list of operators and their tensors' types"
    try:
        nodes, types = interpreter._get_ops_details(), tensor_types(interpreter)
    except Exception:
        return untold(runs_on, source)
    parts, original = replaced(nodes), originals(nodes)
    taken = set().union(*parts) if parts else {int(one["index"]) for one in original}
    return {
        "provider": runs_on,
        "nodes": len(original),
        "on_provider": len(taken),
        "partitions": len(parts) or 1,
        "precisions": precisions((str(one["op_name"]), node_precision(one, types)) for one in original),
        "source": source,
    }


def _info(detail: Mapping[str, Any]) -> TensorInfo:
    signature: Sequence[Any] = detail.get("shape_signature", ())
    shape = signature if len(signature) else detail["shape"]
    dims = tuple(int(dim) if dim >= 0 else None for dim in shape)
    return TensorInfo(str(detail["name"]), dims, _name(detail["dtype"]))


def _name(kind: Any) -> str:
    return str(getattr(kind, "__name__", kind))


def _delegate(interpreter: Any) -> str:
    """Whether a delegate took any of the graph. The list of operators is a private call, so it may be missing."""
    try:
        names = [one["op_name"] for one in interpreter._get_ops_details()]
    except Exception:
        return "unknown"
    # On the CPU the interpreter applies no delegate by itself but XNNPACK.
    return XNNPACK if "DELEGATE" in names else BUILT_IN
