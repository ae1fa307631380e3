"""What a runtime can run on, as itself tells."""

from __future__ import annotations

from typing import List

from . import import_runtime
from .tflite import NO_DELEGATE, XNNPACK


def providers(format: str) -> List[str]:
    """Names that a device file may give as the provider of this format, the runtime's preferred one first.

    Of TFLite, which tells nothing without a model, those that its wheels have.

    Raises:
        MissingRuntimeError: no runtime of the format can be imported.
        ModelError: there is no such format.
    """
    _, module = import_runtime(format)
    if format == "onnx":
        return [str(one) for one in module.get_available_providers()]
    if format == "openvino":
        return [str(one) for one in module.Core().available_devices]
    return [XNNPACK, NO_DELEGATE] if format == "tflite" else []
