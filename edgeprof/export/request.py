"""What goes to a worker process and what comes back, one JSON record a line."""

from __future__ import annotations

import msgspec

from edgeprof import child
from edgeprof.errors import EdgeprofError, ExportError
from edgeprof.records import Accuracy, Calibration, Exporter, Parity, Record, Tensor, Trained

PREDICTIONS = "predictions.npz"
SAMPLES = "samples.npz"


class ParityError(ExportError):
    """The file runs, but does not agree with its checkpoint; `parity` holds by how much."""

    def __init__(self, what: str, *, parity: Parity, where: str | None = None, hint: str | None = None) -> None:
        super().__init__(what, where=where, hint=hint)
        self.parity = parity


class Request(Record):
    """One cell to make: which checkpoint, in which form, from which store, into which folder."""

    trained: Trained
    exporter: Exporter
    store: str
    out: str
    threads: int
    """For evaluating the file; converters get one, so that their bytes do not depend on the machine's cores."""


class Made(Record):
    """A finished cell. The files lie in the request's folder, with PREDICTIONS and SAMPLES beside them."""

    files: tuple[str, ...]
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    accuracy: Accuracy
    parity: Parity
    calibration: Calibration | None = None
    warnings: tuple[str, ...] = ()


class Fault(child.Fault):
    """An error on its way between two processes."""

    parity: Parity | None = None


class News(Record):
    """What a worker says: that it lives (`done` of `total` images evaluated), and at last what came out."""

    done: int = 0
    total: int = 0
    made: Made | None = None
    fault: Fault | None = None


def to_fault(error: EdgeprofError) -> Fault:
    """The error as a record."""
    parity = error.parity if isinstance(error, ParityError) else None
    return Fault(**msgspec.structs.asdict(child.to_fault(error)), parity=parity)


def from_fault(fault: Fault) -> EdgeprofError:
    """The error that `fault` tells of."""
    if fault.parity is not None:
        return ParityError(fault.what, parity=fault.parity, where=fault.where, hint=fault.hint)
    return child.from_fault(fault, ExportError)
