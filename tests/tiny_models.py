"""Files small enough to run in microseconds, for the tests of agent, target and measure: one real file a format, and a
stand-in for ONNX Runtime that does on purpose what a real runtime does by accident."""

from __future__ import annotations

import io
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgeprof.records import Artifact, FileRef, Format, MadeBy, Method
from edgeprof.store import Store

SIDE = 16
CLASSES = 10
WAYS = 4
QUICK = Method(
    min_rounds=2,
    max_rounds=2,
    again=False,
    warmup_s=0.0,
    warmup_min=1,
    block_s=0.0,
    block_min=12,
    block_max=20,
    timeout_s=30.0,
)
"""A method that takes next to no time."""

# One convolution, a mean and a product, as an ONNX file and, through OpenVINO's converter, as IR.
_ONNX = f"""
import sys, numpy as np, onnx
from onnx import TensorProto, helper, numpy_helper
generator = np.random.default_rng(0)
weights = generator.standard_normal((8, 3, 3, 3)).astype(np.float32)
head = generator.standard_normal((8, {CLASSES})).astype(np.float32)
nodes = [
    helper.make_node("Conv", ["x", "weights"], ["c"], kernel_shape=[3, 3], pads=[1, 1, 1, 1]),
    helper.make_node("Relu", ["c"], ["r"]),
    helper.make_node("GlobalAveragePool", ["r"], ["p"]),
    helper.make_node("Flatten", ["p"], ["f"]),
    helper.make_node("MatMul", ["f", "head"], ["y"]),
]
graph = helper.make_graph(
    nodes, "tiny",
    [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 3, {SIDE}, {SIDE}])],
    [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, {CLASSES}])],
    [numpy_helper.from_array(weights, "weights"), numpy_helper.from_array(head, "head")],
)
onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9), sys.argv[1])
import openvino
openvino.save_model(openvino.convert_model(sys.argv[1]), sys.argv[2], compress_to_fp16=False)
"""
_TFLITE = f"""
import sys, torch
torch.set_num_threads(1)
import litert_torch
from torch import nn
torch.manual_seed(0)
layers = [nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, {CLASSES})]
model = nn.Sequential(*layers)
model = litert_torch.to_channel_last_io(model.eval(), args=[0])
litert_torch.convert(model, (torch.randn(1, {SIDE}, {SIDE}, 3),)).export(sys.argv[1])
"""


@cache
def _folder() -> Path:
    folder = tempfile.TemporaryDirectory(prefix="edgeprof-tiny-")  # removed when the process ends
    _kept.append(folder)
    return Path(folder.name)


_kept: list[tempfile.TemporaryDirectory[str]] = []


@cache
def _onnx_and_openvino() -> tuple[Path, Path]:
    onnx, xml = _folder() / "model.onnx", _folder() / "model.xml"
    subprocess.run([sys.executable, "-c", _ONNX, str(onnx), str(xml)], check=True, capture_output=True, timeout=120)
    return onnx, xml


@cache
def _tflite() -> Path:
    path = _folder() / "model.tflite"
    subprocess.run([sys.executable, "-c", _TFLITE, str(path)], check=True, capture_output=True, timeout=250)
    return path


def files(format: Format) -> dict[str, Path]:
    """The real file of a format: conventional name -> path."""
    if format == "tflite":
        return {"model.tflite": _tflite()}
    onnx, xml = _onnx_and_openvino()
    return {"model.onnx": onnx} if format == "onnx" else {"model.xml": xml, "model.bin": xml.with_suffix(".bin")}


def inputs(format: Format) -> NDArray[np.float32]:
    """[WAYS, ...] without a batch dimension, in the layout of the format's file."""
    images = np.random.default_rng(1).standard_normal((WAYS, 3, SIDE, SIDE)).astype(np.float32)
    return np.ascontiguousarray(images.transpose(0, 2, 3, 1)) if format == "tflite" else images


def samples(ins: NDArray[np.float32], outs: NDArray[np.float32] | None) -> bytes:
    """The bytes of a samples file."""
    data = io.BytesIO()
    if outs is None:
        np.savez(data, in0=ins)
    else:
        np.savez(data, in0=ins, out0=outs)
    return data.getvalue()


def outputs(format: Format) -> NDArray[np.float32]:
    """What the real file gives for `inputs`, by its own runtime: [WAYS, CLASSES]."""
    from edgeprof.agent.runtimes import open_model

    model = open_model(format, {name: str(path) for name, path in files(format).items()}, 1, "fp32")
    return np.stack([np.array(model.run([one[None]])[0][0]) for one in inputs(format)])


