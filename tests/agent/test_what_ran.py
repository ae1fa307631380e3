"""Where a graph runs, in what precision, on what shapes: read from the runtime, never silently another than asked."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import odd_models
import onnxruntime
import openvino
import pytest
import tiny_models
from hypothesis import given
from hypothesis import strategies as st

from edgeprof.agent.runtimes import FallbackError, Model, ModelError, executed, open_model
from edgeprof.agent.runtimes.onnx import new_session
from edgeprof.agent.runtimes.ran import multiplies, partitions, precisions, word
from edgeprof.agent.runtimes.tflite import replaced


def onnx(path: Path, **how: Any) -> Model:
    return open_model("onnx", {"model.onnx": str(path)}, 1, **{"precision": "fp32", **how})


def tflite(path: Path, **how: Any) -> Model:
    return open_model("tflite", {"model.tflite": str(path)}, 1, **{"precision": "fp32", **how})


def ran(model: Model, *shape: int, kind: str = "float32") -> dict[str, Any]:
    model.run([np.ones(shape, kind)])
    return model.ran()


# --- precision


def test_an_int8_file_runs_its_convolution_in_int8(tmp_path: Path) -> None:
    told = ran(onnx(odd_models.onnx_int8(tmp_path / "q.onnx"), precision="int8"), 1, 3, 8, 8)
    assert told["precisions"] == {"int8": 1}  # the Softmax, the quantizing and the dequantizing do not count
    assert executed("int8", told) == "int8"


def test_an_int8_file_runs_in_int8_under_openvino_too(tmp_path: Path) -> None:
    xml = tmp_path / "model.xml"
    openvino.save_model(openvino.convert_model(odd_models.onnx_int8(tmp_path / "q.onnx")), xml)
    files = {"model.xml": str(xml), "model.bin": str(xml.with_suffix(".bin"))}
    told = ran(open_model("openvino", files, 1, "int8"), 1, 3, 8, 8)
    assert executed("int8", told) == "int8"


def test_an_int8_file_runs_in_int8_under_tflite_too(tmp_path: Path) -> None:
    told = ran(tflite(odd_models.tflite_int8(tmp_path / "q.tflite")), 1, 4, kind="int8")
    assert told["precisions"] == {"int8": 1}


def test_half_precision_that_the_processor_does_not_have_is_told(tmp_path: Path) -> None:
    """ONNX Runtime computes in fp32 between two conversions where it has no kernel in half precision."""
    told = ran(onnx(odd_models.onnx_conv(tmp_path / "h.onnx", half=True), precision="fp16"), 1, 3, 8, 8, kind="float16")
    assert executed("fp16", told) in {"fp32", "fp16"}
    convolutions = [e for e in _kernels(tmp_path / "h.onnx") if "Conv" in e["args"]["op_name"]]
    types = {kind for e in convolutions for one in e["args"]["input_type_shape"] for kind in one}
    assert {"fp32": "float", "fp16": "float16"}[executed("fp16", told)] in types


def _kernels(path: Path) -> list[dict[str, Any]]:
    from edgeprof.agent.runtimes.onnx import profiled

    feed = {"x": np.ones((1, 3, 8, 8), np.float16)}
    return profiled(onnxruntime, {"model.onnx": str(path)}, 1, None, [feed], 0, 1)[0][1]


@pytest.mark.parametrize(
    ("asked", "found", "said"),
    [
        ("fp32", {"fp32": 50}, "fp32"),
        ("fp32", {"bf16": 50, "fp32": 3}, "bf16+fp32"),
        ("fp32", {"bf16": 3, "fp32": 50}, "fp32+bf16"),
        ("fp32", {"bf16": 50}, "bf16"),
        ("fp16", {"fp32": 50}, "fp32"),
        ("fp16", {"fp16": 50}, "fp16"),
        ("int8", {"int8": 50}, "int8"),
        ("int8", {"int8": 50, "fp32": 4}, "int8"),
        ("int8", {"int8": 4, "fp32": 50}, "fp32+int8"),
        ("int8", {"int8": 50, "bf16": 4}, "int8+bf16"),
        ("int8", {"fp32": 54}, "fp32"),
        ("dynamic-int8", {"int8": 1, "fp32": 53}, "dynamic-int8"),
        ("dynamic-int8", {"fp32": 54}, "fp32"),
        ("fp32", {"int8": 54}, "int8"),
        ("int8", None, "int8"),
        ("int8", {}, "int8"),
    ],
)
def test_one_word_for_what_ran(asked: str, found: dict[str, int] | None, said: str) -> None:
    assert executed(asked, {"precisions": found}) == said


def test_what_is_not_told_is_taken_for_what_was_asked() -> None:
    assert executed("fp16", None) == "fp16"


@given(
    st.sampled_from(["fp32", "fp16"]), st.dictionaries(st.sampled_from(["fp32", "bf16", "int8"]), st.integers(1, 99))
)
def test_the_word_names_every_precision_found_and_no_other(asked: str, found: dict[str, int]) -> None:
    assert set(executed(asked, {"precisions": found}).split("+")) == (set(found) or {asked})


def test_operators_that_count_for_the_precision() -> None:
    heavy = "Conv QLinearConv NhwcFusedConv Gemm QGemm MatMulNBits Convolution Deconvolution FullyConnected MatMul"
    heavy += " CONV_2D DEPTHWISE_CONV_2D FULLY_CONNECTED BATCH_MATMUL TRANSPOSE_CONV ScaledDotProductAttention LSTM"
    assert all(multiplies(kind) for kind in heavy.split())
    assert multiplies("Fully Connected (NC, F32) GEMM")
    assert multiplies("Batch Matrix Multiply (NC, F32)")
    light = "Cast Convert QuantizeLinear DEQUANTIZE Relu Softmax Reorder ReorderInput MUL Multiply Pool HARD_SWISH"
    assert not any(multiplies(kind) for kind in light.split())
    nodes = [("Conv", "int8"), ("Relu", "fp32"), ("Cast", "fp16"), ("Shape", None)]
    assert precisions(nodes) == {"int8": 1}
    assert precisions(nodes[1:]) == {"fp32": 1}
    assert precisions(nodes[2:]) is None
    assert (word("float16"), word("u8"), word("int64"), word("")) == ("fp16", "int8", None, None)


# --- providers


def test_a_provider_that_onnx_runtime_does_not_have_is_no_silent_cpu() -> None:
    files = {"model.onnx": str(tiny_models.files("onnx")["model.onnx"])}
    with pytest.raises(FallbackError, match=r"has no CUDAExecutionProvider here; it has: .*CPUExecutionProvider"):
        open_model("onnx", files, 1, "fp32", provider="CUDAExecutionProvider")
    allowed = open_model("onnx", files, 1, "fp32", provider="CUDAExecutionProvider", allow_fallback=True)
    assert allowed.runs_on == "CPUExecutionProvider"
    assert open_model("onnx", files, 1, "fp32", provider="CPUExecutionProvider").runs_on == "CPUExecutionProvider"


def test_a_provider_that_cannot_start_is_no_silent_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """As CUDA's where its libraries are missing: it is listed, and the session goes on without it."""
    files = {"model.onnx": str(tiny_models.files("onnx")["model.onnx"])}
    real = onnxruntime.InferenceSession

    def without(path: str, options: Any, providers: list[str]) -> Any:
        return real(path, options, providers=providers[1:])

    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: ["Broken", "CPUExecutionProvider"])
    monkeypatch.setattr(onnxruntime, "InferenceSession", without)
    with pytest.raises(FallbackError, match=r"could not start Broken .* would run on CPUExecutionProvider"):
        new_session(onnxruntime, files, 1, "Broken", False)


