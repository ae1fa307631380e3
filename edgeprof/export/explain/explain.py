"""One file against its checkpoint: whether it loses, and by what cause."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from edgeprof.export import verify
from edgeprof.export.explain import modules, outputs, program, quantization, search, tensors, training_mode
from edgeprof.export.explain.agreement import EXACT, HELPS, ROUNDED, distance, relative_diff
from edgeprof.export.explain.finding import Explanation, Finding, LayerError
from edgeprof.export.explain.match import Match, decibels, matches, parting
from edgeprof.export.explain.prepare import Floats, Way
from edgeprof.export.explain.program import Seen
from edgeprof.export.explain.subject import Runner, Sample, take_sample
from edgeprof.export.explain.tensors import Inside
from edgeprof.records import Format, Trained
from edgeprof.store import Store
from edgeprof.zoo import checkpoint
from edgeprof.zoo.torchvision_ops import import_timm, import_torch

if TYPE_CHECKING:
    from torch import nn

LAYER_IMAGES = 4
"""Images that tensors between operators are compared on."""
PARTING = 3e-4
"""Relative error beyond which a layer in float32 departs; of two float32 runtimes it is around 1e-6."""
FIRST_LAYERS = 6
QUANTIZED_FIRST = 0.1
"""One of the first layers agrees up to this relative error where the images are prepared rightly."""
LOST_IMAGES = 2
"""A quantized file has lost something when it names at least so many images of the sample less rightly ..."""
LOST_AGREEMENT = 0.97
"""... or agrees with its checkpoint on fewer than this share of them."""
QUANTIZED_SAME = 0.3
"""A quantized file does what its checkpoint does up to this distance, if the cause had taken it HELPS times further."""


def explain(
    store: Store,
    trained: Trained,
    format: Format,
    files: Mapping[str, Path],
    subject: str,
    *,
    probabilities: bool = False,
    seen: Seen | None = None,
) -> Explanation:
    """Why a file does not do what its checkpoint does; of a file that does, why a user's program does not.

    Args:
        files: conventional name (`model.xml`) -> path.
        subject: what to call the file.
        probabilities: the outputs are to be the softmax of what the checkpoint gives.
        seen: what a user's program gave to the file and got from it, for the first test images in order.

    Raises:
        ExportError: it cannot be opened or run, or is no classifier of such images.
        DataError, TrainError: the test images or the checkpoint cannot be had.
        MissingPackageError: a runtime is not installed.
    """
    import_torch().set_num_threads(1)
    module = import_timm().utils.model.reparameterize_model(checkpoint.restore(trained, store)).eval()
    sample = take_sample(trained, module, among=seen.images if seen else None)
    if probabilities:
        sample.wanted = outputs.softmax(sample.wanted)
    runner = Runner(format, files, len(trained.classes), trained.preprocessing.image_size)
    case = _Case(module, sample, runner)
    case.look()
    if seen is not None and not case.findings:
        return program.told(seen, sample, runner, subject, trained.identity.label())
    return case.told(format, subject, trained.identity.label())


@dataclass
class _Case:
    module: nn.Module
    sample: Sample
    runner: Runner
    findings: list[Finding] = field(default_factory=list)
    layers: list[LayerError] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.own = Way(**{**vars(self.sample.own), "size": self.runner.side})
        if self.runner.side != self.sample.own.size:
            self.notes.append(
                f"it takes images of {self.runner.side} pixels, its checkpoint was trained with {self.sample.own.size}"
            )
        if self.runner.nhwc:
            self.notes.append("its input is NHWC: rows, columns, channels")
        self.got = self.runner.run(self.runner.arrange(self.sample.inputs(self.own), self.own))
        try:
            self.inside = tensors.reader(self.runner.format).inside(self.runner.files)
        except Exception as error:  # each format's reader has its own classes; the file runs, so go on without it
            self.inside = Inside(quantized=False, halves=False, weights=[])
            self.notes.append(f"the file could not be looked into: {type(error).__name__}")

    # --- what counts as the same

    def same(self, wanted: Floats, got: Floats) -> bool:
        """Whether outputs agree as well as this kind of file can."""
        if not self.inside.quantized:
            return relative_diff(wanted, got) <= (ROUNDED if self.inside.halves else EXACT)
        away = distance(wanted, got)
        return away <= QUANTIZED_SAME and away * HELPS <= distance(self.sample.wanted, self.got)

    def lost(self) -> bool:
        """Whether there is anything to explain."""
        wanted, got = self.sample.wanted, self.got
        if not np.isfinite(got).all():
            return True
        if not self.inside.quantized:
            return not self.same(wanted, got)
        less = (self.sample.top1(wanted) - self.sample.top1(got)) * len(got)
        agreement = float((wanted.argmax(axis=1) == got.argmax(axis=1)).mean())
        return less > LOST_IMAGES - 0.5 or agreement < LOST_AGREEMENT or distance(wanted, got) > QUANTIZED_SAME

    # --- the causes, in the order in which one hides the next

    def look(self) -> None:
        """Fill in the findings."""
        if not self.lost():
            return
        if self._random() or self._outputs() or self._training_mode():
            return
        order, found = self._layers()
        # A file whose first layers see what the checkpoint's see is given the right images.
        if not self._begins_right(found) and self._preparation():
            return
        if self.inside.quantized:
            self._quantization(order, found)
        elif found:
            self._numerics(found)

    def _random(self) -> bool:
        few = self.runner.arrange(self.sample.inputs(self.own)[:8], self.own)
        if not training_mode.draws(self.runner.run(few), self.runner.run(few)):
            return False
        self.findings.append(
            Finding(
                cause="random",
                name="dropout active",
                says="it gives other outputs each time for the same image: something in it draws, as dropout does",
                change="put the module into eval mode before the export (module.eval())",
                restores=False,
            )
        )
        return True

    def _outputs(self) -> bool:
        if not np.isfinite(self.got).all():
            return False
        for one in outputs.relations(self.sample.wanted, self.got):
            if outputs.matching(one, self.same):
                self._found("outputs", one.name, one.says, one.change, one.wanted, one.mended, top1=one.mended)
                return True
        return False

    def _training_mode(self) -> bool:
        theirs = training_mode.by_own_statistics(self.module, self.sample.inputs(self.sample.own))
        if theirs is None or self.runner.side != self.sample.own.size or not self.same(theirs, self.got):
            return False
        self._found(
            "batchnorm",
            "BatchNorm in training mode",
            "it normalises by each image's own statistics instead of those kept from training",
            "put the module into eval mode before the export (module.eval())",
            self.sample.wanted,
            self.sample.wanted,
        )
        return True

    def _preparation(self) -> bool:
        found = search.best(self.runner, self.sample, self.same)
        if found is None:
            return False
        before = distance(self.sample.wanted, self.got)
        if not found.restores and not found.distance * HELPS <= before:
            return False
        axes, name = found.hypothesis.axes, found.hypothesis.name
        wanted = outputs.softmax(self.sample.wanted) if found.softmax else self.sample.wanted
        how = "right" if found.restores else "nearer"
        tail = ", and its outputs are the softmax of them" if found.softmax else ""
        self._found(
            "layout" if axes == {"layout"} else "preprocessing",
            name,
            f"it is {how} on images prepared otherwise than its checkpoint's: {name}{tail}",
            "export it again for images prepared as its checkpoint's were, or prepare images for this file like that",
            wanted,
            found.outputs,
            restores=found.restores,
        )
        return found.restores

    def _begins_right(self, found: list[Match]) -> bool:
        most = QUANTIZED_FIRST if self.inside.quantized else ROUNDED if self.inside.halves else EXACT
        return any(one.relative <= most for one in found[:FIRST_LAYERS])

    def _quantization(self, order: list[modules.Step], found: list[Match]) -> None:
        made = quantization.analyse(self.module, self.sample, self.got, order, found, self.inside.weights)
        self.findings.insert(0, made.finding)
        self.layers += made.layers
        self.notes += made.notes

    def _numerics(self, found: list[Match]) -> None:
        last, first = parting(found, ROUNDED if self.inside.halves else PARTING)
        if first is None:
            return
        begin = 0 if last is None else last
        for one in found[begin : first + 8]:
            if one.tensor:
                self.layers.append(
                    LayerError(
                        layer=one.step.name,
                        tensor=one.tensor,
                        kind="output",
                        sqnr_db=round(decibels(one.relative), 2),
                        relative_error=min(one.relative, 1e9),
                    )
                )
        departs, agrees = found[first], None if last is None else found[last].step.name
        after = f", behind {agrees}, which agrees" if agrees else ", the first of all"
        self.findings.append(
            Finding(
                cause="numerics",
                name=f"departs at {departs.step.name}",
                says=f"the first layer whose output departs is {departs.step.name} ({departs.step.kind}; in the file "
                f"{departs.tensor or 'without a tensor of its shape'}){after}",
                change="look at the operator that makes it: its weights, its attributes, its precision (relative error "
                f"{departs.relative:.2g})",
                restores=False,
            )
        )

    def _layers(self) -> tuple[list[modules.Step], list[Match]]:
        inputs = self.sample.inputs(self.own)[:LAYER_IMAGES]
        order = modules.steps(self.module, inputs)
        try:
            inner = tensors.reader(self.runner.format).run(self.runner.files, self.runner.arrange(inputs, self.own))
        except Exception as error:  # as above
            self.notes.append(f"tensors between operators could not be read: {type(error).__name__}: {error}"[:300])
            return order, []
        return order, matches(order, inner)

    # --- the answer

    def _found(
        self,
        cause: str,
        name: str,
        says: str,
        change: str,
        wanted: Floats,
        mended: Floats,
        *,
        restores: bool = True,
        top1: Floats | None = None,
    ) -> None:
        self.findings.append(
            Finding(
                cause=cause,  # type: ignore[arg-type]
                name=name,
                says=says,
                change=change,
                restores=restores,
                relative_diff=relative_diff(wanted, mended),
                top1=self.sample.top1(mended if top1 is None else top1),
            )
        )

    def told(self, format: Format, subject: str, label: str) -> Explanation:
        """The explanation of what was found."""
        wanted, got = self.sample.wanted, self.got
        finite = bool(np.isfinite(got).all())
        first = self.findings[0] if self.findings else None
        full = next((one for one in self.findings if one.restores), None) or (
            first if first and first.cause in ("random", "numerics", "quantization") else None
        )
        if not self.lost():
            cause, verdict = "none", "no loss found: it does what its checkpoint does"
        elif full is not None:
            cause, verdict = full.cause, f"{full.cause}: {full.says}"
        elif first is not None:
            cause, verdict = "unknown", f"the whole cause was not found; what helps: {first.name}"
        else:
            cause, verdict = "unknown", "it does not do what its checkpoint does, and no cause that is known here fits"
        main = full or first
        return Explanation(
            subject=subject,
            format=format,
            checkpoint=label,
            cause=cause,  # type: ignore[arg-type]
            verdict=verdict,
            change=main.change if main else None,
            images=len(wanted),
            top1=self.sample.top1(wanted),
            file_top1=self.sample.top1(got) if finite else None,
            mended_top1=main.top1 if main else None,
            parity=verify.compare(wanted, got) if finite else None,
            findings=tuple(self.findings),
            layers=tuple(self.layers),
            notes=tuple(self.notes),
        )
