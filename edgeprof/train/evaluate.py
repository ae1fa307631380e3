"""What a network makes of the test images while it is being trained, and at its end."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from edgeprof.errors import DataError
from edgeprof.records import Training
from edgeprof.train.batches import loaded
from edgeprof.train.machine import Machine
from edgeprof.zoo import images
from edgeprof.zoo.torchvision_ops import import_torch

if TYPE_CHECKING:
    from torch import nn

BATCH = 64
KEPT_BYTES = 256 << 20
"""Prepared test images up to this size are kept in memory; larger sets are prepared anew each time."""


class Tests:
    """The test images of a training, in order."""

    def __init__(self, machine: Machine, training: Training, workers: int) -> None:
        self._machine, self._workers = machine, workers
        self._prepared = _Prepared(images.open_split(training.data, "test"), training)
        whole = [range(at, min(at + BATCH, len(self))) for at in range(0, len(self), BATCH)]
        self._own = list(enumerate(whole))[machine.rank :: machine.processes]
        self._fits = 4 * 3 * training.preprocessing.image_size**2 * len(self) <= KEPT_BYTES
        self._kept: list[tuple[Any, Any]] | None = None

    def __len__(self) -> int:
        return len(self._prepared.dataset)

    def predict(self, module: nn.Module) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Labels int64 [N] and logits float32 [N, classes] of the module in eval mode and fp32.

        Draws no random number and changes nothing but the module's mode. Each process of several takes its batches,
        and all get the whole.

        Raises:
            DataError: a test image does not decode.
        """
        torch, device = import_torch(), self._machine.device
        module.eval()
        found = []
        with torch.inference_mode():
            for (number, _), (batch, labels) in zip(self._own, self._batches(), strict=True):
                batch = batch.to(device, non_blocking=True, memory_format=torch.channels_last)
                found.append((number, labels.numpy(), module(batch).float().cpu().numpy()))
        ordered = sorted(self._machine.gathered(found), key=lambda one: one[0])
        labels, logits = (np.concatenate([one[place] for one in ordered]) for place in (1, 2))
        return labels, logits

    def image_s(self, module: nn.Module) -> float:
        """Seconds that one image of a process's share takes, from the file to its logits, found with two batches."""
        module.eval()
        asked = []
        with import_torch().inference_mode():
            for numbers in [numbers for _, numbers in self._own[:2]]:
                began = time.perf_counter()
                for batch, _ in loaded(self._prepared, [list(numbers)], 0, False):
                    batch = batch.to(self._machine.device, memory_format=import_torch().channels_last)
                    module(batch).float().cpu()
                asked.append((time.perf_counter() - began) / len(numbers))
        return asked[-1] if asked else 0.0

    def _batches(self) -> list[tuple[Any, Any]] | Any:
        if self._kept is not None:
            return self._kept
        plan = [list(numbers) for _, numbers in self._own]
        batches = loaded(self._prepared, plan, self._workers, self._machine.device.type == "cuda")
        if not self._fits:
            return batches
        self._kept = list(batches)
        return self._kept


class _Prepared:
    """What torch's DataLoader wants."""

    def __init__(self, dataset: images.Dataset, training: Training) -> None:
        self.dataset = dataset
        self._transform = images.eval_transform(training.preprocessing)

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, index: int) -> tuple[Any, int]:
        label = int(self.dataset.labels[index])
        try:
            return self._transform(self.dataset.image(index)), label
        except DataError as error:
            return error, label
