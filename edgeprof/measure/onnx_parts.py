"""What an ONNX file tells of the files beside it and of inputs without a shape, read from its bytes alone.

The package `onnx` is no part of what a host needs to profile, and asking it would load all weights. So this walks the
protobuf wire format; field numbers: https://github.com/onnx/onnx/blob/main/onnx/onnx.proto.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from edgeprof.errors import UsageError

# Message -> field number -> the message in it: every way to a tensor.
_BELOW: dict[str, dict[int, str]] = {
    "model": {7: "graph", 25: "function"},
    "function": {7: "node", 11: "attribute"},
    "graph": {1: "node", 5: "tensor", 15: "sparse tensor"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse tensor", 23: "sparse tensor"},
    "sparse tensor": {1: "tensor", 2: "tensor"},
}
_EXTERNAL = 1
"""TensorProto.DataLocation."""
_BESIDE = (
    'save it again with its weights beside it: onnx.save(model, path, save_as_external_data=True, location="m.data")'
)


def external_files(path: Path, data: bytes) -> dict[str, Path]:
    """The files beside an ONNX file that hold its weights: name -> path. A file that is damaged has none.

    Raises:
        UsageError: one is missing, or is to lie elsewhere than beside the file: a file from a stranger must not say so.
    """
    found = {}
    for location in _locations(data):
        parts = PurePosixPath(location).parts
        where = f"its external data is to lie in {location!r}"
        if not parts or not location.isprintable():
            raise UsageError(f"{where}, which is no file name", where=str(path), hint=_BESIDE)
        if parts[0].startswith("/") or ".." in parts:
            raise UsageError(f"{where}, outside of its own folder", where=str(path), hint=_BESIDE)
        if len(parts) > 1:
            raise UsageError(f"{where}; only files beside it are supported", where=str(path), hint=_BESIDE)
        name = parts[0]
        if name.lower().endswith(".onnx"):
            raise UsageError(f"{where}, which is named like a model itself", where=str(path), hint=_BESIDE)
        beside = path.parent / name
        if not os.path.isfile(beside):
            raise UsageError(
                f"{where}, which is not there", where=str(path), hint=f"put the file {name!r} beside it, then try again"
            )
        found[name] = beside
    return found


def unranked_inputs(data: bytes) -> set[str]:
    """Names of the inputs that do not even state how many dimensions they have; ONNX Runtime shows them as scalars."""
    names: set[str] = set()
    try:
        for graph in _messages(memoryview(data), 7):
            for value in _messages(graph, 11):
                tensors = [one for kind in _messages(value, 2) for one in _messages(kind, 1)]
                if tensors and not any(True for one in tensors for _ in _messages(one, 2)):
                    names |= {bytes(name).decode() for name in _messages(value, 1)}
            # Up to IR version 3 the weights are listed among the inputs.
            for weights in _messages(graph, 5):
                names -= {bytes(name).decode() for name in _messages(weights, 8)}
    except ValueError:
        return set()
    return names


def _locations(data: bytes) -> list[str]:
    """The locations of all external tensors, each once; none if the bytes are no protobuf: the runtime will tell."""
    found: dict[str, None] = {}
    todo = [("model", memoryview(data))]
    try:
        while todo:
            kind, message = todo.pop()
            if kind == "tensor":
                found.update(dict.fromkeys(_tensor_locations(message)))
                continue
            below = _BELOW[kind]
            for number, value in _fields(message):
                if number in below and isinstance(value, memoryview):
                    todo.append((below[number], value))
    except ValueError:
        return []
    return sorted(found)


def _tensor_locations(tensor: memoryview) -> list[str]:
    """TensorProto: external_data = 13 (pairs of key = 1 and value = 2), data_location = 14."""
    location, found = 0, []
    for number, value in _fields(tensor):
        if number == 14 and isinstance(value, int):
            location = value
        elif number == 13 and isinstance(value, memoryview):
            pair = {key: bytes(text) for key, text in _fields(value) if isinstance(text, memoryview)}
            if pair.get(1) == b"location":
                found.append(pair.get(2, b"").decode())
    return found if location == _EXTERNAL else []


def _messages(message: memoryview, number: int) -> Iterator[memoryview]:
    return (value for field, value in _fields(message) if field == number and isinstance(value, memoryview))


def _fields(message: memoryview) -> Iterator[tuple[int, int | memoryview]]:
    """Field number and value of each field: numbers, and the bytes of what has a length.

    Raises:
        ValueError: this is no protobuf.
    """
    place = 0
    while place < len(message):
        tag, place = _varint(message, place)
        wire = tag & 7
        value: int | memoryview
        if wire == 0:
            value, place = _varint(message, place)
        else:
            if wire == 2:
                size, place = _varint(message, place)
            elif wire in (1, 5):
                size = 8 if wire == 1 else 4
            else:
                raise ValueError(f"wire type {wire}")
            value = message[place : place + size]
            place += size
            if place > len(message):
                raise ValueError("cut off")
        yield tag >> 3, value


def _varint(message: memoryview, place: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        if place >= len(message):
            raise ValueError("cut off")
        byte = message[place]
        place += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, place
    raise ValueError("a number of more than ten bytes")
