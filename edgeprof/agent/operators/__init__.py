"""Where the time of an inference goes, operator by operator, as far as the runtime tells.

A pass of its own, in a process of its own: profiling slows a model down, so nothing here is ever a latency sample.
"""

from __future__ import annotations

from typing import Any, Dict, List, Mapping, Optional, Sequence

from ..runtimes import Arrays, ModelError, file_paths, import_runtime, installed_version, own_words
from .onnx import profile_onnx
from .openvino import profile_openvino
from .tflite import profile_tflite

__all__ = ["WARMUP", "profile"]

WARMUP = 10
"""Inferences before those that count: the first ones lay out weights and touch memory for the first time."""


def profile(
    format: str,
    files: Mapping[str, str],
    threads: int,
    precision: str,
    provider: Optional[str],
    feeds: Sequence[Arrays],
    inferences: int,
    allow_fallback: bool = False,
) -> Dict[str, Any]:
    """Profile a file, opened as `runtimes.open_model` opens it.

    Args:
        feeds: inputs to rotate; for each one array an input, in the model's order.
        inferences: how many count, after `WARMUP` others.

    Returns:
        `source`, `inferences`, `inference_ns` (median of the runtime's own call while it was profiled) and `operators`
        in the order of execution, each with `name`, `kind`, `runs_on`, `precision` and `median_ns`.

    Raises:
        MissingRuntimeError: the runtime is not installed or cannot be imported.
        FallbackError: the graph would run elsewhere than asked.
        ModelError: the file cannot be opened, or the runtime does not profile it.
    """
    name, module = import_runtime(format)
    paths = file_paths(format, files)
    runs = (WARMUP, inferences)
    found: List[Dict[str, Any]]
    try:
        if format == "onnx":
            source, took, found = profile_onnx(module, files, threads, provider, feeds, runs, allow_fallback)
        elif format == "openvino":
            xml, weights = paths
            source, took, found = profile_openvino(
                module, xml, weights, threads, precision, provider, feeds, runs, allow_fallback
            )
        else:
            source, took, found = profile_tflite(
                module, name, installed_version(name), paths[0], threads, provider, feeds, runs, allow_fallback
            )
    except ModelError:
        raise
    except Exception as error:  # each runtime has its own classes; all mean the same here
        raise ModelError(own_words(error)) from error
    if not found:
        raise ModelError("%s tells no operator of this file" % source)
    return {"source": source, "inferences": inferences, "inference_ns": took, "operators": found}
