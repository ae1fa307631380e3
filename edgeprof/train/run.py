"""Trains one cell in this process: the same bytes for the same seed on one machine."""

from __future__ import annotations

import os
import platform
import time
from importlib import metadata
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from edgeprof import __version__
from edgeprof.progress import Progress
from edgeprof.records import Identity, MadeBy, Trained, Training, digest
from edgeprof.store import Store
from edgeprof.train import state
from edgeprof.train.batches import derived_seed, epoch_batches, seed_all, updates_per_epoch
from edgeprof.train.curves import Curves
from edgeprof.train.evaluate import Tests
from edgeprof.train.faults import foreign_errors
from edgeprof.train.how import THREADS, How
from edgeprof.train.machine import Hardware, Machine, hardware, settled
from edgeprof.train.plan import key, stored
from edgeprof.train.step import Updates
from edgeprof.zoo import checkpoint, images, initial, metrics, models
from edgeprof.zoo.torchvision_ops import import_torch

if TYPE_CHECKING:
    from torch import nn

_PACKAGES = ("torch", "torchvision", "timm", "accelerate", "safetensors", "numpy", "pillow", "scikit-learn")
_MOST_WORKERS = 12


def train_here(
    store: Store,
    training: Training,
    identity: Identity,
    progress: Progress,
    how: How,
    *,
    data_sha: str,
    source: Trained | None = None,
    group: bool = False,
) -> Trained | None:
    """The training of one cell: what is stored, or else trained now, from the last finished epoch on.

    Args:
        identity: one of `cells(training)`.
        progress: gets `advance("train", 1, detail)` for every epoch that is done now.
        source: for an init `training:NAME`, the checkpoint to begin from.
        group: whether this process is one of several that train the cell together.

    Returns: None in all processes of a group but the first, which keeps what comes out.

    Raises:
        UsageError: no such model, optimizer, schedule or hardware.
        DataError: the data set is missing or wrong.
        TrainError: weights that do not fit, a loss that is NaN, too little memory.
        RecordError: the store cannot be written (disk full).
    """
    done = stored(store, training, identity, data_sha, source)
    if done is not None:
        return done
    models.check_name(identity.model)
    with foreign_errors(training, identity), settled():
        return _Cell(store, training, identity, progress, how, data_sha, source, group).train()


def image_workers(how: How, on: Hardware, dataset: images.Dataset) -> int:
    """How many processes prepare images beside a training. None for images in memory, which takes microseconds."""
    if how.workers is not None:
        return how.workers
    if dataset.pixels is not None and on.device == "cpu":
        return 0
    cores = len(os.sched_getaffinity(0)) // max(1, how.jobs or 1) // max(1, how.processes or 1)
    return max(0, min(cores - (how.threads or THREADS if on.device == "cpu" else 1), _MOST_WORKERS))