def artifact(
    store: Store,
    format: Format,
    contents: dict[str, bytes],
    sample_bytes: bytes | None,
    *,
    model: str = "tiny",
    exporter: str | None = None,
    precision: str = "fp32",
) -> Artifact:
    """A record of an exported file whose blobs lie in the store."""
    refs = tuple(
        FileRef(name=name, sha256=store.add_bytes(data), size_bytes=len(data)) for name, data in contents.items()
    )
    return Artifact(
        training="demo",
        model=model,
        init="scratch",
        seed=0,
        exporter=exporter or f"{format}-fp32",
        format=format,
        precision=precision,
        checkpoint_sha=None,
        artifact_sha=refs[0].sha256,
        files=refs,
        size_bytes=sum(ref.size_bytes for ref in refs),
        inputs=(),
        outputs=(),
        preprocessing=None,
        accuracy=None,
        parity=None,
        predictions_sha=None,
        params=None,
        macs=None,
        samples_sha=None if sample_bytes is None else store.add_bytes(sample_bytes),
        made_by=MadeBy(edgeprof="0", packages={}, machine="test", seconds=0.0),
    )


def real_artifact(store: Store, format: Format) -> Artifact:
    """The real file of a format as an artifact."""
    contents = {name: path.read_bytes() for name, path in files(format).items()}
    return artifact(store, format, contents, samples(inputs(format), outputs(format)))


# --- the stand-in: what it does is the first word of the "model" file; further words are its arguments

_STAND_IN = '''
"""A stand-in for ONNX Runtime. Input: float32 [1, 10]; output: the same, unless told otherwise."""
import os, signal, sys, time

__version__ = "0.0"


class ExecutionMode:
    ORT_SEQUENTIAL = 0


class SessionOptions:
    intra_op_num_threads = 0


class Port:
    type = "tensor(float)"
    shape = [1, 10]

    def __init__(self, name):
        self.name = name


class InferenceSession:
    def __init__(self, path, options, providers):
        self.providers, self.options = providers, options
        with open(path) as file:
            self.does, *self.words = file.read().split(" ", 1)
        self.runs = 0
        if self.does == "crash-loading":
            os.kill(os.getpid(), signal.SIGSEGV)
        if self.does == "foreign":
            raise RuntimeError("Exception from src/core.cpp:84:\\nthis is no model\\n")
        if self.does == "killed-once":
            try:
                os.unlink(self.words[0])
            except FileNotFoundError:
                pass
            else:
                os.kill(os.getpid(), signal.SIGKILL)
        if self.does == "killed":
            os.kill(os.getpid(), signal.SIGKILL)

    def get_providers(self):
        return self.providers

    def get_session_options(self):
        if self.does == "other-threads":
            self.options.intra_op_num_threads += 1
        return self.options

    def get_inputs(self):
        return [Port("x")]

    def get_outputs(self):
        return [Port("y")]

    def run(self, names, feeds):
        self.runs += 1
        value = feeds["x"]
        if self.does == "noise":
            print("a line on stdout", flush=True)
            os.write(1, b"{" + b"x" * 100 + b"}")
            print("a line on stderr", file=sys.stderr, flush=True)
        elif self.does == "crash" and self.runs > 3:
            sys.stderr.write("kernel 7 failed\\n")
            sys.stderr.flush()
            os.kill(os.getpid(), signal.SIGSEGV)
        elif self.does == "exit":
            os._exit(3)
        elif self.does == "hang":
            if self.words:
                child = os.fork()
                if child == 0:
                    time.sleep(600)
                with open(self.words[0], "w") as file:
                    file.write("%d %d" % (os.getpid(), child))
            time.sleep(600)
        elif self.does == "slow":
            time.sleep(0.2)
        elif self.does == "busy":
            until = time.perf_counter() + float(self.words[0]) / 1e3
            while time.perf_counter() < until:
                pass
        elif self.does == "draws":  # a marker, milliseconds: a simulated power sensor sees by the marker that it runs
            marker, took = self.words[0].rsplit(" ", 1)
            os.utime(marker)
            time.sleep(float(took) / 1e3)
        elif self.does == "raise":
            raise ValueError("INVALID_ARGUMENT : the kernel says no")
        elif self.does == "nan":
            return [value * float("nan")]
        elif self.does == "wrong":
            return [value[:, ::-1] + 1]
        elif self.does == "off":
            return [value + 0.001 * float(self.words[0])]
        elif self.does == "cached":
            self.first = getattr(self, "first", value)
            return [self.first]
        elif self.does == "shape":
            return [value[:, :5]]
        elif self.does == "growing":
            return [value[:, : min(self.runs, 10)]]
        return [value]
'''


def stand_in(folder: Path, shape: tuple[int, ...] = (1, 10)) -> Path:
    """A folder for PYTHONPATH in which `onnxruntime` is the stand-in, for inputs of a shape."""
    package = folder / "stand-in" / "onnxruntime"
    package.mkdir(parents=True, exist_ok=True)
    text = _STAND_IN.replace("shape = [1, 10]", f"shape = {list(shape)}")
    (package / "__init__.py").write_text(text, encoding="utf-8")
    return package.parent


def stand_in_inputs() -> NDArray[np.float32]:
    """[WAYS, 10]; values in 0..1, each way another."""
    return np.linspace(0, 1, WAYS * 10, dtype=np.float32).reshape(WAYS, 10)


def stand_in_artifact(store: Store, does: str, *, expected: bool = True) -> Artifact:
    """A "file" that has the stand-in do something."""
    ins = stand_in_inputs()
    contents = {"model.onnx": does.encode()}
    return artifact(store, "onnx", contents, samples(ins, ins if expected else None), model=does.split()[0])
