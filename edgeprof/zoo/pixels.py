"""Test images as a device is given them: resized and cropped like all others, but not yet normalised."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from edgeprof.records import Preprocessing
from edgeprof.zoo.images import Dataset, eval_transform


def pixels(dataset: Dataset, preprocessing: Preprocessing, numbers: Sequence[int]) -> NDArray[np.uint8]:
    """Some images of a data set, uint8 [n, S, S, 3]: through timm's eval transform up to where it makes floats.

    Raises:
        DataError: an image does not decode.
    """
    transform = eval_transform(preprocessing, floats=False)
    found = [np.asarray(transform(dataset.image(number))) for number in numbers]
    return np.ascontiguousarray(np.stack(found).transpose(0, 2, 3, 1))
