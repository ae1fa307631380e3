"""What 8 bits cost, layer by layer: weights against the checkpoint's, activations as they come out of the file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from edgeprof.export.explain import modules
from edgeprof.export.explain.agreement import distance
from edgeprof.export.explain.finding import Finding, LayerError
from edgeprof.export.explain.match import Match, decibels, held_by
from edgeprof.export.explain.modules import Kernel, Step
from edgeprof.export.explain.prepare import Floats
from edgeprof.export.explain.subject import Sample
from edgeprof.export.explain.tensors import HeldWeights

if TYPE_CHECKING:
    from torch import nn

LEVELS = 127
"""Largest number of a symmetric signed scale of 8 bits."""
LOST = 1.0
"""Beyond this relative error the nearest tensor of a file is none of this layer."""
PER_CHANNEL_HELPS = 2.0
"""How many times closer per-channel weights have to bring the outputs before per-tensor weights are the cause."""


@dataclass(frozen=True)
class Analysis:
    """`layers`: weights and outputs, each the worst first."""

    finding: Finding
    layers: list[LayerError]
    notes: list[str]


def analyse(
    module: nn.Module,
    sample: Sample,
    got: Floats,
    order: Sequence[Step],
    found: Sequence[Match],
    held: list[HeldWeights],
) -> Analysis:
    """Weights apart from activations, by running the checkpoint with the file's weights in place of its own."""
    own = modules.kernels(module, list(order))
    pairs = held_by(own, held)
    inputs = sample.inputs(sample.own)
    quantized = {one.name: pairs[one.name] for one in own if one.name in pairs and pairs[one.name][0].scales}
    layers = _weights(own, quantized)
    outputs = _outputs(found)
    total = distance(sample.wanted, got)
    notes = []
    if not quantized:
        notes.append("no layer's quantized weights could be told apart in this file")
        return Analysis(_activations(sample, total, 0.0, outputs, None), [*layers, *outputs], notes)
    if len(quantized) < len(own):
        notes.append(f"weights of {len(own) - len(quantized)} of {len(own)} layers are in float, or were not found")
    changed = [one for one in own if one.name in quantized]
    theirs = modules.logits_with(module, {one.name: _unfolded(one, *pairs[one.name]) for one in changed}, inputs)
    alone = distance(sample.wanted, theirs)
    notes.append(
        f"with its weights alone and activations in float the checkpoint gets {sample.top1(theirs):.1%} of these images"
    )
    single = [one for one in own if one.name in quantized and pairs[one.name][0].scales == 1 and len(one.plain) > 1]
    if single:
        finer = {one.name: _per_channel(one, pairs[one.name][1]) for one in changed}
        better = modules.logits_with(module, finer, inputs)
        if _is_cause(alone, distance(sample.wanted, better), total):
            worst = next(one for one in layers if one.scales == 1)
            finding = Finding(
                cause="quantization",
                name="weights with one scale per tensor",
                says=f"{len(single)} of {len(quantized)} quantized layers have one scale for all output channels; "
                f"the worst is {worst.layer} with {worst.sqnr_db:.1f} dB",
                change="quantize weights per channel (per_channel = true in the exporter's file)",
                restores=sample.top1(better) >= sample.top1(sample.wanted) - 0.02,
                relative_diff=distance(sample.wanted, better),
                top1=sample.top1(better),
            )
            return Analysis(finding, [*layers, *outputs], notes)
    if alone >= total * np.sqrt(0.5):
        worst = layers[0]
        finding = Finding(
            cause="quantization",
            name="weights",
            says=f"most of the difference is in the weights; the worst layer is {worst.layer} ({worst.sqnr_db:.1f} dB)",
            change=f"leave the worst layers in float (from {worst.layer} on in the table), or train with quantization",
            restores=False,
            top1=sample.top1(sample.wanted),
        )
        return Analysis(finding, [*layers, *outputs], notes)
    return Analysis(_activations(sample, total, alone, outputs, theirs), [*outputs, *layers], notes)


