"""CIFAR-10 and CIFAR-100 as they lie on disk: the binary version, and the Python version that torchvision downloads.

The Python version's files are pickles. They are never unpickled in the dangerous sense: every name in them is replaced
by an inert record of ours, so nothing of a file's choosing can be called, and only uint8 pixels and integers come out.
"""

from __future__ import annotations

import io
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeprof.errors import DataError

LAYOUT = (
    "wanted: the unpacked folder of https://www.cs.toronto.edu/~kriz/cifar.html (cifar-10-batches-py or -bin, "
    "cifar-100-python or -binary), or the folder that holds it"
)
_PIXELS = 3 * 32 * 32
_TRAIN10 = tuple(f"data_batch_{number}" for number in range(1, 6))
# Data set -> (folder, train files, test files, file of the class names).
_PYTHON = {
    "cifar10": ("cifar-10-batches-py", _TRAIN10, ("test_batch",), "batches.meta"),
    "cifar100": ("cifar-100-python", ("train",), ("test",), "meta"),
}
_BINARY = {
    "cifar10": ("cifar-10-batches-bin", tuple(f"{n}.bin" for n in _TRAIN10), ("test_batch.bin",), "batches.meta.txt"),
    "cifar100": ("cifar-100-binary", ("train.bin",), ("test.bin",), "fine_label_names.txt"),
}


def lies_in(name: str, root: Path) -> bool:
    """Whether the data set is in this folder, or in the one that it holds."""
    try:
        _find(name, root)
    except DataError:
        return False
    return True


def files(name: str, root: Path) -> list[Path]:
    """Every file that `read` reads, of both splits.

    Raises:
        DataError: the folder or one of its files is missing.
    """
    folder, _, (_, train, test, meta) = _find(name, root)
    paths = [folder / file for file in (*train, *test, meta)]
    for path in paths:
        if not path.is_file():
            raise DataError("this file of the data set is missing", where=str(path), hint=LAYOUT)
    return paths


def read(name: str, root: Path, split: str) -> tuple[tuple[str, ...], NDArray[np.int64], NDArray[np.uint8]]:
    """Class names, labels int64 [N] and pixels uint8 [N, 32, 32, 3] of a split.

    Raises:
        DataError: the folder or a file is missing, or is not of CIFAR's form.
    """
    folder, binary, (_, train, test, meta) = _find(name, root)
    files(name, root)
    classes = _binary_names(folder / meta) if binary else _python_names(folder / meta, name)
    labels, pixels = [], []
    for file in train if split == "train" else test:
        path = folder / file
        numbers, images = _binary_batch(path, name) if binary else _python_batch(path, name)
        if len(numbers) and (numbers.min() < 0 or numbers.max() >= len(classes)):
            raise DataError(f"a label is outside 0..{len(classes) - 1}", where=str(path), hint=LAYOUT)
        labels.append(numbers)
        pixels.append(images)
    planes = np.concatenate(pixels).reshape(-1, 3, 32, 32)
    return classes, np.concatenate(labels), np.ascontiguousarray(planes.transpose(0, 2, 3, 1))


def _find(name: str, root: Path) -> tuple[Path, bool, tuple[str, tuple[str, ...], tuple[str, ...], str]]:
    for binary, table in ((False, _PYTHON), (True, _BINARY)):
        entry = table[name]
        for folder in (root / entry[0], root):
            if (folder / entry[2][0]).is_file() and (folder / entry[3]).is_file():
                return folder, binary, entry
    raise DataError(f"there is no {name} here", where=str(root), hint=LAYOUT)


def _binary_names(path: Path) -> tuple[str, ...]:
    return tuple(line for line in _bytes(path).decode("ascii", errors="replace").split("\n") if line.strip())


def _binary_batch(path: Path, name: str) -> tuple[NDArray[np.int64], NDArray[np.uint8]]:
    # CIFAR-100 writes a coarse label before the fine one.
    heads = 1 if name == "cifar10" else 2
    data = np.frombuffer(_bytes(path), dtype=np.uint8)
    if len(data) == 0 or len(data) % (heads + _PIXELS):
        raise DataError(
            f"{len(data)} bytes are no whole number of images of {heads + _PIXELS} bytes", where=str(path), hint=LAYOUT
        )
    rows = data.reshape(-1, heads + _PIXELS)
    return rows[:, heads - 1].astype(np.int64), rows[:, heads:]


def _python_names(path: Path, name: str) -> tuple[str, ...]:
    names = _inert(path).get("label_names" if name == "cifar10" else "fine_label_names")
    if not isinstance(names, list) or not names:
        raise DataError("this file holds no class names", where=str(path), hint=LAYOUT)
    return tuple(one.decode("utf-8", errors="replace") if isinstance(one, bytes) else str(one) for one in names)


def _python_batch(path: Path, name: str) -> tuple[NDArray[np.int64], NDArray[np.uint8]]:
    table = _inert(path)
    labels, array = table.get("labels" if name == "cifar10" else "fine_labels"), table.get("data")
    raw = array.raw if isinstance(array, _Array) else None
    numbers = labels if isinstance(labels, list) and all(type(label) is int for label in labels) else []
    if not numbers or raw is None or len(raw) != len(numbers) * _PIXELS:
        raise DataError(
            "this file is not of CIFAR's form: labels and 3072 bytes an image", where=str(path), hint=LAYOUT
        )
    return np.array(numbers, dtype=np.int64), np.frombuffer(raw, dtype=np.uint8).reshape(-1, _PIXELS)


class _Array:
    """Stands for numpy's array, dtype and what makes them; only remembers the bytes of a plain array."""

    raw: bytes | None = None

    def __init__(self, *_: object) -> None: ...

    def __setstate__(self, state: object) -> None:
        # numpy's state of an array: version, shape, dtype, Fortran order, bytes.
        if isinstance(state, tuple) and len(state) == 5 and isinstance(state[4], bytes) and not state[3]:
            self.raw = state[4]


def _latin1(text: object, _encoding: object = None) -> bytes:
    """How pickles of protocol 2 write bytes."""
    return text.encode("latin-1") if isinstance(text, str) else b""


_STANDS_FOR: dict[tuple[str, str], Callable[..., Any]] = {
    ("numpy", "ndarray"): _Array,
    ("numpy", "dtype"): _Array,
    ("numpy.core.multiarray", "_reconstruct"): _Array,
    ("numpy._core.multiarray", "_reconstruct"): _Array,
    ("_codecs", "encode"): _latin1,
}


class _Inert(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Callable[..., Any]:
        try:
            return _STANDS_FOR[module, name]
        except KeyError:
            raise pickle.UnpicklingError(f"it names {module}.{name}, which CIFAR does not") from None


def _inert(path: Path) -> dict[str, Any]:
    try:
        table = _Inert(io.BytesIO(_bytes(path)), encoding="bytes").load()
    # A damaged file makes the reader raise nearly anything.
    except Exception as error:
        raise DataError(f"this file is damaged or foreign: {error}", where=str(path), hint=LAYOUT) from error
    if not isinstance(table, dict):
        raise DataError("this file is not of CIFAR's form", where=str(path), hint=LAYOUT)
    return {key.decode("utf-8", "replace") if isinstance(key, bytes) else str(key): table[key] for key in table}


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise DataError(f"cannot be read: {error.strerror}", where=str(path), hint=LAYOUT) from error
