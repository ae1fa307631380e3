"""Test images on their way to a device: as uint8 in parts, and a window of parts at a time, so that a small
disk holds them.
"""

from __future__ import annotations

import hashlib
import io
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgeprof.records import Preprocessing, Run
from edgeprof.store import Store

PART_BYTES, PART_IMAGES = 32 << 20, 256
"""Of one file of images: what a fault may cost, and how often a slow board lets itself be heard."""
WINDOW_BYTES = 256 << 20
"""Of the images that lie on the device at once; a set that fits stays there for the next run, until `device clean`."""
DISK_SHARE = 0.5
"""Of what is free on the device, for these images."""

Pixels = NDArray[np.uint8]


@dataclass(frozen=True)
class Images:
    """Test images for the files of one training. `pixels(numbers)` gives them, uint8 [n, S, S, 3]."""

    which: tuple[int, ...]
    preprocessing: Preprocessing
    pixels: Callable[[Sequence[int]], Pixels]

    def parts(self) -> list[tuple[int, ...]]:
        """The numbers of the images of each part; the same in every run."""
        side = self.preprocessing.image_size
        size = max(1, min(PART_IMAGES, PART_BYTES // (3 * side * side)))
        return [self.which[start : start + size] for start in range(0, len(self.which), size)]

    def bytes_of(self, numbers: Sequence[int]) -> int:
        """On the device."""
        return 3 * self.preprocessing.image_size**2 * len(numbers)


def windows(images: Images, run: Run) -> list[dict[int, tuple[int, ...]]]:
    """The parts that lie on the device together: part -> numbers of its images."""
    free = run.facts.disk_free_bytes if run.facts else None
    most = WINDOW_BYTES if free is None else min(WINDOW_BYTES, int(DISK_SHARE * free))
    found: list[dict[int, tuple[int, ...]]] = []
    filled = 0
    for part, numbers in enumerate(images.parts()):
        size = images.bytes_of(numbers)
        if not found or filled + size > most:
            found.append({})
            filled = 0
        found[-1][part] = numbers
        filled += size
    return found


@contextmanager
def written(
    store: Store, run: Run, images: Images, window: Mapping[int, tuple[int, ...]]
) -> Iterator[dict[int, tuple[str, Path]]]:
    """The images of a window as files for the time of the block: part -> sha256 and path."""
    folder = store.scratch / f"images-{run.run}"
    shutil.rmtree(folder, ignore_errors=True)  # of a host that was killed
    try:
        files = {}
        for part, numbers in window.items():
            data = npy(images.pixels(numbers))
            files[part] = hashlib.sha256(data).hexdigest(), folder / f"{part}.npy"
            store.write(files[part][1], data)
        yield files
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def npy(array: NDArray[np.generic]) -> bytes:
    """The array as an .npy; the same bytes whatever wrote it."""
    data = io.BytesIO()
    np.lib.format.write_array(data, np.ascontiguousarray(array), version=(1, 0), allow_pickle=False)
    return data.getvalue()
