"""A study as it comes from a small board: 3 models x 3 exporters x 2 threads, one cell not trusted, two failed."""

from __future__ import annotations

from typing import Any

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
    Parity,
    Preprocessing,
    Ranking,
    Round,
    Run,
)

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
)
# model: single-thread ms by format, right answers of 450, MB, M parameters, M MACs
MODELS: dict[str, tuple[tuple[float, float, float], int, float, float, float]] = {
    "mobilenetv3_small_100": ((2.9, 3.3, 2.2), 438, 6.2, 1.53, 4.9),
    "resnet18": ((19.5, 17.2, 21.8), 442, 44.7, 11.18, 148.0),
    "efficientnet_lite0": ((11.4, 10.9, 8.7), 419, 13.5, 3.38, 32.0),
}
FORMATS: tuple[Any, ...] = ("onnx", "openvino", "tflite")


def study(device: str = "raspberry-pi", models: dict[str, Any] | None = None) -> tuple[Ranking, list[Measurement]]:
    """The ranking by latency, and the measurements behind it; the same on every call."""
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
    run = Run(
        run="20260102-030405-7f3a",
        device=device,
        training="demo",
        plan_sha="0" * 64,
        suite_sha="5e1f" * 16,
        started_at="2026-01-02T03:04:05Z",
        facts=FACTS,
        method=Method(),
        finished=True,
    )
    return ranking(run, measurements, artifacts, _failures(device)), measurements


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
    for number in range(5):
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
                load_ns=int(base * 18e6),
                first_ns=int(base * 2.4e6),
                warmup_ns=(int(base * 1.2e6),) * 5,
                samples_ns=tuple(int(ms * 1e6) for ms in samples),
                peak_rss_bytes=int(9e7 + base * 3e6 + rng.integers(0, 200000)),
                model_rss_bytes=int(base * 3e6),
                runs_on={"onnx": "CPUExecutionProvider", "openvino": "CPU", "tflite": "XNNPACK"}[format_],
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
    reasons = (
        ("the medians of the rounds differ by 31%, more than 10%", "4 rounds were still warming up") if wild else ()
    )
    return Measurement(
        run="20260102-030405-7f3a",
        device=device,
        cell=Cell(job=job, identity=identity, artifact_sha=sha, format=format_, precision="fp32", threads=threads),
        rounds=tuple(rounds),
        facts=FACTS,
        method=Method(),
        trusted=not wild,
        reasons=reasons,
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
