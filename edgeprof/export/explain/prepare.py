"""Ways of preparing an image, the right one and those that are often taken by mistake."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from edgeprof.records import Preprocessing
from edgeprof.zoo import images

if TYPE_CHECKING:
    from PIL.Image import Image

Floats = NDArray[np.float32]
Triple = tuple[float, float, float]
Axis = Literal["values", "colours", "layout", "geometry"]
ZERO, ONE, HALF = (0.0, 0.0, 0.0), (1.0, 1.0, 1.0), (0.5, 0.5, 0.5)
BYTE: Triple = (1 / 255, 1 / 255, 1 / 255)
IMAGENET: tuple[Triple, Triple] = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
# OpenAI's CLIP, CIFAR-10 and the grey Inception values are what other published pipelines use.
KNOWN: dict[str, tuple[Triple, Triple]] = {
    "ImageNet's mean and std": IMAGENET,
    "mean 0.5 and std 0.5 (-1..1)": (HALF, HALF),
    "values 0..1, neither mean nor std": (ZERO, ONE),
    "values 0..255, neither mean nor std": (ZERO, BYTE),
    "ImageNet's mean alone": (IMAGENET[0], ONE),
    "ImageNet's mean in 0..255 without std": (IMAGENET[0], BYTE),
    "CIFAR-10's mean and std": ((0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616)),
    "CLIP's mean and std": ((0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)),
}


@dataclass(frozen=True)
class Way:
    """One way from a PIL image to float32 [3, S, S]: resize, crop, scale, normalise, order of channels and bytes.

    The values are `(v / 255 - mean) / std` for each channel, in the order red, green, blue.
    """

    size: int
    mean: Triple
    std: Triple
    interpolation: str
    crop_pct: float
    squash: bool = False
    """The whole image to S x S, whatever its aspect."""
    antialias: bool = True
    channels: Literal["RGB", "BGR first", "BGR last"] = "RGB"
    """`BGR first`: turned before mean and std, which stay in the order of red, green, blue; `BGR last`: after them."""
    order: Literal["as declared", "other bytes", "turned"] = "as declared"
    """`other bytes`: the numbers in the order of the other layout; `turned`: rows and columns exchanged."""

    def pixels(self, image: Image) -> Floats:
        """float32 [3, S, S] in 0..1: resized and cropped alone."""
        if self.squash:
            resized = image.resize((self.size, self.size), resample=_resampling(self.interpolation))
            return np.asarray(np.asarray(resized).transpose(2, 0, 1) / 255, np.float32)
        if not self.antialias:
            return _without_antialias(image, self.size, self.crop_pct, self.interpolation)
        transform = images.eval_transform(
            Preprocessing(
                image_size=self.size,
                mean=ZERO,
                std=ONE,
                interpolation=self.interpolation,  # type: ignore[arg-type]
                crop_pct=self.crop_pct,
            )
        )
        return np.asarray(transform(image).numpy(), np.float32)

    def values(self, pixels: Floats) -> Floats:
        """[N, 3, S, S] in 0..1 -> normalised, in this order of channels and bytes; NCHW by shape."""
        if self.channels == "BGR first":
            pixels = pixels[:, ::-1]
        mean, std = (np.array(one, np.float32).reshape(1, 3, 1, 1) for one in (self.mean, self.std))
        values = (pixels - mean) / std
        if self.channels == "BGR last":
            values = values[:, ::-1]
        if self.order == "turned":
            values = values.transpose(0, 1, 3, 2)
        return np.ascontiguousarray(values, np.float32)

    @property
    def geometry(self) -> tuple[Any, ...]:
        """What `pixels` depends on."""
        return (self.size, self.interpolation, self.crop_pct, self.squash, self.antialias)


@dataclass(frozen=True)
class Hypothesis:
    """A way that is not the checkpoint's own; `axes` says in what it differs."""

    name: str
    way: Way
    axes: frozenset[Axis]


def own_way(preprocessing: Preprocessing, size: int | None = None) -> Way:
    """How the checkpoint's images were prepared; `size` where a file takes another."""
    return Way(
        size=size or preprocessing.image_size,
        mean=preprocessing.mean,
        std=preprocessing.std,
        interpolation=preprocessing.interpolation,
        crop_pct=preprocessing.crop_pct,
    )


def singles(own: Way) -> list[Hypothesis]:
    """Everything that differs from the own way in one thing, the commonest mistakes first."""
    return [*_values(own), *_colours(own), *_layouts(own), *_geometries(own)]


def pairs(own: Way) -> Iterator[Hypothesis]:
    """Two mistakes at once, of different kinds."""
    for first in _values(own):
        for second in (*_colours(own), *_layouts(own), *_geometries(own)):
            yield _both(first, second)
    for first in _colours(own):
        for second in (*_layouts(own), *_geometries(own)):
            yield _both(first, second)


def _both(first: Hypothesis, second: Hypothesis) -> Hypothesis:
    way = first.way
    if "colours" in second.axes:
        way = replace(way, channels=second.way.channels)
    if "layout" in second.axes:
        way = replace(way, order=second.way.order)
    if "geometry" in second.axes:
        way = replace(
            way,
            interpolation=second.way.interpolation,
            crop_pct=second.way.crop_pct,
            squash=second.way.squash,
            antialias=second.way.antialias,
        )
    return Hypothesis(f"{first.name}, and {second.name}", way, first.axes | second.axes)