@pytest.mark.skipif("AzureExecutionProvider" not in onnxruntime.get_available_providers(), reason="not in this build")
def test_a_provider_that_takes_nothing_is_seen_in_what_ran() -> None:
    """The wheel's Azure provider starts everywhere and executes only operators of its own."""
    files = {"model.onnx": str(tiny_models.files("onnx")["model.onnx"])}
    model = open_model("onnx", files, 1, "fp32", provider="AzureExecutionProvider")
    model.run([tiny_models.inputs("onnx")[:1]])
    told = model.ran()
    assert told["provider"] == "AzureExecutionProvider"
    assert (told["on_provider"], told["partitions"]) == (0, 0)
    assert told["nodes"] > 0


def test_a_device_that_openvino_does_not_have_is_no_silent_cpu() -> None:
    files = {name: str(path) for name, path in tiny_models.files("openvino").items()}
    with pytest.raises(FallbackError, match=r"has no device FPGA here; it has: .*CPU"):
        open_model("openvino", files, 1, "fp32", provider="FPGA")
    assert open_model("openvino", files, 1, "fp32", provider="FPGA", allow_fallback=True).runs_on == "CPU"
    assert open_model("openvino", files, 1, "fp32", provider="CPU").runs_on == "CPU"
    with pytest.raises(ModelError, match="AUTO:CPU chooses where a graph runs by itself"):
        open_model("openvino", files, 1, "fp32", provider="AUTO:CPU")


