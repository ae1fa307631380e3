"""Data sets that lie as image files in folders: ImageFolder's layout, and Tiny ImageNet as it is distributed."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from edgeprof.errors import DataError, nearest
from edgeprof.records import Data

SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff", ".ppm", ".pgm"})
TINY_IMAGENET = (
    "wanted: the unpacked folder of http://cs231n.stanford.edu/tiny-imagenet-200.zip: wnids.txt, train/WNID/images/, "
    "val/images/ with val/val_annotations.txt (or val/WNID/)"
)
# Class names, the label of each image, and the images.
Listed = tuple[tuple[str, ...], list[int], list[Path]]


def layout(data: Data) -> str:
    """What is wanted of a folder, for hints."""
    if data.name == "tiny_imagenet":
        return TINY_IMAGENET
    return (
        f"wanted: ROOT/{data.train_split}/CLASS/IMAGE and ROOT/{data.test_split}/CLASS/IMAGE "
        "with the same classes in both"
    )


def base(data: Data, root: Path, split: str) -> Path:
    """The folder of a split; of Tiny ImageNet the test images are those of `val`, for `test` has no labels."""
    if data.name == "tiny_imagenet":
        return root / ("train" if split == "train" else "val")
    return root / (data.train_split if split == "train" else data.test_split)


def read(data: Data, root: Path, split: str) -> Listed:
    """The images of a split, sorted by class and path.

    Raises:
        DataError: the split or a class has no images, or the splits' classes differ.
    """
    return _tiny_imagenet(root, split) if data.name == "tiny_imagenet" else _imagefolder(data, root, split)


def _imagefolder(data: Data, root: Path, split: str) -> Listed:
    """ImageFolder's meaning: each folder is a class, sorted by name; its images lie at any depth, sorted by path."""
    folder = base(data, root, split)
    if base(data, root, "train").resolve() == base(data, root, "test").resolve():
        raise DataError(
            "the test images would be the training images, and the accuracy worth nothing",
            where=str(folder),
            hint=f"data.test_split names another folder than data.train_split ({data.train_split})",
        )
    if not folder.is_dir():
        there = nearest(folder.name, _class_names(root))
        raise DataError(
            f"the {split} split is missing",
            where=str(folder),
            hint=layout(data) + (f"; data.{split}_split names the folder ({there})" if there else ""),
        )
    classes = _class_names(folder)
    other = base(data, root, "test" if split == "train" else "train")
    if other.is_dir() and (difference := sorted(set(classes) ^ set(_class_names(other)))):
        raise DataError(
            f"the classes of {folder.name} and {other.name} differ: {', '.join(difference[:5])}"
            + (f" and {len(difference) - 5} more" if len(difference) > 5 else ""),
            where=str(root),
            hint=layout(data),
        )
    return _listed(classes, [folder / name for name in classes])


def _tiny_imagenet(root: Path, split: str) -> Listed:
    """The classes are WordNet's numbers in their alphabetical order, as ImageFolder would number them."""
    names = tuple(sorted(_lines(root / "wnids.txt")))
    folder = base(Data(name="tiny_imagenet"), root, split)
    if split == "train" or any((folder / name).is_dir() for name in names):
        return _listed(names, [folder / name for name in names])
    number = {name: place for place, name in enumerate(names)}
    notes = folder / "val_annotations.txt"
    found: list[tuple[int, Path]] = []
    for line in _lines(notes):
        file, _, rest = line.partition("\t")
        wnid = rest.partition("\t")[0]
        if wnid not in number:
            raise DataError(f"the class {wnid!r} of {file} is not in wnids.txt", where=str(notes), hint=TINY_IMAGENET)
        found.append((number[wnid], folder / "images" / file))
    if absent := sorted(set(number.values()) - {label for label, _ in found}):
        raise DataError(f"the class {names[absent[0]]} has no images", where=str(notes), hint=TINY_IMAGENET)
    found.sort(key=lambda one: (one[0], one[1].name))
    return names, [label for label, _ in found], [path for _, path in found]


def _listed(classes: tuple[str, ...], folders: list[Path]) -> Listed:
    files: list[Path] = []
    labels: list[int] = []
    for label, folder in enumerate(folders):
        found = sorted(_images(folder), key=lambda path: path.as_posix())
        if not found:
            raise DataError(
                "this class has no images", where=str(folder), hint="images end in " + ", ".join(sorted(SUFFIXES))
            )
        files += found
        labels += [label] * len(found)
    return classes, labels, files


def _class_names(folder: Path) -> tuple[str, ...]:
    return tuple(sorted(entry.name for entry in folder.iterdir() if entry.is_dir() and not entry.name.startswith(".")))


def _images(folder: Path) -> Iterator[Path]:
    for parent, folders, names in os.walk(folder, followlinks=True):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in names:
            # macOS leaves "._IMAGE.jpg" beside each image; it is none.
            if not name.startswith(".") and os.path.splitext(name)[1].lower() in SUFFIXES:
                yield Path(parent, name)


def _lines(path: Path) -> list[str]:
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError as error:
        raise DataError(
            f"this file of the data set cannot be read: {error.strerror}", where=str(path), hint=TINY_IMAGENET
        ) from error
    return [line.strip() for line in lines if line.strip()]
