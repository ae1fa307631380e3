"""Optimizer, schedule and loss of a recipe, from timm; one epoch of updates with them."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from edgeprof.errors import TrainError, UsageError, nearest
from edgeprof.records import Recipe
from edgeprof.train.batches import derived_seed, seed_all
from edgeprof.train.machine import Machine
from edgeprof.zoo.torchvision_ops import import_timm, import_torch

if TYPE_CHECKING:
    from torch import nn

SCHEDULES = ("cosine", "poly", "tanh", "constant")
LOOK_EVERY = 32
"""Updates between two looks at the losses on a GPU: each look waits for it."""
OVERFLOWS = 16
"""So many losses in a row may be no numbers in fp16, while its scaler finds a scale that fits."""


@dataclass(frozen=True)
class Epoch:
    """What an epoch came to.

    Attributes:
        loss: mean over its images.
        top1: share of the augmented training images that the network named rightly, each when its turn came.
        learning_rate: of the last update.
    """

    loss: float
    top1: float
    learning_rate: float


class Updates:
    """The updates of one training.

    Args:
        module: on its device.
        updates: how many make an epoch.

    Raises:
        UsageError: no such optimizer or schedule.
    """

    def __init__(self, machine: Machine, module: nn.Module, recipe: Recipe, updates: int, seed: int) -> None:
        self.optimizer = _optimizer(module, recipe)
        self._machine, self._module, self._recipe = machine, module, recipe
        self._called = machine.shared(module)
        self._stepped = machine.prepared(self.optimizer)
        self._scheduler = _scheduler(self.optimizer, recipe, updates)
        self._loss = _loss(recipe)
        self._updates, self._seed = updates, seed

    def epoch(self, epoch: int, batches: Iterable[tuple[Any, Any]], size: int) -> Epoch:
        """Train on the batches of an epoch: this process's share of each, which has `size` images in all.

        Raises:
            TrainError: the loss is no number.
        """
        torch, machine = import_torch(), self._machine
        self._module.train()
        watch = _Losses(self._recipe, epoch, self._updates, patient=machine.scaler is not None)
        every = 1 if machine.device.type == "cpu" else LOOK_EVERY
        right: Any = torch.zeros((), device=machine.device)
        images, waiting = 0, []
        for step, (batch, labels) in enumerate(batches):
            batch = batch.to(machine.device, non_blocking=True, memory_format=torch.channels_last)
            labels = labels.to(machine.device, non_blocking=True)
            logits, loss = self._update(epoch * self._updates + step, batch, labels, len(labels) / size)
            right += (logits.argmax(dim=1) == labels).sum()
            images += len(labels)
            waiting.append((loss, len(labels)))
            if len(waiting) == every:
                watch.look(waiting)
                waiting = []
        watch.look(waiting)
        own = [watch.total, watch.images, float(right), images]
        loss_sum, counted, named, seen = machine.summed(own)
        return Epoch(
            loss=loss_sum / counted if counted else math.nan,
            top1=named / seen,
            learning_rate=float(self.optimizer.param_groups[0]["lr"]),
        )

    def _update(self, number: int, batch: Any, labels: Any, share: float) -> tuple[Any, Any]:
        """One update; the logits and the mean loss of this process's images."""
        machine = self._machine
        self._scheduler.step_update(number)
        # Dropout and stochastic depth draw from torch's generator.
        seed_all(derived_seed("update", self._seed, number, *([machine.rank] if machine.rank else [])))
        with machine.autocast():
            logits = self._called(batch)
        logits = logits.float()
        loss = self._loss(logits, labels)
        self.optimizer.zero_grad()
        # Gradients are averaged over the processes: shares of other sizes must count by their images.
        machine.backward(loss if machine.processes == 1 else loss * (share * machine.processes))
        if self._recipe.clip_grad is not None:
            machine.unscale()
            import_timm().utils.dispatch_clip_grad(self._module.parameters(), value=self._recipe.clip_grad, mode="norm")
        self._stepped.step()
        return logits.detach(), loss.detach()


class _Losses:
    """Sums the losses of an epoch, and stops where they are no numbers.

    `patient`: with a gradient scaler an overflow is a step left out and a smaller scale; only many in a row stop.
    """

    def __init__(self, recipe: Recipe, epoch: int, updates: int, *, patient: bool) -> None:
        self._recipe, self._epoch, self._updates = recipe, epoch, updates
        self._allowed = OVERFLOWS if patient else 0
        self._bad = self._step = 0
        self.total, self.images = 0.0, 0

    def look(self, losses: list[tuple[Any, int]]) -> None:
        """Mean losses of the next updates with the number of their images."""
        for loss, images in losses:
            value, self._step = float(loss), self._step + 1
            if math.isfinite(value):
                self.total, self.images, self._bad = self.total + value * images, self.images + images, 0
                continue
            self._bad += 1
            if self._bad > self._allowed:
                rate = self._recipe.learning_rate
                raise TrainError(
                    f"the loss became {value} in epoch {self._epoch + 1}, update {self._step} of {self._updates}",
                    hint=f"lower recipe.learning_rate ({rate:g}) or set recipe.clip_grad = 1.0"
                    + ("; or train with --mixed-precision no" if self._allowed else ""),
                )


def _optimizer(module: nn.Module, recipe: Recipe) -> Any:
    optim = import_timm().optim
    if recipe.optimizer not in optim.list_optimizers():
        raise UsageError(
            f"recipe.optimizer: timm has no optimizer named {recipe.optimizer!r}",
            hint=nearest(recipe.optimizer, optim.list_optimizers()),
        )
    # One kernel for a tensor's whole update, where torch has it for processors and GPUs: of a small network's step the
    # update is a twentieth.
    torch = import_torch()
    fused = (torch.optim.AdamW, torch.optim.Adam, torch.optim.SGD)
    kernel = {"fused": True} if optim.get_optimizer_class(recipe.optimizer, bind_defaults=False) in fused else {}
    return optim.create_optimizer_v2(
        module,
        opt=recipe.optimizer,
        lr=recipe.learning_rate,
        weight_decay=recipe.weight_decay,
        **kernel,
    )


def _scheduler(optimizer: Any, recipe: Recipe, updates: int) -> Any:
    if recipe.schedule not in SCHEDULES:
        raise UsageError(
            f"recipe.schedule: there is no schedule named {recipe.schedule!r}", hint=nearest(recipe.schedule, SCHEDULES)
        )
    scheduler, _ = import_timm().scheduler.create_scheduler_v2(
        optimizer,
        sched=recipe.schedule,
        num_epochs=recipe.epochs,
        warmup_epochs=recipe.warmup_epochs,
        warmup_lr=min(recipe.min_learning_rate, recipe.learning_rate),
        min_lr=min(recipe.min_learning_rate, recipe.learning_rate),
        step_on_epochs=False,
        updates_per_epoch=updates,
    )
    if scheduler is None:
        raise UsageError(f"recipe.schedule: this timm has no schedule {recipe.schedule!r}", hint="pip install -U timm")
    return scheduler


def _loss(recipe: Recipe) -> Any:
    if recipe.label_smoothing > 0:
        return import_timm().loss.LabelSmoothingCrossEntropy(smoothing=recipe.label_smoothing)
    return import_torch().nn.CrossEntropyLoss()
