"""ONNX Runtime, CPU execution provider."""

from __future__ import annotations

from typing import Any

from .model import Arrays, Model, TensorInfo

_TYPES = {"float": "float32", "double": "float64", "bfloat16": "bfloat16", "string": "object"}


def open_onnx(ort: Any, path: str, threads: int, precision: str) -> Model:
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.execution_mode = ort.ExecutionMode.ORT_SEQUENTIAL
    options.log_severity_level = 3
    session = ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    inputs, outputs = session.get_inputs(), session.get_outputs()
    names, wanted = [one.name for one in inputs], [one.name for one in outputs]
    run_session = session.run

    def run(arrays: Arrays) -> Arrays:
        result: Arrays = run_session(wanted, dict(zip(names, arrays)))
        return result

    return Model(
        inputs=tuple(_info(one) for one in inputs),
        outputs=tuple(_info(one) for one in outputs),
        run=run,
        runs_on=", ".join(session.get_providers()),
        # The CPU provider computes in the types that the file states; it has nothing to read back.
        precision=precision,
        threads=int(session.get_session_options().intra_op_num_threads),
        version=str(ort.__version__),
    )


def _info(value: Any) -> TensorInfo:
    shape = tuple(dim if isinstance(dim, int) and dim >= 0 else None for dim in value.shape)
    kind = value.type[len("tensor(") : -1] if value.type.startswith("tensor(") else value.type
    return TensorInfo(value.name, shape, _TYPES.get(kind, kind))
