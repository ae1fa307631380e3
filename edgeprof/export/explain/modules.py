"""What the checkpoint's modules compute, layer by layer, and the weights that a file would hold for them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from edgeprof.export.explain.prepare import Floats
from edgeprof.zoo.torchvision_ops import import_torch

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True)
class Step:
    """One module's output, in the order of execution. `feeds` are the steps that take it, unchanged, as their input."""

    name: str
    kind: str
    output: Floats
    feeds: tuple[int, ...]


@dataclass(frozen=True)
class Kernel:
    """Weights [O, I / groups, ...] of a convolution or a product, plain and with the BatchNorm behind it folded in."""

    name: str
    plain: Floats
    folded: Floats
    factor: Floats
    """[O]: folded = plain * factor."""


def steps(module: nn.Module, inputs: Floats) -> list[Step]:
    """The outputs of all modules without children for these inputs [N, 3, S, S], as they are executed."""
    torch = import_torch()
    found: list[tuple[str, str, Any, list[int]]] = []
    # Tensors are kept in `held`, so that no other can get their id.
    made: dict[int, int] = {}
    held: list[Any] = []

    def look(name: str) -> Any:
        def after(part: Any, given: Any, result: Any) -> None:
            if not isinstance(result, torch.Tensor) or not result.is_floating_point():
                return
            # An identity hands its input on: it is no step of its own.
            if given and result is given[0]:
                return
            # The activation within a BatchNormAct made this already: one step, under the outer name.
            inner = made.get(id(result)) if _is_norm_with_act(part) else None
            place = len(found) if inner is None else inner
            for one in given:
                if id(one) in made:
                    found[made[id(one)]][3].append(place)
            if inner is not None:
                found[inner] = (name, type(part).__name__, *found[inner][2:])
                return
            found.append((name, type(part).__name__, result.detach().clone(), []))
            made[id(result)] = place
            held.append(result)

        return after

    leaves = [(name, part) for name, part in module.named_modules() if name and not list(part.children())]
    leaves += [(name, part) for name, part in module.named_modules() if _is_norm_with_act(part)]
    hooks = [part.register_forward_hook(look(name)) for name, part in dict(leaves).items()]
    inplace = [part for part in module.modules() if getattr(part, "inplace", False)]
    try:
        for one in inplace:
            one.inplace = False
        with torch.no_grad():
            module(torch.from_numpy(inputs))
    finally:
        for hook in hooks:
            hook.remove()
        for one in inplace:
            one.inplace = True
    return [Step(name, kind, value.numpy(), tuple(feeds)) for name, kind, value, feeds in found]


def kernels(module: nn.Module, order: list[Step]) -> list[Kernel]:
    """Weights of all convolutions and linear layers that are executed, in that order."""
    torch = import_torch()
    parts = dict(module.named_modules())
    found = []
    for step in order:
        part: Any = parts.get(step.name)
        if not isinstance(part, torch.nn.Conv1d | torch.nn.Conv2d | torch.nn.Linear):
            continue
        plain = part.weight.detach().numpy().astype(np.float32)
        factor = np.ones(len(plain), np.float32)
        for place in step.feeds:
            norm: Any = parts.get(order[place].name)
            if isinstance(norm, torch.nn.BatchNorm2d) and norm.running_var is not None:
                gain = norm.weight if norm.affine else torch.ones_like(norm.running_var)
                factor = (gain / torch.sqrt(norm.running_var + norm.eps)).detach().numpy()
                break
        shape = (-1, *([1] * (plain.ndim - 1)))
        found.append(Kernel(step.name, plain, plain * factor.reshape(shape), factor))
    return found


def logits_with(module: nn.Module, weights: dict[str, Floats], inputs: Floats) -> Floats:
    """Logits of the module with the plain weights of some layers replaced; puts them back."""
    torch = import_torch()
    parts = dict(module.named_modules())
    kept = {name: parts[name].weight.detach().clone() for name in weights}
    try:
        with torch.no_grad():
            for name, values in weights.items():
                parts[name].weight.copy_(torch.from_numpy(np.ascontiguousarray(values)))
            return np.concatenate([module(part).numpy() for part in torch.from_numpy(inputs).split(32)])
    finally:
        with torch.no_grad():
            for name, values in kept.items():
                parts[name].weight.copy_(values)


def _is_norm_with_act(part: Any) -> bool:
    """timm's BatchNormAct2d: an own normalisation with the activation as a child."""
    return type(part).__name__.startswith("BatchNormAct")