def test_a_tflite_file_runs_with_its_delegate_or_without_as_asked(tmp_path: Path) -> None:
    path = odd_models.tflite_int8(tmp_path / "m.tflite")
    assert tflite(path, provider="XNNPACK").runs_on == "XNNPACK"
    assert tflite(path, provider="none").runs_on == "built-in kernels"
    with pytest.raises(FallbackError, match="has no delegate GPU here; it has: XNNPACK, none"):
        tflite(path, provider="GPU")


def test_a_delegate_that_takes_nothing_is_a_fallback(tmp_path: Path) -> None:
    path = odd_models.tflite_not_delegated(tmp_path / "m.tflite")
    with pytest.raises(FallbackError, match="XNNPACK takes no operator"):
        tflite(path, provider="XNNPACK")
    assert tflite(path, provider="XNNPACK", allow_fallback=True).runs_on == "built-in kernels"
    assert tflite(path).runs_on == "built-in kernels"  # not asked for: told, but no error


def test_the_share_of_a_delegate_is_told(tmp_path: Path) -> None:
    told = ran(tflite(odd_models.tflite_partly_delegated(tmp_path / "m.tflite")), 4)
    assert (told["provider"], told["nodes"], told["on_provider"], told["partitions"]) == ("XNNPACK", 3, 2, 2)


def test_a_delegates_part_ends_at_the_tensors_that_it_takes_in() -> None:
    """1 -> 2 -> 3 with the delegate's part {2, 3}; tensor 9 is a constant."""
    nodes = [
        {"index": 0, "op_name": "A", "inputs": [0], "outputs": [1]},
        {"index": 1, "op_name": "B", "inputs": [1, 9], "outputs": [2, 7]},
        {"index": 2, "op_name": "C", "inputs": [2, 7, -1], "outputs": [3]},
        {"index": 3, "op_name": "DELEGATE", "inputs": [1, 9], "outputs": [3]},
    ]
    assert replaced(nodes) == [{1, 2}]
    assert replaced(nodes[:3]) == []


@given(st.lists(st.booleans()))
def test_partitions_are_stretches(here: list[bool]) -> None:
    text = "".join("x" if one else " " for one in here)
    assert partitions(here) == len(text.split())


# --- shapes


def test_dynamic_dimensions_run_in_the_shapes_given(tmp_path: Path) -> None:
    path = odd_models.onnx_conv(tmp_path / "m.onnx", dims=("n", 3, "h", "w"))
    assert onnx(path).inputs[0].shape == (None, 3, None, None)
    model = onnx(path, shapes=[(2, 3, 5, 7)])
    assert model.run([np.ones((2, 3, 5, 7), np.float32)])[0].shape == (2, 4, 5, 7)
    xml = tmp_path / "model.xml"
    openvino.save_model(openvino.convert_model(path), xml)
    files = {"model.xml": str(xml), "model.bin": str(xml.with_suffix(".bin"))}
    model = open_model("openvino", files, 1, "fp32", shapes=[(2, 3, 5, 7)])
    assert model.run([np.ones((2, 3, 5, 7), np.float32)])[0].shape == (2, 4, 5, 7)


def test_a_tflite_file_is_resized_before_it_runs(tmp_path: Path) -> None:
    path = odd_models.tflite_dynamic(tmp_path / "m.tflite")
    model = tflite(path, shapes=[(3, 4)])
    assert model.run([np.ones((3, 4), np.float32)])[0].shape == (3, 4)
    assert model.runs_on == "XNNPACK"
    assert tflite(path, shapes=[(4,)]).run([np.ones((1, 4), np.float32)])[0].shape == (1, 4)  # without its batch


