"""Part of a data set: some of its classes, and a fixed draw of the training images of each."""

from __future__ import annotations

import hashlib

import numpy as np
from numpy.typing import NDArray

from edgeprof.errors import DataError, nearest
from edgeprof.records import Data


def is_whole(data: Data) -> bool:
    """Whether nothing is left out."""
    return data.classes is None and data.train_per_class is None


def kept(
    data: Data, split: str, classes: tuple[str, ...], labels: NDArray[np.int64], where: str
) -> tuple[tuple[str, ...], NDArray[np.int64], NDArray[np.int64]]:
    """Class names, the images that are kept (by number, ascending), and their labels as numbers of these names.

    The classes stay in the data set's own order. The draw depends on the class and the image's place in it alone, so
    that it never changes, and fewer images are always among more.

    Raises:
        DataError: a class is not known or has no images, or fewer training images than asked for.
    """
    wanted = data.classes or classes
    for name in wanted:
        if name not in classes:
            raise DataError(
                f"data.classes: the data set has no class {name!r}", where=where, hint=nearest(name, classes)
            )
    names = tuple(name for name in classes if name in wanted)
    chosen = []
    for label, name in enumerate(classes):
        if name not in wanted:
            continue
        places = np.flatnonzero(labels == label)
        if len(places) == 0:
            raise DataError(f"the class {name!r} has no {split} images", where=where)
        if data.train_per_class is not None and split == "train":
            places = _draw(places, name, data.train_per_class, where)
        chosen.append(places)
    numbers = np.sort(np.concatenate(chosen))
    renumbered = np.array([names.index(name) if name in wanted else -1 for name in classes], dtype=np.int64)
    return names, numbers, renumbered[labels[numbers]]


def _draw(places: NDArray[np.int64], name: str, count: int, where: str) -> NDArray[np.int64]:
    if len(places) < count:
        raise DataError(
            f"data.train_per_class = {count}, but the class {name!r} has {len(places)} training images",
            where=where,
            hint=f"ask for {len(places)} or fewer",
        )
    # Not numpy's generator, whose stream may differ between versions.
    drawn: list[int] = sorted(
        range(len(places)), key=lambda place: hashlib.sha256(f"{name}\0{place}".encode()).digest()
    )
    return places[np.array(sorted(drawn[:count]), dtype=np.int64)].astype(np.int64)