class _Cell:
    """One cell on its way to a checkpoint."""

    def __init__(
        self,
        store: Store,
        training: Training,
        identity: Identity,
        progress: Progress,
        how: How,
        data_sha: str,
        source: Trained | None,
        group: bool,
    ) -> None:
        self.store, self.training, self.identity, self.progress = store, training, identity, progress
        self.data_sha, self.source = data_sha, source
        self.key = key(training, identity, data_sha, source)
        self.dataset = images.open_split(training.data, "train")
        self.on = hardware(how)
        self.come = state.Progressed(
            threads=how.threads or THREADS,
            torch=str(import_torch().__version__),
            hardware=self.on.name,
            mixed_precision=self.on.mixed_precision,
            processes=(how.processes or 1) if group else 1,
        )
        self.kept = self._kept()
        if self.kept is not None:
            self.come = self.kept[0]
        self.machine = Machine(self.on, self.come.threads, group=group)
        self.workers = image_workers(how, self.on, self.dataset)
        self.tests = Tests(self.machine, training, self.workers)
        self.began = time.monotonic()

    def train(self) -> Trained | None:
        recipe, machine = self.training.recipe, self.machine
        module = self._begin()
        found = None
        if recipe.epochs > 0:
            seed = self.identity.seed or 0
            updates = Updates(machine, module, recipe, updates_per_epoch(len(self.dataset), recipe.batch_size), seed)
            if self.kept is not None:
                state.apply(*self.kept, module, updates.optimizer, machine.scaler)
                self._note(f"taken up after epoch {self.come.epoch} of {recipe.epochs}")
            self.kept = None  # a copy of every tensor
            found = self._epochs(module, updates)
        labels, logits = self.tests.predict(module) if found is None else found
        try:
            return self._keep(module, labels, logits) if machine.first else None
        finally:
            machine.release()

    def _epochs(self, module: nn.Module, updates: Updates) -> tuple[NDArray[np.int64], NDArray[np.float32]] | None:
        """What is left of them; what the last one predicts."""
        found, epochs = None, self.training.recipe.epochs
        curves = Curves(self.store, self.identity, self.come) if self.machine.first else None
        try:
            for epoch in range(self.come.epoch, epochs):
                started = time.monotonic()
                result = self._epoch(updates, epoch)
                found = self.tests.predict(module)
                if curves is None:
                    continue
                come = self.come
                self.come = msgspec.structs.replace(
                    come,
                    epoch=epoch + 1,
                    losses=(*come.losses, result.loss),
                    train_top1=(*come.train_top1, result.top1),
                    learning_rates=(*come.learning_rates, result.learning_rate),
                    test_top1=(*come.test_top1, float(np.mean(found[1].argmax(axis=1) == found[0]))),
                    seconds=come.seconds + time.monotonic() - started,
                )
                state.save(self.store, self.key, self.come, module, updates.optimizer, self.machine.scaler)
                curves.add(self.come)
                detail = f"{self.identity.label()} epoch {epoch + 1}/{epochs} loss {result.loss:.3f}"
                self.progress.advance("train", 1, detail=detail)
        finally:
            if curves is not None:
                curves.close()
        return found

    def _epoch(self, updates: Updates, epoch: int) -> Any:
        size = min(self.training.recipe.batch_size, len(self.dataset))
        batches = epoch_batches(
            self.dataset,
            self.training,
            self.identity.seed or 0,
            epoch,
            workers=self.workers,
            pinned=self.on.device == "cuda",
            rank=self.machine.rank,
            processes=self.machine.processes,
        )
        return updates.epoch(epoch, batches, size)

    def _begin(self) -> nn.Module:
        """The module as it is before the first update, on the device."""
        seed_all(derived_seed("weights", self.identity.seed or 0))
        init = self.identity.init or "scratch"
        if self.kept is not None:  # it has every tensor: the weights to begin from need not be fetched again
            module = models.create(self.identity.model, len(self.dataset.classes))
        else:
            module, begun = initial.create(
                self.store,
                self.identity.model,
                self.dataset.classes,
                init,
                image_size=self.training.preprocessing.image_size,
                source=self.source,
                replace_head=self.training.recipe.epochs > 0,
            )
            self.come = msgspec.structs.replace(self.come, weights=begun)
        placed: nn.Module = self.machine.place(module)
        return placed

    def _kept(self) -> tuple[state.Progressed, dict[str, Any]] | None:
        """The state to go on from. One that another torch or other hardware left would lead to bytes of neither."""
        kept = state.load(self.store, self.key)
        if kept is None:
            return None
        for what in ("torch", "hardware", "mixed_precision", "processes"):
            before, now = getattr(kept[0], what), getattr(self.come, what)
            if before != now:
                self._note(f"begun with {what.replace('_', ' ')} {before}, now {now}: begins anew")
                return None
        return kept

    def _note(self, text: str) -> None:
        self.progress.note(f"{self.identity.label()}: {text}")

    def _keep(self, module: nn.Module, labels: NDArray[np.int64], logits: NDArray[np.float32]) -> Trained:
        training, come = self.training, self.come
        module = module.to(device="cpu")
        trained = Trained(
            training=training.name,
            model=self.identity.model,
            init=self.identity.init or "scratch",
            seed=self.identity.seed or 0,
            recipe_sha=digest(training.recipe, training.preprocessing),
            data=training.data,
            data_sha=self.data_sha,
            checkpoint_sha=self.store.add_bytes(checkpoint.to_bytes(module.state_dict())),
            classes=self.dataset.classes,
            accuracy=metrics.accuracy(labels, logits),
            predictions_sha=self.store.add_bytes(checkpoint.predictions_to_bytes(labels, logits)),
            params=models.count_params(module),
            macs=models.count_macs(module, training.preprocessing.image_size),
            preprocessing=training.preprocessing,
            losses=come.losses,
            top1_by_epoch=come.test_top1,
            weights=come.weights,
            threads=come.threads,
            hardware=come.hardware,
            mixed_precision=come.mixed_precision,
            processes=come.processes,
            made_by=MadeBy(
                edgeprof=__version__,
                packages=_versions(),
                machine=platform.machine(),
                seconds=round(come.seconds or time.monotonic() - self.began, 3),
            ),
        )
        self.store.put(Trained.KIND, self.key, trained)
        state.remove(self.store, self.key)
        return trained


def _versions() -> dict[str, str]:
    found = {}
    for name in _PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found
