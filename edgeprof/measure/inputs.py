"""The inputs on which ready files are measured: an .npz that the user gives, or made up ones."""

from __future__ import annotations

import hashlib
import io
import math
import re
import shlex
import zipfile
import zlib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from edgeprof.errors import UsageError
from edgeprof.measure.files import shown
from edgeprof.records import Tensor

INPUTS = 4
"""How many different inputs are made up; they are rotated like real ones."""
MOST_BYTES = 1 << 30
"""Largest samples that a device is given: a mistyped shape must not fill its memory."""
TYPES = frozenset(
    ["bool", "float16", "float32", "float64"] + [f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)]
)
"""Types that numpy has by the same name."""

Shape = tuple[int, ...]
Arrays = Mapping[str, Any]
"""numpy arrays by name."""


class Takes(NamedTuple):
    """What a file takes."""

    file: str
    """Its path, as shown to people."""
    inputs: Sequence[Tensor]


def shapes(asked: Sequence[str]) -> dict[str, Shape]:
    """`name=1x3x224x224` options as a table.

    Raises:
        UsageError: one of them is not of that form, or two are of the same input.
    """
    table: dict[str, Shape] = {}
    for text in asked:
        name, _, dims = text.rpartition("=")
        if not name or not re.fullmatch(r"[1-9][0-9]{0,8}(x[1-9][0-9]{0,8}){0,15}", dims):
            raise UsageError(
                f"--shape {shown(text)!r} is not of the form name=1x3x224x224", hint="every size is 1 or more"
            )
        shape = tuple(int(dim) for dim in dims.split("x"))
        if table.setdefault(name, shape) != shape:
            raise UsageError(f"--shape gives {shown(name)} two shapes: {_dims(table[name])} and {_dims(shape)}")
    return table


def read_inputs(path: Path) -> Arrays:
    """The arrays of an .npz by name; pickled objects in it are not loaded.

    Raises:
        UsageError: it is no such file, holds anything but arrays of numbers, or numbers that are not finite.
    """
    import numpy as np

    where = shown(path)
    if not path.is_file():
        raise UsageError("there is no such file", where=where, hint="--inputs takes an .npz file")
    hint = "write it with: numpy.savez(file, name=array)"
    try:
        if not zipfile.is_zipfile(path):
            raise UsageError("this is no .npz file", where=where, hint=hint)
        with zipfile.ZipFile(path) as archive:
            size = sum(one.file_size for one in archive.infolist())
        if size > MOST_BYTES:
            raise UsageError("its arrays are over 1 GiB", where=where, hint="give fewer inputs")
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
    except (OSError, ValueError, zipfile.BadZipFile, zlib.error, EOFError, MemoryError, RuntimeError) as error:
        # RuntimeError: encrypted, or compressed by what Python does not have.
        why = shown(str(error).partition("\n")[0]) or type(error).__name__
        raise UsageError(f"the arrays cannot be read: {why}", where=where, hint=hint) from error
    if not arrays:
        raise UsageError("it holds no array", where=where, hint=hint)
    return {name: _checked(where, name, array) for name, array in arrays.items()}


def check(files: Sequence[Takes], asked: Mapping[str, Shape], given: Arrays | None) -> None:
    """Whether what the command line says fits every file.

    Raises:
        UsageError: it names no input of any, leaves out an input or a dimension, or does not fit.
    """
    if given is not None:
        _named("--inputs has an array", given, files)
        for file in files:
            _fits(file, given)
        return
    _named("--shape names", asked, files)
    for file in files:
        for tensor in file.inputs:
            shape = asked.get(tensor.name)
            if shape is not None and not _matches(tensor, shape):
                raise UsageError(
                    f"--shape {shown(tensor.name)}={_dims(shape)} does not fit {_told(tensor)}", where=file.file
                )
    _all_fixed(files, asked)


def samples(file: Takes, asked: Mapping[str, Shape], given: Arrays | None) -> bytes:
    """An .npz with `in0`.. [K, ...] for a file that `check` found nothing wrong with.

    Made up are floats in 0..1 and integers 0 or 1 (an index that any table has); always the same.

    Raises:
        UsageError: the inputs are too large.
    """
    import numpy as np

    arrays: dict[str, Any] = {}
    size = 0
    for place, tensor in enumerate(file.inputs):
        if given is not None:
            array = given[tensor.name]
            arrays[f"in{place}"] = array if array.ndim > len(tensor.shape) else array[None]
            size += array.nbytes
            continue
        shape = asked.get(tensor.name) or tuple(dim for dim in tensor.shape if dim is not None)
        kind = np.dtype(tensor.dtype)
        size += math.prod(shape) * kind.itemsize * INPUTS
        if size > MOST_BYTES:
            break
        dice = np.random.default_rng(int(hashlib.sha256(tensor.name.encode()).hexdigest()[:8], 16))
        many = (INPUTS, *shape)
        arrays[f"in{place}"] = (dice.random(many) if kind.kind == "f" else dice.integers(0, 2, many)).astype(kind)
    if size > MOST_BYTES:
        takes = ", ".join(_told(tensor) for tensor in file.inputs)
        raise UsageError(
            f"its inputs are over 1 GiB for {INPUTS} of each: {takes}", where=file.file, hint="choose smaller shapes"
        )
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    return buffer.getvalue()


