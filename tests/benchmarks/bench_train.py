"""Images per second of our training against the steps of timm's train script, in turn, on the same images.

Run by `make bench`, or alone: `pytest -m bench -s tests/benchmarks/bench_train.py`. Prints a table in Markdown. timm's
train script is not in its wheel: what is timed is its loop over batches, made of timm's own public parts in its order
(create_dataset, create_loader, create_optimizer_v2, create_scheduler_v2; forward, loss, zero_grad, backward, step,
step_update, loss.item), with one thread and no loader process on both sides. Ours is `train.step.Updates` over
`train.batches.epoch_batches`, as `edgeprof train` calls them.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from edgeprof.records import Data, Preprocessing, Recipe, Training
from edgeprof.train.batches import epoch_batches, seed_all, updates_per_epoch
from edgeprof.train.how import How
from edgeprof.train.machine import Machine, hardware, settled
from edgeprof.train.step import Updates
from edgeprof.zoo import images, models

pytestmark = pytest.mark.bench

MODELS = ("resnet18", "mobilenetv3_small_100", "efficientnet_b0")
IMAGES, SIZE, BATCH, TURNS = 256, 64, 32, 9


def training(folder: Path, model: str) -> Training:
    numbers = np.random.default_rng(0)
    for split in ("train", "test"):
        for number in range(IMAGES if split == "train" else 4):
            where = folder / split / f"class {number % 4}"
            where.mkdir(parents=True, exist_ok=True)
            pixels = numbers.integers(0, 256, (80, 80, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(where / f"{number}.png")
    return Training(
        name="bench",
        models=(model,),
        data=Data(name="imagefolder", root=str(folder)),
        preprocessing=Preprocessing(image_size=SIZE, mean=(0.5, 0.5, 0.5), std=(0.25, 0.25, 0.25)),
        recipe=Recipe(epochs=1000, batch_size=BATCH, horizontal_flip=0.5),
    )


def ours(recipe: Training) -> Callable[[int], None]:
    """One epoch of `edgeprof train`."""
    machine = Machine(hardware(How()), 1)
    seed_all(0)
    dataset = images.open_split(recipe.data, "train")
    module = machine.place(models.create(recipe.models[0], len(dataset.classes)))
    updates = Updates(machine, module, recipe.recipe, updates_per_epoch(len(dataset), BATCH), 0)
    return lambda epoch: void(updates.epoch(epoch, epoch_batches(dataset, recipe, 0, epoch), BATCH))


def theirs(recipe: Training) -> Callable[[int], None]:
    """One epoch of timm's train script, channels last as its option `--channels-last` has it."""
    import timm
    import torch

    seed_all(0)
    how = recipe.preprocessing
    dataset = timm.data.create_dataset("", root=recipe.data.root, split="train", is_training=True)
    loader = timm.data.create_loader(
        dataset,
        input_size=(3, SIZE, SIZE),
        batch_size=BATCH,
        is_training=True,
        use_prefetcher=False,
        no_aug=False,
        scale=recipe.recipe.crop_scale,
        ratio=recipe.recipe.crop_ratio,
        hflip=recipe.recipe.horizontal_flip,
        color_jitter=None,
        interpolation=how.interpolation,
        mean=how.mean,
        std=how.std,
        num_workers=0,
        device=torch.device("cpu"),
    )
    module = timm.create_model(recipe.models[0], num_classes=4).to(memory_format=torch.channels_last)
    optimizer = timm.optim.create_optimizer_v2(
        module, opt=recipe.recipe.optimizer, lr=recipe.recipe.learning_rate, weight_decay=recipe.recipe.weight_decay
    )
    scheduler, _ = timm.scheduler.create_scheduler_v2(
        optimizer, sched="cosine", num_epochs=1000, warmup_epochs=1, step_on_epochs=False, updates_per_epoch=len(loader)
    )
    loss_function = timm.loss.LabelSmoothingCrossEntropy(smoothing=recipe.recipe.label_smoothing)

    def epoch(number: int) -> None:
        module.train()
        total = 0.0
        for step, (batch, labels) in enumerate(loader):
            loss = loss_function(module(batch.contiguous(memory_format=torch.channels_last)), labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            scheduler.step_update(num_updates=number * len(loader) + step + 1)
            total += loss.item() * len(labels)

    return epoch


def void(_: Any) -> None:
    return None


def seconds(epoch: Callable[[int], None], number: int) -> float:
    began = time.perf_counter()
    epoch(number)
    return time.perf_counter() - began


@pytest.mark.parametrize("model", MODELS)
def test_a_step_against_timms(model: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    import torch

    recipe = training(tmp_path, model)
    with settled():
        mine, other = ours(recipe), theirs(recipe)
        torch.set_num_threads(1)
        ratios, rates = [], []
        for turn in range(TURNS + 1):
            first, second = (mine, other) if turn % 2 else (other, mine)
            pair = {id(first): seconds(first, turn), id(second): seconds(second, turn)}
            if turn:  # the first warms up
                ratios.append(pair[id(other)] / pair[id(mine)])
                rates.append(IMAGES / pair[id(mine)])
    ordered = sorted(ratios)
    with capsys.disabled():
        # The sign test's interval: of 9 pairs the second smallest and largest hold the median with 96%.
        print(
            f"\n| {model} | {statistics.median(rates):.0f} | {statistics.median(ratios):.3f} |"
            f" {ordered[1]:.3f} to {ordered[-2]:.3f} |"
        )
