"""A store with predictions of checkpoints and files, as training and exporting leave them, without either."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray
from report_records import FACTS, METHOD, records

from edgeprof.records import (
    Accuracy,
    Artifact,
    Cell,
    Data,
    FileRef,
    Identity,
    MadeBy,
    Measurement,
    Parity,
    Preprocessing,
    Round,
    Run,
    Trained,
    digest,
)
from edgeprof.store import Store
from edgeprof.zoo import metrics
from edgeprof.zoo.checkpoint import predictions_to_bytes

IMAGES, CLASSES = 450, 5
TRAINING, SOURCE = "transfer", "training:transfer-source"
SEEDS = (0, 1, 2)
PRECISIONS = ("fp32", "fp16", "int8")
# model: share right from the source and from scratch, ms by thread
MODELS: dict[str, tuple[float, float, float]] = {
    "resnet18": (0.94, 0.78, 9.0),
    "mobilenetv3_small_100": (0.90, 0.84, 2.0),
    "efficientnet_lite0": (0.86, 0.62, 5.0),
}
LABELS: NDArray[np.int64] = np.arange(IMAGES) % CLASSES
MADE_BY = MadeBy(edgeprof="0.1.0", packages={}, machine="x86_64", seconds=1.0)
PREPROCESSING = Preprocessing(image_size=32, mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5))


def logits(share: float, seed: int, labels: NDArray[np.int64] = LABELS) -> NDArray[np.float32]:
    """Right for about `share` of the images; hard images are the same for all seeds."""
    own = np.random.default_rng(seed)
    difficulty = 0.6 * np.random.default_rng(99).random(len(labels)) + 0.4 * own.random(len(labels))
    wrong = difficulty > np.quantile(difficulty, min(1.0, share + own.normal(0, 0.01)))
    named = np.where(wrong, (labels + 1 + own.integers(0, 3, len(labels))) % CLASSES, labels)
    found = own.normal(0, 0.3, (len(labels), CLASSES)).astype(np.float32)
    found[np.arange(len(labels)), named] += 4
    return found


def put_trained(store: Store, identity: Identity, outputs: NDArray[np.float32], **changes: Any) -> Trained:
    """A checkpoint with its predictions; its key and sha256 are made up of its identity."""
    labels = changes.pop("labels", LABELS)
    fields: dict[str, Any] = {
        "training": identity.training,
        "model": identity.model,
        "init": identity.init,
        "seed": identity.seed,
        "recipe_sha": "r",
        "data": Data(name="digits"),
        "data_sha": "d",
        "checkpoint_sha": digest("checkpoint", identity),
        "classes": tuple("01234"),
        "accuracy": metrics.accuracy(labels, outputs),
        "predictions_sha": store.add_bytes(predictions_to_bytes(labels, outputs)),
        "params": 10,
        "macs": 20,
        "preprocessing": PREPROCESSING,
        "losses": (1.0,),
        "made_by": MADE_BY,
    }
    found = Trained(**{**fields, **changes})
    store.put(Trained.KIND, digest("trained", identity), found)
    return found


def put_file(store: Store, trained: Trained, precision: Any, outputs: NDArray[np.float32], **changes: Any) -> Artifact:
    """A file of a checkpoint as ONNX in that precision, with its predictions and the checkpoint's as reference."""
    identity = msgspec.structs.replace(trained.identity, exporter=f"onnx-{precision}")
    sha = digest("file", identity)
    size = {"fp32": 40_000, "fp16": 20_000, "int8": 11_000}[precision]
    fields: dict[str, Any] = {
        "training": identity.training,
        "model": identity.model,
        "init": identity.init,
        "seed": identity.seed,
        "exporter": identity.exporter,
        "format": "onnx",
        "precision": precision,
        "checkpoint_sha": trained.checkpoint_sha,
        "artifact_sha": sha,
        "files": (FileRef(name="model.onnx", sha256=sha, size_bytes=size),),
        "size_bytes": size,
        "inputs": (),
        "outputs": (),
        "preprocessing": PREPROCESSING,
        "accuracy": metrics.accuracy(LABELS, outputs),
        "parity": Parity(images=IMAGES, max_abs_diff=1e-6, relative_diff=1e-7, cosine=1.0, top1_agreement=1.0),
        "predictions_sha": store.add_bytes(predictions_to_bytes(LABELS, outputs)),
        "params": 10,
        "macs": 20,
        "samples_sha": None,
        "reference_sha": trained.predictions_sha,
        "warnings": (),
        "made_by": MADE_BY,
    }
    found = Artifact(**{**fields, **changes})
    store.put(Artifact.KIND, digest("artifact", identity), found)
    return found