def _checked(where: str, name: str, array: Any) -> Any:
    import numpy as np

    if not isinstance(array, np.ndarray):
        raise UsageError(f"{shown(name)} in it is no array", where=where, hint="keep nothing but arrays in it")
    if array.dtype.name not in TYPES:
        raise UsageError(f"the array {shown(name)} is of type {array.dtype}, which no input takes", where=where)
    if array.size == 0:
        raise UsageError(f"the array {shown(name)} is empty: {_dims(array.shape)}", where=where)
    wrong = array.size - int(np.isfinite(array).sum()) if array.dtype.kind == "f" else 0
    if wrong:
        raise UsageError(
            f"{wrong} of the {array.size} values of the array {shown(name)} are NaN or infinite",
            where=where,
            hint="give finite inputs: times on others mean nothing",
        )
    # The same numbers in this machine's order of bytes, which is what runtimes read.
    return array.astype(array.dtype.newbyteorder("="), copy=False)


def _named(what: str, names: Iterable[str], files: Sequence[Takes]) -> None:
    """A file need not have an input of every name: two formats of one model often call it differently."""
    known = {tensor.name for file in files for tensor in file.inputs}
    for name in names:
        if files and name not in known:
            where = files[0].file if len(files) == 1 else "all files"
            listed = "; ".join(_listed(file, len(files) > 1) for file in files)
            raise UsageError(f"{what} {shown(name)!r}, which is no input", where=where, hint=listed)


def _listed(file: Takes, with_name: bool) -> str:
    inputs = ", ".join(_told(tensor) for tensor in file.inputs) or "none"
    return f"the inputs{' of ' + file.file if with_name else ''}: {inputs}"


def _fits(file: Takes, given: Arrays) -> None:
    counts: dict[str, int] = {}
    for tensor in file.inputs:
        name = shown(tensor.name)
        if tensor.name not in given:
            raise UsageError(
                f"--inputs has no array for its input {_told(tensor)}", where=file.file, hint=_listed(file, False)
            )
        array = given[tensor.name]
        if array.dtype.name != tensor.dtype:
            raise UsageError(
                f"input {name} takes {tensor.dtype}, the array is {array.dtype.name}",
                where=file.file,
                hint=f'convert it knowingly: array.astype("{tensor.dtype}")',
            )
        several = array.ndim == len(tensor.shape) + 1
        if not _matches(tensor, array.shape[1:] if several else array.shape):
            raise UsageError(
                f"input {name} takes {_dims(tensor.shape)}, the array is {_dims(array.shape)}",
                where=file.file,
                hint=f"give one input of {_dims(tensor.shape)}, or K of them stacked: {_dims(('K', *tensor.shape))}",
            )
        counts[name] = array.shape[0] if several else 1
    if len(set(counts.values())) > 1:
        told = ", ".join(f"{count} of {name}" for name, count in counts.items())
        raise UsageError(
            f"--inputs has another number of inputs for each: {told}", where=file.file, hint="stack as many"
        )


def _all_fixed(files: Sequence[Takes], asked: Mapping[str, Shape]) -> None:
    told, example = [], {}
    for file in files:
        still = [one for one in file.inputs if None in one.shape and one.name not in asked]
        if still:
            told.append(f"{', '.join(_told(one) for one in still)}" + (f" of {file.file}" if len(files) > 1 else ""))
            example.update({one.name: _example(one.shape) for one in still})
    if told:
        options = " ".join(f"--shape {shlex.quote(shown(f'{name}={dims}'))}" for name, dims in example.items())
        raise UsageError(
            f"inputs have dimensions that are not fixed: {'; '.join(told)}",
            where=files[0].file if len(files) == 1 else None,
            hint=f"fix them, for example: {options}",
        )


def _example(shape: Sequence[int | None]) -> str:
    """A batch of 1; images of 224 pixels."""
    usual = 224 if len(shape) == 4 else 1
    return _dims([dim if dim is not None else usual if place else 1 for place, dim in enumerate(shape)])


def _matches(tensor: Tensor, shape: Sequence[int]) -> bool:
    return len(shape) == len(tensor.shape) and all(
        dim in (None, size) for dim, size in zip(tensor.shape, shape, strict=True)
    )


def _told(tensor: Tensor) -> str:
    return f"{shown(tensor.name)} ({_dims(tensor.shape)} {tensor.dtype})"


def _dims(shape: Sequence[int | str | None]) -> str:
    return "x".join("?" if dim is None else str(dim) for dim in shape) or "one number"
