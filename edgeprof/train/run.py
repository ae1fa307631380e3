"""Trains one cell: timm's transforms, optimizer, schedule and loss; the same bytes for the same seed on one machine."""

from __future__ import annotations

import math
import platform
import random
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import metadata
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from edgeprof import __version__
from edgeprof.errors import EdgeprofError, TrainError, UsageError, nearest
from edgeprof.progress import Progress
from edgeprof.records import Identity, MadeBy, Recipe, Trained, Training, digest
from edgeprof.store import Store
from edgeprof.train import state
from edgeprof.train.batches import derived_seed, epoch_batches, seed_all, updates_per_epoch
from edgeprof.train.plan import key, stored
from edgeprof.zoo import checkpoint, images, metrics, models
from edgeprof.zoo.torchvision_ops import import_timm, import_torch

if TYPE_CHECKING:
    from torch import nn

SCHEDULES = ("cosine", "poly", "tanh", "constant")
THREADS = 1
"""Small images on small networks gain little from a second thread, and lose much when another program takes its core;
one thread also gives the same checkpoint on machines with any number of cores."""
_EVAL_BATCH = 64
_PACKAGES = ("torch", "torchvision", "timm", "safetensors", "numpy", "pillow", "scikit-learn")


def train(
    store: Store, training: Training, identity: Identity, progress: Progress, threads: int | None = None
) -> Trained:
    """The training of one cell: what is stored, or else trained now, from the last finished epoch on.

    Args:
        identity: one of `cells(training)`.
        progress: gets `advance("train", 1, detail)` for every epoch that is done now; `start` and `finish` are the
            caller's, with `epochs_left` as the total.
        threads: `THREADS` if None. A training that is taken up again keeps the number it began with.

    Raises:
        UsageError: no such model, optimizer or schedule.
        DataError: the data set is missing or wrong.
        TrainError: weights that do not fit, a loss that is NaN, too little memory.
        RecordError: the store cannot be written (disk full).
    """
    data_sha = images.fingerprint(training.data)
    done = stored(store, training, identity, data_sha)
    if done is not None:
        return done
    models.check_name(identity.model)
    with _foreign_errors(identity), _settled():
        return _train(store, training, identity, progress, threads, data_sha)


def _train(
    store: Store, training: Training, identity: Identity, progress: Progress, threads: int | None, data_sha: str
) -> Trained:
    torch = import_torch()
    version, began = str(torch.__version__), time.monotonic()
    seed, recipe, cell_key = identity.seed or 0, training.recipe, key(training, identity, data_sha)
    dataset = images.open_split(training.data, "train")
    updates = updates_per_epoch(len(dataset), recipe.batch_size)

    kept = state.load(store, cell_key)
    if kept is not None and kept[0].torch != version:
        progress.note(f"{identity.label()}: begun with torch {kept[0].torch}, now {version}: begins anew")
        kept = None
    come = kept[0] if kept else state.Progressed(threads=threads or THREADS, torch=version)
    torch.set_num_threads(come.threads)
    seed_all(derived_seed("weights", seed))
    # A kept state has every tensor: the weights to begin from need not be fetched again.
    module = models.create(identity.model, len(dataset.classes), "scratch" if kept else identity.init or "scratch")
    # Channels last makes depthwise convolutions two to three times faster here, and changes no result's meaning.
    module = module.to(memory_format=torch.channels_last)
    optimizer = _optimizer(module, recipe)
    scheduler = _scheduler(optimizer, recipe, updates)
    if kept is not None:
        state.apply(*kept, module, optimizer)
        progress.note(f"{identity.label()}: taken up after epoch {come.epoch} of {recipe.epochs}")

    loss_function = _loss(recipe)
    for epoch in range(come.epoch, recipe.epochs):
        started = time.monotonic()
        loss = _epoch(module, optimizer, scheduler, loss_function, dataset, training, seed, epoch)
        come = msgspec.structs.replace(
            come,
            epoch=epoch + 1,
            losses=(*come.losses, loss),
            seconds=come.seconds + time.monotonic() - started,
        )
        state.save(store, cell_key, come, module, optimizer)
        progress.advance("train", 1, detail=f"{identity.label()} epoch {epoch + 1}/{recipe.epochs} loss {loss:.3f}")

    labels, logits = predict(module.to(memory_format=torch.contiguous_format), training)
    trained = Trained(
        training=training.name,
        model=identity.model,
        init=identity.init or "scratch",
        seed=seed,
        recipe_sha=digest(recipe, training.preprocessing),
        data=training.data,
        data_sha=data_sha,
        checkpoint_sha=store.add_bytes(checkpoint.to_bytes(module.state_dict())),
        classes=dataset.classes,
        accuracy=metrics.accuracy(labels, logits),
        predictions_sha=store.add_bytes(checkpoint.predictions_to_bytes(labels, logits)),
        params=models.count_params(module),
        macs=models.count_macs(module, training.preprocessing.image_size),
        preprocessing=training.preprocessing,
        losses=come.losses,
        threads=come.threads,
        made_by=MadeBy(
            edgeprof=__version__,
            packages=_versions(),
            machine=platform.machine(),
            seconds=round(come.seconds or time.monotonic() - began, 3),
        ),
    )
    store.put(Trained.KIND, cell_key, trained)
    state.remove(store, cell_key)
    return trained


