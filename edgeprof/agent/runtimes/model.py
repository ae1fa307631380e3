"""What every runtime is brought to."""

from __future__ import annotations

import re
from typing import Any, Callable, Dict, List, NamedTuple, Optional, Sequence, Tuple

# A place in ONNX Runtime's sources: file, line and the function's signature.
_SOURCES = re.compile(r"/\S+\.(?:h|cc):\d+ .*?\) (?=[A-Z])")

Arrays = List[Any]
"""numpy arrays, one for each input or output, in the model's order."""

Shapes = Sequence[Optional[Tuple[int, ...]]]
"""For each input the shape that it will be given; None: the file's own."""


class ModelError(Exception):
    """The file cannot be opened; the message is the runtime's own."""


class MissingRuntimeError(ModelError):
    """No runtime for the format can be imported."""

    def __init__(self, package: str, why: str) -> None:
        super().__init__("the runtime %s cannot be imported: %s" % (package, why))
        self.package = package


class FallbackError(ModelError):
    """The graph would not run on the provider that was asked for."""


class TensorInfo(NamedTuple):
    """An input or output as the runtime tells it; a dimension that is not fixed is None; dtype is numpy's name."""

    name: str
    shape: Tuple[Optional[int], ...]
    dtype: str


class Model(NamedTuple):
    """An opened file.

    `run(arrays) -> arrays` takes one C-contiguous array for each input, in the order of `inputs`. The arrays it returns
    may be overwritten by the next run: copy what is to be kept. It raises whatever the runtime raises.

    `call_ns()` is the duration, in nanoseconds, of the runtime's own call inside the last run: without handing over
    the inputs and fetching the outputs, where those are calls of their own (OpenVINO tells it itself).

    `ran()` tells what executed the graph, as the fields of `records.Ran`. It may open the file a second time and run it
    once more, on the arrays of the last run: call it when all is measured. What the runtime does not tell is None.
    """

    inputs: Tuple[TensorInfo, ...]
    outputs: Tuple[TensorInfo, ...]
    run: Callable[[Arrays], Arrays]
    runs_on: str
    """Execution provider, plugin or delegate."""
    precision: str
    """The precision executed as far as it is known without running: `ran` and `executed` know better."""
    threads: int
    """Read back where the runtime offers it, else the number asked for."""
    version: str
    call_ns: Callable[[], int]
    ran: Callable[[], Dict[str, Any]]


def own_words(error: BaseException) -> str:
    """The message of a runtime's exception, without the places in its source files."""
    lines = [_SOURCES.sub("", line).strip() for line in str(error).splitlines()]
    kept = [line for line in lines if line and not line.startswith(("Exception from ", "Check '"))]
    return " ".join(kept or [line for line in lines if line]) or type(error).__name__


def fitted(inputs: Sequence[TensorInfo], shapes: Optional[Shapes]) -> List[Optional[Tuple[int, ...]]]:
    """The shapes to run with, in the model's own number of dimensions; a leading batch of 1 may have been left out.

    Raises:
        ModelError: a shape does not fit its input, or there are too many.
    """
    if shapes is None:
        return [None] * len(inputs)
    if len(shapes) > len(inputs):
        names = ", ".join(one.name for one in inputs)
        raise ModelError("there are %d inputs (%s), given are %d" % (len(inputs), names, len(shapes)))
    fit: List[Optional[Tuple[int, ...]]] = []
    for info, given in zip(inputs, shapes):
        shape = given
        if given is not None and len(given) == len(info.shape) - 1 and info.shape[0] in (1, None):
            shape = (1, *given)
        if shape is not None and not _fits(info.shape, shape):
            raise ModelError("input %s takes %s, given is %s" % (info.name, _shown(info.shape), _shown(given or ())))
        fit.append(shape)
    return fit + [None] * (len(inputs) - len(fit))


def _shown(shape: Sequence[Optional[int]]) -> str:
    return "x".join("?" if dim is None else str(dim) for dim in shape) or "a single number"


def _fits(own: Sequence[Optional[int]], given: Sequence[int]) -> bool:
    return len(own) == len(given) and all(dim in (None, size) for dim, size in zip(own, given))
