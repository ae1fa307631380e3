"""A checkpoint that a user brings, as a recipe of no epochs: evaluated, then a candidate like the others."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from edgeprof.errors import TrainError, UsageError
from edgeprof.progress import Progress
from edgeprof.records import Data, Preprocessing, Recipe, Trained, Training
from edgeprof.stats import accuracy
from edgeprof.store import Store
from edgeprof.suite import Suite

DIGITS = "digits"


@dataclass(frozen=True)
class Brought:
    """A checkpoint as a recipe.

    Attributes:
        classes: of the data.
        assumed: what was not said, and is as the model's library publishes it: option -> value.
    """

    training: Training
    classes: tuple[str, ...]
    assumed: dict[str, Any]


@dataclass(frozen=True)
class Evaluated:
    """What it scores, with 95% intervals over the test images."""

    trained: Trained
    shares: accuracy.Shares


def bring(
    checkpoint: Path,
    model: str,
    data: Data,
    *,
    name: str | None = None,
    classes: int | None = None,
    said: Mapping[str, Any],
) -> Brought:
    """The recipe that evaluates a checkpoint.

    Args:
        model: a name of timm, torchvision or a factory.
        name: of the recipe; None: that of the file.
        classes: how many the checkpoint knows, to be compared with the data; None: as many as the data has.
        said: of the fields of `Preprocessing`, those that are not to be as the model's library publishes them.

    Raises:
        UsageError: no such file or model, other classes, or a factory without image size, mean and std.
        DataError: the data set is missing or wrong.
    """
    from edgeprof.zoo import images, models, published

    if not checkpoint.is_file():
        raise UsageError("there is no checkpoint here", where=str(checkpoint))
    models.check_name(model)
    found = images.open_split(data, "test").classes
    if classes is not None and classes != len(found):
        raise UsageError(
            f"the checkpoint knows {classes} classes, but the data has {len(found)}: {', '.join(found[:8])}"
            + (", ..." if len(found) > 8 else ""),
            where=data.root,
            hint="give the data that it was trained for",
        )
    library = None if {"image_size", "mean", "std"} <= set(said) else published.preprocessing(model)
    if library is None and not {"image_size", "mean", "std"} <= set(said):
        raise UsageError(
            f"how images are prepared for {model} is not known",
            hint="say --image-size, --mean and --std as it was trained with",
        )
    own = msgspec.structs.asdict(library) if library else {"interpolation": "bilinear", "crop_pct": 1.0}
    preprocessing = msgspec.convert({**own, **said}, Preprocessing)
    training = Training(
        name=name or _name_of(checkpoint),
        description=f"{checkpoint.name}, imported",
        models=(model,),
        inits=(f"file:{os.path.abspath(checkpoint)}",),
        data=data,
        preprocessing=preprocessing,
        recipe=Recipe(epochs=0, batch_size=64, warmup_epochs=0),
    )
    return Brought(training, found, {key: value for key, value in own.items() if key not in said and key != "color"})


def evaluate(suite: Suite, store: Store, brought: Brought, progress: Progress) -> Evaluated:
    """Evaluate it over the test images, or take what is stored.

    Raises:
        EdgeprofError: it cannot be.
    """
    from edgeprof.pipeline.make import train
    from edgeprof.zoo import checkpoint

    trained, failures = train(suite, store, brought.training, progress)
    if failures:
        # A failure's words begin with the cell, which says nothing here.
        what = failures[0].error.removeprefix(f"{failures[0].identity.label()}: ")
        raise TrainError(what, hint=failures[0].hint)
    labels, logits = checkpoint.read_predictions(store.blob(trained[0].predictions_sha))
    return Evaluated(trained[0], accuracy.shares(accuracy.answers(labels, logits)))


def data_at(place: str, name: str | None, train_split: str, test_split: str) -> Data:
    """The data set at a place: the word `digits`, or a folder whose data set is recognised if it is not named."""
    from edgeprof.zoo import images

    if name is None:
        name = DIGITS if place == DIGITS and not Path(place).exists() else images.recognised(Path(place).expanduser())
    root = None if name == DIGITS else os.path.abspath(Path(place).expanduser())
    return msgspec.convert({"name": name, "root": root, "train_split": train_split, "test_split": test_split}, Data)


def _name_of(checkpoint: Path) -> str:
    plain = re.sub(r"[^A-Za-z0-9._-]+", "-", checkpoint.stem).lstrip("._-")[:64]
    return plain or "imported"
