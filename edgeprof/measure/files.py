"""Files that a user names on the command line: whether they can be used, and what to call them."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from edgeprof.errors import UsageError
from edgeprof.measure.onnx_parts import external_files, unranked_inputs
from edgeprof.records import FileRef, Format
from edgeprof.store import Store

FORMATS: dict[str, Format] = {".onnx": "onnx", ".xml": "openvino", ".tflite": "tflite"}
NAME_LENGTH = 80
"""Longest name of a model in tables."""


class Kept(NamedTuple):
    """The files of one model, in the store."""

    format: Format
    files: tuple[FileRef, ...]


def present(paths: Sequence[Path]) -> list[Path]:
    """The paths, each once.

    Raises:
        UsageError: there is nothing at one of them.
    """
    # Not resolved: two links to the same file are two names that the user chose.
    once = list({os.path.abspath(path): path for path in reversed(paths)}.values())[::-1]
    missing = [path for path in once if not os.path.lexists(path)]
    if missing:
        raise UsageError(
            "there is no such file",
            where=", ".join(shown(path) for path in missing),
            hint="is the path right from the current folder?",
        )
    return once


def formats(paths: Sequence[Path]) -> set[Format]:
    """The formats that the names of the files promise."""
    return {FORMATS[path.suffix.lower()] for path in paths if path.suffix.lower() in FORMATS}


def shown(name: object) -> str:
    """A name or path on one line; what cannot be printed, and could make it read as something else, becomes U+FFFD."""
    return "".join(char if char.isprintable() else "\ufffd" for char in str(name))


def names(paths: Sequence[Path]) -> list[str]:
    """What to call each file: its name without the suffix; where two of a format share it, with folders before it."""
    bare = [os.path.splitext(os.path.abspath(path))[0] for path in paths]
    parts = [[shown(part) for part in path.split("/") if part] or ["/"] for path in bare]
    kinds = [path.suffix.lower() for path in paths]
    depths = [1] * len(paths)
    while True:
        made = [_clipped("/".join(part[-depth:])) for part, depth in zip(parts, depths, strict=True)]
        taken = Counter(zip(made, kinds, strict=True))
        deeper = [
            place
            for place, key in enumerate(zip(made, kinds, strict=True))
            if taken[key] > 1 and depths[place] < len(parts[place])
        ]
        if not deeper:
            break
        for place in deeper:
            depths[place] += 1
    # Names that differ only in what cannot be shown.
    seen: Counter[tuple[str, str]] = Counter()
    for place, key in enumerate(zip(list(made), kinds, strict=True)):
        seen[key] += 1
        if seen[key] > 1:
            made[place] = f"{made[place]} ({seen[key]})"
    return made


def keep(store: Store, path: Path) -> Kept:
    """Take a model's files into the store: the file itself and what must lie beside it.

    Raises:
        UsageError: it cannot be used: no model by its suffix, not readable, or a file beside it is missing.
    """
    if os.path.isdir(path):
        raise UsageError("this is a folder", where=shown(path), hint="name a .onnx, .xml or .tflite file in it")
    format = FORMATS.get(path.suffix.lower())
    if format is None:
        raise UsageError(
            f"{shown(path.suffix)} is no known kind of model"
            if path.suffix
            else "its name does not end in a kind of model",
            where=shown(path),
            hint="known are .onnx, .xml (with its .bin beside it) and .tflite",
        )
    data = _read(path, path)
    beside: dict[str, Path] = {}
    if format == "openvino":
        beside = {"model.bin": _weights(path)}
    elif format == "onnx":
        beside = external_files(path, data)
        _has_ranks(path, data)
    files = [_ref(store, f"model{path.suffix.lower()}", data)]
    files += [_ref(store, name, _read(one, path)) for name, one in beside.items()]
    return Kept(format, tuple(files))


def _weights(path: Path) -> Path:
    for suffix in (".bin", ".BIN"):
        if os.path.isfile(path.with_suffix(suffix)):
            return path.with_suffix(suffix)
    missing = shown(path.with_suffix(".bin"))
    raise UsageError("the weights of an OpenVINO file lie beside it", where=shown(path), hint=f"{missing} is missing")


def _has_ranks(path: Path, data: bytes) -> None:
    unranked = sorted(unranked_inputs(data))
    if unranked:
        raise UsageError(
            f"it does not state how many dimensions its inputs have: {shown(', '.join(unranked))}",
            where=shown(path),
            hint="export it with a shape for each input; single dimensions may stay open",
        )


def _read(path: Path, model: Path) -> bytes:
    """All bytes of a file; a device or a pipe in its place would never end."""
    try:
        if not os.path.isfile(path):
            why = "a link to nothing" if os.path.islink(path) and not os.path.exists(path) else "no regular file"
            raise UsageError(f"{shown(path.name)} is {why}", where=shown(model), hint="name a file on a disk")
        return path.read_bytes()
    except OSError as error:
        raise UsageError(
            f"{shown(path.name)} cannot be read: {error.strerror or error}",
            where=shown(model),
            hint="is it readable for you?",
        ) from error


def _ref(store: Store, name: str, data: bytes) -> FileRef:
    return FileRef(name=name, sha256=store.add_bytes(data), size_bytes=len(data))


def _clipped(name: str) -> str:
    if len(name) <= NAME_LENGTH:
        return name
    half = (NAME_LENGTH - 1) // 2
    return f"{name[:half]}…{name[-half:]}"
