"""OpenVINO."""

from __future__ import annotations

import re
from typing import Any, Dict, List, Optional, Tuple

from .model import Arrays, FallbackError, Model, ModelError, Shapes, TensorInfo, fitted
from .ran import partitions, precisions, untold, word

CPU = "CPU"
# What to execute in -> the plugin's hint. An int8 file runs its quantized layers in int8 whatever the hint; the rest
# runs in the hint's type.
_HINTS = {"fp32": "f32", "fp16": "f16", "int8": "f32", "dynamic-int8": "f32", "as in the file": "f32"}
_EXECUTED = {"f32": "fp32", "f16": "fp16", "bf16": "bf16"}
# Plugins that choose among devices, and then threads and precision, by themselves.
_CHOOSERS = ("AUTO", "MULTI", "HETERO", "BATCH")
# In the executed graph, nodes that hand over and lay out data.
_MOVES = ("Input", "Output", "Const", "Reorder")
# The kernel's name ends in the type that it computes in: brgconv_avx512_f32.
_KERNEL = re.compile(r"_(f32|f16|bf16|i8|u8|f64)$", re.IGNORECASE)


def open_openvino(
    ov: Any,
    xml: str,
    weights: str,
    threads: int,
    precision: str,
    provider: Optional[str],
    shapes: Optional[Shapes],
    allow_fallback: bool,
) -> Model:
    compiled = compile_model(ov, xml, weights, threads, precision, provider, allow_fallback)
    infos = tuple(_info(port) for port in compiled.inputs)
    fitted(infos, shapes)
    request = compiled.create_infer_request()
    places = range(len(compiled.outputs))
    tensor, set_input, infer, output = ov.Tensor, request.set_input_tensor, request.infer, request.get_output_tensor

    def run(arrays: Arrays) -> Arrays:
        for place, array in enumerate(arrays):
            set_input(place, tensor(array, shared_memory=True))
        infer(share_outputs=True)
        return [output(place).data for place in places]

    runs_on = ", ".join(str(one) for one in compiled.get_property("EXECUTION_DEVICES"))
    return Model(
        inputs=infos,
        outputs=tuple(_info(port) for port in compiled.outputs),
        run=run,
        runs_on=runs_on,
        precision=_hinted(compiled, precision),
        # Only the CPU's plugin has threads to tell of.
        threads=int(compiled.get_property("INFERENCE_NUM_THREADS")) if runs_on == CPU else threads,
        version=str(ov.get_version()).split("-")[0],
        # Told by the runtime, in milliseconds: its own call without the way through Python.
        call_ns=lambda: int(1e6 * request.latency),
        ran=lambda: _ran(compiled, runs_on),
    )


def compile_model(
    ov: Any,
    xml: str,
    weights: str,
    threads: int,
    precision: str,
    provider: Optional[str],
    allow_fallback: bool,
    count_time: bool = False,
) -> Any:
    """The file compiled for a device, for one stream of so many threads.

    Args:
        provider: the device; None: the processor.
        count_time: have each request time its operators.

    Raises:
        FallbackError: OpenVINO has no such device, and running on the processor is not allowed.
    """
    hint = _HINTS.get(precision)
    if hint is None:
        raise ModelError("unknown precision %r" % precision)
    core, device = ov.Core(), provider or CPU
    if device.split(":")[0] in _CHOOSERS:
        raise ModelError("%s chooses where a graph runs by itself: name the device" % device)
    devices = [str(one) for one in core.available_devices]
    if device not in devices + [one.split(".")[0] for one in devices]:
        if not allow_fallback:
            text = "OpenVINO %s has no device %s here; it has: %s"
            raise FallbackError(text % (str(ov.get_version()).split("-")[0], device, ", ".join(devices)))
        device = CPU
    options: Dict[str, Any] = {
        "PERFORMANCE_HINT": "LATENCY",
        # Left alone, an fp32 file is executed in bf16 where the CPU can.
        "INFERENCE_PRECISION_HINT": hint,
    }
    if device == CPU:
        options["NUM_STREAMS"] = "1"
        options["INFERENCE_NUM_THREADS"] = threads
        # Left alone, the plugin binds its threads to cores of its own choice, which the other runtimes do not.
        options["ENABLE_CPU_PINNING"] = False
    if count_time:
        options["PERF_COUNT"] = True
    # Without the weights' path the plugin would look for a file named like the .xml.
    return core.compile_model(core.read_model(xml, weights=weights), device, options)


def _hinted(compiled: Any, precision: str) -> str:
    taken = compiled.get_property("INFERENCE_PRECISION_HINT").get_type_name()
    executed = _EXECUTED.get(taken, taken)
    if taken == _HINTS[precision]:
        return precision
    return "%s+%s" % (precision, executed) if "int8" in precision else executed


def executed_nodes(compiled: Any) -> List[Tuple[str, str, str]]:
    """(name, type, element type it computes in) of every node of the graph as it is executed, in that order."""
    found = []
    for node in compiled.get_runtime_model().get_ordered_ops():
        told = node.get_rt_info()
        # Older bindings give plain strings.
        kind, element = (str(getattr(told[key], "value", told[key])) for key in ("layerType", "runtimePrecision"))
        found.append((str(node.get_friendly_name()), kind, _kernel_type(told) or element))
    return found


def _kernel_type(told: Any) -> Optional[str]:
    """What a kernel computes in. `runtimePrecision` may be the type of its weights: f16 in an f32 convolution."""
    try:
        name = told["primitiveType"]
    except Exception:  # not every plugin tells
        return None
    found = _KERNEL.search(str(getattr(name, "value", name)))
    return None if found is None else found.group(1).lower()


def _ran(compiled: Any, runs_on: str) -> Dict[str, Any]:
    source = "OpenVINO's executed graph"
    try:
        nodes = [(kind, word(element)) for _, kind, element in executed_nodes(compiled) if kind not in _MOVES]
    except Exception:  # a plugin without such a graph
        return untold(runs_on, source)
    # A plugin takes the whole graph or none of it.
    return {
        "provider": runs_on,
        "nodes": len(nodes),
        "on_provider": len(nodes),
        "partitions": partitions([True] * len(nodes)),
        "precisions": precisions(nodes),
        "source": source,
    }


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
