"""A file that runs, and the sample of images that it is held against its checkpoint on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from edgeprof.agent import runtimes
from edgeprof.errors import DataError, ExportError, MissingPackageError
from edgeprof.export import verify
from edgeprof.export.explain.prepare import Floats, Way, own_way
from edgeprof.records import Format, Trained
from edgeprof.zoo import images
from edgeprof.zoo.torchvision_ops import import_torch

if TYPE_CHECKING:
    from PIL.Image import Image

IMAGES = 128


@dataclass
class Sample:
    """Test images spread over the classes, with what the checkpoint says about them.

    `wanted` is float32 [N, classes]: its logits on images prepared as it was trained; `places` are the images' numbers
    in the test set.
    """

    pictures: list[Image]
    labels: NDArray[np.int64]
    places: NDArray[np.intp]
    wanted: Floats
    own: Way

    def __post_init__(self) -> None:
        self._pixels: dict[tuple[Any, ...], Floats] = {}

    def inputs(self, way: Way, count: int | None = None) -> Floats:
        """[N, 3, S, S] of the first `count` images prepared in a way."""
        key = (*way.geometry, count)
        if key not in self._pixels:
            self._pixels[key] = np.stack([way.pixels(one) for one in self.pictures[:count]])
        return way.values(self._pixels[key])

    def top1(self, outputs: Floats) -> float:
        """Share of the sample that these outputs name rightly."""
        return float((outputs.argmax(axis=1) == self.labels[: len(outputs)]).mean())


def take_sample(trained: Trained, module: Any, count: int = IMAGES, among: int | None = None) -> Sample:
    """The sample, with the checkpoint's logits made anew; `among`: of the first so many test images alone.

    Raises:
        DataError: the data set cannot be had, or is not the one that the checkpoint was trained on.
    """
    torch = import_torch()
    if images.fingerprint(trained.data) != trained.data_sha:
        raise DataError("the images are not those that the checkpoint was evaluated on", hint="was the data changed?")
    dataset = images.open_split(trained.data, "test")
    places = verify.spread(dataset.labels[:among], count)
    # In turn through the classes, so that the first few are of many classes too.
    turn = np.random.default_rng(0).permutation(len(places))
    places = places[turn]
    own = own_way(trained.preprocessing)
    sample = Sample(
        pictures=[dataset.image(int(place)) for place in places],
        labels=dataset.labels[places],
        places=places,
        wanted=np.zeros((0, 0), np.float32),
        own=own,
    )
    with torch.no_grad():
        inputs = torch.from_numpy(sample.inputs(own))
        sample.wanted = np.concatenate([module(part).numpy() for part in inputs.split(32)])
    return sample


class Runner:
    """A file opened by its own runtime.

    Raises:
        ExportError: it cannot be opened, or is no classifier of images with so many classes.
        MissingPackageError: its runtime is not installed.
    """

    def __init__(self, format: Format, files: Mapping[str, Path], classes: int, side: int, threads: int = 1) -> None:
        self.format, self.files = format, dict(files)
        paths = {name: str(path) for name, path in files.items()}
        shown = next(iter(files))
        try:
            model = runtimes.open_model(format, paths, threads, "as in the file")
        except runtimes.MissingRuntimeError as error:
            raise MissingPackageError(error.package, "export") from error
        except runtimes.ModelError as error:
            raise ExportError(f"the runtime cannot open the file: {error}", where=shown) from error
        takes, self.nhwc, self.side = _input_of(model.inputs, side, shown)
        self.dtype = np.dtype(takes.dtype)
        found = [place for place, one in enumerate(model.outputs) if _classes(one.shape) in (classes, None)]
        if not found:
            gives = ", ".join(f"{one.name} {list(one.shape)}" for one in model.outputs)
            counts = [_classes(one.shape) for one in model.outputs]
            background = classes + 1 in counts
            raise ExportError(
                f"it gives {gives}; the checkpoint has {classes} classes",
                where=shown,
                hint="one more: is the first a class for the background?" if background else "another checkpoint?",
            )
        self._output, self._model = found[0], model

    def arrange(self, inputs: Floats, way: Way) -> Floats:
        """[N, 3, S, S] -> as the file takes it; or, for `other bytes`, the other layout's numbers under its shape."""
        other = way.order == "other bytes"
        if self.nhwc != other:
            inputs = inputs.transpose(0, 2, 3, 1)
        shape = (-1, self.side, self.side, 3) if self.nhwc else (-1, 3, self.side, self.side)
        return np.ascontiguousarray(inputs).reshape(shape)

    def run(self, arranged: NDArray[Any]) -> Floats:
        """[N, ...] as the file takes it -> float32 [N, classes], one image at a time."""
        try:
            rows = [
                np.array(self._model.run([one[None].astype(self.dtype)])[self._output], np.float32).reshape(-1)
                for one in arranged
            ]
        except Exception as error:  # each runtime has its own classes
            raise ExportError(f"the runtime cannot run the file: {runtimes.own_words(error)}") from error
        return np.stack(rows)


def _input_of(inputs: Any, side: int, shown: str) -> tuple[Any, bool, int]:
    if len(inputs) != 1:
        raise ExportError(f"it takes {len(inputs)} inputs; a classifier takes one image", where=shown)
    takes = inputs[0]
    shape = tuple(takes.shape)
    if takes.dtype not in ("float32", "float16"):
        raise ExportError(
            f"its input is {takes.dtype}; only files that take floats can be explained",
            where=shown,
            hint="export it with float input and output, the quantization inside",
        )
    if len(shape) == 4 and shape[0] in (1, None):
        for nhwc, (colours, rows, columns) in ((False, (1, 2, 3)), (True, (3, 1, 2))):
            if shape[colours] == 3 and (shape[rows] or side) == (shape[columns] or side):
                return takes, nhwc, shape[rows] or side
    raise ExportError(
        f"its input {takes.name} is {list(shape)}; only one image [1, 3, S, S] or [1, S, S, 3] can be explained",
        where=shown,
    )


def _classes(shape: Any) -> int | None:
    """How many numbers an output has for one image; None where the file leaves it open."""
    fixed = [one for one in shape[1:] if one != 1]
    if any(one is None for one in fixed):
        return None
    return int(np.prod(fixed)) if fixed else (shape[-1] if len(shape) == 1 else 1)
