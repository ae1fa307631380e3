"""How the images of a model's published weights were prepared, as its library says it."""

from __future__ import annotations

from typing import Any

from edgeprof.errors import UsageError
from edgeprof.records import Preprocessing
from edgeprof.zoo import factory, models
from edgeprof.zoo.torchvision_ops import import_timm, import_torchvision

_INTERPOLATIONS = ("nearest", "bilinear", "bicubic")


def preprocessing(name: str) -> Preprocessing | None:
    """The model's own configuration; None for a factory and for models without one.

    Raises:
        UsageError: no such model, or it is prepared in a way that a record cannot say.
    """
    models.check_name(name)
    if factory.is_factory(name):
        return None
    found = _torchvision(name) if name.startswith(models.PREFIX) else _timm(name)
    if found["interpolation"] not in _INTERPOLATIONS:
        raise UsageError(
            f"the published weights of {name} are for images resized by {found['interpolation']!r}",
            hint=f"say --interpolation {'|'.join(_INTERPOLATIONS)}",
        )
    return Preprocessing(**found)


def _timm(name: str) -> dict[str, Any]:
    timm = import_timm()
    config = timm.get_pretrained_cfg(name, allow_unregistered=True)
    # Without a configuration of its own, timm gives ImageNet's.
    known = timm.data.resolve_data_config(pretrained_cfg=config.to_dict() if config else {})
    return {
        "image_size": int(known["input_size"][-1]),
        "mean": tuple(map(float, known["mean"])),
        "std": tuple(map(float, known["std"])),
        "interpolation": known["interpolation"],
        "crop_pct": float(known["crop_pct"]),
    }


def _torchvision(name: str) -> dict[str, Any]:
    transform = import_torchvision().models.get_model_weights(name.removeprefix(models.PREFIX)).DEFAULT.transforms()
    size, resized = int(transform.crop_size[0]), int(transform.resize_size[0])
    return {
        "image_size": size,
        "mean": tuple(map(float, transform.mean)),
        "std": tuple(map(float, transform.std)),
        "interpolation": str(transform.interpolation.value),
        "crop_pct": size / resized,
    }
