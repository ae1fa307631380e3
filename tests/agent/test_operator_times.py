"""Where the time goes: every operator of the graph once, in order, with its own time, by the runtime's own profiler."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import odd_models
import pytest
import tiny_models
from msgspec import convert

from edgeprof.agent.operators import profile
from edgeprof.agent.operators.litert import Event, Session, TensorType, known_version
from edgeprof.agent.operators.onnx import operators as onnx_operators
from edgeprof.agent.operators.openvino import later
from edgeprof.agent.operators.tflite import DELEGATE, NODE, behind, layer
from edgeprof.agent.operators.tflite import operators as tflite_operators
from edgeprof.agent.runtimes import FallbackError, ModelError
from edgeprof.agent.supervisor import Supervisor
from edgeprof.records import Format
from edgeprof.target.build import agent_bytes
from edgeprof.target.protocol import Failed, Profiled

KINDS = {
    "onnx": ("Conv", "MatMul"),
    "openvino": ("Convolution", "FullyConnected"),
    "tflite": ("CONV_2D", "FULLY_CONNECTED"),
}


def profiled(format: str, path: Path, *shapes: tuple[int, ...], kind: str = "float32", **how: Any) -> dict[str, Any]:
    feed = [np.ones(shape, kind) for shape in shapes]
    asked = {"threads": 1, "precision": "fp32", "provider": None, "feeds": [feed], "inferences": 5, **how}
    return profile(format, {f"model.{format}": str(path)}, **asked)


@pytest.mark.parametrize("format", ["onnx", "openvino", "tflite"])
def test_the_layers_of_a_model_are_told_in_their_order(format: Format) -> None:
    files = {name: str(path) for name, path in tiny_models.files(format).items()}
    feeds = [[one[None]] for one in tiny_models.inputs(format)]
    told = convert({**profile(format, files, 1, "fp32", None, feeds, 7), "job": "j"}, Profiled)
    assert told.inferences == 7
    assert told.inference_ns > 0
    kinds = [one.kind for one in told.operators]
    convolution, product = KINDS[format]
    assert kinds.index(convolution) < kinds.index(product)
    assert all(one.precision == "fp32" for one in told.operators if one.kind in KINDS[format])
    names = [one.name for one in told.operators]
    assert len(set(names)) == len(names)
    runs_on = {"onnx": "CPUExecutionProvider", "openvino": "CPU", "tflite": "XNNPACK"}[format]
    assert {one.runs_on for one in told.operators} == {runs_on}


# --- ONNX Runtime


def test_the_nodes_within_a_loop_are_in_the_loops_time(tmp_path: Path) -> None:
    told = profiled("onnx", odd_models.onnx_loop(tmp_path / "m.onnx"), (1,))
    assert [(one["name"], one["kind"]) for one in told["operators"]] == [("loop", "Loop")]
    assert told["operators"][0]["median_ns"] > 0


def _event(name: str, index: int, begin: int, took: int) -> dict[str, Any]:
    arguments = {"op_name": name.capitalize(), "node_index": str(index), "provider": "P", "input_type_shape": []}
    return {"name": f"{name}_kernel_time", "ts": begin, "dur": took, "args": arguments}


def test_the_calls_of_a_node_in_one_inference_are_added_and_medians_taken_over_inferences() -> None:
    inferences = [
        [_event("a", 0, 0, took), _event("b", 1, 100, 5), _event("a", 0, 200, 1)] for took in (10, 20, 90)
    ] + [[_event("a", 0, 0, 21)]]
    told = {one["name"]: one["median_ns"] for one in onnx_operators(inferences)}
    assert list(told) == ["a", "b"]
    assert told["a"] == pytest.approx(21_000, abs=500)
    assert told["b"] == pytest.approx(5_000, abs=500)


# --- OpenVINO


def test_openvino_averages_since_the_start_and_the_warm_up_is_taken_out() -> None:
    """10 inferences at 100 us, then 40 at 25 us: the counters say 100 and then 40."""
    before, after = [("conv", "Convolution", 100)], [("conv", "Convolution", 40), ("late", "Add", 8)]
    assert later(before, 10, after, 50) == [("conv", "Convolution", 25_000), ("late", "Add", 10_000)]


def test_a_counter_cut_to_whole_microseconds_gives_no_negative_time() -> None:
    assert later([("relu", "Relu", 1)], 10, [("relu", "Relu", 0)], 50) == [("relu", "Relu", 0)]


# --- TFLite


def test_operators_of_a_graph_in_parts_say_where_they_ran(tmp_path: Path) -> None:
    told = profiled("tflite", odd_models.tflite_partly_delegated(tmp_path / "m.tflite"), (4,))["operators"]
    assert [(one["kind"], one["runs_on"]) for one in told] == [
        ("Add", "XNNPACK"),
        ("ATAN2", "built-in kernels"),
        ("Add", "XNNPACK"),
    ]
    assert told[1]["name"] == "b"


def test_a_tflite_file_is_profiled_without_its_delegate_too(tmp_path: Path) -> None:
    path = odd_models.tflite_partly_delegated(tmp_path / "m.tflite")
    told = profiled("tflite", path, (4,), provider="none")["operators"]
    assert [(one["name"], one["kind"], one["runs_on"]) for one in told] == [
        ("a", "ADD", "built-in kernels"),
        ("b", "ATAN2", "built-in kernels"),
        ("y", "ADD", "built-in kernels"),
    ]
    path = odd_models.tflite_not_delegated(tmp_path / "n.tflite")
    with pytest.raises(FallbackError):
        profiled("tflite", path, (4,), provider="XNNPACK")


def test_int8_is_told_for_the_layer_that_computes_in_it(tmp_path: Path) -> None:
    told = profiled("tflite", odd_models.tflite_int8(tmp_path / "m.tflite"), (1, 4), kind="int8")["operators"]
    assert [one["precision"] for one in told if one["kind"] == "FULLY_CONNECTED"] == ["int8"]


def test_the_profiled_session_computes_what_the_interpreter_does(tmp_path: Path) -> None:
    """Inputs in another order than the signature's, and of unlike sizes: nothing may be swapped."""
    path = odd_models.tflite_two_inputs(tmp_path / "m.tflite")
    from importlib.metadata import version

    inputs = [TensorType("minuend", "float32", (4,), False), TensorType("subtrahend", "float32", (1,), False)]
    session = Session(version("ai-edge-litert"), str(path), 1, True, inputs, [TensorType("y", "float32", (4,), False)])
    session.run([np.arange(4, dtype=np.float32), np.array([10], np.float32)])
    where = ctypes.c_void_p()
    session._call("LiteRtLockTensorBuffer", session._outputs[0], ctypes.byref(where), 0)
    out = np.ctypeslib.as_array(ctypes.cast(where, ctypes.POINTER(ctypes.c_float)), (4,))
    assert out.tolist() == [-10, -9, -8, -7]