def _values(own: Way) -> Iterator[Hypothesis]:
    axes: frozenset[Axis] = frozenset({"values"})
    if own.mean != ZERO and own.std != ONE:
        yield Hypothesis("the right mean, no std", replace(own, std=ONE), axes)
        yield Hypothesis("the right std, no mean", replace(own, mean=ZERO), axes)
    for name, (mean, std) in KNOWN.items():
        if (mean, std) != (own.mean, own.std):
            yield Hypothesis(name, replace(own, mean=mean, std=std), axes)
    reversed_mean: Triple = own.mean[::-1]
    reversed_std: Triple = own.std[::-1]
    yield Hypothesis("mean and std in the order BGR", replace(own, mean=reversed_mean, std=reversed_std), axes)
    yield Hypothesis("mean and std of 0..1 on values 0..255", _affine(own, own, 255.0), axes)
    yield Hypothesis("values divided by 255 twice", _affine(own, own, 1 / 255), axes)
    for name, (mean, std) in {"the right mean and std": (own.mean, own.std), **KNOWN}.items():
        if (mean, std) in ((ZERO, ONE), (ZERO, BYTE)):
            continue
        twice = Way(own.size, mean, std, own.interpolation, own.crop_pct)
        yield Hypothesis(f"normalised twice, the second time with {name}", _after(own, twice), axes)
        if (mean, std) != (own.mean, own.std):
            yield Hypothesis(
                f"normalised as is right, then times the std plus the mean of {name}", _undone(own, twice), axes
            )


def _affine(own: Way, by: Way, scale: float) -> Way:
    """`(scale * v - mean) / std`."""
    mean: Triple = tuple(one / scale for one in by.mean)  # type: ignore[assignment]
    std: Triple = tuple(one / scale for one in by.std)  # type: ignore[assignment]
    return replace(own, mean=mean, std=std)


def _after(own: Way, second: Way) -> Way:
    """First the own mean and std, then the second's: still one mean and one std."""
    mean = tuple(m + s * n for m, s, n in zip(own.mean, own.std, second.mean, strict=True))
    std = tuple(s * t for s, t in zip(own.std, second.std, strict=True))
    return replace(own, mean=mean, std=std)  # type: ignore[arg-type]


def _undone(own: Way, other: Way) -> Way:
    """First the own mean and std, then the inverse of the other's."""
    std = tuple(s / t for s, t in zip(own.std, other.std, strict=True))
    mean = tuple(m - n * s for m, n, s in zip(own.mean, other.mean, std, strict=True))
    return replace(own, mean=mean, std=std)  # type: ignore[arg-type]


def _colours(own: Way) -> Iterator[Hypothesis]:
    axes: frozenset[Axis] = frozenset({"colours"})
    yield Hypothesis("channels in the order BGR", replace(own, channels="BGR first"), axes)
    yield Hypothesis("channels in the order BGR, turned after mean and std", replace(own, channels="BGR last"), axes)


def _layouts(own: Way) -> Iterator[Hypothesis]:
    axes: frozenset[Axis] = frozenset({"layout"})
    yield Hypothesis("the numbers of the other layout under this shape", replace(own, order="other bytes"), axes)
    yield Hypothesis("rows and columns exchanged", replace(own, order="turned"), axes)


def _geometries(own: Way) -> Iterator[Hypothesis]:
    axes: frozenset[Axis] = frozenset({"geometry"})
    for crop_pct in (1.0, 0.875, 0.9, 0.95, 0.8):
        if abs(crop_pct - own.crop_pct) > 1e-6:
            yield Hypothesis(f"crop_pct {crop_pct:g}", replace(own, crop_pct=crop_pct), axes)
    for interpolation in ("nearest", "bilinear", "bicubic"):
        if interpolation != own.interpolation:
            yield Hypothesis(f"{interpolation} interpolation", replace(own, interpolation=interpolation), axes)
        if interpolation != "nearest":
            yield Hypothesis(
                f"{interpolation} interpolation without antialiasing",
                replace(own, interpolation=interpolation, antialias=False),
                axes,
            )
        yield Hypothesis(
            f"the whole image squashed to a square ({interpolation})",
            replace(own, interpolation=interpolation, squash=True),
            axes,
        )


def _resampling(name: str) -> Any:
    from PIL.Image import Resampling

    return {"nearest": Resampling.NEAREST, "bilinear": Resampling.BILINEAR, "bicubic": Resampling.BICUBIC}[name]


def _without_antialias(image: Image, size: int, crop_pct: float, interpolation: str) -> Floats:
    """As OpenCV and torch's `interpolate` resize: each pixel from its nearest neighbours alone."""
    from edgeprof.zoo.torchvision_ops import import_torch

    torch = import_torch()
    whole = torch.from_numpy(np.asarray(image, np.float32).transpose(2, 0, 1)[None] / 255)
    scale = int(size / crop_pct) / min(whole.shape[2:])
    target = [round(side * scale) for side in whole.shape[2:]]
    resized = torch.nn.functional.interpolate(whole, size=target, mode=interpolation, align_corners=False)
    top, left = ((side - size) // 2 for side in target)
    cut = resized[0, :, top : top + size, left : left + size].clamp(0, 1).numpy()
    return np.asarray(cut, np.float32)