@pytest.mark.parametrize("shape", [(2, 1, 5, 7), (2, 3, 5), (2, 3, 5, 7, 1), ()])
def test_a_shape_that_does_not_fit_is_named_beside_what_fits(tmp_path: Path, shape: tuple[int, ...]) -> None:
    path = odd_models.onnx_conv(tmp_path / "m.onnx", dims=("n", 3, "h", 8))
    with pytest.raises(ModelError, match=r"input x takes \?x3x\?x8, given is (\d|a single number)") as caught:
        onnx(path, shapes=[shape])
    assert str(caught.value).endswith("x".join(map(str, shape)) or "a single number")


def test_more_shapes_than_inputs_are_refused_and_fewer_are_not(tmp_path: Path) -> None:
    path = odd_models.onnx_conv(tmp_path / "m.onnx")
    with pytest.raises(ModelError, match=r"there are 1 inputs \(x\), given are 2"):
        onnx(path, shapes=[(1, 3, 8, 8), (1,)])
    assert onnx(path, shapes=[None]).inputs == onnx(path, shapes=[]).inputs


# --- files


def test_weights_beside_an_onnx_file_are_found_under_any_name(tmp_path: Path) -> None:
    """A store keeps each file in a folder of its own, under its digest; ONNX Runtime follows no link out of one."""
    made = odd_models.onnx_conv(tmp_path / "m.onnx", weights="m.onnx.data")
    expected = onnx(odd_models.onnx_conv(tmp_path / "whole.onnx")).run([np.ones((1, 3, 8, 8), np.float32)])
    for name in ("ab", "cd"):
        (tmp_path / name).mkdir()
    files = {
        "model.onnx": shutil.move(made, tmp_path / "ab" / "abc"),
        "m.onnx.data": shutil.move(tmp_path / "m.onnx.data", tmp_path / "cd" / "cde"),
    }
    model = open_model("onnx", {name: str(path) for name, path in files.items()}, 1, "fp32")
    np.testing.assert_array_equal(model.run([np.ones((1, 3, 8, 8), np.float32)])[0], expected[0])
    assert model.ran()["precisions"] == {"fp32": 1}  # the profile opens them once more
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["ab", "abc", "cd", "cde", "whole.onnx"]


def test_weights_that_are_missing_are_named(tmp_path: Path) -> None:
    path = odd_models.onnx_conv(tmp_path / "m.onnx", weights="m.onnx.data")
    (tmp_path / "m.onnx.data").rename(tmp_path / "other.data")
    with pytest.raises(ModelError, match=r"external data 'm\.onnx\.data' is missing; here are: model\.onnx$"):
        onnx(path)
    files = {"model.onnx": str(path), "other.data": str(tmp_path / "other.data")}
    with pytest.raises(ModelError, match=r"'m\.onnx\.data' is missing; here are: model\.onnx, other\.data"):
        open_model("onnx", files, 1, "fp32")


def test_what_a_runtime_does_not_know_is_told_in_its_own_words(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"org\.example:Sparkle.* is not a registered function"):
        onnx(odd_models.onnx_unknown_operator(tmp_path / "op.onnx"))
    with pytest.raises(ModelError, match="unresolved custom op: Sparkle"):
        tflite(odd_models.tflite_unknown_operator(tmp_path / "op.tflite"))
    with pytest.raises(ModelError, match=r"Opset 99 .*till opset \d+") as caught:
        onnx(odd_models.onnx_conv(tmp_path / "opset.onnx", opset=99))
    assert "std::" not in str(caught.value)


def test_a_runtime_that_fails_to_tell_what_ran_costs_no_samples_and_the_record_says_why(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from edgeprof.agent import worker

    def fail() -> dict[str, Any]:
        raise ValueError("no such node")

    model = open_model("noop", {}, 1, "fp32")._replace(ran=fail)
    monkeypatch.setattr(worker, "open_model", lambda *asked, **how: model)
    limits = {"timeout_s": 30, "warmup_s": 0, "warmup_min": 1, "block_s": 0, "block_min": 10, "block_max": 10}
    spec = {"format": "noop", "files": {}, "threads": 1, "precision": "fp32", "look": True, **limits}
    found = worker.measure(spec, lambda phase: None)
    assert len(found["samples_ns"]) == 10
    assert (found["ran"]["nodes"], found["precision_executed"]) == (None, "fp32")
    assert "no such node" in found["ran"]["source"]
