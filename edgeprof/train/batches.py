"""Training batches: order and augmentation are pure functions of the seed, the epoch and the image's number.

So a training that is taken up again sees the very same batches, whatever drew random numbers before.
"""

from __future__ import annotations

import hashlib
import random
import signal
import threading
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from edgeprof.errors import DataError
from edgeprof.records import Training
from edgeprof.zoo.images import Dataset
from edgeprof.zoo.torchvision_ops import import_timm, import_torch


def derived_seed(*parts: object) -> int:
    """A seed of 32 bits that is independent for different parts."""
    return int.from_bytes(hashlib.sha256(repr(parts).encode()).digest()[:4], "little")


def seed_all(seed: int) -> None:
    """Seed every generator that timm's transforms and models draw from.

    `torch.manual_seed` asks every kind of device there might be; that takes longer than preparing a small image.
    """
    torch = import_torch()
    random.seed(seed)
    np.random.seed(seed)
    torch.default_generator.manual_seed(seed)
    if torch.cuda.is_initialized():
        torch.cuda.manual_seed(seed)


def updates_per_epoch(images: int, batch_size: int) -> int:
    """Whole batches in an epoch; a set smaller than one batch is one batch."""
    return max(1, images // batch_size)


def share_of(size: int, rank: int, processes: int) -> slice:
    """Which images of a batch of `size` are a process's own; sizes differ by at most one."""
    return slice(size * rank // processes, size * (rank + 1) // processes)


def epoch_batches(
    dataset: Dataset,
    training: Training,
    seed: int,
    epoch: int,
    *,
    workers: int = 0,
    pinned: bool = False,
    rank: int = 0,
    processes: int = 1,
) -> Iterator[tuple[Any, Any]]:
    """The batches of an epoch: float32 tensor [B, 3, S, S] and int64 tensor [B], augmented by timm's transforms.

    A last batch that is not whole is left out (BatchNorm cannot take one image, and few give poor statistics); the
    images left out differ from epoch to epoch.

    Args:
        workers: processes that prepare images ahead; 0: this one does, when they are asked for.
        pinned: in memory that a GPU can copy from by itself.
        rank, processes: of each batch only the share of this process.

    Raises:
        DataError: an image does not decode.
    """
    torch = import_torch()
    augmented = _Augmented(dataset, train_transform(training), seed, epoch)
    size = min(training.recipe.batch_size, len(dataset))
    generator = torch.Generator().manual_seed(derived_seed("order", seed, epoch))
    order = torch.randperm(len(dataset), generator=generator).tolist()
    count = updates_per_epoch(len(dataset), training.recipe.batch_size)
    own = share_of(size, rank, processes)
    batches = [order[start * size : (start + 1) * size][own] for start in range(count)]
    yield from loaded(augmented, batches, workers, pinned)


def loaded(images: Any, batches: Sequence[Sequence[int]], workers: int, pinned: bool) -> Iterator[tuple[Any, Any]]:
    """Batches of items by number, through torch's DataLoader.

    Raises:
        DataError: an image does not decode.
    """
    loader = import_torch().utils.data.DataLoader(
        images, batch_sampler=batches, num_workers=workers, pin_memory=pinned, collate_fn=_collate
    )
    before = signal.getsignal(signal.SIGCHLD)
    started = iter(loader)
    _no_signal_of_ended_workers(before)
    for batch, labels in started:
        if isinstance(batch, DataError):
            raise batch
        yield batch, labels


def _no_signal_of_ended_workers(before: Any) -> None:
    """Put back what stood for SIGCHLD before torch's handler, which learns at once that a worker has ended; torch looks
    for that itself as well.

    Some hypervisors end a process to which a signal is delivered while it computes with AMX, and each worker's end
    would be such a signal.

    Args:
        before: as `signal.getsignal` gave it; None: not set from Python, and then nothing is put back.
    """
    main = threading.current_thread() is threading.main_thread()
    if main and before is not None and signal.getsignal(signal.SIGCHLD) is not before:
        signal.signal(signal.SIGCHLD, before)


def _collate(items: list[tuple[Any, int]]) -> tuple[Any, Any]:
    torch = import_torch()
    for image, _ in items:
        if isinstance(image, DataError):
            return image, None
    return torch.stack([image for image, _ in items]), torch.tensor([label for _, label in items])


def train_transform(training: Training) -> Any:
    """timm's training transform as the recipe says, PIL image -> float32 tensor [3, S, S]."""
    recipe, pre = training.recipe, training.preprocessing
    return import_timm().data.create_transform(
        input_size=(3, pre.image_size, pre.image_size),
        is_training=True,
        scale=recipe.crop_scale,
        ratio=recipe.crop_ratio,
        hflip=recipe.horizontal_flip,
        color_jitter=None,
        auto_augment=recipe.auto_augment,
        interpolation=pre.interpolation,
        mean=pre.mean,
        std=pre.std,
        re_prob=recipe.random_erasing,
        re_mode="const",
    )


class _Augmented:
    """What torch's DataLoader wants: images by number. An image that does not decode is its error: torch would wrap
    one that is raised in a worker beyond recognition."""

    def __init__(self, dataset: Dataset, transform: Any, seed: int, epoch: int) -> None:
        self._dataset, self._transform, self._seed, self._epoch = dataset, transform, seed, epoch

    def __len__(self) -> int:
        return len(self._dataset)

    def __getitem__(self, index: int) -> tuple[Any, int]:
        label = int(self._dataset.labels[index])
        try:
            image = self._dataset.image(index)
        except DataError as error:
            return error, label
        seed_all(derived_seed("augment", self._seed, self._epoch, index))
        return self._transform(image), label
