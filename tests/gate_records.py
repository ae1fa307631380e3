"""Hand-made baselines and runs for the gate's tests: only what a gate looks at varies."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np
from numpy.typing import ArrayLike, NDArray

from edgeprof.rank.gate_limit import packed
from edgeprof.records import DeviceFacts, Failure, Identity, Interval, Method
from edgeprof.records.gate import Baseline, BaselineCandidate, KnownTop1, RoundNumbers

FACTS = DeviceFacts(
    architecture="aarch64",
    os="Debian 12",
    kernel="6.1",
    cpu="4 x Cortex-A76",
    cores=4,
    memory_bytes=2**33,
    python="3.11",
    governor="performance",
    runtimes={"onnxruntime": "1.20"},
)
LABELS = "labels of 450 images"


def numbers(p50_ns: ArrayLike, samples: int = 200, peak: int | None = 50_000_000) -> RoundNumbers:
    """Rounds of these medians; the tail follows at a fixed distance."""
    medians = [int(one) for one in np.asarray(p50_ns, dtype=np.float64)]
    return RoundNumbers(
        samples=(samples,) * len(medians),
        p50_ns=tuple(medians),
        p90_ns=tuple(int(1.1 * one) for one in medians),
        p99_ns=tuple(int(1.3 * one) for one in medians),
        canary_ns=(1_000_000,) * len(medians),
        peak_rss_bytes=tuple(None if peak is None else peak + 1000 * number for number in range(len(medians))),
    )


def quiet(rounds: int = 9, level_ns: float = 1e6, spread: float = 0.002, seed: int = 0) -> NDArray[np.float64]:
    """Medians of the rounds of a device that does nothing else."""
    values: NDArray[np.float64] = level_ns * np.exp(spread * np.random.default_rng(seed).standard_normal(rounds))
    return values


def right(lost: Sequence[int] = (), images: int = 450) -> KnownTop1:
    """Right on all images but the first 50, and but those that are lost."""
    answers = np.ones(images, dtype=np.bool_)
    answers[:50] = False
    answers[list(lost)] = False
    return KnownTop1(top1=float(answers.mean()), images=images, labels_sha=LABELS, right=packed(answers))


def candidate(model: str = "net", sha: str = "old", **fields: Any) -> BaselineCandidate:
    """A trusted one with accuracy, memory and quiet rounds."""
    identity = Identity(
        model=model, training="demo", init="scratch", seed=0, exporter="onnx-fp32", device="pi", threads=1
    )
    made: dict[str, Any] = {
        "label": identity.label(),
        "identity": identity,
        "provider": None,
        "format": "onnx",
        "precision": "fp32",
        "artifact_sha": sha,
        "size_bytes": 1_000_000,
        "top1": right(),
        "median_ms": Interval(value=1.0, low=0.99, high=1.01),
        "p90_ms": Interval(value=1.1, low=1.09, high=1.11),
        "p99_ms": None,
        "trusted": True,
        "reasons": (),
        "rounds": numbers(quiet()),
    }
    return BaselineCandidate(**{**made, **fields})


def baseline(*candidates: BaselineCandidate, **fields: Any) -> Baseline:
    """Of the device pi."""
    made: dict[str, Any] = {
        "device": "pi",
        "training": "demo",
        "suite_sha": "s",
        "run": "r1",
        "started_at": "2026-01-02T03:04:05Z",
        "edgeprof": "0.1.0",
        "facts": FACTS,
        "method": Method(),
        "candidates": candidates or (candidate(),),
    }
    return Baseline(**{**made, **fields})


def failure(model: str = "net", **fields: Any) -> Failure:
    """Of the candidate of that model."""
    made: dict[str, Any] = {
        "stage": "profile",
        "identity": msgspec.structs.replace(candidate(model).identity),
        "error": "the agent was lost",
        "error_class": "LinkError",
        "transient": True,
    }
    return Failure(**{**made, **fields})