def _is_cause(alone: float, better: float, total: float) -> bool:
    """Whether the weights carry a good part of the difference, and per-channel scales would take most of that away."""
    return alone >= 0.3 * min(total, 1.0) and alone >= PER_CHANNEL_HELPS * better


def _activations(
    sample: Sample, total: float, alone: float, outputs: list[LayerError], theirs: Floats | None
) -> Finding:
    worst = f"; the layer with the largest error is {outputs[0].layer} ({outputs[0].sqnr_db:.1f} dB)" if outputs else ""
    share = 1 - min(1.0, (alone / total) ** 2) if total else 0.0
    return Finding(
        cause="quantization",
        name="activations",
        says=f"{share:.0%} of the difference's power comes from activations in 8 bits{worst}",
        change="calibrate with more images (calibration_images), or leave the worst layers in float (keep_float)",
        restores=False,
        top1=None if theirs is None else sample.top1(theirs),
    )


def _weights(own: list[Kernel], pairs: dict[str, tuple[HeldWeights, bool]]) -> list[LayerError]:
    found = []
    for one in own:
        if one.name in pairs:
            held, folded = pairs[one.name]
            wanted = one.folded if folded else one.plain
            error = by_channel(wanted, held.values.reshape(wanted.shape))
            found.append(
                LayerError(
                    layer=one.name,
                    tensor=held.name,
                    kind="weights",
                    sqnr_db=round(decibels(error), 2),
                    relative_error=error,
                    scales=held.scales,
                    channels=len(one.plain),
                )
            )
    return sorted(found, key=lambda one: one.sqnr_db)


def _outputs(found: Sequence[Match]) -> list[LayerError]:
    """Of the layers that have a tensor of their own: one whose next layer is nearer to the file was fused with it."""
    kept: dict[str, Match] = {}
    for one in found:
        fused = any(found[place].relative < one.relative for place in one.step.feeds)
        if one.relative >= LOST or (fused and one.step.kind.startswith(("Conv", "BatchNorm", "Linear"))):
            continue
        if one.tensor not in kept or one.relative < kept[one.tensor].relative:
            kept[one.tensor] = one
    made = [
        LayerError(
            layer=one.step.name,
            tensor=one.tensor,
            kind="output",
            sqnr_db=round(decibels(one.relative), 2),
            relative_error=one.relative,
        )
        for one in kept.values()
    ]
    return sorted(made, key=lambda one: one.sqnr_db)


def by_channel(wanted: Floats, got: Floats) -> float:
    """Relative error of weights [O, ...], root mean square over the output channels, each as important as the others.

    One channel with large weights would hide what happens to all others. A channel that is lost counts 1 at most.
    """
    plain, off = (one.reshape(len(one), -1).astype(np.float64) for one in (wanted, wanted - got))
    power = (plain**2).sum(axis=1)
    alive = power > 0
    if not alive.any():
        return 0.0
    return float(np.sqrt(np.minimum((off**2).sum(axis=1)[alive] / power[alive], 1.0).mean()))


def _unfolded(one: Kernel, held: HeldWeights, folded: bool) -> Floats:
    values = held.values.reshape(one.plain.shape)
    return _divided(values, one) if folded else values


def _divided(values: Floats, one: Kernel) -> Floats:
    """Without the BatchNorm's factor; channels whose factor is 0 are kept as they are."""
    factor = one.factor.reshape(-1, *([1] * (one.plain.ndim - 1)))
    return np.where(factor != 0, values / np.where(factor != 0, factor, 1), one.plain).astype(np.float32)


def _per_channel(one: Kernel, folded: bool) -> Floats:
    """Weights rounded to 8 bits, symmetric, one scale for each output channel."""
    wanted = one.folded if folded else one.plain
    largest = np.abs(wanted).reshape(len(wanted), -1).max(axis=1)
    scale = np.where(largest > 0, largest / LEVELS, 1).reshape(-1, *([1] * (wanted.ndim - 1)))
    rounded = (np.round(wanted / scale) * scale).astype(np.float32)
    return _divided(rounded, one) if folded else rounded
