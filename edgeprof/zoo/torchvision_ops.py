"""Imports torch, torchvision and timm, also where torchvision's compiled operators cannot load.

The registry's torchvision is built against CUDA's torch. Beside a CPU build of torch its library does not load, and
`import torchvision` (hence timm) dies with "operator torchvision::nms does not exist", although no classifier needs
that operator. Declaring the missing schemas is enough. Users with a matching pair never come to that branch.
"""

from __future__ import annotations

import importlib
import os
import sys
from typing import Any

from edgeprof.errors import MissingPackageError

EXTRA = "train"
_WAITING = ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY")
_MISSING_SCHEMAS = ("nms", "qnms")
# torch forgets the schemas when this object goes.
_declared: list[Any] = []


def import_torch() -> Any:
    """The module torch, with threads that wait only shortly for each other by spinning.

    Raises:
        MissingPackageError: it is not installed.
    """
    if "torch" in sys.modules or any(name in os.environ for name in _WAITING):
        return _import("torch")
    # OpenMP reads this once, when torch loads. With its own long spinning, a training that shares its cores with
    # anything else becomes twenty times slower. Taken back at once: child processes must not inherit it.
    os.environ[_WAITING[0]] = "10000"
    try:
        return _import("torch")
    finally:
        del os.environ[_WAITING[0]]


def import_torchvision() -> Any:
    """The module torchvision, made importable if its operators do not fit this torch.

    Raises:
        MissingPackageError: torch or torchvision is not installed.
    """
    torch = import_torch()
    try:
        return _import("torchvision")
    except RuntimeError as error:
        if "operator torchvision::" not in str(error):
            raise
    # The failed import leaves half-made modules behind.
    for name in [name for name in sys.modules if name == "torchvision" or name.startswith("torchvision.")]:
        del sys.modules[name]
    library = torch.library.Library("torchvision", "FRAGMENT")
    for name in _MISSING_SCHEMAS:
        library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    _declared.append(library)
    return _import("torchvision")


def import_timm() -> Any:
    """The module timm with `timm.data`, `timm.optim`, `timm.scheduler`, `timm.loss` and `timm.utils`.

    Raises:
        MissingPackageError: torch, torchvision or timm is not installed.
    """
    import_torchvision()
    timm = _import("timm")
    for part in ("data", "optim", "scheduler", "loss", "utils"):
        _import(f"timm.{part}")
    return timm


def _import(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        package = name.partition(".")[0]
        if (error.name or "").partition(".")[0] != package:
            raise
        raise MissingPackageError(package, EXTRA) from error