def test_dynamic_dimensions_are_profiled_in_the_shape_of_the_inputs(tmp_path: Path) -> None:
    path = odd_models.tflite_dynamic(tmp_path / "m.tflite")
    assert [one["kind"] for one in profiled("tflite", path, (300, 4))["operators"]] == ["Add"]


def test_an_input_of_another_type_is_refused_before_it_writes_past_its_buffer(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"input x takes int8 \[1, 4\]"):
        profiled("tflite", odd_models.tflite_int8(tmp_path / "m.tflite"), (1, 4), kind="float32")


@pytest.mark.parametrize("version", ["1.4.0", "2.0.3", "3.0.0", "unknown"])
def test_only_versions_whose_interface_is_known_are_called(version: str) -> None:
    with pytest.raises(ModelError, match=r"need ai-edge-litert 2\.1 or newer, below 3; here is ai-edge-litert"):
        known_version(version)
    assert known_version("2.1.0") < known_version("2.1.6") < known_version("2.3.0")


def _graph() -> Iterator[dict[str, Any]]:
    """conv, relu -> XNNPACK; sort; conv, mean -> XNNPACK."""
    yield {"index": 0, "op_name": "CONV_2D", "inputs": [0], "outputs": [1]}
    yield {"index": 1, "op_name": "RELU", "inputs": [1], "outputs": [2]}
    yield {"index": 2, "op_name": "TOPK_V2", "inputs": [2], "outputs": [3]}
    yield {"index": 3, "op_name": "CONV_2D", "inputs": [3], "outputs": [4]}
    yield {"index": 4, "op_name": "MEAN", "inputs": [4], "outputs": [5]}
    yield {"index": 5, "op_name": "DELEGATE", "inputs": [0], "outputs": [2]}
    yield {"index": 6, "op_name": "DELEGATE", "inputs": [3], "outputs": [5]}


