"""A study as it comes from a small board: 3 models x 3 exporters x 2 threads, one cell not trusted, two failed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from edgeprof.rank import ranking
from edgeprof.records import (
    Accuracy,
    Artifact,
    Cell,
    DeviceFacts,
    Failure,
    FileRef,
    Identity,
    MadeBy,
    Measurement,
    Method,
    Operator,
    Operators,
    Parity,
    Preprocessing,
    Ran,
    Ranking,
    Reading,
    Round,
    Run,
    Telemetry,
)
from edgeprof.store import Store

FACTS = DeviceFacts(
    architecture="aarch64",
    os="Debian GNU/Linux 12 (bookworm)",
    kernel="6.6.51+rpt-rpi-2712",
    cpu="Cortex-A76",
    cores=4,
    memory_bytes=8 * 2**30,
    python="3.11.2",
    board="Raspberry Pi 5 Model B Rev 1.0",
    governor="performance",
    clock_mhz=(1500.0, 2400.0),
    runtimes={"onnxruntime": "1.32.0", "openvino": "2026.4.1", "ai-edge-litert": "2.3.0", "numpy": "2.4.6"},
    clock_resolution_ns=18,
    harness_overhead_ns=240,
    throttles_at_c=85.0,
)
METHOD = Method(precision=0.01, min_rounds=7, max_rounds=30, cell_s=12.0)
RUN = Run(
    run="20260102-030405-7f3a",
    device="raspberry-pi",
    training="demo",
    plan_sha="0" * 64,
    suite_sha="5e1f" * 16,
    started_at="2026-01-02T03:04:05Z",
    facts=FACTS,
    method=METHOD,
    finished=True,
)
PROVIDERS = {"onnx": "CPUExecutionProvider", "openvino": "CPU", "tflite": "XNNPACK"}
PROFILED = (0, 8)
"""Which of the cells have times by operator."""
# model: single-thread ms by format, right answers of 450, MB, M parameters, M MACs
MODELS: dict[str, tuple[tuple[float, float, float], int, float, float, float]] = {
    "mobilenetv3_small_100": ((2.9, 3.3, 2.2), 438, 6.2, 1.53, 4.9),
    "resnet18": ((19.5, 17.2, 21.8), 442, 44.7, 11.18, 148.0),
    "efficientnet_lite0": ((11.4, 10.9, 8.7), 419, 13.5, 3.38, 32.0),
}
FORMATS: tuple[Any, ...] = ("onnx", "openvino", "tflite")


def records(
    device: str = "raspberry-pi", models: dict[str, Any] | None = None
) -> tuple[Run, list[Artifact], list[Measurement], list[Operators]]:
    """A run as the store holds it, and the measurements behind it; the same on every call."""
    rng = np.random.default_rng(7)
    artifacts: list[Artifact] = []
    measurements: list[Measurement] = []
    for model, (times, right, size, params, macs) in (models or MODELS).items():
        for format_, base in zip(FORMATS, times, strict=True):
            sha = f"{model}-{format_}"
            artifacts.append(_artifact(model, format_, sha, right, size, params, macs))
            for threads, gain in ((1, 1.0), (4, 0.36 + 0.1 * float(rng.random()))):
                job = f"job-{len(measurements)}"
                wild = len(measurements) == 9
                measurements.append(_measurement(device, job, model, format_, sha, threads, base * gain, wild, rng))
    run = msgspec.structs.replace(
        RUN, device=device, cells=tuple(one.cell for one in measurements), failures=tuple(_failures(device))
    )
    return run, artifacts, measurements, [_operators(one) for one in measurements[PROFILED[0] :: PROFILED[1]]]


def study(device: str = "raspberry-pi", models: dict[str, Any] | None = None) -> tuple[Ranking, list[Measurement]]:
    """The ranking by latency, and the measurements behind it; the same on every call."""
    run, artifacts, measurements, operators = records(device, models)
    return ranking(run, measurements, artifacts, [], operators=operators), measurements


def _artifact(model: str, format_: Any, sha: str, right: int, size: float, params: float, macs: float) -> Artifact:
    return Artifact(
        training="demo",
        model=model,
        init="scratch",
        seed=0,
        exporter=f"{format_}-fp32",
        format=format_,
        precision="fp32",
        checkpoint_sha="c" * 64,
        artifact_sha=sha,
        files=(FileRef(name=f"{model}.bin", sha256=sha, size_bytes=int(size * 1e6)),),
        size_bytes=int(size * 1e6 * {"onnx": 1.01, "openvino": 1.03, "tflite": 1.0}[format_]),
        inputs=(),
        outputs=(),
        preprocessing=Preprocessing(image_size=64, mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5)),
        accuracy=Accuracy(images=450, top1=right / 450, top5=449 / 450, macro_f1=right / 450 - 0.001),
        parity=Parity(images=450, max_abs_diff=3e-6, relative_diff=1e-7, cosine=1.0, top1_agreement=1.0),
        predictions_sha=None,
        params=int(params * 1e6),
        macs=int(macs * 1e6),
        samples_sha=None,
        made_by=MadeBy(edgeprof="0.1.0", packages={}, machine="x86_64", seconds=1.0),
    )


def _measurement(
    device: str, job: str, model: str, format_: Any, sha: str, threads: int, base: float, wild: bool, rng: Any
) -> Measurement:
    rounds = []
    for number in range(7):
        level = base * float(np.exp(rng.normal(0, 0.12 if wild else 0.008)))
        samples = level * (1 + np.abs(rng.normal(0, 0.02, size=int(min(300, max(20, 500 / base))))))
        samples[rng.random(samples.size) < 0.01] *= 1.6
        rounds.append(
            Round(
                run="20260102-030405-7f3a",
                job=job,
                round=number,
                position=number,
                started_at=1767323045.0 + number,
                load_ns=int(base * (18 + 0.1 * number) * 1e6),
                first_ns=int(base * (2.4 + 0.02 * number) * 1e6),
                warmup_ns=(int(base * 1.2e6),) * 5,
                samples_ns=tuple(int(ms * 1e6) for ms in samples),
                call_ns=tuple(int(ms * 0.96e6) for ms in samples),
                process_ns=int(base * 30e6 + 6e8),
                canary_ns=(812_000, 811_000, 813_000, 812_000),
                telemetry=Telemetry(
                    begin=Reading(clock_mhz=2400.0, temperature_c=52.0),
                    end=Reading(clock_mhz=2400.0, temperature_c=55.0),
                    steal_ns=None,
                    elapsed_ns=int(samples.sum() * 1e6),
                ),
                ran=_ran(model, format_) if number == 0 else None,
                peak_rss_bytes=int(9e7 + base * 3e6 + rng.integers(0, 200000)),
                model_rss_bytes=int(base * 3e6),
                runs_on=PROVIDERS[format_],
                precision_executed="fp32",
                threads_used=threads,
                output_diff=1e-6,
                involuntary_switches=1,
                agent_sha="ab12cd34ef56" * 5,
            )
        )
    identity = Identity(
        model=model, training="demo", init="scratch", seed=0, exporter=f"{format_}-fp32", device=device, threads=threads
    )
    reasons = ("interval wide", "bimodal") if wild else ()
    return Measurement(
        run="20260102-030405-7f3a",
        device=device,
        cell=Cell(job=job, identity=identity, artifact_sha=sha, format=format_, precision="fp32", threads=threads),
        rounds=tuple(rounds),
        attempts=2 if wild else 1,
        facts=FACTS,
        method=METHOD,
        trusted=not wild,
        reasons=reasons,
    )


def _ran(model: str, format_: Any) -> Ran | None:
    """OpenVINO tells no parts; one model falls into two on TFLite."""
    if format_ == "openvino":
        return Ran(
            provider="CPU", nodes=52, on_provider=52, partitions=None, precisions=None, source="the runtime model"
        )
    split = format_ == "tflite" and model == "resnet18"
    return Ran(
        provider=PROVIDERS[format_],
        nodes=61,
        on_provider=60 if split else 61,
        partitions=2 if split else 1,
        precisions={"fp32": 61},
        source="profile of one inference",
    )


def _operators(measurement: Measurement) -> Operators:
    """Eleven kinds, so that some share a bar."""
    kinds = ("Conv", "Relu", "Add", "Mul", "Gemm", "MaxPool", "HardSwish", "Reshape", "Concat", "Pad", "Softmax")
    return Operators(
        run=RUN.run,
        job=measurement.cell.job,
        source="the runtime's own profiler",
        inferences=50,
        inference_ns=4_100_000,
        operators=tuple(
            Operator(
                name=f"/layer{index}/{kind}",
                kind=kind,
                runs_on="CPU" if index else None,
                precision="fp32" if index else None,
                median_ns=1_300_000 // (1 + index),
            )
            for index, kind in enumerate([*kinds, "Conv", "Conv"])
        ),
    )


def _failures(device: str) -> list[Failure]:
    converter = "torch.export cannot trace this model:\n  aten.unfold is not supported with a dynamic kernel size"
    return [
        Failure(
            stage="export",
            identity=Identity(model="repvit_m1_0", training="demo", init="scratch", seed=0, exporter="tflite-fp32"),
            error=converter,
            error_class="ExportError",
            transient=False,
            hint="leave tflite-fp32 out for this model, or try a newer litert-torch",
        ),
        Failure(
            stage="profile",
            identity=Identity(model="repvit_m1_0", exporter="onnx-fp32", device=device, threads=4),
            error="the process ended with SIGSEGV in the first inference",
            error_class="DeviceError",
            transient=True,
            hint="try another version of onnxruntime on the device",
        ),
    ]


def store_of(root: Path, models: dict[str, Any] | None = None) -> Run:
    """Writes the records of a run into a store under `root`, as measuring would."""
    run, artifacts, measurements, operators = records(models=models)
    store = Store(root / ".edgeprof")
    store.put(Run.KIND, run.run, run, run=run.run)
    for artifact in artifacts:
        store.put(Artifact.KIND, artifact.artifact_sha, artifact)
    for measurement in measurements:
        for one in measurement.rounds:
            store.put(Round.KIND, f"{run.run}/{one.job}/{one.attempt}/{one.round}", one, run=run.run)
    for profile in operators:
        store.put(Operators.KIND, f"{run.run}/{profile.job}", profile, run=run.run)
    store.close()
    return run