def predict(module: nn.Module, training: Training) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Labels int64 [N] and logits float32 [N, classes] of the test images in order, in eval mode."""
    torch = import_torch()
    module.eval()
    labels, logits = [], []
    with torch.inference_mode():
        for batch, numbers in images.test_batches(training.data, training.preprocessing, _EVAL_BATCH):
            logits.append(module(torch.from_numpy(batch)).float().numpy())
            labels.append(numbers)
    return np.concatenate(labels), np.concatenate(logits)


def _epoch(
    module: nn.Module,
    optimizer: Any,
    scheduler: Any,
    loss_function: Any,
    dataset: images.Dataset,
    training: Training,
    seed: int,
    epoch: int,
) -> float:
    """One epoch; its mean loss."""
    clip, updates = training.recipe.clip_grad, updates_per_epoch(len(dataset), training.recipe.batch_size)
    channels_last = import_torch().channels_last
    module.train()
    losses = []
    for step, (batch, labels) in enumerate(epoch_batches(dataset, training, seed, epoch)):
        number = epoch * updates + step
        scheduler.step_update(number)
        # Dropout and stochastic depth draw from torch's generator.
        seed_all(derived_seed("update", seed, number))
        loss = loss_function(module(batch.contiguous(memory_format=channels_last)), labels)
        losses.append(float(loss.item()))
        if not math.isfinite(losses[-1]):
            raise TrainError(
                f"the loss became {losses[-1]} in epoch {epoch + 1}, update {step + 1} of {updates}",
                hint=f"lower recipe.learning_rate ({training.recipe.learning_rate:g}) or set recipe.clip_grad = 1.0",
            )
        optimizer.zero_grad()
        loss.backward()
        if clip is not None:
            import_timm().utils.dispatch_clip_grad(module.parameters(), value=clip, mode="norm")
        optimizer.step()
    return float(np.mean(losses))


def _optimizer(module: nn.Module, recipe: Recipe) -> Any:
    optim = import_timm().optim
    if recipe.optimizer not in optim.list_optimizers():
        raise UsageError(
            f"recipe.optimizer: timm has no optimizer named {recipe.optimizer!r}",
            hint=nearest(recipe.optimizer, optim.list_optimizers()),
        )
    return optim.create_optimizer_v2(
        module, opt=recipe.optimizer, lr=recipe.learning_rate, weight_decay=recipe.weight_decay
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


@contextmanager
def _settled() -> Iterator[None]:
    """Deterministic operators while training; the process's generators and settings are as before afterwards."""
    torch = import_torch()
    # Imported before the states are taken: imports may draw random numbers.
    import_timm()
    threads, strict = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    warn_only = torch.is_deterministic_algorithms_warn_only_enabled()
    states = random.getstate(), np.random.get_state(), torch.get_rng_state()
    try:
        torch.use_deterministic_algorithms(True)
        yield
    finally:
        torch.use_deterministic_algorithms(strict, warn_only=warn_only)
        torch.set_num_threads(threads)
        random.setstate(states[0])
        np.random.set_state(states[1])
        torch.set_rng_state(states[2])


@contextmanager
def _foreign_errors(identity: Identity) -> Iterator[None]:
    """The one place where errors of torch and timm while training become ours."""
    try:
        yield
    except EdgeprofError as error:
        if isinstance(error, TrainError) and error.where is None:
            error.where = identity.label()
        raise
    except (MemoryError, RuntimeError, AssertionError, ValueError, TypeError, NotImplementedError) as error:
        text = (str(error).strip() or type(error).__name__).splitlines()[0][:400]
        if (
            isinstance(error, MemoryError)
            or "allocate memory" in text
            or "not enough memory" in text
            or "out of memory" in text.lower()
        ):
            raise TrainError(
                f"there is not enough memory: {text}",
                where=identity.label(),
                hint="lower recipe.batch_size or preprocessing.image_size",
            ) from error
        # Most often a model that does not take this image size; its own words say so.
        hint = "choose another preprocessing.image_size" if "size" in text or "height" in text.lower() else None
        raise TrainError(f"the training failed: {text}", where=identity.label(), hint=hint) from error


def _versions() -> dict[str, str]:
    found = {}
    for name in _PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found
