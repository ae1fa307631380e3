"""OpenVINO, CPU plugin."""

from __future__ import annotations

from typing import Any

from .model import Arrays, Model, ModelError, TensorInfo

# What to execute in -> the plugin's hint. An int8 file runs its quantized layers in int8 whatever the hint; the rest
# runs in the hint's type.
_HINTS = {"fp32": "f32", "fp16": "f16", "int8": "f32", "dynamic-int8": "f32"}
_EXECUTED = {"f32": "fp32", "f16": "fp16", "bf16": "bf16"}


def open_openvino(ov: Any, xml: str, weights: str, threads: int, precision: str) -> Model:
    hint = _HINTS.get(precision)
    if hint is None:
        raise ModelError("unknown precision %r" % precision)
    core = ov.Core()
    compiled = core.compile_model(
        # Without the weights' path the plugin would look for a file named like the .xml.
        core.read_model(xml, weights=weights),
        "CPU",
        {
            "PERFORMANCE_HINT": "LATENCY",
            "NUM_STREAMS": "1",
            "INFERENCE_NUM_THREADS": threads,
            # Left alone, an fp32 file is executed in bf16 where the CPU can.
            "INFERENCE_PRECISION_HINT": hint,
            # Left alone, the plugin binds its threads to cores of its own choice, which the other runtimes do not.
            "ENABLE_CPU_PINNING": False,
        },
    )
    request = compiled.create_infer_request()
    places = range(len(compiled.outputs))
    tensor, set_input, infer, output = ov.Tensor, request.set_input_tensor, request.infer, request.get_output_tensor

    def run(arrays: Arrays) -> Arrays:
        for place, array in enumerate(arrays):
            set_input(place, tensor(array, shared_memory=True))
        infer(share_outputs=True)
        return [output(place).data for place in places]

    taken = compiled.get_property("INFERENCE_PRECISION_HINT").get_type_name()
    executed = _EXECUTED.get(taken, taken)
    if taken == hint:
        executed = precision
    elif "int8" in precision:
        executed = "%s+%s" % (precision, executed)
    return Model(
        inputs=tuple(_info(port) for port in compiled.inputs),
        outputs=tuple(_info(port) for port in compiled.outputs),
        run=run,
        runs_on=", ".join(str(one) for one in compiled.get_property("EXECUTION_DEVICES")),
        precision=executed,
        threads=int(compiled.get_property("INFERENCE_NUM_THREADS")),
        version=str(ov.get_version()).split("-")[0],
    )


def _info(port: Any) -> TensorInfo:
    names = sorted(port.get_names())
    shape = tuple(int(dim.get_length()) if dim.is_static else None for dim in port.get_partial_shape())
    return TensorInfo(names[0] if names else port.get_node().get_friendly_name(), shape, _dtype(port))


def _dtype(port: Any) -> str:
    element = port.get_element_type()
    try:
        return str(element.to_dtype().name)
    except Exception:  # bf16, int4: types that numpy does not have
        return str(element.get_type_name())
