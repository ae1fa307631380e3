"""The process that makes one cell: `python -m edgeprof.export.worker FD`.

A conversion of many minutes must not outlive an interrupted run: it ends with its parent, see `edgeprof.child`.
"""

from __future__ import annotations

import os
import sys
import traceback
from pathlib import Path

import numpy as np

from edgeprof.child import Parent
from edgeprof.errors import EdgeprofError, RecordError, TrainError
from edgeprof.export import calibrate, formats, verify
from edgeprof.export.loss import warnings
from edgeprof.export.request import PREDICTIONS, SAMPLES, Made, News, Request, to_fault
from edgeprof.export.words import converting
from edgeprof.store import Store, writing
from edgeprof.zoo import checkpoint
from edgeprof.zoo.torchvision_ops import import_timm, import_torch


def make(request: Request, parent: Parent) -> Made:
    """Convert, evaluate and verify; leaves the files, PREDICTIONS and SAMPLES in the request's folder.

    Raises:
        ExportError: it cannot be converted or run, or does not agree with its checkpoint (ParityError).
        TrainError: the checkpoint or its predictions are damaged.
        DataError: the images cannot be had, or the test images are others.
        RecordError, UsageError: the folder cannot be written.
    """
    trained, exporter, out = request.trained, request.exporter, Path(request.out)

    def tell(done: int, total: int) -> None:
        parent.tell(News(done=done, total=total))

    formats.check(exporter)
    try:
        store = Store(Path(request.store), read_only=True)
        expected = verify.of_checkpoint(store.blob(trained.predictions_sha), trained)
        tell(0, len(expected.labels))
        module = checkpoint.restore(trained, store)
    except RecordError as error:
        raise TrainError(error.what, where=error.where, hint=error.hint) from error
    calibration = calibrate.training_images(trained, exporter) if exporter.precision == "int8" else None
    # Imported late: most faults are found in milliseconds without it.
    torch = import_torch()
    torch.set_num_threads(1)
    side = trained.preprocessing.image_size
    converter = formats.CONVERTERS[exporter.format]
    with converting(f"the conversion to {exporter.format}", out):
        # Models with several branches while training become the plain ones that are deployed.
        module = import_timm().utils.model.reparameterize_model(module).eval()
        generator = torch.Generator().manual_seed(0)
        example = torch.randn(1, 3, side, side, generator=generator)
        with torch.no_grad():
            paths = converter.convert(module, example, exporter, formats.about(trained, exporter), out, calibration)
        if not all(path.stat().st_size for path in paths):
            raise ValueError("it wrote an empty file")
    tell(0, len(expected.labels))
    found = verify.evaluate(exporter, trained, {path.name: path for path in paths}, expected, request.threads, tell)
    with writing(out):
        labels, logits = found.predictions.labels, found.predictions.logits
        (out / PREDICTIONS).write_bytes(checkpoint.predictions_to_bytes(labels, logits))
        with (out / SAMPLES).open("wb") as file:
            np.savez(file, in0=found.inputs, out0=found.outputs)
    return Made(
        files=tuple(path.name for path in paths),
        inputs=found.takes,
        outputs=found.gives,
        accuracy=found.accuracy,
        parity=found.parity,
        calibration=None if calibration is None else calibration.record,
        warnings=warnings(expected, found.predictions, trained.classes),
    )


def main() -> None:
    """Do what stdin says; ends the process."""
    parent = Parent()
    try:
        last = News(made=make(parent.request(Request), parent))
    except EdgeprofError as error:
        traceback.print_exc()
        last = News(fault=to_fault(error))
    sys.stdout.flush()
    sys.stderr.flush()
    parent.tell(last)
    # The converters' libraries take seconds to end properly, and have nothing left to save.
    os._exit(0)


if __name__ == "__main__":
    main()
