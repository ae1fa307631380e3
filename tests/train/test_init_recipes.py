"""The recipes that come with edgeprof: whole, the same but for what they are to compare, and able to run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from PIL import Image

from edgeprof import pipeline
from edgeprof.progress import Silent
from edgeprof.records import Training
from edgeprof.store import Store
from edgeprof.suite import Suite, builtin_root
from edgeprof.zoo import models

SUITE = Suite(builtin_root(), builtin=True)
STANDARD = ("standard", "standard-cifar100", "standard-tiny-imagenet")


def _recipe(name: str) -> Training:
    return SUITE.training(name)


def test_the_standard_recipes_differ_in_their_data_alone() -> None:
    first, *others = map(_recipe, STANDARD)
    assert first.models == models.STUDY
    assert (first.inits, first.seeds, first.recipe.epochs) == (("pretrained", "scratch"), (0, 1, 2), 20)
    assert {one.data.name for one in (first, *others)} == {"cifar10", "cifar100", "tiny_imagenet"}
    for other in others:
        same = {"name": first.name, "description": first.description, "data": first.data}
        assert msgspec.structs.replace(other, **same) == first


def test_the_control_differs_from_the_standard_in_its_epochs_and_arm_alone() -> None:
    standard, control = _recipe("standard"), _recipe("scratch-100")
    assert control.inits == ("scratch",)
    assert control.recipe == msgspec.structs.replace(standard.recipe, epochs=5 * standard.recipe.epochs)
    assert (control.data, control.preprocessing, control.seeds) == (
        standard.data,
        standard.preprocessing,
        standard.seeds,
    )


def test_every_file_is_complete() -> None:
    """A value that the file leaves to a default could change under it."""
    for name in (*STANDARD, "scratch-100"):
        text = (builtin_root() / "training" / f"{name}.toml").read_text(encoding="utf-8")
        recipe = text[text.index("[recipe]") :]
        for field in msgspec.structs.fields(type(_recipe(name).recipe)):
            off = field.name in ("auto_augment", "random_erasing")
            assert off or f"\n{field.name} = " in recipe, f"{field.name} in {name}.toml"


def test_transfer_begins_from_the_other_half_of_the_digits() -> None:
    transfer = _recipe("transfer")
    (source,) = SUITE.sources(transfer).values()
    assert source.models == transfer.models
    assert source.seeds == transfer.seeds == (0, 1, 2)
    assert not set(source.data.classes or ()) & set(transfer.data.classes or ())
    assert source.preprocessing == transfer.preprocessing


def _cifar(root: Path, name: str) -> None:
    """The binary version, of 12 images in each file."""
    noise = np.random.default_rng(0)
    root.mkdir(parents=True)
    heads = 1 if name == "cifar10" else 2
    count = 10 if name == "cifar10" else 100
    files = [f"data_batch_{n}.bin" for n in range(1, 6)] + ["test_batch.bin"]
    for file in files if name == "cifar10" else ("train.bin", "test.bin"):
        rows = noise.integers(0, 256, (12, heads + 3072), dtype=np.uint8)
        rows[:, :heads] = np.arange(12)[:, None] % count
        (root / file).write_bytes(rows.tobytes())
    labels = "batches.meta.txt" if name == "cifar10" else "fine_label_names.txt"
    (root / labels).write_text("".join(f"class{number}\n" for number in range(count)))


def _tiny_imagenet(root: Path) -> None:
    noise, wnids, lines = np.random.default_rng(0), ("n01443537", "n01629819"), []
    for label, wnid in enumerate(wnids):
        (root / "train" / wnid / "images").mkdir(parents=True)
        (root / "val" / "images").mkdir(parents=True, exist_ok=True)
        for number in range(6):
            image = Image.fromarray(noise.integers(0, 256, (64, 64, 3), dtype=np.uint8))
            image.save(root / "train" / wnid / "images" / f"{wnid}_{number}.JPEG")
            image.convert("L").save(root / "val" / "images" / f"val_{6 * label + number}.JPEG")
            lines.append(f"val_{6 * label + number}.JPEG\t{wnid}\t0\t0\t62\t62\n")
    (root / "wnids.txt").write_text("\n".join(wnids))
    (root / "val" / "val_annotations.txt").write_text("".join(lines))


@pytest.mark.parametrize("name", [*STANDARD, "scratch-100"])
def test_it_runs_on_data_of_the_published_layout(name: str, tmp_path: Path) -> None:
    whole = _recipe(name)
    root = tmp_path / "data"
    if whole.data.name == "tiny_imagenet":
        _tiny_imagenet(root)
    else:
        _cifar(root, whole.data.name)
    small: dict[str, Any] = {
        "models": ("test_resnet",),
        "inits": ("scratch",),
        "seeds": (0,),
        "data": msgspec.structs.replace(whole.data, root=str(root)),
        "preprocessing": msgspec.structs.replace(whole.preprocessing, image_size=32),
        "recipe": msgspec.structs.replace(whole.recipe, epochs=1, batch_size=8, warmup_epochs=0),
    }
    store = Store(tmp_path / "store")
    trained, failures = pipeline.train(SUITE, store, msgspec.structs.replace(whole, **small), Silent())
    assert failures == []
    assert trained[0].accuracy.images == 12
    assert len(trained[0].classes) == {"cifar10": 10, "cifar100": 100, "tiny_imagenet": 2}[whole.data.name]
