"""TFLite files, run by LiteRT or, where only that exists, tflite-runtime."""

from __future__ import annotations

from typing import Any, Mapping, Sequence

from .model import Arrays, Model, TensorInfo


def open_tflite(interpreters: Any, path: str, threads: int, precision: str, version: str) -> Model:
    interpreter = interpreters.Interpreter(model_path=path, num_threads=threads)
    interpreter.allocate_tensors()
    inputs, outputs = interpreter.get_input_details(), interpreter.get_output_details()
    into = [one["index"] for one in inputs]
    out_of = [one["index"] for one in outputs]
    set_tensor, invoke, get_tensor = interpreter.set_tensor, interpreter.invoke, interpreter.get_tensor

    def run(arrays: Arrays) -> Arrays:
        for index, array in zip(into, arrays):
            set_tensor(index, array)
        invoke()
        return [get_tensor(index) for index in out_of]

    return Model(
        inputs=tuple(_info(one) for one in inputs),
        outputs=tuple(_info(one) for one in outputs),
        run=run,
        runs_on=_delegate(interpreter),
        # Nothing can be read back: XNNPACK computes in the file's types unless told otherwise.
        precision=precision,
        threads=threads,
        version=version,
    )


def _info(detail: Mapping[str, Any]) -> TensorInfo:
    signature: Sequence[Any] = detail.get("shape_signature", ())
    shape = signature if len(signature) else detail["shape"]
    dims = tuple(int(dim) if dim >= 0 else None for dim in shape)
    return TensorInfo(str(detail["name"]), dims, str(getattr(detail["dtype"], "__name__", detail["dtype"])))


def _delegate(interpreter: Any) -> str:
    """Whether a delegate took any of the graph. The list of operators is a private call, so it may be missing."""
    try:
        names = [one["op_name"] for one in interpreter._get_ops_details()]
    except Exception:
        return "unknown"
    # On the CPU the interpreter applies no delegate by itself but XNNPACK.
    return "XNNPACK" if "DELEGATE" in names else "built-in kernels"
