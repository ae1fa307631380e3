"""From the kept predictions to accuracies with intervals, and to drops on the same images."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgeprof.errors import EdgeprofError, TrainError, UsageError
from edgeprof.records import (
    AccuracyPair,
    AccuracyTable,
    Artifact,
    OnSameImages,
    Scored,
    Trained,
)
from edgeprof.stats import accuracy, seeds
from edgeprof.store import Store

Kind = Trained | Artifact


@dataclass(frozen=True)
class Kept:
    """What is left of predictions when the logits are read: small, so that it can be kept for thousands of files."""

    shares: accuracy.Shares
    right: NDArray[np.bool_]
    labels: bytes
    """sha256 of those of the test images, to tell whether two saw the same ones."""


@lru_cache(maxsize=4096)
def _kept(path: Path) -> Kept:
    """Of a predictions file; its name is its contents' sha256, so what was read once stays true."""
    from edgeprof.zoo.checkpoint import read_predictions

    labels, logits = read_predictions(path)
    if logits.ndim != 2 or labels.shape != (len(logits),) or not len(logits):
        raise TrainError("the predictions do not fit their labels", where=str(path), hint="export or train it again")
    if labels.min() < 0 or labels.max() >= logits.shape[1]:
        raise TrainError("the predictions have fewer classes than their labels", where=str(path), hint="train it again")
    found = accuracy.answers(labels, logits)
    return Kept(shares=accuracy.shares(found), right=found.right, labels=hashlib.sha256(labels.tobytes()).digest())


def scored(store: Store, artifacts: Iterable[Artifact]) -> list[Scored]:
    """The artifacts whose predictions are kept and can be read, for `rank.ranking`."""
    found = []
    for artifact in artifacts:
        if artifact.predictions_sha is not None:
            try:
                found.append(_scored(store, artifact))
            except EdgeprofError:
                continue  # not known, as for a ready file; `show accuracy` says why
    return found


def right(store: Store, artifacts: Iterable[Artifact]) -> dict[str, NDArray[np.bool_]]:
    """By artifact_sha, whether a file is right on each test image; of those that saw the same images as most did."""
    groups: dict[bytes, dict[str, NDArray[np.bool_]]] = {}
    for artifact in artifacts:
        if artifact.predictions_sha is not None:
            with contextlib.suppress(EdgeprofError):  # not known, as for a ready file
                kept = predictions(store, artifact)
                groups.setdefault(kept.labels, {})[artifact.artifact_sha] = kept.right
    return max(groups.values(), key=len, default={})


def _scored(store: Store, one: Kind) -> Scored:
    kept = predictions(store, one)
    sha, reference, warnings = (
        (one.artifact_sha, one.reference_sha, one.warnings)
        if isinstance(one, Artifact)
        else (one.checkpoint_sha, None, ())
    )
    drop = None
    if reference is not None:
        with contextlib.suppress(EdgeprofError):  # damaged: its checkpoint is told as missing
            before = _kept(store.blob(reference))
            drop = _compared(before, kept) if before.labels == kept.labels else None
    return Scored(
        identity=one.identity,
        sha=sha,
        images=kept.shares.images,
        top1=kept.shares.top1,
        top5=kept.shares.top5,
        macro_f1=kept.shares.macro_f1,
        drop=drop,
        warnings=warnings,
    )


def predictions(store: Store, one: Kind) -> Kept:
    """Of a checkpoint or a file, reduced; read once.

    Raises:
        UsageError: none are kept.
        TrainError: they are missing or damaged.
    """
    if one.predictions_sha is None:
        raise UsageError(
            f"there are no predictions of {one.identity.label()}",
            hint="only files that edgeprof exported, and checkpoints, are run over test images",
        )
    return _kept(store.blob(one.predictions_sha))


def _compared(first: Kept, second: Kept) -> OnSameImages:
    found = accuracy.paired(first.right, second.right)
    return OnSameImages(
        images=found.images,
        only_first=found.only_first,
        only_second=found.only_second,
        difference=found.difference,
        p=found.p,
    )


# --- show accuracy


