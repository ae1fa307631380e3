"""Does edgeprof tell the same as the field's own tools? On the same file, thread and core, in turn, fresh processes.

Run by `make bench`; prints a table. The file is one that computes much and holds little (0.3 MB of weights), because
the question is about the harness, not about the caches that a shared machine's neighbours empty.
"""

from __future__ import annotations

import math
import statistics
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import peers
import pytest
from scipy import stats

from edgeprof.records import Device, Method
from edgeprof.store import Store
from edgeprof.target.local import LocalConnection
from edgeprof.target.protocol import CellPlan, Done, Measure, Measured, Step

pytestmark = pytest.mark.bench

PAIRS = 80
"""Fixed beforehand, so the interval needs no correction for looking."""
SECONDS = 0.3
METHOD = Method(block_s=SECONDS, warmup_s=0.1, block_max=100_000)

_BUILD = """
import sys
import numpy as np, torch
from torch import nn
torch.set_num_threads(1)
torch.manual_seed(0)
def block(a, b, stride): return [nn.Conv2d(a, b, 3, stride, 1), nn.ReLU()]
layers = block(3, 32, 2) + block(32, 64, 2) + block(64, 64, 1) + block(64, 64, 1)
model = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 10)).eval()
example = torch.randn(1, 3, 192, 192)
torch.onnx.export(model, (example,), sys.argv[1] + "/model.onnx", dynamo=True, verbose=False, external_data=False)
import openvino
converted = openvino.convert_model(sys.argv[1] + "/model.onnx")
openvino.save_model(converted, sys.argv[1] + "/model.xml", compress_to_fp16=False)
import litert_torch
litert_torch.convert(model, (example,)).export(sys.argv[1] + "/model.tflite")
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file in three formats, and inputs for it."""
    made = tmp_path_factory.mktemp("files")
    subprocess.run([sys.executable, "-c", _BUILD, str(made)], check=True, capture_output=True, timeout=300)
    images = np.random.default_rng(0).standard_normal((4, 3, 192, 192)).astype(np.float32)
    np.savez(made / "inputs.npz", in0=images)
    # As benchmark_app makes them up: one input of uniform numbers, again and again.
    np.savez(made / "one.npz", in0=np.random.default_rng(0).random((1, 3, 192, 192)).astype(np.float32))
    return made


class Edgeprof:
    """One round of edgeprof's own agent at a time: (whole inference, the runtime's own call), medians in ms."""

    def __init__(self, store: Store, format: str, files: dict[str, Path], inputs: Path) -> None:
        device = Device(name="localhost", transport="local")
        self.channel = LocalConnection(device, store).start_agent()
        self.plan = CellPlan(
            format=format,
            precision="fp32",
            threads=1,
            cores=(0,),
            provider=None,
            files={name: str(path) for name, path in files.items()},
            samples=str(inputs),
            wrong_above=None,
        )

    def round(self) -> tuple[float, float]:
        step = Step(job="x", round=0, position=0, look=False)
        self.channel.send(Measure(method=METHOD, cells={"x": self.plan}, rounds=(step,)))
        found: list[Measured] = []
        while not isinstance(event := self.channel.receive(60), Done):
            if isinstance(event, Measured):
                found.append(event)
        (one,) = found
        return statistics.median(one.samples_ns) / 1e6, statistics.median(one.call_ns) / 1e6


def interval(ratios: list[float]) -> tuple[float, float, float]:
    """Median and its distribution-free 95% interval: order statistics of a number of pairs fixed beforehand."""
    ordered = sorted(ratios)
    rank = int(stats.binom.ppf(0.025, len(ordered), 0.5))
    return statistics.median(ordered), ordered[rank - 1], ordered[-rank]


def test_the_same_file_takes_as_long_as_other_tools_say(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    inputs = folder / "inputs.npz"
    xml = {"model.xml": folder / "model.xml", "model.bin": folder / "model.bin"}
    cases: list[tuple[str, str, dict[str, Path], Callable[[], float], int]] = [
        # benchmark_app tells the request's own time: it is compared with the runtime's own call.
        (
            "benchmark_app",
            "openvino",
            xml,
            lambda: peers.benchmark_app(folder / "model.xml", SECONDS, one_thread=True),
            1,
        ),
        (
            "LoadGen, single stream, ONNX Runtime",
            "onnx",
            {"model.onnx": folder / "model.onnx"},
            lambda: peers.loadgen(folder / "model.onnx", inputs, SECONDS),
            0,
        ),
        (
            "bare loop, LiteRT",
            "tflite",
            {"model.tflite": folder / "model.tflite"},
            lambda: peers.bare_litert(folder / "model.tflite", inputs, SECONDS),
            0,
        ),
    ]
    lines = ["", "| tool | its median ms | edgeprof's | ratio | 95% interval | pairs |", "|---|---|---|---|---|---|"]
    store = Store(tmp_path)
    for name, format, files, peer, which in cases:
        mine = Edgeprof(store, format, files, folder / "one.npz" if format == "openvino" else inputs)
        ours: list[float] = []
        theirs: list[float] = []
        for pair in range(PAIRS):
            for side in ("AB", "BA")[pair % 2]:
                if side == "A":
                    ours.append(mine.round()[which])
                else:
                    theirs.append(peer())
        mine.channel.close()
        value, low, high = interval([a / b for a, b in zip(ours, theirs, strict=True)])
        lines.append(
            f"| {name} | {statistics.median(theirs):.3f} | {statistics.median(ours):.3f} | {value:.4f}"
            f" | {low:.4f} to {high:.4f} | {PAIRS} |"
        )
        assert math.isfinite(value)
    store.close()
    with capsys.disabled():
        sys.stdout.write("\n".join(lines) + "\n")
