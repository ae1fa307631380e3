"""What every runtime is brought to."""

from __future__ import annotations

from typing import Any, Callable, List, NamedTuple, Optional, Tuple

Arrays = List[Any]
"""numpy arrays, one for each input or output, in the model's order."""


class ModelError(Exception):
    """The file cannot be opened; the message is the runtime's own."""


class MissingRuntimeError(ModelError):
    """No runtime for the format can be imported."""

    def __init__(self, package: str, why: str) -> None:
        super().__init__("the runtime %s cannot be imported: %s" % (package, why))
        self.package = package


class TensorInfo(NamedTuple):
    """An input or output as the runtime tells it; a dimension that is not fixed is None; dtype is numpy's name."""

    name: str
    shape: Tuple[Optional[int], ...]
    dtype: str


class Model(NamedTuple):
    """An opened file.

    `run(arrays) -> arrays` takes one C-contiguous array for each input, in the order of `inputs`. The arrays it returns
    may be overwritten by the next run: copy what is to be kept. It raises whatever the runtime raises.
    """

    inputs: Tuple[TensorInfo, ...]
    outputs: Tuple[TensorInfo, ...]
    run: Callable[[Arrays], Arrays]
    runs_on: str
    """Execution provider, plugin or delegate."""
    precision: str
    """The precision executed: read back where the runtime offers it, else the one asked for."""
    threads: int
    """Read back where the runtime offers it, else the number asked for."""
    version: str


def own_words(error: BaseException) -> str:
    """The message of a runtime's exception, without the lines that only name its source files."""
    lines = [line.strip() for line in str(error).splitlines()]
    kept = [line for line in lines if line and not line.startswith(("Exception from ", "Check '"))]
    return " ".join(kept or [line for line in lines if line]) or type(error).__name__
