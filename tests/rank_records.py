"""Hand-made records for the ranking's tests: only what ranking looks at varies."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from edgeprof.records import (
    Accuracy,
    Artifact,
    Candidate,
    Cell,
    DeviceFacts,
    FileRef,
    Identity,
    MadeBy,
    Measurement,
    Method,
    Preprocessing,
    Ranking,
    Round,
    Run,
)

FACTS = DeviceFacts(
    architecture="x86_64", os="Debian 12", kernel="6.1", cpu="a cpu", cores=2, memory_bytes=2**34, python="3.11.2"
)
MADE_BY = MadeBy(edgeprof="0.1.0", packages={}, machine="x86_64", seconds=1.0)
RUN = Run(
    run="r1",
    device="localhost",
    training="demo",
    plan_sha="p",
    suite_sha="s",
    started_at="2026-01-02T03:04:05Z",
    facts=FACTS,
    method=Method(),
)


def rounds_of(job: str, blocks_ms: Sequence[Sequence[float]], peaks: Sequence[int | None] | None = None) -> list[Round]:
    """One round per block of samples (ms)."""
    return [
        Round(
            run="r1",
            job=job,
            round=number,
            position=number,
            started_at=0.0,
            load_ns=10_000_000,
            first_ns=5_000_000,
            warmup_ns=(),
            samples_ns=tuple(round(ms * 1e6) for ms in block),
            call_ns=tuple(round(ms * 0.9e6) for ms in block),
            process_ns=50_000_000,
            canary_ns=(1_000_000,) * 4,
            telemetry=None,
            ran=None,
            peak_rss_bytes=peaks[number] if peaks else 100_000_000,
            model_rss_bytes=None,
            runs_on="CPU",
            precision_executed="fp32",
            threads_used=1,
            output_diff=None,
            involuntary_switches=None,
            agent_sha="a",
        )
        for number, block in enumerate(blocks_ms)
    ]


def measurement(job: str, blocks_ms: Sequence[Sequence[float]], **changes: Any) -> Measurement:
    """A measurement of the file `changes["sha"]` (default: the job's own)."""
    sha = changes.pop("sha", f"sha-{job}")
    peaks = changes.pop("peaks", None)
    identity = Identity(model=changes.pop("model", f"model-{job}"), exporter="onnx-fp32", device="localhost", threads=1)
    fields: dict[str, Any] = {
        "run": "r1",
        "device": "localhost",
        "cell": Cell(job=job, identity=identity, artifact_sha=sha, format="onnx", precision="fp32", threads=1),
        "rounds": tuple(rounds_of(job, blocks_ms, peaks)),
        "attempts": 1,
        "facts": FACTS,
        "method": Method(),
        "trusted": True,
        "reasons": (),
    }
    return Measurement(**{**fields, **changes})


def artifact(sha: str, top1: float | None = 0.9, size: int = 1000, **changes: Any) -> Artifact:
    """An artifact; `top1` None for a ready file."""
    fields: dict[str, Any] = {
        "training": "demo",
        "model": "model",
        "init": "scratch",
        "seed": 0,
        "exporter": "onnx-fp32",
        "format": "onnx",
        "precision": "fp32",
        "checkpoint_sha": "c",
        "artifact_sha": sha,
        "files": (FileRef(name="model.onnx", sha256=sha, size_bytes=size),),
        "size_bytes": size,
        "inputs": (),
        "outputs": (),
        "preprocessing": Preprocessing(image_size=64, mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5)),
        "accuracy": None if top1 is None else Accuracy(images=450, top1=top1, top5=1.0, macro_f1=top1),
        "parity": None,
        "predictions_sha": None,
        "params": 10,
        "macs": 20,
        "samples_sha": None,
        "made_by": MADE_BY,
    }
    return Artifact(**{**fields, **changes})


def candidate(job: str, **changes: Any) -> Candidate:
    """A trusted candidate with an interval and an accuracy."""
    fields: dict[str, Any] = {
        "model": f"model-{job}",
        "training": "demo",
        "init": "scratch",
        "seed": 0,
        "exporter": "onnx-fp32",
        "format": "onnx",
        "precision": "fp32",
        "image_size": 64,
        "params": 1,
        "macs": 2,
        "size_bytes": 1000,
        "artifact_sha": f"sha-{job}",
        "job": job,
        "test_images": 450,
        "top1": 0.9,
        "top1_low": 0.87,
        "top1_high": 0.92,
        "top5": 1.0,
        "macro_f1": 0.9,
        "parity_max_abs_diff": 1e-6,
        "median_ms": 1.0,
        "median_low_ms": 0.9,
        "median_high_ms": 1.1,
        "p90_ms": 1.2,
        "p90_low_ms": 1.1,
        "p90_high_ms": 1.3,
        "p99_ms": None,
        "p99_high_ms": None,
        "p99_reason": "100 effective samples",
        "call_ms": 0.9,
        "load_ms": 10.0,
        "load_low_ms": 9.0,
        "load_high_ms": 11.0,
        "first_ms": 5.0,
        "first_low_ms": 4.5,
        "first_high_ms": 5.5,
        "peak_rss_bytes": 1,
        "threads": 1,
        "runs_on": "CPU",
        "precision_executed": "fp32",
        "ran": None,
        "samples": 100,
        "rounds": 7,
        "attempts": 1,
        "rank": 1,
        "rank_low": 1,
        "rank_high": 1,
        "pareto": False,
        "trusted": True,
        "reasons": (),
    }
    return Candidate(**{**fields, **changes})


def ranking_of(*candidates: Candidate) -> Ranking:
    """A ranking of ready candidates, as they are."""
    return Ranking(
        run="r1",
        device="localhost",
        suite_sha=None,
        training="demo",
        started_at="2026-01-02T03:04:05Z",
        by="latency",
        facts=FACTS,
        method=Method(),
        candidates=candidates,
        failures=(),
    )
