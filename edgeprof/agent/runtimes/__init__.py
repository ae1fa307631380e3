"""One way to open and run a file, whichever runtime executes it.

Every runtime is asked for what the caller means, and asked back what it took: provider, threads, precision.
The timed path of each is the shortest its Python API offers from an array in host memory to an array in host memory.
"""

from __future__ import annotations

import os
import platform
import time
from importlib import import_module, metadata, util
from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple

from .model import Arrays, FallbackError, MissingRuntimeError, Model, ModelError, Shapes, TensorInfo, own_words
from .onnx import open_onnx
from .openvino import open_openvino
from .ran import executed, keeps, untold
from .tflite import open_tflite

__all__ = [
    "PACKAGES",
    "RUNTIMES",
    "Arrays",
    "FallbackError",
    "MissingRuntimeError",
    "Model",
    "ModelError",
    "Shapes",
    "TensorInfo",
    "executed",
    "file_paths",
    "import_runtime",
    "installed",
    "installed_version",
    "keeps",
    "open_model",
    "own_words",
    "untold",
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


def open_model(
    format: str,
    files: Mapping[str, str],
    threads: int,
    precision: str,
    provider: Optional[str] = None,
    shapes: Optional[Shapes] = None,
    allow_fallback: bool = False,
) -> Model:
    """Open a file for running.

    Args:
        format: "onnx", "openvino", "tflite", or "noop" (a model that does nothing, for the harness's own cost).
        files: conventional name (`model.xml`) -> path; the path itself may have any name. What lies beside an .onnx
            file is its external data, under the names by which it refers to them.
        threads: exactly so many threads for one inference.
        precision: "fp32", "fp16", "int8" or "dynamic-int8": the one to execute in.
        provider: where to run: an execution provider of ONNX Runtime, a device of OpenVINO, for TFLite "XNNPACK" or
            "none". None: on the processor, for TFLite with XNNPACK where that is built in.
        shapes: for each input the shape of what it will be given, where dimensions are not fixed in the file.
        allow_fallback: open the file also where `provider` is not to be had; `Model.runs_on` tells what runs instead.

    Raises:
        MissingRuntimeError: the runtime is not installed or cannot be imported.
        FallbackError: the graph would run elsewhere than asked.
        ModelError: a file is missing, damaged, or not of that format; a shape does not fit.
    """
    if threads < 1:
        raise ModelError("threads must be 1 or more, asked are %d" % threads)
    if format == "noop":
        return _noop(threads, precision)
    name, module = import_runtime(format)
    paths = file_paths(format, files)
    try:
        if format == "onnx":
            return open_onnx(module, files, threads, precision, provider, shapes, allow_fallback)
        if format == "openvino":
            xml, weights = paths
            return open_openvino(module, xml, weights, threads, precision, provider, shapes, allow_fallback)
        version = installed_version(name)
        return open_tflite(module, paths[0], threads, precision, version, provider, shapes, allow_fallback)
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


def installed(sites: Optional[Mapping[str, Sequence[str]]] = None) -> Dict[str, str]:
    """Package -> version of every runtime that can be found, without importing any; "unknown" where it tells none.

    Args:
        sites: format -> the folders of its private environment, which are looked through first.
    """
    found = {
        packages[0]: installed_version(name) for name, packages in PACKAGES.items() if util.find_spec(name) is not None
    }
    for format, folders in (sites or {}).items():
        for name in RUNTIMES.get(format, ()):
            version = _version_in(folders, name)
            if version is not None:
                found[PACKAGES[name][0]] = version
    return found


def _version_in(folders: Sequence[str], name: str) -> Optional[str]:
    for package in PACKAGES[name]:
        try:
            for one in metadata.distributions(name=package, path=list(folders)):
                return str(one.version)
        except Exception:  # an environment that is damaged has no runtime
            return None
    return None


def installed_version(name: str) -> str:
    """Of a runtime, by its import name; "unknown" where it tells none."""
    for package in PACKAGES[name]:
        try:
            return metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return "unknown"


def file_paths(format: str, files: Mapping[str, str]) -> List[str]:
    """The paths of the files that make up a model, in the order of their suffixes.

    Raises:
        ModelError: one is missing, or there are others that the format has no use for.
    """
    suffixes, here = SUFFIXES[format], ", ".join(sorted(files)) or "none"
    paths = []
    for suffix in suffixes:
        found = [path for name, path in files.items() if name.endswith(suffix)]
        if len(found) != 1:
            raise ModelError("%s needs exactly one %s file, here are: %s" % (format, suffix, here))
        paths.append(found[0])
    for path in files.values():
        if not os.path.isfile(path):
            raise ModelError("the file does not exist: %s" % path)
    # Only ONNX keeps weights in further files.
    if format != "onnx" and len(files) != len(suffixes):
        raise ModelError("%s runs from %s alone, here are: %s" % (format, " and ".join(suffixes), here))
    return paths


def _noop(threads: int, precision: str) -> Model:
    info = (TensorInfo("in0", (1, 10), "float32"),)
    clock = time.perf_counter_ns
    took = [0]

    def run(arrays: Arrays) -> Arrays:
        begin = clock()
        took[0] = clock() - begin
        return arrays

    def ran() -> Dict[str, Any]:
        return untold("nothing", "a model that does nothing")

    return Model(info, info, run, "nothing", precision, threads, platform.python_version(), lambda: took[0], ran)