EVENTS = [
    Event("Convolution (NHWC, QC8) IGEMM", DELEGATE & 8, 0, 9),
    Event("TOPK_V2", NODE, 2, 4),
    Event("Convert (NC, F32, QD8)", DELEGATE & 8, 0, 1),
    Event("Convolution (NHWC, F32) IGEMM", DELEGATE & 8, 1, 7),
    Event("Mean (ND) Reduce", DELEGATE & 8, 2, 2),
]


def test_a_delegates_operators_are_brought_back_to_their_layers_part_by_part() -> None:
    found = behind(EVENTS, list(_graph()))
    assert [None if one is None else one["index"] for one in found] == [0, 2, None, 3, None]
    names, types = {1: "stem", 3: "top", 4: "head"}, {2: "float32"}
    noise = [Event("Invoke", 1, 0, 99), Event("DELEGATE", NODE, 5, 50)]
    told = tflite_operators([[*noise, *EVENTS]] * 3, list(_graph()), names, types)
    assert [(one["name"], one["kind"], one["precision"]) for one in told] == [
        ("stem", "CONV_2D", "int8"),
        ("top", "TOPK_V2", "fp32"),
        ("Convert (NC, F32, QD8)", "Convert", "int8"),
        ("head", "CONV_2D", "fp32"),
        ("Mean (ND) Reduce", "Mean Reduce", None),
    ]
    assert [one["median_ns"] for one in told] == [9000, 4000, 1000, 7000, 2000]


def test_layers_that_cannot_be_told_apart_keep_the_delegates_own_names() -> None:
    """A convolution that XNNPACK ran as two; and parts that are not as many as the graph's."""
    split = [*EVENTS[:1], EVENTS[0]._replace(node=1), *EVENTS[1:]]
    assert [None if one is None else one["index"] for one in behind(split, list(_graph()))] == [
        None,
        None,
        2,
        None,
        3,
        None,
    ]
    assert behind(EVENTS[:1], list(_graph())) == [None]


def test_an_inference_with_other_operators_is_an_error_not_a_mixture() -> None:
    with pytest.raises(ModelError, match="not the same in every inference"):
        tflite_operators([EVENTS, EVENTS[1:]], list(_graph()), {}, {})


@pytest.mark.parametrize(
    ("tensor", "name"),
    [
        ("x.to_channel_last_io.Wrapper/m.Net_wrapped/c.Sequential_blocks/c.Conv2d_conv_dw;1", "wrapped/blocks/conv_dw"),
        ("w.W/m.Net_net/n.Act_act;;w.W/m.Net_net/c.Conv2d_conv;", "net/conv"),
        ("MobilenetV2/expanded_conv/depthwise", "expanded_conv/depthwise"),
        ("serving_default_output_0", "serving_default_output_0"),
    ],
)
def test_a_converters_tensor_name_is_cut_to_the_layer(tensor: str, name: str) -> None:
    assert layer(tensor) == name