def table(store: Store, training: str | None = None) -> AccuracyTable:
    """All checkpoints and exported files (of a training) with intervals, drops, and the spread over seeds.

    Raises:
        UsageError: there are none.
    """
    checkpoints, files = _known(store, training)
    if not (checkpoints or files):
        of = f" of the training {training!r}" if training else ""
        hint = f"first: edgeprof train{f' --training {training}' if training else ''}"
        raise UsageError(f"there is no checkpoint and no exported file{of}", where=str(store.root), hint=hint)
    missing: list[str] = []
    shown = [_tried(store, checkpoints, missing), _tried(store, files, missing)]
    return AccuracyTable(
        training=training,
        checkpoints=tuple(shown[0]),
        files=tuple(shown[1]),
        seeds=tuple(seeds.spreads((one.identity, one.top1.value) for some in shown for one in some)),
        missing=tuple(missing),
    )


def _tried(store: Store, some: Sequence[Kind], missing: list[str]) -> list[Scored]:
    found = []
    for one in some:
        try:
            found.append(_scored(store, one))
        except EdgeprofError as error:
            missing.append(f"{one.identity.label()}: {error}")
    return found


def _known(store: Store, training: str | None) -> tuple[list[Trained], list[Artifact]]:
    """The newest record of each identity; ready files have no accuracy."""
    trained = {one.identity: one for one in store.all(Trained.KIND, Trained) if training in (None, one.training)}
    exported = {
        one.identity: one
        for one in store.all(Artifact.KIND, Artifact)
        if one.checkpoint_sha is not None and training in (None, one.training)
    }
    return list(trained.values()), list(exported.values())


# --- show accuracy A B


def pair(store: Store, first: str, second: str, training: str | None = None) -> AccuracyPair:
    """Two of them on the same test images.

    Args:
        first, second: the beginning of a sha256 (6 characters or more), or parts of a label: `resnet18/scratch/seed 0`.

    Raises:
        UsageError: one is not known or not the only one of its name, or they saw different images.
    """
    checkpoints, files = _known(store, training)
    known: list[Kind] = [*checkpoints, *files]
    one, other = (_named(known, name) for name in (first, second))
    mine, its = predictions(store, one), predictions(store, other)
    if mine.labels != its.labels or images_of(store, one) != images_of(store, other):
        raise UsageError(
            f"{one.identity.label()} and {other.identity.label()} saw different test images",
            where=f"{mine.shares.images} and {its.shares.images} images",
            hint="compare two of trainings with the same data",
        )
    return AccuracyPair(first=_scored(store, one), second=_scored(store, other), compared=_compared(mine, its))


def _named(known: Sequence[Kind], name: str) -> Kind:
    wanted = name.strip().lower()
    if len(wanted) >= 6:
        for one in reversed(known):
            sha = one.artifact_sha if isinstance(one, Artifact) else one.checkpoint_sha
            if sha.startswith(wanted):
                return one
    parts = {part.strip() for part in wanted.split("/")} - {""}
    labels = [(one, set(one.identity.label().lower().split(" / "))) for one in known]
    found = [one for one, label in labels if label == parts] or [one for one, label in labels if parts <= label]
    if len(found) == 1:
        return found[0]
    if not found or not parts:
        shown = "; ".join(one.identity.label() for one in known[:3])
        raise UsageError(f"there is no checkpoint and no exported file {name!r}", hint=f"for example: {shown}")
    shown = "; ".join(one.identity.label() for one in found[:3])
    raise UsageError(f"{name!r} may be {len(found)} of them", hint=f"say more of it, for example: {shown}")


def images_of(store: Store, one: Kind) -> object:
    """Where its test images come from; labels alone do not tell two data sets of equal classes apart."""
    checkpoint = one
    if isinstance(one, Artifact):
        found = [each for each in store.all(Trained.KIND, Trained) if each.checkpoint_sha == one.checkpoint_sha]
        if not found:
            return None
        checkpoint = found[0]
    assert isinstance(checkpoint, Trained)
    data = checkpoint.data
    return data.name, data.root, data.test_split, data.classes
