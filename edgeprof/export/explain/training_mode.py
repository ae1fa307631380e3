"""Files exported from a module in train mode: BatchNorm by the image's own statistics, dropout that draws."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from edgeprof.export.explain.prepare import Floats
from edgeprof.zoo.torchvision_ops import import_torch

if TYPE_CHECKING:
    from torch import Tensor, nn


def by_own_statistics(module: nn.Module, inputs: Floats) -> Floats | None:
    """Logits [N, classes] of the module with every BatchNorm normalising by each image alone; None without BatchNorm.

    Biased variance over rows and columns, as training normalises; all else stays in eval mode.
    """
    torch = import_torch()
    if not _batchnorms(module):
        return None
    with torch.no_grad(), _own_statistics(module):
        return np.concatenate([module(part).numpy() for part in torch.from_numpy(inputs).split(32)])


def draws(first: Floats, second: Floats) -> bool:
    """Whether two runs on the same images differ by more than rounding."""
    spread = float(first.max() - first.min()) or 1.0
    return not np.allclose(first, second, rtol=0, atol=1e-5 * spread, equal_nan=True)


def _batchnorms(module: nn.Module) -> list[Any]:
    torch = import_torch()
    kinds = (torch.nn.BatchNorm1d, torch.nn.BatchNorm2d, torch.nn.SyncBatchNorm)
    return [one for one in module.modules() if isinstance(one, kinds)]


@contextmanager
def _own_statistics(module: nn.Module) -> Iterator[None]:
    """timm's BatchNorms hold an activation too, so the statistics are put in place before each forward, per image."""
    torch = import_torch()
    replaced = []

    def own(part: Any) -> Any:
        def batch_norm(x: Tensor, *_: Any, **__: Any) -> Tensor:
            axes = tuple(range(2, x.dim()))
            mean, variance = (x, torch.zeros_like(x)) if not axes else (x.mean(axes, True), x.var(axes, False, True))
            shape = (1, -1, *(1 for _ in axes))
            scaled = (x - mean) / torch.sqrt(variance + part.eps)
            return scaled * part.weight.reshape(shape) + part.bias.reshape(shape) if part.affine else scaled

        return batch_norm

    functional = torch.nn.functional
    plain = functional.batch_norm
    current: list[Any] = []

    def enter(part: Any, _: Any) -> None:
        current.append(own(part))

    def leave(part: Any, _: Any, __: Any) -> None:
        current.pop()

    for part in _batchnorms(module):
        replaced += [part.register_forward_pre_hook(enter), part.register_forward_hook(leave)]
    functional.batch_norm = lambda *given, **named: (current[-1] if current else plain)(*given, **named)
    try:
        yield
    finally:
        functional.batch_norm = plain
        for hook in replaced:
            hook.remove()
