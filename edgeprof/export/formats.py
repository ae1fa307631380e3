"""The formats: one module each behind one Protocol, and what they share."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import msgspec

from edgeprof.errors import ExportError, MissingPackageError
from edgeprof.export import onnx, openvino, tflite
from edgeprof.records import Exporter, Format, Trained

if TYPE_CHECKING:
    from torch import Tensor, nn


class Converter(Protocol):
    """A module that writes one format. Importing it is cheap; `convert` imports what it needs."""

    PACKAGES: tuple[str, ...]
    """The distributions whose versions shape the file or the numbers found with it."""
    PRECISIONS: tuple[str, ...]

    def convert(
        self, module: nn.Module, example: Tensor, exporter: Exporter, about: Mapping[str, str], out: Path
    ) -> list[Path]:
        """Write `module` (eval, CPU) for inputs shaped like `example` (float32 [1, 3, S, S]) into the folder `out`.

        The file takes one image in `exporter.layout` and gives logits [1, classes]. `about` goes into the file where
        the format has a place for it. Returns the files, named by convention (`model.xml`). Raises whatever the
        converter raises; the worker makes it ours.
        """


CONVERTERS: dict[Format, Converter] = {"onnx": onnx, "openvino": openvino, "tflite": tflite}
# What makes the module and its images, whatever the format.
_SHARED = ("torch", "torchvision", "timm")


def check(exporter: Exporter) -> None:
    """Check that the exporter asks for what this version can do.

    Raises:
        ExportError: the precision is not possible in that format.
    """
    possible = CONVERTERS[exporter.format].PRECISIONS
    if exporter.precision not in possible:
        raise ExportError(
            f"precision {exporter.precision} is not possible yet for {exporter.format}",
            where=f"exporters/{exporter.name}.toml",
            hint=f"possible: {', '.join(possible)}",
        )


def packages(format: Format) -> dict[str, str]:
    """Versions of everything that shapes the files of a format; imports none of it.

    Raises:
        MissingPackageError: one is not installed.
    """
    found = {}
    for package in (*_SHARED, *CONVERTERS[format].PACKAGES):
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