# --- the call


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The agent as a device gets it."""
    path = tmp_path_factory.mktemp("agent") / "agent.zip"
    path.write_bytes(agent_bytes())
    return path


def asked(program: Path, path: Path, **how: Any) -> dict[str, Any]:
    told: list[dict[str, Any]] = []
    format = path.suffix[1:]
    cell = {"format": format, "precision": "fp32", "threads": 1, "cores": None, "provider": None, "samples": None}
    cell = {**cell, "files": {path.name: str(path)}, "wrong_above": None, **how}
    call = {"call": "operators", "job": "j", "cell": cell, "inferences": 3, "timeout_s": 60.0}
    Supervisor(str(program), told.append, None).operators(call)
    (event,) = told
    return event


def test_the_call_is_answered_with_the_operators(program: Path, tmp_path: Path) -> None:
    event = asked(program, odd_models.onnx_conv(tmp_path / "model.onnx"))
    assert event["event"] == "operators"
    told = convert({key: value for key, value in event.items() if key != "event"}, Profiled)
    assert "Conv" in [one.kind for one in told.operators]


def test_the_call_takes_the_samples_and_their_shapes(program: Path, tmp_path: Path) -> None:
    np.savez(tmp_path / "in.npz", in0=np.ones((2, 1, 3, 5, 7), np.float32))
    path = odd_models.onnx_conv(tmp_path / "model.onnx", dims=("n", 3, "h", "w"))
    assert asked(program, path)["message"].startswith("input x has dimensions that are not fixed")
    assert asked(program, path, samples=str(tmp_path / "in.npz"))["event"] == "operators"
    np.savez(tmp_path / "in.npz", in0=np.ones((2, 1, 4, 5, 7), np.float32))
    told = asked(program, path, samples=str(tmp_path / "in.npz"))
    assert told["message"] == "input x takes ?x3x?x?, given is 1x4x5x7"


@pytest.mark.parametrize(
    ("how", "kind", "text"),
    [
        ({"provider": "CUDAExecutionProvider"}, "fallback", "has no CUDAExecutionProvider"),
        ({"threads": 0}, "error", "threads must be 1 or more"),
        ({"files": {"model.onnx": "/nowhere"}}, "error", "does not exist"),
    ],
)
def test_what_goes_wrong_has_its_class(
    program: Path, tmp_path: Path, how: dict[str, Any], kind: str, text: str
) -> None:
    event = asked(program, odd_models.onnx_conv(tmp_path / "model.onnx"), **how)
    assert event["event"] == "failed"
    told = convert({key: value for key, value in event.items() if key != "event"}, Failed)
    assert (told.job, told.error_class) == ("j", kind)
    assert text in told.message


@pytest.mark.parametrize("format", ["onnx", "openvino", "tflite"])
def test_a_file_that_is_none_is_an_error_and_the_agent_lives(program: Path, tmp_path: Path, format: str) -> None:
    """No runtime may take the process with it: then the error would be a crash, without a reason."""
    whole = {
        "onnx": lambda: odd_models.onnx_conv(tmp_path / "whole.onnx"),
        "openvino": lambda: tiny_models.files("openvino")["model.xml"],
        "tflite": lambda: odd_models.tflite_int8(tmp_path / "whole.tflite"),
    }[format]()
    data = whole.read_bytes()
    suffix = {"openvino": ".xml"}.get(format, f".{format}")
    told: list[dict[str, Any]] = []
    supervisor = Supervisor(str(program), told.append, None)
    for number, content in enumerate([np.random.default_rng(0).bytes(999), data[: len(data) // 2]]):
        path = tmp_path / f"bad{number}"
        path.write_bytes(content)
        files = {f"model{suffix}": str(path), **({"model.bin": str(path)} if format == "openvino" else {})}
        supervisor.inspect({"format": format, "files": files, "precision": "fp32", "timeout_s": 60.0})
    assert [(one["event"], one["error_class"]) for one in told] == [("failed", "error")] * 2
    assert all(len(one["message"]) > 20 for one in told)
