"""Which tensor of a file is which layer of the checkpoint, by shape and values, and where the two part. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from edgeprof.export.explain.modules import Kernel, Step
from edgeprof.export.explain.prepare import Floats
from edgeprof.export.explain.tensors import HeldWeights, Inner

BEST_DB = 150.0
"""What is told of values that are the same."""


@dataclass(frozen=True)
class Match:
    """A layer and the tensor of the file that is nearest to it; `relative` is inf where none has its shape."""

    step: Step
    tensor: str
    relative: float


def relative_error(wanted: Floats, got: Floats) -> float:
    """Root of the power of the difference over that of the wanted values; inf where some are not finite."""
    if not np.isfinite(got).all():
        return math.inf
    plain = wanted.astype(np.float64)
    power = float((plain**2).sum())
    off = float(((plain - got) ** 2).sum())
    return math.sqrt(off / power) if power else (0.0 if not off else math.inf)


def decibels(relative: float) -> float:
    """Signal to noise ratio: -20 log10 of a relative error."""
    if not math.isfinite(relative):
        return -BEST_DB
    return min(BEST_DB, max(-BEST_DB, -20 * math.log10(max(relative, 1e-12))))


def matches(steps: Sequence[Step], tensors: Sequence[Inner]) -> list[Match]:
    """For each step the tensor with the smallest relative error among those of its shape, whatever their layout."""
    return [_nearest(step, tensors) for step in steps]


def parting(found: Sequence[Match], tolerance: float) -> tuple[int | None, int | None]:
    """(last that agrees before, first that departs), as places in `found`; None where there is none.

    A step that a file has fused with the one behind it has no tensor of its own: it departs only if nothing that is fed
    by it alone agrees.
    """
    agrees = [one.relative <= tolerance for one in found]
    fine = list(agrees)
    for place in range(len(found) - 1, -1, -1):
        fine[place] = fine[place] or any(fine[one] for one in found[place].step.feeds)
    # A step without a tensor of its shape was fused away, which alone is no fault.
    first = next((i for i, one in enumerate(found) if not fine[i] and math.isfinite(one.relative)), None)
    before = [i for i in range(len(found) if first is None else first) if agrees[i]]
    return (before[-1] if before else None), first


def held_by(kernels: Sequence[Kernel], weights: Sequence[HeldWeights]) -> dict[str, tuple[HeldWeights, bool]]:
    """For each layer the file's weights nearest to its own, and whether the BatchNorm is folded into them."""
    left = list(weights)
    found = {}
    for kernel in kernels:
        best: tuple[float, HeldWeights, bool] | None = None
        for one in left:
            if one.values.size != kernel.plain.size or len(one.values) != len(kernel.plain):
                continue
            values = one.values.reshape(kernel.plain.shape)
            for folded, own in ((True, kernel.folded), (False, kernel.plain)):
                error = relative_error(own, values)
                if best is None or error < best[0]:
                    best = error, one, folded
        if best is not None:
            found[kernel.name] = best[1], best[2]
            left.remove(best[1])
    return found


def _nearest(step: Step, tensors: Sequence[Inner]) -> Match:
    best = Match(step, "", math.inf)
    for one in tensors:
        if one.values.size != step.output.size:
            continue
        for values in _arranged(one.values, step.output.shape):
            error = relative_error(step.output, values)
            if error < best.relative:
                best = Match(step, one.name, error)
    return best


def _arranged(values: Floats, shape: tuple[int, ...]) -> list[Floats]:
    found = []
    if values.shape == shape:
        found.append(values)
    if values.ndim == 4 and values.transpose(0, 3, 1, 2).shape == shape:
        found.append(values.transpose(0, 3, 1, 2))
    if not found and (len(shape) == 2 or shape[2:] == (1, 1)):
        found.append(values.reshape(shape))
    return found
