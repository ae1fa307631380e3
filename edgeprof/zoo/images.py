"""Data sets by their record: PIL images with labels, in an order that never changes. Importing this loads no torch."""

from __future__ import annotations

import gzip
import hashlib
import importlib.util
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from edgeprof.errors import DataError, MissingPackageError
from edgeprof.records import Data, Preprocessing, digest
from edgeprof.zoo import cifar, folders, subset
from edgeprof.zoo.torchvision_ops import import_timm

if TYPE_CHECKING:
    from PIL.Image import Image

Split = Literal["train", "test"]
# Contents that were hashed before in this process, by path, size and time of change.
_hashed: dict[tuple[str, int, int], str] = {}


@dataclass(frozen=True)
class Dataset:
    """Images of one split, with the labels as numbers of `classes`.

    `pixels` (uint8 [N, H, W, 3]) or `files` holds the images.
    """

    classes: tuple[str, ...]
    labels: NDArray[np.int64]
    pixels: NDArray[np.uint8] | None = None
    files: tuple[Path, ...] = ()

    def __len__(self) -> int:
        return len(self.labels)

    def image(self, index: int) -> Image:
        """One image as RGB.

        Raises:
            DataError: it does not decode; names its path.
        """
        image_module = _pillow()
        if self.pixels is not None:
            return image_module.fromarray(self.pixels[index])
        path = self.files[index]
        try:
            with warnings.catch_warnings():
                # Palettes with transparency and odd EXIF blocks: nothing that a user must act on.
                warnings.simplefilter("ignore", UserWarning)
                with image_module.open(path) as image:
                    return image.convert("RGB")
        # PIL's readers raise OSError, SyntaxError, ValueError, DecompressionBombError, struct.error and more.
        except Exception as error:
            raise DataError(
                f"this image does not decode: {error}", where=str(path), hint="repair or remove it"
            ) from error


def open_split(data: Data, split: Split) -> Dataset:
    """The training or test images of a data set, or of the part of it that the record asks for.

    Raises:
        DataError: the root is missing, a split is empty, there is one class only, the splits' classes differ, or the
            part asked for is not there.
        MissingPackageError: scikit-learn or pillow is not installed.
    """
    if split not in ("train", "test"):
        raise DataError(f"there is no split {split!r}", hint="train or test")
    if data.name == "digits":
        return _part(data, split, _digits(split), "digits")
    root, hint = _root(data), None
    if data.name in ("imagefolder", "tiny_imagenet"):
        classes, numbers, files = folders.read(data, root, split)
        root, hint = folders.base(data, root, split), folders.layout(data)
        whole = Dataset(classes=classes, labels=np.array(numbers, dtype=np.int64), files=tuple(files))
    else:
        classes, labels, pixels = cifar.read(data.name, root, split)
        whole = Dataset(classes=classes, labels=labels, pixels=pixels)
    return _checked(_part(data, split, whole, str(root)), str(root), hint)


def recognised(root: Path) -> Literal["imagefolder", "cifar10", "cifar100", "tiny_imagenet"]:
    """Which data set lies in a folder: by CIFAR's or Tiny ImageNet's own files, else folders of images."""
    if (root / "wnids.txt").is_file():
        return "tiny_imagenet"
    if cifar.lies_in("cifar10", root):
        return "cifar10"
    return "cifar100" if cifar.lies_in("cifar100", root) else "imagefolder"


def fingerprint(data: Data) -> str:
    """sha256 (hex) over the names and contents of both splits, and of which part of them is asked for.

    The folder's own place does not count.

    Raises:
        DataError: as `open_split`.
    """
    if data.name == "digits":
        whole = digest("digits, every fourth of a class", _digits_sha())
        return _of_part(data, whole)
    root = _root(data)
    lines: list[list[str]] = []
    if data.name in ("imagefolder", "tiny_imagenet"):
        for split in ("train", "test"):
            found = open_split(data, "train" if split == "train" else "test")
            base = folders.base(data, root, split)
            lines += [[split, *found.classes]]
            lines += [[path.relative_to(base).as_posix(), _file_sha(path)] for path in found.files]
            if data.name == "tiny_imagenet":  # whose labels may lie in a file of their own
                lines += [[str(label) for label in found.labels.tolist()]]
    else:
        lines = [[path.name, _file_sha(path)] for path in cifar.files(data.name, root)]
    return _of_part(data, digest(data.name, lines))