def study(root: Path, *, seeds: Sequence[int] = SEEDS, precisions: Sequence[str] = PRECISIONS, run: bool = True) -> Run:
    """Three models, from a source and from scratch, in several precisions, and a finished run of all of them."""
    store = Store(root / ".edgeprof")
    cells: list[Cell] = []
    rounds: list[Round] = []
    template = records(models={"resnet18": ((1.0, 1.0, 1.0), 400, 1.0, 1.0, 1.0)})[2][0]
    for model, (*shares, ms) in MODELS.items():
        for init, share in zip((SOURCE, "scratch"), shares, strict=True):
            for seed in seeds:
                identity = Identity(model=model, training=TRAINING, init=init, seed=seed)
                found = logits(share, hash_of(model, init, seed))
                trained = put_trained(store, identity, found)
                for precision in precisions:
                    file = _file(store, trained, precision, found)
                    job = f"job-{len(cells)}"
                    cells.append(_cell(job, file))
                    factor = {"fp32": 1.0, "fp16": 0.99, "int8": 0.55}[precision]
                    rounds += _rounds(template, job, precision, ms * factor * (1 + 0.002 * seed))
    name = "20260203-040506-1a2b3c4d"
    this = Run(
        run=name,
        device="raspberry-pi",
        training=TRAINING,
        plan_sha="p",
        suite_sha="s",
        started_at="2026-02-03T04:05:06Z",
        facts=FACTS,
        method=METHOD,
        cells=tuple(cells),
        finished=True,
    )
    if run:
        store.put(Run.KIND, name, this, run=name)
        for one in rounds:
            key = f"{name}/{one.job}/{one.attempt}/{one.round}"
            store.put(Round.KIND, key, msgspec.structs.replace(one, run=name), run=name)
    store.close()
    return this


def hash_of(*parts: object) -> int:
    """A number that does not change from process to process."""
    return int(digest(*parts)[:8], 16)


def _file(store: Store, trained: Trained, precision: str, outputs: NDArray[np.float32]) -> Artifact:
    if precision != "int8":
        return put_file(store, trained, precision, outputs)
    rough = outputs + np.random.default_rng(3).normal(0, 1.2, outputs.shape).astype(np.float32)
    if trained.model != "efficientnet_lite0" or trained.init == "scratch":
        return put_file(store, trained, precision, rough)
    rough[:, 2] += 40  # names one class for all
    return put_file(store, trained, precision, rough, warnings=("it names the class '2' for all 450 test images",))


def _cell(job: str, file: Artifact) -> Cell:
    identity = msgspec.structs.replace(file.identity, device="raspberry-pi", threads=1)
    return Cell(
        job=job, identity=identity, artifact_sha=file.artifact_sha, format="onnx", precision=file.precision, threads=1
    )


def _rounds(template: Measurement, job: str, precision: str, ms: float) -> list[Round]:
    rng = np.random.default_rng(hash_of(job))
    found = []
    for one in template.rounds:
        samples = ms * float(np.exp(rng.normal(0, 0.003))) * (1 + np.abs(rng.normal(0, 0.01, size=60)))
        nanoseconds = tuple(int(each * 1e6) for each in samples)
        found.append(
            msgspec.structs.replace(
                one, job=job, samples_ns=nanoseconds, call_ns=nanoseconds, precision_executed=precision
            )
        )
    return found


__all__ = ["Accuracy", "put_file", "put_trained", "study"]
