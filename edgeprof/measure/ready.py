"""Ready files that a user brings: no recipe, no checkpoint, no accuracy; measured with invented inputs."""

from __future__ import annotations

import hashlib
import io
import math
import platform
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

import edgeprof
from edgeprof.errors import DeviceError, UsageError
from edgeprof.measure.run import ask
from edgeprof.records import Artifact, Failure, FileRef, Format, Identity, MadeBy, Tensor, digest, files_sha
from edgeprof.store import Store
from edgeprof.target import Connection
from edgeprof.target.protocol import Failed, Inspect, Inspected, TensorTold

FORMATS: dict[str, Format] = {".onnx": "onnx", ".xml": "openvino", ".tflite": "tflite"}
INSPECT_S = 120.0
INPUTS = 4
"""How many different inputs are made up; they are rotated like real ones."""
MOST_BYTES = 1 << 30
"""Largest input that is made up: a mistyped shape must not fill the memory."""


def shapes(asked: Sequence[str]) -> dict[str, tuple[int, ...]]:
    """`name=1x3x224x224` options as a table.

    Raises:
        UsageError: one of them is not of that form.
    """
    table = {}
    for text in asked:
        name, _, dims = text.rpartition("=")
        if not name or not re.fullmatch(r"[1-9]\d*(x[1-9]\d*)*", dims):
            raise UsageError(f"--shape {text!r} is not of the form name=1x3x224x224")
        table[name] = tuple(int(dim) for dim in dims.split("x"))
    return table


def ready(store: Store, path: Path, asked: Mapping[str, tuple[int, ...]], connection: Connection) -> Artifact | Failure:
    """A file as an artifact without accuracy, opened once on the device to learn its inputs.

    Args:
        asked: input name -> shape, for inputs whose dimensions are not fixed.

    Raises:
        UsageError: the file is missing or of no known kind, or dimensions are not fixed and not given.
    """
    format = _format(path)
    files = tuple(_kept(store, one) for one in _parts(path, format))
    identity = Identity(model=path.stem, exporter=f"file-{format}")
    places = connection.push({one.sha256: store.blob(one.sha256) for one in files})
    named = {one.name: places[one.sha256] for one in files}
    told = ask(
        connection, Inspect(format=format, precision="fp32", files=named, timeout_s=INSPECT_S), timeout_s=INSPECT_S + 30
    )
    if isinstance(told, Failed):
        return Failure(
            stage="profile",
            identity=identity,
            error=f"{path}: {told.message}",
            error_class=told.error_class,
            transient=told.transient,
            hint='pip install "edgeprof[runtimes]"' if told.package else None,
        )
    if not isinstance(told, Inspected):
        raise DeviceError(f"the agent said {type(told).__name__} when a file's inputs were due", where=str(path))
    inputs = tuple(_tensor(one) for one in told.inputs)
    samples = _samples(path, inputs, asked)
    record = Artifact(
        training=None,
        model=path.stem,
        init=None,
        seed=None,
        exporter=f"file-{format}",
        format=format,
        precision="fp32",
        checkpoint_sha=None,
        artifact_sha=files_sha(files),
        files=files,
        size_bytes=sum(one.size_bytes for one in files),
        inputs=inputs,
        outputs=tuple(_tensor(one) for one in told.outputs),
        preprocessing=None,
        accuracy=None,
        parity=None,
        predictions_sha=None,
        params=None,
        macs=None,
        samples_sha=store.add_bytes(samples),
        made_by=MadeBy(edgeprof=edgeprof.__version__, packages={}, machine=platform.machine(), seconds=0.0),
    )
    store.put(Artifact.KIND, digest("ready", msgspec.structs.replace(record, made_by=None)), record)
    return record


def _format(path: Path) -> Format:
    if path.is_dir():
        raise UsageError("this is a folder", where=str(path), hint="name a .onnx, .xml or .tflite file in it")
    if not path.is_file():
        raise UsageError("there is no such file", where=str(path), hint="is the path right from the current folder?")
    if path.suffix.lower() not in FORMATS:
        raise UsageError(
            f"{path.suffix or 'no suffix'} is no kind of model that is known",
            where=str(path),
            hint=".onnx, .xml (with its .bin beside it) or .tflite",
        )
    return FORMATS[path.suffix.lower()]


def _parts(path: Path, format: Format) -> list[Path]:
    if format != "openvino":
        return [path]
    weights = path.with_suffix(".bin")
    if not weights.is_file():
        raise UsageError("the weights of an OpenVINO file lie beside it", where=str(path), hint=f"{weights} is missing")
    return [path, weights]


def _kept(store: Store, path: Path) -> FileRef:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise UsageError(f"cannot be read: {error.strerror}", where=str(path)) from error
    return FileRef(name=f"model{path.suffix.lower()}", sha256=store.add_bytes(data), size_bytes=len(data))


def _tensor(told: TensorTold) -> Tensor:
    return Tensor(name=told.name, shape=told.shape, dtype=told.dtype)


def _samples(path: Path, inputs: Sequence[Tensor], asked: Mapping[str, tuple[int, ...]]) -> bytes:
    """An .npz of made-up inputs: floats in 0..1, integers 0 or 1 (an index that any table has); always the same."""
    import numpy as np

    names = {one.name for one in inputs}
    for name in asked:
        if name not in names:
            raise UsageError(f"--shape names {name!r}", where=str(path), hint=f"its inputs: {', '.join(sorted(names))}")
    arrays: dict[str, Any] = {}
    for place, one in enumerate(inputs):
        shape = _shape(path, one, asked)
        kind = np.dtype(one.dtype)
        if math.prod(shape) * kind.itemsize * INPUTS > MOST_BYTES:
            raise UsageError(f"input {one.name} of {'x'.join(map(str, shape))} is over 1 GiB", where=str(path))
        dice = np.random.default_rng(int(hashlib.sha256(one.name.encode()).hexdigest()[:8], 16))
        if kind.kind == "f":
            arrays[f"in{place}"] = dice.random((INPUTS, *shape)).astype(kind)
        elif kind.kind in "iub":
            arrays[f"in{place}"] = dice.integers(0, 2, (INPUTS, *shape)).astype(kind)
        else:
            raise UsageError(f"input {one.name} is of type {one.dtype}, for which none can be made up", where=str(path))
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    return buffer.getvalue()


def _shape(path: Path, tensor: Tensor, asked: Mapping[str, tuple[int, ...]]) -> tuple[int, ...]:
    shown = "x".join("?" if dim is None else str(dim) for dim in tensor.shape)
    given = asked.get(tensor.name)
    if given is None:
        fixed = tuple(dim for dim in tensor.shape if dim is not None)
        if len(fixed) < len(tensor.shape):
            example = "x".join(str(dim or 1) for dim in tensor.shape)
            raise UsageError(
                f"input {tensor.name} ({shown}) has dimensions that are not fixed",
                where=str(path),
                hint=f"fix them, for example: --shape {tensor.name}={example}",
            )
        return fixed
    if len(given) != len(tensor.shape) or any(
        dim not in (None, size) for dim, size in zip(tensor.shape, given, strict=True)
    ):
        raise UsageError(f"--shape {tensor.name}={'x'.join(map(str, given))} does not fit {shown}", where=str(path))
    return given
