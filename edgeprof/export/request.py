"""What goes to a worker process and what comes back, one JSON record a line."""

from __future__ import annotations

from edgeprof.errors import (
    DataError,
    EdgeprofError,
    ExportError,
    MissingPackageError,
    RecordError,
    SuiteError,
    TrainError,
    UsageError,
)
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


class Fault(Record):
    """An error on its way between two processes."""

    error_class: str
    what: str
    where: str | None = None
    hint: str | None = None
    parity: Parity | None = None
    package: str | None = None
    extra: str | None = None


class News(Record):
    """What a worker says: that it lives (`done` of `total` images evaluated), and at last what came out."""

    done: int = 0
    total: int = 0
    made: Made | None = None
    fault: Fault | None = None


_PLAIN = {cls.__name__: cls for cls in (ExportError, DataError, TrainError, RecordError, UsageError, SuiteError)}


def to_fault(error: EdgeprofError) -> Fault:
    """The error as a record; a class that has no business in a worker becomes an ExportError."""
    parity = error.parity if isinstance(error, ParityError) else None
    if isinstance(error, MissingPackageError):
        return Fault(error_class="MissingPackageError", what=error.what, package=error.package, extra=error.extra)
    if parity is not None:
        name = "ParityError"
    else:
        name = type(error).__name__ if type(error).__name__ in _PLAIN else "ExportError"
    return Fault(error_class=name, what=error.what, where=error.where, hint=error.hint, parity=parity)


def from_fault(fault: Fault) -> EdgeprofError:
    """The error that `fault` tells of."""
    if fault.parity is not None:
        return ParityError(fault.what, parity=fault.parity, where=fault.where, hint=fault.hint)
    if fault.package is not None:
        return MissingPackageError(fault.package, fault.extra or "export")
    return _PLAIN.get(fault.error_class, ExportError)(fault.what, where=fault.where, hint=fault.hint)
