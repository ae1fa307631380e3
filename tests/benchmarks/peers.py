"""The tools that edgeprof is compared with, each as one fresh process that times one file on one thread and core 0."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

# MLPerf's LoadGen, single stream, around ONNX Runtime: its own log tells the percentiles.
_LOADGEN = """
import os, sys, tempfile, time
import mlperf_loadgen as lg, numpy as np, onnxruntime as ort
path, seconds, inputs = sys.argv[1], float(sys.argv[2]), np.load(sys.argv[3])["in0"]
options = ort.SessionOptions()
options.intra_op_num_threads = options.inter_op_num_threads = 1
session = ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])
name = session.get_inputs()[0].name
feeds = [{name: np.ascontiguousarray(one[None])} for one in inputs]
until = time.perf_counter() + 0.1
while time.perf_counter() < until:
    session.run(None, feeds[0])
def issue(samples):
    for sample in samples:
        session.run(None, feeds[sample.index % len(feeds)])
        lg.QuerySamplesComplete([lg.QuerySampleResponse(sample.id, 0, 0)])
settings = lg.TestSettings()
settings.scenario, settings.mode = lg.TestScenario.SingleStream, lg.TestMode.PerformanceOnly
settings.min_duration_ms = settings.max_duration_ms = int(1000 * seconds)
settings.min_query_count, settings.single_stream_expected_latency_ns = 20, 1_000_000
with tempfile.TemporaryDirectory() as folder:
    outputs = lg.LogOutputSettings()
    outputs.outdir = folder
    log = lg.LogSettings()
    log.log_output, log.enable_trace = outputs, False
    sut = lg.ConstructSUT(issue, lambda: None)
    qsl = lg.ConstructQSL(len(feeds), len(feeds), lambda s: None, lambda s: None)
    lg.StartTestWithLogSettings(sut, qsl, settings, log, "")
    print(open(os.path.join(folder, "mlperf_log_summary.txt")).read())
"""
# A bare loop around LiteRT's interpreter, as its own examples have it.
_LITERT = """
import statistics, sys, time
import numpy as np
from ai_edge_litert.interpreter import Interpreter
path, seconds, inputs = sys.argv[1], float(sys.argv[2]), np.load(sys.argv[3])["in0"]
interpreter = Interpreter(model_path=path, num_threads=1)
interpreter.allocate_tensors()
into, out_of = interpreter.get_input_details()[0]["index"], interpreter.get_output_details()[0]["index"]
feeds = [np.ascontiguousarray(one[None]) for one in inputs]
def run(seconds):
    times, until = [], time.perf_counter() + seconds
    while time.perf_counter() < until:
        begin = time.perf_counter()
        interpreter.set_tensor(into, feeds[len(times) % len(feeds)])
        interpreter.invoke()
        interpreter.get_tensor(out_of)
        times.append(time.perf_counter() - begin)
    return times
run(0.1)
print(1e3 * statistics.median(run(seconds)))
"""


def loadgen(path: Path, inputs: Path, seconds: float) -> float:
    """Median in ms: LoadGen's 50.00 percentile latency."""
    told = _script(_LOADGEN, path, inputs, seconds)
    found = re.search(r"50\.00 percentile latency \(ns\)\s*:\s*(\d+)", told)
    assert found, told
    return int(found[1]) / 1e6


def bare_litert(path: Path, inputs: Path, seconds: float) -> float:
    """Median in ms of a loop that sets the input, invokes and gets the output."""
    return float(_script(_LITERT, path, inputs, seconds).split()[-1])


# Ten runs, then forty that are timed, through the shortest path of each runtime.
_FORTY = """
import json, sys, time
import numpy as np
from edgeprof.agent.runtimes import open_model
spec = json.load(sys.stdin)
model = open_model(spec["format"], spec["files"], 1, "fp32")
inputs = np.load(spec["samples"])["in0"]
feeds = [[np.ascontiguousarray(one.reshape([d or 1 for d in model.inputs[0].shape]))] for one in inputs]
for _ in range(10):
    model.run(feeds[0])
begin = time.perf_counter()
for number in range(40):
    model.run(feeds[number % len(feeds)])
print(1e3 * (time.perf_counter() - begin) / 40)
"""
PINNED = ("taskset", "-c", "0")
EXPECTED_S = 4e-3
"""An inference of the file that is compared: benchmark_app counts time in whole seconds alone."""


def benchmark_app(path: Path, seconds: float, *, one_thread: bool = False) -> float:
    """Median in ms as OpenVINO's own tool tells it: synchronous, latency hint.

    Args:
        one_thread: it has `-nthreads` only without a hint, hence one stream and one thread in fp32 by hand, for about
            so many seconds.
    """
    options = ["-m", str(path), "-d", "CPU", "-api", "sync"]
    if one_thread:
        options += ["-niter", str(max(20, round(seconds / EXPECTED_S)))]
        options += ["-hint", "none", "-nstreams", "1", "-nthreads", "1", "-ip", "f32", "-infer_precision", "f32"]
    else:
        options += ["-hint", "latency", "-t", f"{seconds:.0f}"]
    tool = Path(sys.executable).with_name("benchmark_app")
    done = subprocess.run([*PINNED, str(tool), *options], capture_output=True, text=True)
    found = re.search(r"Median:\s+([\d.]+) (us|ms)", done.stdout)
    assert found, done.stdout[-500:] + done.stderr[-500:]
    return float(found[1]) / (1000 if found[2] == "us" else 1)


def forty_runs(spec: Mapping[str, object]) -> float:
    """Mean in ms of 10 + 40 runs in one process, as timm's benchmark and many scripts have it."""
    done = subprocess.run(
        [*PINNED, sys.executable, "-c", _FORTY], input=json.dumps(spec), capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-500:]
    return float(done.stdout.split()[-1])


def _script(code: str, path: Path, inputs: Path, seconds: float) -> str:
    command = [*PINNED, sys.executable, "-c", code, str(path), f"{seconds:g}", str(inputs)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-500:]
    return done.stdout