def test_batches(
    data: Data, preprocessing: Preprocessing, batch_size: int
) -> Iterator[tuple[NDArray[np.float32], NDArray[np.int64]]]:
    """The test images in order: float32 [n, 3, S, S] through timm's eval transform, and int64 [n].

    Raises:
        DataError: as `open_split`, or an image does not decode.
    """
    dataset = open_split(data, "test")
    transform = eval_transform(preprocessing)
    for start in range(0, len(dataset), batch_size):
        stop = min(start + batch_size, len(dataset))
        batch = [transform(dataset.image(index)).numpy() for index in range(start, stop)]
        yield np.stack(batch).astype(np.float32), dataset.labels[start:stop]


# pytest would take the name for a test.
test_batches.__test__ = False  # type: ignore[attr-defined]


def eval_transform(preprocessing: Preprocessing, *, floats: bool = True) -> Any:
    """timm's eval transform, PIL image -> float32 tensor [3, S, S]: resize to S / crop_pct, centre crop, normalise.

    Args:
        floats: else it ends before the last step, with uint8 [3, S, S].
    """
    return import_timm().data.create_transform(
        input_size=(3, preprocessing.image_size, preprocessing.image_size),
        is_training=False,
        interpolation=preprocessing.interpolation,
        mean=preprocessing.mean,
        std=preprocessing.std,
        crop_pct=preprocessing.crop_pct,
        crop_mode="center",
        # What runs on prefetched batches normalises them itself: so does a device.
        use_prefetcher=not floats,
    )


def _digits(split: Split) -> Dataset:
    try:
        from sklearn.datasets import load_digits
    except ModuleNotFoundError as error:
        raise MissingPackageError("scikit-learn", "train") from error
    values, labels = load_digits(return_X_y=True)
    # Sorted by class and stably: every fourth of a class, from all writers, is a test image (450 of 1797).
    order = np.argsort(labels, kind="stable")
    test = np.zeros(len(labels), dtype=bool)
    test[order[::4]] = True
    chosen = np.flatnonzero(test if split == "test" else ~test)
    grey = np.round(values[chosen].reshape(-1, 8, 8) * (255 / 16)).astype(np.uint8)
    pixels = np.repeat(grey[..., None], 3, axis=-1)
    return Dataset(classes=tuple("0123456789"), labels=labels[chosen].astype(np.int64), pixels=pixels)


def _digits_sha() -> str:
    """Of the table inside scikit-learn, found without importing it (a second); of the loaded images if it moved."""
    spec = importlib.util.find_spec("sklearn")
    if spec is None or spec.origin is None:
        raise MissingPackageError("scikit-learn", "train")
    table = Path(spec.origin).parent / "datasets" / "data" / "digits.csv.gz"
    if table.is_file():
        return hashlib.sha256(gzip.decompress(table.read_bytes())).hexdigest()
    total = hashlib.sha256()
    for split in ("train", "test"):
        pixels = _digits(split).pixels
        total.update(b"" if pixels is None else pixels.tobytes())
    return total.hexdigest()


def _root(data: Data) -> Path:
    root = Path(data.root or "").expanduser()
    layout = cifar.LAYOUT if data.name.startswith("cifar") else folders.layout(data)
    if not data.root:
        raise DataError(f"{data.name} needs a folder: data.root is missing", hint=layout)
    if not root.is_dir():
        raise DataError("the data set's root is no folder", where=str(root), hint=layout)
    return root


def _part(data: Data, split: Split, whole: Dataset, where: str) -> Dataset:
    if subset.is_whole(data):
        return whole
    classes, numbers, labels = subset.kept(data, split, whole.classes, whole.labels, where)
    return Dataset(
        classes=classes,
        labels=labels,
        pixels=None if whole.pixels is None else whole.pixels[numbers],
        files=tuple(whole.files[number] for number in numbers) if whole.files else (),
    )


def _of_part(data: Data, whole: str) -> str:
    if subset.is_whole(data):
        return whole
    # In which order the classes are asked for does not matter.
    return digest(whole, None if data.classes is None else sorted(data.classes), data.train_per_class)


def _checked(dataset: Dataset, where: str, hint: str | None = None) -> Dataset:
    if len(dataset) == 0:
        raise DataError("the data set is empty", where=where, hint=hint)
    if len(dataset.classes) < 2 or len(np.unique(dataset.labels)) < 2:
        raise DataError("the data set has one class only; a classifier needs two", where=where, hint=hint)
    return dataset


def _file_sha(path: Path) -> str:
    try:
        state = path.stat()
        known = (str(path), state.st_size, state.st_mtime_ns)
        if known not in _hashed:
            with path.open("rb") as file:
                _hashed[known] = hashlib.file_digest(file, "sha256").hexdigest()
        return _hashed[known]
    except OSError as error:
        raise DataError(f"cannot be read: {error.strerror}", where=str(path)) from error


def _pillow() -> Any:
    try:
        from PIL import Image
    except ModuleNotFoundError as error:
        raise MissingPackageError("pillow", "train") from error
    return Image
