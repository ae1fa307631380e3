"""Each runtime opens its file, tells what it took, and says in its own words what it cannot open."""

from __future__ import annotations

import shutil
import sys
import time
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
import tiny_models
from msgspec import convert

from edgeprof.agent import runtimes
from edgeprof.agent.runtimes import MissingRuntimeError, Model, ModelError, executed, open_model
from edgeprof.records import Format, Ran

FORMATS: tuple[Format, ...] = get_args(Format)


def opened(format: Format, threads: int = 1, precision: str = "fp32") -> Model:
    return open_model(format, {name: str(path) for name, path in tiny_models.files(format).items()}, threads, precision)


@pytest.mark.parametrize("format", FORMATS)
def test_a_file_runs_and_tells_its_tensors_and_what_it_took(format: Format) -> None:
    model = opened(format, threads=2)
    assert [(info.shape, info.dtype) for info in model.outputs] == [((1, 10), "float32")]
    assert model.inputs[0].shape == (1, *tiny_models.inputs(format).shape[1:])
    assert (model.threads, model.precision) == (2, "fp32")
    assert model.runs_on == {"onnx": "CPUExecutionProvider", "openvino": "CPU", "tflite": "XNNPACK"}[format]
    assert model.version[0].isdigit()


@pytest.mark.parametrize("format", FORMATS)
def test_an_output_follows_its_input_and_not_the_run_before(format: Format) -> None:
    model, ins = opened(format), tiny_models.inputs(format)
    first = np.array(model.run([ins[:1]])[0])
    second = np.array(model.run([ins[1:2]])[0])
    assert np.abs(first - second).max() > 1e-3
    np.testing.assert_array_equal(first, np.array(model.run([ins[:1]])[0]))


def test_onnx_and_openvino_agree_in_full_precision() -> None:
    """In bf16, OpenVINO's default on some processors, they would differ by some 1e-2."""
    np.testing.assert_allclose(tiny_models.outputs("onnx"), tiny_models.outputs("openvino"), rtol=1e-4, atol=1e-4)


def test_what_openvino_executes_is_read_back() -> None:
    """A processor without half precision takes another one for fp16; whatever it takes is told."""
    executed = opened("openvino", precision="fp16").precision
    assert executed in {"fp16", "bf16", "fp32"}


@pytest.mark.parametrize("format", FORMATS)
def test_the_runtimes_own_call_is_timed_within_a_run(format: Format) -> None:
    model, ins = opened(format), tiny_models.inputs(format)
    begin = time.perf_counter_ns()
    model.run([ins[:1]])
    whole = time.perf_counter_ns() - begin
    first = model.call_ns()
    assert 0 < first < whole
    calls = set()
    for _ in range(20):
        model.run([ins[:1]])
        calls.add(model.call_ns())
    assert len(calls) > 1  # it is the last run's, not the first one's


@pytest.mark.parametrize("format", FORMATS)
def test_what_ran_is_told_by_the_runtime(format: Format) -> None:
    """A file of floats: one convolution and one product, all in fp32 and all where it was asked to."""
    model = opened(format)
    model.run([tiny_models.inputs(format)[:1]])
    ran = convert(model.ran(), Ran)
    assert ran.provider == model.runs_on
    assert ran.nodes is not None
    assert ran.nodes >= 3
    assert (ran.on_provider, ran.partitions, ran.precisions) == (ran.nodes, 1, {"fp32": 2})
    assert executed("fp32", model.ran()) == "fp32"


def test_a_model_that_does_nothing_tells_nothing() -> None:
    model = open_model("noop", {}, 1, "fp32")
    assert model.run([np.zeros(1)])[0].shape == (1,)
    assert 0 <= model.call_ns() < 10**9
    assert convert(model.ran(), Ran).nodes is None


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("threads", [0, -1])
def test_no_threads_is_refused_not_taken_for_all_of_them(format: Format, threads: int) -> None:
    with pytest.raises(ModelError, match=f"threads must be 1 or more, asked are {threads}"):
        opened(format, threads=threads)


@pytest.mark.parametrize("format", FORMATS)
def test_files_may_lie_under_any_name(format: Format, tmp_path: Path) -> None:
    """As in a store of blobs, in a folder with a space and letters beyond ASCII."""
    folder = tmp_path / "naïve ordner 試"
    folder.mkdir()
    moved = {}
    for number, (name, path) in enumerate(tiny_models.files(format).items()):
        moved[name] = str(shutil.copy(path, folder / f"{number}abc"))
    model = open_model(format, moved, 1, "fp32")
    assert model.run([tiny_models.inputs(format)[:1]])[0].shape == (1, 10)


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("damage", ["foreign", "truncated", "empty"])
def test_a_damaged_file_is_an_error_in_the_runtimes_own_words(format: Format, damage: str, tmp_path: Path) -> None:
    name, path = next(iter(tiny_models.files(format).items()))
    data = path.read_bytes()
    bad = tmp_path / "bad"
    bad.write_bytes({"foreign": b"hello, world", "truncated": data[: len(data) // 2], "empty": b""}[damage])
    given = {one: str(where) for one, where in tiny_models.files(format).items()}
    with pytest.raises(ModelError) as caught:
        open_model(format, {**given, name: str(bad)}, 1, "fp32")
    text = str(caught.value)
    assert len(text) > 10
    assert "\n" not in text


def test_weights_cut_short_are_found(tmp_path: Path) -> None:
    given = tiny_models.files("openvino")
    cut = tmp_path / "cut"
    cut.write_bytes(given["model.bin"].read_bytes()[:500])
    with pytest.raises(ModelError, match="weights"):
        open_model("openvino", {"model.xml": str(given["model.xml"]), "model.bin": str(cut)}, 1, "fp32")


def test_files_that_do_not_fit_the_format_are_named(tmp_path: Path) -> None:
    path = str(tiny_models.files("onnx")["model.onnx"])
    for files, text in [
        ({}, "exactly one .onnx file, here are: none"),
        ({"a.onnx": path, "b.onnx": path}, r"here are: a\.onnx, b\.onnx"),
        ({"a.onnx": path, "../a.data": path}, r"must lie beside the model, this does not: '../a\.data'"),
        ({"a.onnx": str(tmp_path / "gone")}, "does not exist"),
    ]:
        with pytest.raises(ModelError, match=text):
            open_model("onnx", files, 1, "fp32")
    with pytest.raises(ModelError, match=r"tflite runs from \.tflite alone, here are: a\.data, a\.tflite"):
        open_model("tflite", {"a.tflite": path, "a.data": path}, 1, "fp32")
    with pytest.raises(ModelError, match="unknown format 'tensorrt'"):
        open_model("tensorrt", {}, 1, "fp32")


def test_a_runtime_that_does_not_import_is_named_with_the_reason(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    broken = tmp_path / "onnxruntime"
    broken.mkdir()
    (broken / "__init__.py").write_text("raise ImportError('libstdc++.so.6: version not found')")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "onnxruntime", raising=False)
    with pytest.raises(MissingRuntimeError, match=r"onnxruntime.*libstdc\+\+") as caught:
        runtimes.import_runtime("onnx")
    assert caught.value.package == "onnxruntime"


def test_installed_runtimes_are_found_without_importing_them() -> None:
    import subprocess

    code = (
        "import sys; from edgeprof.agent.runtimes import installed; found = installed(); "
        "print(sorted(found), {'onnxruntime', 'openvino', 'ai_edge_litert', 'numpy'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "['ai-edge-litert', 'onnxruntime', 'openvino'] set()"
