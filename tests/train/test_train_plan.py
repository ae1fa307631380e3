"""What a training's key depends on: everything that decides the checkpoint, and nothing else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from edgeprof import train
from edgeprof.errors import TrainError
from edgeprof.records import Data, Identity, Preprocessing, Recipe, Training

BASE = Training(
    name="one",
    models=("resnet18", "torchvision:squeezenet1_1"),
    inits=("scratch", "pretrained"),
    seeds=(0, 7),
    data=Data(name="digits"),
    preprocessing=Preprocessing(image_size=32, mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5)),
    recipe=Recipe(epochs=2, batch_size=8),
)


def _with(record: Any, **changes: Any) -> Any:
    return msgspec.structs.replace(record, **changes)


def test_cells_are_models_by_inits_by_seeds_in_the_order_of_the_file() -> None:
    found = [(cell.model, cell.init, cell.seed) for cell in train.cells(BASE)]
    assert found[:4] == [
        ("resnet18", "scratch", 0),
        ("resnet18", "scratch", 7),
        ("resnet18", "pretrained", 0),
        ("resnet18", "pretrained", 7),
    ]
    assert len(found) == len(set(found)) == 8
    assert {cell.training for cell in train.cells(BASE)} == {"one"}


CELL = Identity(model="resnet18", training="one", init="scratch", seed=0)


@pytest.mark.parametrize(
    "changed",
    [
        _with(BASE, preprocessing=_with(BASE.preprocessing, image_size=33)),
        _with(BASE, preprocessing=_with(BASE.preprocessing, interpolation="bicubic")),
        *[
            _with(BASE, recipe=_with(BASE.recipe, **{key: value}))
            for key, value in {
                "epochs": 3,
                "batch_size": 9,
                "learning_rate": 0.1,
                "auto_augment": "rand-m9",
                "clip_grad": 1.0,
                "min_learning_rate": 0.0,
            }.items()
        ],
    ],
)
def test_another_recipe_is_another_key(changed: Training) -> None:
    assert train.key(changed, CELL, "d") != train.key(BASE, CELL, "d")


@pytest.mark.parametrize("change", [{"model": "resnet34"}, {"init": "pretrained"}, {"seed": 1}])
def test_another_cell_is_another_key(change: dict[str, Any]) -> None:
    assert train.key(BASE, _with(CELL, **change), "d") != train.key(BASE, CELL, "d")


def test_other_data_is_another_key() -> None:
    assert train.key(BASE, CELL, "e") != train.key(BASE, CELL, "d")


def test_names_and_places_are_not_in_the_key() -> None:
    elsewhere = _with(
        BASE, name="two", description="x", models=("resnet18",), seeds=(0,), data=Data(name="digits", root="/elsewhere")
    )
    assert train.key(elsewhere, _with(CELL, training="two"), "d") == train.key(BASE, CELL, "d")


def test_a_weights_file_counts_by_its_content(tmp_path: Path) -> None:
    for name, content in (("a", b"1"), ("b", b"1"), ("c", b"2")):
        (tmp_path / name).write_bytes(content)
    a, b, c = (train.key(BASE, _with(CELL, init=f"file:{tmp_path / name}"), "d") for name in "abc")
    assert a == b != c
    with pytest.raises(TrainError, match="no weights file"):
        train.key(BASE, _with(CELL, init=f"file:{tmp_path / 'none'}"), "d")
