"""Artifacts under names that people and runtimes can use."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import tempfile
from pathlib import Path

import msgspec

from edgeprof.errors import RecordError
from edgeprof.records import Accuracy, Artifact, Calibration, Parity, Preprocessing, Record, Tensor, Trained
from edgeprof.store import Store, writing

_PLAIN = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,59}")


class Sidecar(Record):
    """What a deployer must know of an artifact, as NAME.json beside its files (`files`: name -> sha256)."""

    schema: int = 1
    model: str
    training: str | None
    init: str | None
    seed: int | None
    exporter: str
    format: str
    precision: str
    files: dict[str, str]
    artifact_sha: str
    checkpoint_sha: str | None
    classes: tuple[str, ...] | None
    """Their names in the order of the logits."""
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    preprocessing: Preprocessing | None
    accuracy: Accuracy | None
    parity: Parity | None
    calibration: Calibration | None = None
    warnings: tuple[str, ...] = ()


def write_files(store: Store, artifact: Artifact, folder: Path) -> list[Path]:
    """Copy an artifact into `folder` (made if missing) as `model--init--seed--exporter.SUFFIX`, a `.json` beside it.

    An OpenVINO pair keeps one stem, so that its runtime finds the weights. Files of the same name are replaced, each
    whole or not at all. Parts of the name that are no plain file name get their odd characters replaced and a few
    digits of their sha256, so that two models never share a name.

    Raises:
        RecordError: a blob is missing, or the disk is full.
        UsageError: the folder cannot be written.
    """
    stem = friendly_stem(artifact)
    names = {file.name: stem + Path(file.name).suffix for file in artifact.files}
    classes = next(
        (one.classes for one in store.all(Trained.KIND, Trained) if one.checkpoint_sha == artifact.checkpoint_sha), None
    )
    written = []
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
        for file in artifact.files:
            source = store.blob(file.sha256)
            if not source.is_file():
                raise RecordError(
                    f"the file of {artifact.identity.label()} is missing", where=str(source), hint="export it again"
                )
            written.append(_place(source, folder / names[file.name]))
        sidecar = Sidecar(
            model=artifact.model,
            training=artifact.training,
            init=artifact.init,
            seed=artifact.seed,
            exporter=artifact.exporter,
            format=artifact.format,
            precision=artifact.precision,
            files={names[file.name]: file.sha256 for file in artifact.files},
            artifact_sha=artifact.artifact_sha,
            checkpoint_sha=artifact.checkpoint_sha,
            classes=classes,
            inputs=artifact.inputs,
            outputs=artifact.outputs,
            preprocessing=artifact.preprocessing,
            accuracy=artifact.accuracy,
            parity=artifact.parity,
            calibration=artifact.calibration,
            warnings=artifact.warnings,
        )
        text = msgspec.json.format(msgspec.json.encode(sidecar), indent=2) + b"\n"
        written.append(_place(text, folder / f"{stem}.json"))
    return written


def friendly_stem(artifact: Artifact) -> str:
    """`model--init--seed--exporter`, safe as a file name on any system whatever the model is called."""
    seed = None if artifact.seed is None else str(artifact.seed)
    parts = (artifact.model, artifact.init, seed, artifact.exporter)
    return "--".join(_plain(part) for part in parts if part is not None)


def _plain(part: str) -> str:
    usual = part.replace("torchvision:", "torchvision-", 1)
    if _PLAIN.fullmatch(usual) and "--" not in usual:
        return usual
    kept = re.sub(r"[^A-Za-z0-9_.]+", "-", usual.removeprefix("file:"))[-40:].strip("-.")
    return f"{kept or 'x'}-{hashlib.sha256(part.encode('utf-8', 'surrogatepass')).hexdigest()[:8]}"


def _place(source: Path | bytes, target: Path) -> Path:
    handle, name = tempfile.mkstemp(dir=target.parent, prefix=".edgeprof-")
    try:
        with os.fdopen(handle, "wb") as file:
            if isinstance(source, bytes):
                file.write(source)
            else:
                with source.open("rb") as original:
                    shutil.copyfileobj(original, file)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(name, 0o644)
        os.replace(name, target)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    return target
