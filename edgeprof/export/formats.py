"""The formats: one module each behind one Protocol, and what they share."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import msgspec

from edgeprof.errors import ExportError, MissingPackageError
from edgeprof.export import onnx, openvino, tflite
from edgeprof.records import Exporter, Format, Precision, Trained, options

if TYPE_CHECKING:
    from torch import Tensor, nn

    from edgeprof.export.calibrate import CalibrationImages


class Converter(Protocol):
    """A module that writes one format. Importing it is cheap; `convert` imports what it needs."""

    PACKAGES: tuple[str, ...]
    """The distributions whose versions shape the file or the numbers found with it."""
    QUANTIZERS: Mapping[Precision, tuple[str, ...]]
    """Those that shape it only in such a precision."""

    def convert(
        self,
        module: nn.Module,
        example: Tensor,
        exporter: Exporter,
        about: Mapping[str, str],
        out: Path,
        calibration: CalibrationImages | None = None,
    ) -> list[Path]:
        """Write `module` (eval, CPU) for inputs shaped like `example` (float32 [1, 3, S, S]) into the folder `out`.

        The file takes one image in `exporter.layout` and gives logits [1, classes]. `about` goes into the file where
        the format has a place for it. `calibration` is there exactly for the precision `int8`. Returns the files, named
        by convention (`model.xml`). Raises whatever the converter raises; the worker makes it ours.
        """


CONVERTERS: dict[Format, Converter] = {"onnx": onnx, "openvino": openvino, "tflite": tflite}
# What makes the module and its images, whatever the format.
_SHARED = ("torch", "torchvision", "timm")


def check(exporter: Exporter) -> None:
    """Check that the exporter asks for what this version can do.

    Raises:
        ExportError: the format does not have that precision, or an option would have no effect.
    """
    for what, hint in options.faults(exporter):
        raise ExportError(what, where=f"exporters/{exporter.name}.toml", hint=hint)


def packages(format: Format, precision: Precision) -> dict[str, str]:
    """Versions of everything that shapes the files of a format in a precision; imports none of it.

    Raises:
        MissingPackageError: one is not installed.
    """
    found = {}
    converter = CONVERTERS[format]
    for package in (*_SHARED, *converter.PACKAGES, *converter.QUANTIZERS.get(precision, ())):
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            raise MissingPackageError(package, "export") from None
    return found


def about(trained: Trained, exporter: Exporter) -> dict[str, str]:
    """What a file should tell of itself: how to prepare an image, what the classes are called, where it comes from."""
    steps: dict[str, Any] = {**msgspec.structs.asdict(trained.preprocessing), "layout": exporter.layout}
    return {
        "edgeprof.preprocessing": msgspec.json.encode(steps).decode(),
        "edgeprof.classes": msgspec.json.encode(trained.classes).decode(),
        "edgeprof.model": trained.model,
        "edgeprof.checkpoint_sha256": trained.checkpoint_sha,
    }
