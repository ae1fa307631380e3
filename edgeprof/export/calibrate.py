"""Which images the ranges of a static int8 file are taken from: training images, never test images."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgeprof.errors import ExportError
from edgeprof.records import Calibration, Exporter, Trained
from edgeprof.zoo import images

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class CalibrationImages:
    """Images as the file takes them, float32 [1, ...] each, and the record of which they are."""

    arrays: tuple[Floats, ...]
    record: Calibration


def training_images(trained: Trained, exporter: Exporter) -> CalibrationImages:
    """The exporter's `calibration_images` training images, through the transform of the test images.

    Raises:
        ExportError: there are fewer.
        DataError: they cannot be had.
    """
    dataset = images.open_split(trained.data, "train")
    wanted = exporter.calibration_images
    if wanted > len(dataset):
        raise ExportError(
            f"{wanted} images for calibration were asked for, the training set has {len(dataset)}",
            where=f"exporters/{exporter.name}.toml",
            hint=f"calibration_images = {len(dataset)} or fewer, or more training images",
        )
    chosen = draw(dataset.labels, wanted, exporter.calibration_seed)
    transform = images.eval_transform(trained.preprocessing)
    arrays = []
    for index in chosen:
        image = transform(dataset.image(int(index))).numpy().astype(np.float32)
        if exporter.layout == "NHWC":
            image = image.transpose(1, 2, 0)
        arrays.append(np.ascontiguousarray(image)[None])
    numbers = ",".join(str(index) for index in chosen)
    record = Calibration(
        images=wanted,
        seed=exporter.calibration_seed,
        data_sha=trained.data_sha,
        images_sha=hashlib.sha256(numbers.encode()).hexdigest(),
    )
    return CalibrationImages(tuple(arrays), record)


def draw(labels: NDArray[np.int64], count: int, seed: int) -> NDArray[np.intp]:
    """`count` (at most all) image numbers in ascending order, as many of each class as there are, by a seeded draw."""
    generator = np.random.default_rng(seed)
    turn = np.empty(len(labels), np.int64)
    for label in np.unique(labels):
        of_class = np.flatnonzero(labels == label)
        turn[generator.permutation(of_class)] = np.arange(len(of_class))
    # Where the last turn is not whole, by lot whose turn it is.
    lot = generator.permutation(int(labels.max()) + 1)[labels] if len(labels) else labels
    return np.sort(np.lexsort((lot, turn))[:count])
