"""One way to open and run a file, whichever runtime executes it.

Every runtime is asked for what the caller means, and asked back what it took: the provider, the threads, the precision.
The timed path of each is the shortest its Python API offers from an array in host memory to an array in host memory.
"""

from __future__ import annotations

import os
import platform
from importlib import import_module, metadata, util
from typing import Any, Dict, List, Mapping, Tuple

from .model import Arrays, MissingRuntimeError, Model, ModelError, TensorInfo, own_words
from .onnx import open_onnx
from .openvino import open_openvino
from .tflite import open_tflite

__all__ = [
    "PACKAGES",
    "RUNTIMES",
    "Arrays",
    "MissingRuntimeError",
    "Model",
    "ModelError",
    "TensorInfo",
    "import_runtime",
    "installed",
    "open_model",
    "own_words",
]

# Import name -> the distributions that provide it, the usual one first.
PACKAGES: Dict[str, Tuple[str, ...]] = {
    "onnxruntime": ("onnxruntime", "onnxruntime-gpu", "onnxruntime-openvino"),
    "openvino": ("openvino",),
    "ai_edge_litert": ("ai-edge-litert",),
    "tflite_runtime": ("tflite-runtime",),
}
# Format -> the import names that can run it, the preferred one first.
RUNTIMES: Dict[str, Tuple[str, ...]] = {
    "onnx": ("onnxruntime",),
    "openvino": ("openvino",),
    "tflite": ("ai_edge_litert", "tflite_runtime"),
    "noop": (),
}
SUFFIXES: Dict[str, Tuple[str, ...]] = {"onnx": (".onnx",), "openvino": (".xml", ".bin"), "tflite": (".tflite",)}


def open_model(format: str, files: Mapping[str, str], threads: int, precision: str) -> Model:
    """Open a file for running on the CPU.

    Args:
        format: "onnx", "openvino", "tflite", or "noop" (a model that does nothing, for the harness's own cost).
        files: conventional name (`model.xml`) -> path; the path itself may have any name.
        threads: exactly so many threads for one inference.
        precision: "fp32", "fp16", "int8" or "dynamic-int8": the one to execute in.

    Raises:
        MissingRuntimeError: the runtime is not installed or cannot be imported.
        ModelError: a file is missing, damaged, or not of that format.
    """
    if format == "noop":
        return _noop(threads, precision)
    name, module = import_runtime(format)
    paths = _paths(format, files)
    try:
        if format == "onnx":
            return open_onnx(module, paths[0], threads, precision)
        if format == "openvino":
            return open_openvino(module, paths[0], paths[1], threads, precision)
        return open_tflite(module, paths[0], threads, precision, _version(name))
    except ModelError:
        raise
    except Exception as error:  # each runtime has its own classes; all mean the same here
        raise ModelError(own_words(error)) from error


def import_runtime(format: str) -> Tuple[str, Any]:
    """Import the runtime of a format, so that opening does not pay for it; returns its import name and its module.

    Raises:
        MissingRuntimeError: none can be imported.
        ModelError: there is no such format.
    """
    if format not in RUNTIMES:
        raise ModelError("unknown format %r; known: %s" % (format, ", ".join(sorted(RUNTIMES))))
    names = RUNTIMES[format]
    if not names:
        return "", None
    name = next((one for one in names if util.find_spec(one) is not None), names[0])
    try:
        return name, import_module(name + ".interpreter" if format == "tflite" else name)
    except Exception as error:  # not only absent: also a numpy of another ABI, a library that is missing
        raise MissingRuntimeError(PACKAGES[name][0], own_words(error)) from error


def installed() -> Dict[str, str]:
    """Package -> version of every runtime that can be found, without importing any; "unknown" where it tells none."""
    return {packages[0]: _version(name) for name, packages in PACKAGES.items() if util.find_spec(name) is not None}


def _version(name: str) -> str:
    for package in PACKAGES[name]:
        try:
            return metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return "unknown"


def _paths(format: str, files: Mapping[str, str]) -> List[str]:
    suffixes, here = SUFFIXES[format], ", ".join(sorted(files)) or "none"
    paths = []
    for suffix in suffixes:
        found = [path for name, path in files.items() if name.endswith(suffix)]
        if len(found) != 1:
            raise ModelError("%s needs exactly one %s file, here are: %s" % (format, suffix, here))
        if not os.path.isfile(found[0]):
            raise ModelError("the file does not exist: %s" % found[0])
        paths.append(found[0])
    if len(files) != len(suffixes):
        # Weights beside an ONNX file are found by their names, which a store of blobs does not keep.
        raise ModelError("%s runs from %s alone, here are: %s" % (format, " and ".join(suffixes), here))
    return paths


def _noop(threads: int, precision: str) -> Model:
    info = (TensorInfo("in0", (1, 10), "float32"),)

    def run(arrays: Arrays) -> Arrays:
        return arrays

    return Model(info, info, run, "nothing", precision, threads, platform.python_version())
