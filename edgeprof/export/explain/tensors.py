"""What lies inside a file: the tensors between its operators for given inputs, and its weights. One module a format."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from numpy.typing import NDArray

from edgeprof.export.explain.prepare import Floats
from edgeprof.records import Format


@dataclass(frozen=True)
class Inner:
    """One tensor between operators, dequantized: float32 [N, ...], by the operator that makes it."""

    name: str
    op: str
    values: Floats


@dataclass(frozen=True)
class HeldWeights:
    """Weights as the file holds them, dequantized, as [O, I / groups, ...]."""

    name: str
    op: str
    values: Floats
    scales: int
    """How many scales they are quantized with; 0: not quantized."""


@dataclass(frozen=True)
class Inside:
    """What can be read of a file without running it."""

    quantized: bool
    halves: bool
    """Whether some of it is in 16 bits."""
    weights: list[HeldWeights]


class Reader(Protocol):
    """A module that looks into one format."""

    def inside(self, files: Mapping[str, Path]) -> Inside:
        """What the file holds."""

    def run(self, files: Mapping[str, Path], arranged: NDArray[Any]) -> list[Inner]:
        """All float tensors between operators, in the file's order, for inputs [N, ...] run one at a time."""


def reader(format: Format) -> Reader:
    """The module for a format; imports its runtime only when used."""
    from edgeprof.export.explain import inside_onnx, inside_openvino, inside_tflite

    readers: dict[Format, Reader] = {"onnx": inside_onnx, "openvino": inside_openvino, "tflite": inside_tflite}
    return readers[format]
